//! A shard whose log an earlier process has written can't tell who was there: its peers may be as new
//! as it is.

use trunkline_core::{
    Action, Attachment, CoreSettings, Delivery, Input, Member, PeerMessage, RequestId, SessionId,
    ShardIndex, UserId,
};

use super::attachments::{BEFORE, NOW, Owner};

/// Lets somebody in whom a home has from before; gives who is said to have come.
fn come(owner: &mut Owner, home: ShardIndex, user: &str, number: u8) -> Vec<String> {
    let session = SessionId([number; 24]);
    let user = UserId::parse(user).expect("a user");
    let member = Member { session, user, attachment: Attachment(1) };
    let (request, action) = (RequestId(u64::from(number)), Action::Join { after: None });
    let (topic, sequence) = (owner.room.clone(), 0);
    let asks = PeerMessage::Request { request, member, sequence, topic, action };
    let announced = |said| match said {
        PeerMessage::Deliver { delivery: Delivery::UserJoined(user), .. } => Some(user.to_string()),
        _ => None,
    };
    owner.hear(home, asks).into_iter().filter_map(announced).collect()
}

#[test]
fn nobody_is_said_to_have_come_as_long_as_those_may_come_back_whom_the_process_before_had() {
    let mut owner = Owner::new();
    owner.handle(Input::Succeeds);
    assert!(come(&mut owner, BEFORE, "bob", 7).is_empty());
    assert!(come(&mut owner, NOW, "carol", 8).is_empty());
    assert_eq!(owner.present(), (2, false));
    owner.now = owner.now + CoreSettings::default().grace;
    assert_eq!(owner.present(), (2, true));
    // Each of the two homes is told.
    assert_eq!(come(&mut owner, NOW, "dave", 9), ["dave", "dave"]);
}

#[test]
fn a_shard_with_a_new_log_says_at_once_who_comes() {
    let mut owner = Owner::new();
    assert!(come(&mut owner, BEFORE, "bob", 7).is_empty());
    assert_eq!(come(&mut owner, NOW, "carol", 8), ["carol"]);
    assert_eq!(owner.present(), (2, true));
}
