//! What comes from one shard while another is asked: of views, owners and answers that cross each other.

use std::sync::Arc;

use serde_json::json;
use trunkline_core::{
    Action, Attachment, ConnectionId, CoreSettings, Epoch, Input, Joined, LogOutcome, LogRequest,
    Member, Output, PeerMessage, Position, Record, Refusal, Reply, RequestId, SessionId,
    ShardIndex, Topic, UserId,
};

use super::alone::{Alone, ME, PEERS, TRUNK, given, told};
use super::town::publish;

fn place(offset: u64) -> Position {
    Position { epoch: Epoch::new("e"), offset }
}

/// What it asks its log of a topic.
fn asked<'a>(wants: &'a [Output], topic: &Topic) -> Vec<&'a LogRequest> {
    let of = |output: &'a Output| match output {
        Output::Log(request) => Some(request),
        _ => None,
    };
    let is_of = |request: &&LogRequest| match request {
        LogRequest::Open { topic: of, .. } | LogRequest::Export { topic: of, .. } => of == topic,
        _ => false,
    };
    wants.iter().filter_map(of).filter(is_of).collect()
}

#[test]
pub(super) fn what_a_peer_lacked_in_another_view_it_may_have_by_now() {
    let mut alone = Alone::new();
    let (_, topic) = alone.room_of(&[ME, PEERS[0]]);
    let [between, now] = [&[ME][..], &[]].map(|away| alone.view_without(away));
    alone.sees(&between);
    alone.sees(&now);
    let user = UserId::parse("alice").expect("a user");
    let member = Member { session: SessionId([7; 24]), user, attachment: Attachment(0) };
    let (request, action) = (RequestId(1), Action::Join { after: None });
    let asks = PeerMessage::Request { request, member, sequence: 1, topic: topic.clone(), action };
    alone.hear(PEERS[0], asks);
    let mut lacks = |view: &trunkline_config::View| {
        let view = view.id();
        let said = PEERS.map(|peer| {
            let said = alone.hear(peer, PeerMessage::Lacks { topic: topic.clone(), view });
            asked(&said, &topic).len()
        });
        said[0] + said[1]
    };
    assert_eq!(lacks(&between), 0, "it is opened by nobody's word of then");
    assert_eq!(lacks(&now), 1);
}

#[test]
pub(super) fn who_wants_something_too_early_is_answered_before_all_else_when_the_view_has_come() {
    let mut alone = Alone::new();
    let (_, topic) = alone.room_of(&[ME, PEERS[0]]);
    let next = alone.view_without(&[ME]);
    let view = next.id();
    let early = alone.hear(PEERS[0], PeerMessage::Want { topic: topic.clone(), view });
    assert!(told(&early, PEERS[0]).is_empty(), "{early:?}");
    let wants = alone.sees(&next);
    let [LogRequest::Export { ticket, .. }] = asked(&wants, &topic)[..] else {
        panic!("the log is asked for it: {wants:?}")
    };
    let outcome = LogOutcome::Exported(None);
    let said = alone.handle(Input::Log { ticket: *ticket, outcome });
    assert_eq!(told(&said, PEERS[0]), [&PeerMessage::Lacks { topic, view }]);
}

/// A shard's member of a room of the first peer's, and what it asks that one next.
struct Room {
    alone: Alone,
    name: String,
    topic: Topic,
    alice: ConnectionId,
}

impl Room {
    fn new() -> Self {
        let mut alone = Alone::new();
        let (name, topic) = alone.room_of(&PEERS);
        let alice = alone.come(1);
        let mut room = Self { alone, name, topic, alice };
        let (request, _) = room.join(alice);
        let said = room.answer(PEERS[0], request, Ok(room.let_in(0)));
        assert_eq!(given(&said), ["ok"]);
        room
    }

    /// Gives also what its shard asks the owner.
    fn join(&mut self, who: ConnectionId) -> (RequestId, Member) {
        let asks = self.alone.say(who, &json!({"type": "join", "room": self.name, "id": 1}));
        request(&asks, PEERS[0])
    }

    fn let_in(&self, offset: u64) -> Reply {
        let (members, recovered, gap) = (1, None, None);
        let (position, missed, handover) = (place(offset), Vec::new(), None);
        Reply::Joined(Joined { position, members, recovered, gap, missed, handover })
    }

    fn answer(
        &mut self,
        owner: ShardIndex,
        request: RequestId,
        result: Result<Reply, Refusal>,
    ) -> Vec<Output> {
        self.alone.hear(owner, PeerMessage::Reply { request, result })
    }

