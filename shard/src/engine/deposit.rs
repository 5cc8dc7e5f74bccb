//! What it takes to go on with a client that polls if this shard dies: its router keeps it. That is the
//! one by which the client has polled last, and until it is certain to have it the one before.

use trunkline_core::{Given, SessionId, Stamp, TrunkId};
use trunkline_proto::trunk::{Deposit, Down, down};

use super::Engine;
use crate::wire::encode_rescue;

/// A larger one is not deposited.
const BYTES: usize = 256 << 10;
/// About what an item takes beside its state, in bytes.
const ITEM: usize = 128;

/// What the core knows when something is carried out.
#[derive(Debug)]
pub(crate) struct Known {
    /// The newest stamp.
    pub(crate) newest: Stamp,
    /// With a state: by which its client comes back.
    pub(crate) private_ids: Vec<SessionId>,
}

impl Engine {
    pub(super) fn note(&mut self, number: u64, given: Given) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.ledger.note(given);
            self.noted.insert(number);
        }
    }

    /// A client polls by this router: it has had its last answer.
    pub(super) fn polls_by(&mut self, number: u64, trunk: TrunkId) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.ledger.poll();
        // The last answer came behind a deposit on the same way.
        let (id, former) = (session.id, session.former.take().filter(|former| *former != trunk));
        if session.keeper != Some(trunk) {
            session.former = session.keeper.replace(trunk);
            session.ledger.deposit_again();
        }
        if let Some(former) = former {
            self.withdraw_from(former, &id);
        }
    }

    /// Lets a session's router keep it as it is now, if it has changed.
    pub(super) fn deposit(&mut self, number: u64) {
        if self.settings.recovery.is_none() {
            return;
        }
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(keeper) = session.keeper.filter(|_| !session.private_ids.is_empty()) else {
            return;
        };
        let Some(rescue) = session.ledger.deposit(self.newest, session.settled) else { return };
        let (id, private_ids) = (session.id, session.private_ids.iter());
        let is_something = rescue.is_something();
        let state = encode_rescue(rescue);
        if !is_something || state.len() > BYTES {
            return self.withdraw_from(keeper, &id);
        }
        let private_ids = private_ids.map(|id| id.0.to_vec().into()).collect();
        let size = state.len() + ITEM;
        let deposit = Deposit { session: id.0.to_vec().into(), private_ids, state };
        self.items.push((keeper, (Down { item: Some(down::Item::Deposit(deposit)) }, size)));
    }

    /// A connection has another state, and these sessions. One that it had before is over: no router
    /// is to have it any more, be it that the others are with none for a moment.
    pub(super) fn change_private_ids(&mut self, number: u64, private_ids: Vec<SessionId>) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let before = std::mem::replace(&mut session.private_ids, private_ids);
        if !before.iter().all(|id| session.private_ids.contains(id)) {
            session.ledger.deposit_again();
            self.withdraw(number);
        }
    }

    /// No router keeps a session any more.
    pub(super) fn withdraw(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let (id, keepers) = (session.id, [session.keeper, session.former.take()]);
        keepers.into_iter().flatten().for_each(|keeper| self.withdraw_from(keeper, &id));
    }

    fn withdraw_from(&mut self, keeper: TrunkId, id: &SessionId) {
        if self.settings.recovery.is_some() {
            let deposit = Deposit { session: id.0.to_vec().into(), ..Deposit::default() };
            self.items.push((keeper, (Down { item: Some(down::Item::Deposit(deposit)) }, ITEM)));
        }
    }
}
