//! What the core does for its commonest work, as scenarios that `tests/cost/check` counts.

#[path = "../../../../tests/cost/repeat.rs"]
mod repeat;
mod shards;

use repeat::repeat;
use shards::{Heard, Shards};

const MEMBERS: usize = 50;

/// From the publisher's message to the frame for all, with the append's outcome.
#[test]
fn a_message_to_a_room_of_fifty() {
    let mut shards = Shards::new(1);
    let publisher = shards.fill_room(MEMBERS);
    repeat(|| {
        shards.say(
            publisher,
            r#"21["message","lobby","a message of ordinary length, as people write"]"#,
        );
        assert_eq!(shards.take_heard(), Heard { frames: 1, fans: 1 }, "acknowledged, then heard");
    });
}

/// Between users of two shards: what both have to do, with the receipt.
#[test]
fn a_private_message_over_a_link() {
    let mut shards = Shards::new(2);
    let [alice, bob] = [0, 1].map(|shard| shards.user_of(shard));
    let sender = shards.enter(&alice);
    shards.enter(&bob);
    let packet =
        format!(r#"21["private","{bob}","a message of ordinary length, as people write"]"#);
    let packet = bytes::Bytes::from(packet);
    shards.take_heard();
    repeat(|| {
        shards.say(sender, packet.clone());
        assert_eq!(shards.take_heard(), Heard { frames: 2, fans: 0 }, "handed over, acknowledged");
    });
}

/// A client connects, joins a room of others, leaves it and goes.
#[test]
fn a_visit_to_a_room() {
    let mut shards = Shards::new(1);
    shards.fill_room(MEMBERS);
    let mut visitors = 0;
    repeat(|| {
        visitors += 1;
        let visitor = shards.enter(&format!("visitor-{visitors}"));
        shards.say(visitor, r#"21["join","lobby"]"#);
        shards.say(visitor, r#"22["leave","lobby"]"#);
        shards.leave(visitor);
        assert_eq!(shards.take_heard(), Heard { frames: 3, fans: 2 }, "all hear of both");
        // So that what is kept of those who have gone does not grow for ever.
        shards.wait_a_second();
    });
}