    /// The owner has parted with the room, which is the other peer's.
    fn moves(&mut self) -> Vec<Output> {
        let next = self.alone.view_without(&PEERS[..1]);
        self.alone.sees(&next);
        let topic = self.topic.clone();
        let wants = self.alone.hear(PEERS[0], PeerMessage::Parted { topic });
        let claims = |it: &&PeerMessage| matches!(it, PeerMessage::Claim { .. });
        assert!(told(&wants, PEERS[1]).iter().any(claims), "{wants:?}");
        wants
    }

    fn claimed(&mut self, missed: Vec<Arc<Record>>) -> Vec<Output> {
        let (topic, epoch, gap) = (self.topic.clone(), Epoch::new("e"), None);
        let last = missed.last().map_or(0, |record| record.offset);
        let handover = None;
        let claimed = PeerMessage::Claimed { topic, epoch, gap, missed, last, handover };
        self.alone.hear(PEERS[1], claimed)
    }
}

/// The request that is made of a peer.
fn request(wants: &[Output], of: ShardIndex) -> (RequestId, Member) {
    let request = |it: &&PeerMessage| match it {
        PeerMessage::Request { request, member, .. } => Some((*request, member.clone())),
        _ => None,
    };
    told(wants, of).iter().find_map(request).expect("it is asked")
}

#[test]
pub(super) fn who_has_published_what_the_next_owner_tells_of_is_answered_first() {
    let mut room = Room::new();
    let mut says = publish(&room.name, "one");
    says["id"] = 2.into();
    let asks = room.alone.say(room.alice, &says);
    let asked = |it: &&PeerMessage| match it {
        PeerMessage::Request { request, member, sequence, action, .. } => {
            Some((*request, member.clone(), *sequence, action.clone()))
        }
        _ => None,
    };
    let (request, member, sequence, action) =
        told(&asks, PEERS[0]).iter().find_map(asked).expect("it is asked");
    let Action::Publish { body, key, echo, .. } = action else { panic!("it publishes") };
    // It was kept, which the owner that gave it up doesn't know.
    room.answer(PEERS[0], request, Err(Refusal::Moved));
    room.moves();
    let (from, session) = (member.user, member.session);
    let (offset, time_ms) = (1, 1_790_000_000_000);
    let kept = Record { offset, time_ms, from, session, sequence, key, echo, body };
    let said = room.claimed(vec![Arc::new(kept)]);
    assert_eq!(given(&said), ["ok", "message"]);
    let late = room.answer(PEERS[1], request, Ok(Reply::Published(place(1))));
    assert!(given(&late).is_empty(), "{late:?}");
}

#[test]
pub(super) fn who_is_let_in_by_another_owner_than_the_one_that_is_heard_isnt_in() {
    let mut room = Room::new();
    let bob = room.alone.come(2);
    let (asked, _) = room.join(bob);
    room.moves();
    room.claimed(Vec::new());
    // It has got the room back, with what was said, and those who are here still hear the other.
    let said = room.answer(PEERS[0], asked, Ok(room.let_in(1)));
    assert!(given(&said).is_empty(), "{said:?}");
    let suspends = |it: &&PeerMessage| matches!(it, PeerMessage::Suspend { .. });
    assert!(told(&said, PEERS[0]).iter().any(suspends), "{said:?}");
    // The one that is heard is asked.
    let (again, _) = request(&said, PEERS[1]);
    assert_eq!(given(&room.answer(PEERS[1], again, Ok(room.let_in(0)))), ["ok"]);
}

/// What is said of who may be in a room.
fn doubts(wants: &[Output], of: ShardIndex) -> usize {
    let suspends = |it: &&&PeerMessage| matches!(it, PeerMessage::Suspend { .. });
    told(wants, of).iter().filter(suspends).count()
}

#[test]
fn an_owner_that_is_late_with_a_join_doubts_it_though_the_session_has_gone_and_another_has_the_room()
 {
    let mut room = Room::new();
    let bob = room.alone.come(2);
    room.join(bob);
    let next = room.alone.view_without(&PEERS[..1]);
    room.alone.sees(&next);
    let moves = Input::Detach { trunk: TRUNK, connection: bob, moved: true };
    room.alone.handle(moves);
    room.alone.now = room.alone.now + CoreSettings::default().request_timeout;
    let said = room.alone.handle(Input::Tick);
    assert_eq!(doubts(&said, PEERS[0]), 1, "{said:?}");
}
