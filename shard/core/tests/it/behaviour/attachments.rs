//! What an earlier home still says of a session that is elsewhere by now comes late, and counts no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use trunkline_config::{HashKey, Shard, ShardMap, View};
use trunkline_core::{
    Action, Attachment, Core, CoreSettings, Epoch, Input, LogOutcome, LogRequest, Member, Mono,
    Now, Opened, Output, PeerMessage, Position, Refusal, Reply, RequestId, SessionId, ShardIndex,
    Topic, TransferPart, UserId,
};

use crate::simulation::room_topic;

const ALICE: SessionId = SessionId([1; 24]);
pub(super) const BEFORE: ShardIndex = ShardIndex(1);
pub(super) const NOW: ShardIndex = ShardIndex(2);

/// The owner of a room, whom two homes tell of alice.
pub(super) struct Owner {
    pub(super) core: Core,
    pub(super) room: Topic,
    requests: u64,
    pub(super) now: Mono,
}

impl Owner {
    pub(super) fn new() -> Self {
        Self::with(CoreSettings::default())
    }

    pub(super) fn with(settings: CoreSettings) -> Self {
        let shard = |id: &str| Shard {
            id: id.to_owned(),
            grpc: String::new(),
            metrics: String::new(),
            weight: 1.0,
        };
        // Not the first: there may have been others.
        let map = ShardMap::new(2, HashKey([7; 16]), ["a", "b", "c"].map(shard).to_vec());
        let (view, _) = View::first(Arc::new(map));
        let mine = |room: &Topic| view.owner(&room.key()) == 0;
        let mut rooms = (0..).map(|number| room_topic(&format!("room-{number}")));
        let room = rooms.find(mine).expect("some room is its own");
        let core = Core::new(view.clone(), ShardIndex(0), BTreeSet::new(), settings);
        let mut owner = Self { core, room, requests: 0, now: Mono::default() };
        for peer in [BEFORE, NOW] {
            owner.handle(Input::LinkUp { peer, restarted: false });
        }
        owner
    }

    /// Gives what the owner then says to homes.
    pub(super) fn handle(&mut self, input: Input) -> Vec<PeerMessage> {
        let mut said = Vec::new();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.core.handle(input, Now { mono: self.now, wall_ms: 1_790_000_000_000 });
            while let Some(output) = self.core.poll_output() {
                match output {
                    Output::Peer { message, .. } => said.push(message),
                    Output::Log(LogRequest::Open { ticket, .. }) => {
                        let outcome = LogOutcome::Opened(Opened::new(Epoch::new("e")));
                        inputs.push(Input::Log { ticket, outcome });
                    }
                    _ => {}
                }
            }
        }
        said
    }

    pub(super) fn hear(&mut self, peer: ShardIndex, message: PeerMessage) -> Vec<PeerMessage> {
        self.handle(Input::Peer { peer, message })
    }

    fn ask(&mut self, home: ShardIndex, nth: u32, action: Action) -> Result<Reply, Refusal> {
        self.requests += 1;
        let (request, member, sequence) = (RequestId(self.requests), alice(nth), self.requests);
        let topic = self.room.clone();
        let said =
            self.hear(home, PeerMessage::Request { request, member, sequence, topic, action });
        let answer = |said| match said {
            PeerMessage::Reply { request: of, result } if of == request => Some(result),
            _ => None,
        };
        said.into_iter().find_map(answer).expect("it is answered at once")
    }

    fn join(&mut self, home: ShardIndex, nth: u32) -> Result<Reply, Refusal> {
        self.ask(home, nth, Action::Join { after: None })
    }

    /// Who is in, as far as is known.
    pub(super) fn present(&mut self) -> (usize, bool) {
        let presence = Action::Presence { after: None, limit: 9 };
        let Ok(Reply::Presence { users, sure }) = self.ask(NOW, 0, presence) else {
            panic!("who is there can be asked")
        };
        (users.len(), sure)
    }

    /// Everything that a home may say of a session when it thinks that the session is in or leaves.
    fn hear_all(&mut self, home: ShardIndex, nth: u32) {
        let (topic, session, attachment) = (self.room.clone(), ALICE, Attachment(nth));
        let after = Position { epoch: Epoch::new("e"), offset: 0 };
        let (claimed, members) = (self.room.clone(), vec![alice(nth)]);
        let forget = PeerMessage::Forget { topic: topic.clone(), session, attachment };
        let said = self.hear(home, PeerMessage::Claim { topic: claimed, after, members });
        assert!(matches!(said.as_slice(), [PeerMessage::Claimed { .. }]), "{said:?}");
        self.hear(home, PeerMessage::Suspend { topic, session, attachment });
        assert_eq!(self.ask(home, nth, Action::Leave), Ok(Reply::Left));
        self.hear(home, forget);
    }
}

