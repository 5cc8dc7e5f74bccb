//! The calls of the application's servers that wait for this trunk's shard.
//!
//! They live and end with the stream: what it has not answered when it breaks is told so by its
//! sender being gone. Deadlines are the caller's.

use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::oneshot;
use trunkline_proto::trunk::{ApiAnswer, api_answer};

use super::Trunk;

/// Calls that may wait for one shard; the caller of one more is told to come again.
const CAPACITY: usize = 4096;

/// Who waits, by the call's number.
#[derive(Default)]
pub(super) struct Calls(HashMap<u64, oneshot::Sender<api_answer::What>>);

impl Calls {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= CAPACITY
    }

    pub(super) fn expect(&mut self, number: u64) -> oneshot::Receiver<api_answer::What> {
        let (answer, answered) = oneshot::channel();
        self.0.insert(number, answer);
        answered
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// Passes an answer on. One that nobody waits for any more came too late.
    pub(super) fn answer(&mut self, answer: ApiAnswer) {
        let ApiAnswer { request, what } = answer;
        // An answer that says nothing drops the sender, as if the shard were gone.
        if let (Some(waiting), Some(what)) = (self.0.remove(&request), what) {
            // An error is a caller that has just given up.
            let _ = waiting.send(what);
        }
    }
}

/// A call that waits. Dropped, it is forgotten.
pub(crate) struct Pending {
    pub(super) trunk: Rc<Trunk>,
    pub(super) number: u64,
    pub(super) answered: oneshot::Receiver<api_answer::What>,
}

impl Pending {
    /// The shard's answer; `None` when its stream has broken.
    pub(crate) async fn answer(mut self) -> Option<api_answer::What> {
        (&mut self.answered).await.ok()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.trunk.forget_call(self.number);
    }
}
