//! Where all shards share one log, whoever has opened a topic last may write to it. Who has given it up
//! by then is in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use trunkline_core::{
    Action, Arguments, Attachment, Body, CoreSettings, Epoch, Input, LogFailure, LogOutcome,
    LogReach, LogRequest, Member, Now, Opened, Output, PeerMessage, Position, Publication, Record,
    Reply, RequestId, SessionId, Ticket, UserId,
};

use super::attachments::{NOW, Owner};
use super::town::{Town, publish, seconds};
use crate::harness::{ClientId, Plan};

/// A town with one log, and somebody in a room of which one thing was said.
fn town() -> (Town, ClientId) {
    let mut plan = Plan::calm(3);
    (plan.hold, plan.durable, plan.shared) = (true, true, true);
    let mut town = Town::of(plan);
    let alice = town.member("alice", &["lobby"]);
    town.publish(alice, "lobby", "one");
    town.hears(alice);
    (town, alice)
}

/// The room goes to another shard and comes back before its log has done what that one has asked.
fn there_and_back(town: &mut Town) {
    let owner = town.owner_of_room("lobby");
    town.slow_log(50);
    town.world.away(&[owner]);
    town.wait(Duration::ZERO);
    town.slow_log(0);
    town.world.away(&[]);
    town.wait(Duration::ZERO);
    assert_eq!(town.owner_of_room("lobby"), owner);
}

#[test]
fn what_the_log_has_refused_because_of_who_gave_the_room_back_is_said_again_by_its_owner() {
    let (mut town, alice) = town();
    there_and_back(&mut town);
    town.slow_log(60);
    let said = ["two", "three"].map(|data| town.begin(alice, publish("lobby", data)));
    town.wait(seconds(1));
    let answers = said.map(|id| town.answer(alice, id).expect("it is answered"));
    assert_eq!(answers.map(|it| it["offset"].clone()), [2, 3]);
    assert_eq!(town.hears_of(alice), ["message two", "message three"]);
}

/// What the log is asked, and what the home is answered, after the owner has heard something.
fn hear(owner: &mut Owner, input: Input) -> (Vec<LogRequest>, Vec<Reply>) {
    let (mut asked, mut answers) = (Vec::new(), Vec::new());
    owner.core.handle(input, Now { mono: owner.now, wall_ms: 7 });
    while let Some(output) = owner.core.poll_output() {
        match output {
            Output::Log(request) => asked.push(request),
            Output::Peer { message: PeerMessage::Reply { result, .. }, .. } => {
                answers.push(result.expect("it isn't refused"));
            }
            _ => {}
        }
    }
    (asked, answers)
}

fn ticket(asked: &[LogRequest]) -> Ticket {
    match asked {
        [
            LogRequest::Open { ticket, .. }
            | LogRequest::Append { ticket, .. }
            | LogRequest::Read { ticket, .. },
        ] => *ticket,
        other => panic!("the log is asked one thing: {other:?}"),
    }
}

#[test]
fn what_another_owner_has_kept_under_the_same_key_isnt_kept_again() {
    let mut owner = Owner::with(CoreSettings { log: LogReach::Cluster, ..CoreSettings::default() });
    let user = UserId::parse("alice").expect("a user");
    let session = |number| SessionId([number; 24]);
    let arguments = Arguments::new("1", 1);
    let body = Body { event: "e".into(), arguments, attachments: Vec::new() };
    let key: Option<Arc<str>> = Some("k".into());
    let (action, member) = (
        Action::Publish { body: body.clone(), key: key.clone(), ephemeral: false, echo: true },
        Member { session: session(1), user: user.clone(), attachment: Attachment(0) },
    );
    let (request, topic, sequence) = (RequestId(1), owner.room.clone(), 1);
    let message = PeerMessage::Request { request, member, sequence, topic, action };
    let (opens, _) = hear(&mut owner, Input::Peer { peer: NOW, message });
    let new = Opened::new(Epoch::new("e"));
    let outcome = LogOutcome::Opened(new.clone());
    let (appends, _) = hear(&mut owner, Input::Log { ticket: ticket(&opens), outcome });
    let outcome = LogOutcome::Failed(LogFailure::Conflict);
    let (opens, _) = hear(&mut owner, Input::Log { ticket: ticket(&appends), outcome });
    // Its client has said it again by another connection, to who was the owner meanwhile.
    let (offset, time_ms, session) = (1, 7, session(2));
    let from = user;
    let record = Record { offset, time_ms, from, session, sequence, key, echo: true, body };
    let publications = vec![Publication::of(&record)];
    let outcome = LogOutcome::Opened(Opened { last: 1, publications, ..new });
    let (reads, _) = hear(&mut owner, Input::Log { ticket: ticket(&opens), outcome });
    let outcome = LogOutcome::Records { records: vec![Arc::new(record)] };
    let (asked, answers) = hear(&mut owner, Input::Log { ticket: ticket(&reads), outcome });
    assert!(asked.is_empty(), "nothing is kept again: {asked:?}");
    let place = Position { epoch: Epoch::new("e"), offset: 1 };
    assert_eq!(answers, [Reply::Published(place)]);
}