fn alice(nth: u32) -> Member {
    let user = UserId::parse("alice").expect("a user");
    Member { session: ALICE, user, attachment: Attachment(nth) }
}

#[test]
fn whatever_an_earlier_home_says_of_who_is_in_by_another_changes_nothing() {
    let mut owner = Owner::new();
    assert!(owner.join(BEFORE, 1).is_ok());
    assert!(owner.join(NOW, 2).is_ok());
    owner.hear_all(BEFORE, 1);
    assert_eq!(owner.join(BEFORE, 1), Err(Refusal::Unavailable));
    assert_eq!(owner.present(), (1, true));
    // The present one is heard.
    owner.hear_all(NOW, 2);
    assert_eq!(owner.present(), (0, true));
}

#[test]
fn a_home_that_has_lost_sight_of_who_has_come_from_another_says_alone_that_it_leaves() {
    let mut owner = Owner::new();
    assert!(owner.join(BEFORE, 1).is_ok());
    let (topic, session, attachment) = (owner.room.clone(), ALICE, Attachment(2));
    owner.hear(NOW, PeerMessage::Suspend { topic, session, attachment });
    assert_eq!(owner.ask(BEFORE, 1, Action::Leave), Ok(Reply::Left));
    assert_eq!(owner.present(), (1, false));
    assert_eq!(owner.ask(NOW, 2, Action::Leave), Ok(Reply::Left));
    assert_eq!(owner.present(), (0, true));
}

#[test]
pub(super) fn an_earlier_home_does_not_bring_back_who_has_left_by_another() {
    let mut owner = Owner::new();
    assert!(owner.join(BEFORE, 1).is_ok());
    // It is in at its new home before it has asked from there.
    assert_eq!(owner.ask(NOW, 2, Action::Leave), Ok(Reply::Left));
    assert_eq!(owner.join(BEFORE, 1), Err(Refusal::Unavailable));
    owner.hear_all(BEFORE, 1);
    assert_eq!(owner.present(), (0, true));
    assert!(owner.join(NOW, 2).is_ok());
    assert!(owner.join(BEFORE, 3).is_ok(), "it has come back");
    assert_eq!(owner.present(), (1, true));
}

#[test]
fn who_has_left_by_another_owner_and_not_come_since_is_in_no_more() {
    let mut owner = Owner::new();
    assert!(owner.join(BEFORE, 1).is_ok());
    let arrives = |owner: &Owner| {
        let part = Box::new(TransferPart {
            left: vec![(ALICE, Attachment(2))],
            last: true,
            ..TransferPart::default()
        });
        PeerMessage::Transfer { topic: owner.room.clone(), part }
    };
    let left = arrives(&owner);
    owner.hear(BEFORE, left);
    assert_eq!(owner.present(), (0, true));
    assert_eq!(owner.join(BEFORE, 1), Err(Refusal::Unavailable));
    for nth in [2, 3] {
        assert!(owner.join(NOW, nth).is_ok());
        let left = arrives(&owner);
        owner.hear(BEFORE, left);
        assert_eq!(owner.present(), (1, true));
    }
}
