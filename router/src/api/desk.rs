//! Asking shards: which one owns what is asked about, and the calls over its trunk.
//!
//! A worker asks under a session of its own, with numbers that count up: by both a shard
//! recognises a repeat. It sends nothing again by itself; that is for the caller, who has keys.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngCore;
use rand::rngs::StdRng;
use tokio::time::timeout;
use trunkline_config::{Digest, ShardKey};
use trunkline_proto::trunk::{ApiCall, api_answer, api_call};

use super::Problem;
use crate::trunk::{Pending, Trunks, Unattached};

/// The bytes of a session's ID.
const SESSION: usize = 24;

/// A worker's way to the shards.
pub(crate) struct Desk {
    trunks: Rc<Trunks>,
    session: Bytes,
    /// The last call's number.
    number: Cell<u64>,
}

/// A call that is under way.
pub(super) struct Call {
    pending: Pending,
    wait: Duration,
}

impl Desk {
    pub(crate) fn new(trunks: Rc<Trunks>, mut entropy: StdRng) -> Self {
        // As long as a client's, and as hard to guess. Nobody asks where it is placed, so its
        // digest may be random too.
        let mut session = vec![0; SESSION];
        entropy.fill_bytes(&mut session);
        Self { trunks, session: session.into(), number: Cell::new(0) }
    }

    pub(super) fn owner_of_room(&self, namespace: &str, room: &str) -> u16 {
        self.trunks.view().owner(&ShardKey::Room { namespace, room })
    }

    pub(super) fn owner_of_user(&self, user: &str) -> u16 {
        self.trunks.view().owner(&ShardKey::User(user))
    }

    pub(super) fn owner_of(&self, digest: Digest) -> u16 {
        self.trunks.view().owner_of(digest)
    }

    /// Asks a shard, by number. The call is queued when this returns, so that calls are
    /// carried out in the order in which they were made.
    ///
    /// # Errors
    /// `unavailable` when the shard can't be asked now.
    pub(super) fn ask(
        &self,
        shard: u16,
        what: api_call::What,
        wait: Duration,
    ) -> Result<Call, Problem> {
        let trunk = self.trunks.get(shard).ok_or_else(Problem::unavailable)?;
        let request = self.number.get() + 1;
        self.number.set(request);
        let call = ApiCall { request, session: self.session.clone(), what: Some(what) };
        match trunk.call(call) {
            Ok(pending) => Ok(Call { pending, wait }),
            Err(Unattached::Down) => Err(Problem::unavailable()),
            Err(Unattached::Full) => Err(Problem::busy()),
        }
    }
}

impl Call {
    /// Waits for the answer, which may be the shard's error.
    ///
    /// # Errors
    /// `unavailable` when the trunk breaks, `timeout` when nothing comes in time.
    pub(super) async fn answer(self) -> Result<api_answer::What, Problem> {
        match timeout(self.wait, self.pending.answer()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Problem::unavailable()),
            Err(_) => Err(Problem::late()),
        }
    }
}
