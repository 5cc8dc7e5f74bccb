//! A log may take longer than the grace. Whoever has said in time that somebody is there has said it,
//! though it must wait; and nobody misses what has become clear meanwhile.

use trunkline_core::{
    Action, Attachment, CoreSettings, Delivery, Epoch, Input, LogOutcome, LogRequest, Member, Now,
    Opened, Output, PeerMessage, Position, RequestId, SessionId, ShardIndex, Ticket, TransferPart,
    UserId,
};

use super::attachments::{BEFORE, NOW, Owner};

/// The owner of a room whose log has been asked something and doesn't answer.
struct Slow {
    owner: Owner,
    asked: Vec<Ticket>,
}

fn member(user: &str, number: u8, attachment: u32) -> Member {
    let (session, user) = (SessionId([number; 24]), UserId::parse(user).expect("a user"));
    Member { session, user, attachment: Attachment(attachment) }
}

fn alice(attachment: u32) -> Member {
    member("alice", 1, attachment)
}

fn place(offset: u64) -> Position {
    Position { epoch: Epoch::new("e"), offset }
}

impl Slow {
    fn new() -> Self {
        Self { owner: Owner::new(), asked: Vec::new() }
    }

    /// Gives who is said to which home to have come or gone.
    fn handle(&mut self, input: Input) -> Vec<(ShardIndex, String)> {
        let mut said = Vec::new();
        self.owner.core.handle(input, Now { mono: self.owner.now, wall_ms: 7 });
        while let Some(output) = self.owner.core.poll_output() {
            match output {
                Output::Log(LogRequest::Open { ticket, .. } | LogRequest::Read { ticket, .. }) => {
                    self.asked.push(ticket);
                }
                Output::Peer { peer, message: PeerMessage::Deliver { delivery, .. } } => {
                    match delivery {
                        Delivery::UserJoined(user) => said.push((peer, format!("{user} comes"))),
                        Delivery::UserLeft(user) => said.push((peer, format!("{user} goes"))),
                        other => panic!("nothing else is said: {other:?}"),
                    }
                }
                _ => {}
            }
        }
        said
    }

    fn hear(&mut self, peer: ShardIndex, message: PeerMessage) {
        let said = self.handle(Input::Peer { peer, message });
        assert!(said.is_empty(), "nobody is told anything yet: {said:?}");
    }

    /// Alice and bob were in it at the owner before.
    fn arrives(&mut self) {
        let members = vec![(alice(1), BEFORE), (member("bob", 2, 1), NOW)];
        let part = Box::new(TransferPart { members, last: true, ..TransferPart::default() });
        self.hear(BEFORE, PeerMessage::Transfer { topic: self.owner.room.clone(), part });
    }

    fn claims(&mut self, home: ShardIndex, members: Vec<Member>) {
        let (topic, after) = (self.owner.room.clone(), place(5));
        self.hear(home, PeerMessage::Claim { topic, after, members });
    }

    fn joins(&mut self, home: ShardIndex, member: Member, after: Position) {
        let (request, sequence, topic) = (RequestId(1), 0, self.owner.room.clone());
        let action = Action::Join { after: Some(after) };
        self.hear(home, PeerMessage::Request { request, member, sequence, topic, action });
    }

    fn cant_see(&mut self, home: ShardIndex, Member { session, attachment, .. }: Member) {
        let topic = self.owner.room.clone();
        self.hear(home, PeerMessage::Suspend { topic, session, attachment });
    }

    /// Who isn't claimed by now has left.
    fn grace_is_over(&mut self) -> Vec<(ShardIndex, String)> {
        self.owner.now = self.owner.now + CoreSettings::default().grace * 11 / 10;
        self.handle(Input::Tick)
    }

    fn log(&mut self, outcome: LogOutcome) -> Vec<(ShardIndex, String)> {
        let ticket = self.asked.pop().expect("the log was asked");
        self.handle(Input::Log { ticket, outcome })
    }

    fn opens(&mut self) -> Vec<(ShardIndex, String)> {
        self.log(LogOutcome::Opened(Opened { last: 5, ..Opened::new(Epoch::new("e")) }))
    }
}

/// A home has word of alice, who is then there or not known to be.
type Word = (fn(&mut Slow), bool);

const WORDS: [Word; 3] = [
    (|slow| slow.claims(BEFORE, vec![alice(1)]), true),
    (|slow| slow.joins(NOW, alice(2), place(5)), true),
    (|slow| slow.cant_see(BEFORE, alice(1)), false),
];

#[test]
fn who_a_home_has_told_of_in_time_has_not_left_though_that_waits_for_the_log() {
    for ((word, is_sure), is_first) in WORDS.into_iter().flat_map(|it| [(it, true), (it, false)]) {
        let mut slow = Slow::new();
        slow.claims(NOW, vec![member("bob", 2, 1)]);
        if is_first {
            word(&mut slow);
        }
        slow.arrives();
        if !is_first {
            word(&mut slow);
        }
        assert_eq!((slow.grace_is_over(), slow.opens()), (vec![], vec![]));
        assert_eq!(slow.owner.present(), (2, is_sure));
    }
}

#[test]
fn who_is_being_brought_up_to_date_when_the_grace_is_over_has_not_left() {
    let mut slow = Slow::new();
    slow.arrives();
    slow.claims(NOW, vec![member("bob", 2, 1)]);
    slow.opens();
    slow.joins(BEFORE, alice(1), place(4));
    assert_eq!(slow.grace_is_over(), []);
    assert_eq!(slow.owner.present(), (2, false));
}

#[test]
fn who_has_left_while_a_homes_claim_waited_is_said_to_it_afterwards() {
    let mut slow = Slow::new();
    slow.arrives();
    slow.claims(NOW, vec![member("bob", 2, 1)]);
    assert_eq!(slow.grace_is_over(), []);
    assert_eq!(slow.opens(), [(NOW, "alice goes".to_owned())]);
    assert_eq!(slow.owner.present(), (1, true));
}

#[test]
fn who_is_out_of_sight_has_left_in_the_end_though_no_home_says_so() {
    let mut slow = Slow::new();
    slow.arrives();
    slow.claims(NOW, vec![member("bob", 2, 1)]);
    slow.opens();
    slow.cant_see(BEFORE, alice(1));
    assert_eq!(slow.grace_is_over(), [], "her home may say more");
    assert_eq!(slow.owner.present(), (2, false));
    slow.owner.now = slow.owner.now + 2 * CoreSettings::default().request_timeout;
    assert_eq!(slow.grace_is_over(), [(NOW, "alice goes".to_owned())]);
    assert_eq!(slow.owner.present(), (1, true));
}