/// Somebody joins who says to have had so much already.
fn join_after(owner: &mut Owner, number: u64, offset: u64) -> (Vec<LogRequest>, Vec<Reply>) {
    let user = UserId::parse("alice").expect("a user");
    let session = SessionId([u8::try_from(number).expect("few"); 24]);
    let member = Member { session, user, attachment: Attachment(0) };
    let after = Some(Position { epoch: Epoch::new("e"), offset });
    let (request, sequence, topic) = (RequestId(number), 1, owner.room.clone());
    let action = Action::Join { after };
    let message = PeerMessage::Request { request, member, sequence, topic, action };
    hear(owner, Input::Peer { peer: NOW, message })
}

fn opened(owner: &mut Owner, asked: &[LogRequest], last: u64) -> (Vec<LogRequest>, Vec<Reply>) {
    let outcome = LogOutcome::Opened(Opened { last, ..Opened::new(Epoch::new("e")) });
    hear(owner, Input::Log { ticket: ticket(asked), outcome })
}

fn places(answers: &[Reply]) -> Vec<(u64, Option<u64>)> {
    let place = |reply: &Reply| match reply {
        Reply::Joined(joined) => (joined.position.offset, joined.gap),
        other => panic!("it is let in: {other:?}"),
    };
    answers.iter().map(place).collect()
}

#[test]
fn who_has_had_more_than_an_owner_knows_of_is_let_in_once_the_log_has_been_asked() {
    let mut owner = Owner::with(CoreSettings { log: LogReach::Cluster, ..CoreSettings::default() });
    let (asked, _) = join_after(&mut owner, 1, 8);
    let (asked, answers) = opened(&mut owner, &asked, 8);
    assert_eq!((asked.len(), places(&answers)), (0, vec![(8, None)]));
    // Another owner has kept two more, and this client has had them.
    let (asked, answers) = join_after(&mut owner, 2, 10);
    assert!(matches!(asked.as_slice(), [LogRequest::Open { .. }]), "{asked:?}");
    assert!(answers.is_empty());
    let (asked, _) = opened(&mut owner, &asked, 10);
    let record = |offset| {
        let (arguments, from) = (Arguments::new("1", 1), UserId::parse("bob").expect("a user"));
        let body = Body { event: "e".into(), arguments, attachments: Vec::new() };
        let (session, sequence) = (SessionId([9; 24]), offset);
        let (time_ms, key, echo) = (7, None, true);
        Arc::new(Record { offset, time_ms, from, session, sequence, key, echo, body })
    };
    let outcome = LogOutcome::Records { records: [9, 10].map(record).to_vec() };
    let (asked, answers) = hear(&mut owner, Input::Log { ticket: ticket(&asked), outcome });
    assert_eq!((asked.len(), places(&answers)), (0, vec![(10, None)]));
}

#[test]
fn the_log_is_asked_once_for_a_place_that_isnt_there() {
    let mut owner = Owner::with(CoreSettings { log: LogReach::Cluster, ..CoreSettings::default() });
    let (asked, _) = join_after(&mut owner, 1, 8);
    opened(&mut owner, &asked, 8);
    let (asked, _) = join_after(&mut owner, 2, 99);
    let (asked, answers) = opened(&mut owner, &asked, 8);
    assert_eq!((asked.len(), places(&answers)), (0, vec![(8, Some(8))]));
    let (asked, answers) = join_after(&mut owner, 3, 99);
    assert_eq!((asked.len(), places(&answers)), (0, vec![(8, Some(8))]));
}
