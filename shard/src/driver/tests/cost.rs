//! What a shard does for messages to a room, from the bytes of a router's batch to those of the
//! answer: the scenario is counted by `tests/cost/check`.

use std::hint::black_box;

use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message as _;
use trunkline_proto::trunk::{DownBatch, Up, UpBatch};

use super::*;
use crate::repeat::repeat;

const MEMBERS: u64 = 50;
const PUBLISH: &str = r#"21["message","lobby","a message of ordinary length, as people write"]"#;

/// A batch has one of each member.
#[test]
fn fifty_messages_to_a_room() {
    let mut settings = Settings::default();
    settings.limits.publish_rate = u32::MAX;
    settings.limits.publish_burst = u32::MAX;
    let mut driver = driver_with(&Registry::new(), &settings);
    let (outbox, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    driver.take(Event::TrunkUp { trunk: TRUNK, outbox, restarted: false, told: Arc::default() });
    let mut answer = |items: Vec<Up>| {
        driver.take(Event::TrunkBatch { trunk: TRUNK, items });
        driver.send();
        let items = batches.next().now_or_never().flatten().expect("an answer");
        DownBatch { items }
    };
    let enter = |member| {
        let join = message(member, 2, r#"21["join","lobby"]"#);
        [socketio(member), message(member, 1, "0"), join]
    };
    answer((1..=MEMBERS).flat_map(enter).collect());
    let mut sequence = 2;
    repeat(|| {
        sequence += 1;
        let items = (1..=MEMBERS).map(|member| message(member, sequence, PUBLISH)).collect();
        let said = Bytes::from(UpBatch { items }.encode_to_vec());
        let batch = UpBatch::decode(said).expect("a batch");
        let answer = answer(batch.items);
        let fan = |down: &&trunk::Down| matches!(down.item, Some(trunk::down::Item::Fan(_)));
        assert_eq!(answer.items.iter().filter(fan).count(), 50, "each goes to all");
        black_box(answer.encode_to_vec());
    });
}

fn socketio(member: u64) -> Up {
    let mut session = [0; 24];
    session[16..].copy_from_slice(&member.to_be_bytes());
    let attach = trunk::Attach {
        connection: member,
        session: session.to_vec().into(),
        dialect: trunk::Dialect::SocketIo.into(),
        namespace: "/".to_owned(),
        user: format!("member-{member}"),
        ..Default::default()
    };
    Up { item: Some(trunk::up::Item::Attach(attach)) }
}
