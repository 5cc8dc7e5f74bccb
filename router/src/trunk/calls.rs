//! The calls of the application's servers that wait for this trunk's shard.
//!
//! They live and end with the stream: what it has not answered when it breaks is told so by its
//! sender being gone. Deadlines are the caller's.

use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::oneshot;
use trunkline_proto::transport::STREAM_BOUNDS;
use trunkline_proto::trunk::{ApiAnswer, api_answer};

use super::Trunk;

/// Calls that may wait for one shard; the caller of one more is told to come again.
const CAPACITY: usize = 4096;
/// What they may take, in bytes. They share the stream's queue with the clients, and a router that
/// can't tell a shard there that a client is gone must cut the stream: so servers never fill it.
const BYTES: usize = STREAM_BOUNDS.capacity / 2;

/// Who waits, by the call's number.
#[derive(Default)]
pub(super) struct Calls {
    waiting: HashMap<u64, Waiting>,
    bytes: usize,
}

struct Waiting {
    answer: oneshot::Sender<api_answer::What>,
    size: usize,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY || self.bytes >= BYTES
    }

    /// `size` is the call's own, in bytes.
    pub(super) fn expect(
        &mut self,
        number: u64,
        size: usize,
    ) -> oneshot::Receiver<api_answer::What> {
        let (answer, answered) = oneshot::channel();
        self.waiting.insert(number, Waiting { answer, size });
        self.bytes += size;
        answered
    }

    pub(super) fn forget(&mut self, number: u64) -> Option<oneshot::Sender<api_answer::What>> {
        let Waiting { answer, size } = self.waiting.remove(&number)?;
        self.bytes -= size;
        Some(answer)
    }

    /// Passes an answer on. One that nobody waits for any more came too late.
    pub(super) fn answer(&mut self, answer: ApiAnswer) {
        let ApiAnswer { request, what } = answer;
        // An answer that says nothing drops the sender, as if the shard were gone.
        if let (Some(waiting), Some(what)) = (self.forget(request), what) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_proto::api::DisconnectReply;

    fn answer(request: u64, connections: u32) -> ApiAnswer {
        let what = api_answer::What::Disconnect(DisconnectReply { connections });
        ApiAnswer { request, what: Some(what) }
    }

    #[test]
    fn each_call_gets_its_own_answer_once() {
        let mut calls = Calls::default();
        let [mut one, mut two] = [calls.expect(1, 10), calls.expect(2, 20)];
        calls.answer(answer(2, 22));
        calls.answer(answer(2, 23));
        calls.answer(answer(9, 99));
        assert!(one.try_recv().is_err());
        assert_eq!(Some(two.try_recv().expect("answered")), answer(2, 22).what);
        calls.answer(answer(1, 11));
        assert_eq!(Some(one.try_recv().expect("answered")), answer(1, 11).what);
        assert_eq!((calls.waiting.len(), calls.bytes), (0, 0));
    }

    #[test]
    fn calls_are_bounded_by_number_and_size_and_make_room_when_they_end() {
        let mut calls = Calls::default();
        let waiting: Vec<_> = (0..4096).map(|number| calls.expect(number, 1)).collect();
        assert!(calls.is_full());
        calls.forget(0);
        assert!(!calls.is_full());
        calls.expect(5000, BYTES);
        assert!(calls.is_full());
        calls.answer(ApiAnswer { request: 5000, what: None });
        calls.forget(1);
        assert!(!calls.is_full());
        drop(waiting);
    }
}
