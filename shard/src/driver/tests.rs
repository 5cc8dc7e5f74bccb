//! The driver between streams that the test plays.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use prometheus::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::timeout;
use trunkline_config::settings::Settings;
use trunkline_config::{HashKey, Shard, ShardMap, Statuses};
use trunkline_core::{CoreSettings, Output, PeerMessage};
use trunkline_log::{LogSettings, MemoryLog};
use trunkline_proto::outbox::{Batches, Bounds, Haste, outbox};

use super::sending::{Gathered, haste_down, haste_of};
use super::*;

mod cost;
mod leaving;

const TRUNK: TrunkId = TrunkId(1);

fn driver(registry: &Registry) -> Driver {
    driver_with(registry, &Settings::default())
}

fn driver_with(registry: &Registry, settings: &Settings) -> Driver {
    let shard = Shard {
        id: "a".to_owned(),
        grpc: "a:1".to_owned(),
        metrics: "a:2".to_owned(),
        weight: 1.0,
    };
    let map = Arc::new(ShardMap::new(1, HashKey([7; 16]), vec![shard]));
    let cluster = Cluster::new(Arc::clone(&map), Statuses::default());
    let outlook = cluster.outlook();
    let [entropy, jitter] = [1, 2].map(StdRng::seed_from_u64);
    let clock: Clock = Arc::new(|| 1_790_000_000_000);
    let metrics = Metrics::new(registry).unwrap();
    let calls = metrics.calls.clone();
    let core_settings = CoreSettings::new(settings);
    let keeps = LogSettings::new(settings, &core_settings);
    Driver {
        core: Core::new(outlook.view.clone(), ShardIndex(0), BTreeSet::new(), core_settings),
        engine: Engine::new(settings, outlook.view.clone(), ShardIndex(0)),
        application: Application::new(settings, Arc::clone(&clock), calls, jitter).unwrap(),
        seeks: Seeks::default(),
        log: Box::new(MemoryLog::new(keeps, settings.limits.memory, entropy)),
        verifier: None,
        seal: CheckpointSeal::new(map.hash_key(), None),
        clock,
        started: Instant::now(),
        metrics,
        outlooks: cluster.subscribe(),
        cluster,
        me: ShardIndex(0),
        signs: Signs::new(outlook.view.id()),
        outlook,
        left: None,
        lease: None,
        trunks: BTreeMap::new(),
        links: BTreeMap::new(),
    }
}

fn attach(connection: u64) -> trunk::Up {
    let attach = trunk::Attach {
        connection,
        session: vec![7; 24].into(),
        dialect: trunk::Dialect::Native.into(),
        namespace: "/".to_owned(),
        user: "alice".to_owned(),
        ..Default::default()
    };
    trunk::Up { item: Some(trunk::up::Item::Attach(attach)) }
}

fn message(connection: u64, sequence: u64, payload: &'static str) -> trunk::Up {
    let message = trunk::ClientMessage {
        connection,
        sequence,
        payload: payload.into(),
        binary: false,
        control: false,
        answered: 0,
    };
    trunk::Up { item: Some(trunk::up::Item::Message(message)) }
}

/// Reads what the shard sends until it says `text` to a client.
async fn hear(batches: &mut Batches<trunk::Down>, text: &str) {
    let said = async {
        loop {
            let batch = batches.next().await.expect("the trunk stays up");
            if format!("{batch:?}").contains(text) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), said).await.expect("an answer");
}

fn gauge(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).expect("the gauge");
    family.get_metric()[0].get_gauge().get_value()
}

fn poll(request: u64, what: trunk::poll_request::What) -> trunk::Up {
    let poll = trunk::PollRequest { request, session: vec![7; 24].into(), what: Some(what) };
    trunk::Up { item: Some(trunk::up::Item::Poll(poll)) }
}

fn control(connection: u64, payload: &'static str) -> trunk::Up {
    let payload = payload.into();
    let control = trunk::ClientMessage { connection, payload, control: true, ..Default::default() };
    trunk::Up { item: Some(trunk::up::Item::Message(control)) }
}

#[tokio::test]
async fn what_the_core_says_to_who_polls_goes_to_its_websocket_when_it_changes() {
    let registry = Registry::new();
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&registry).run(received));
    let (outbox, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox, restarted: false, told: Arc::default() };
    assert!(events.send(up).await.is_ok());
    let Some(trunk::up::Item::Attach(open)) = attach(0).item else { unreachable!() };
    let upgrade = trunk::Attach { connection: 5, upgrade: true, ..open.clone() };
    let upgrade = trunk::Up { item: Some(trunk::up::Item::Attach(upgrade)) };
    // All at once: the core's first words are not yet passed on when the change comes.
    let open = poll(1, trunk::poll_request::What::Open(open));
    let items = vec![open, upgrade, control(5, "2probe"), control(5, "5")];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    let mut heard = Vec::new();
    while heard.len() < 4 {
        let batch = timeout(Duration::from_secs(10), batches.next()).await.unwrap().unwrap();
        heard.extend(batch.into_iter().filter_map(|item| item.item));
    }
    use trunk::down::Item;
    // Its router keeps it from now on.
    let [Item::Poll(opened), Item::Send(probed), Item::Send(said), Item::Checkpoint(_)] =
        heard.as_slice()
    else {
        panic!("{heard:?}")
    };
    assert_eq!((opened.request, opened.status), (1, 200));
    let part = |send: &trunk::Send| send.frame.as_ref().unwrap().parts[0].payload.clone();
    assert_eq!(part(probed), "3probe");
    assert_eq!(said.connections, [5]);
    assert_eq!(gauge(&registry, "trunkline_polling_sessions"), 0.0);
    // Whoever polls late is told so.
    let late = poll(2, trunk::poll_request::What::Poll(trunk::Nothing {}));
    let items = vec![late];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    loop {
        let batch = timeout(Duration::from_secs(10), batches.next()).await.unwrap().unwrap();
        let answer = batch.into_iter().find_map(|item| match item.item {
            Some(Item::Poll(answer)) => Some(answer),
            _ => None,
        });
        if let Some(answer) = answer {
            assert_eq!((answer.request, answer.status), (2, 400));
            assert!(answer.body.starts_with(b"{\"code\":3,"), "{:?}", answer.body);
            break;
        }
    }
    drop(events);
    running.await.unwrap();
}

#[tokio::test]
async fn who_has_an_answer_finds_it_in_the_gauges() {
    let registry = Registry::new();
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&registry).run(received));
    let (outbox, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox, restarted: false, told: Arc::default() };
    assert!(events.send(up).await.is_ok());
    let items = vec![attach(1)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "welcome").await;
    assert_eq!(gauge(&registry, "trunkline_sessions"), 1.0);
    let items = vec![message(1, 1, r#"{"type":"join","room":"lobby","id":41}"#)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "41").await;
    assert_eq!(gauge(&registry, "trunkline_rooms"), 1.0);
    assert_eq!(gauge(&registry, "trunkline_members"), 1.0);
    drop(events);
    running.await.unwrap();
}

#[tokio::test]
async fn a_call_whose_arguments_make_no_sense_is_answered_and_the_trunk_stays() {
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&Registry::new()).run(received));
    let (outbox, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox, restarted: false, told: Arc::default() };
    assert!(events.send(up).await.is_ok());
    let message = trunkline_proto::api::Message {
        event: "note".to_owned(),
        args: "no array".to_owned(),
        ..Default::default()
    };
    let publish = trunkline_proto::api::PublishRequest {
        namespace: "/".to_owned(),
        room: "lobby".to_owned(),
        message: Some(message),
    };
    let call = trunk::ApiCall {
        request: 5,
        session: vec![7; 24].into(),
        what: Some(trunk::api_call::What::Publish(publish)),
    };
    let items = vec![trunk::Up { item: Some(trunk::up::Item::Api(call)) }];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "bad_request").await;
    let items = vec![attach(1)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    hear(&mut batches, "welcome").await;
    drop(events);
    running.await.unwrap();
}

/// Takes the next batch, which must come.
async fn next(batches: &mut Batches<trunk::Down>) -> Vec<trunk::down::Item> {
    let batch = timeout(Duration::from_secs(10), batches.next()).await.unwrap().unwrap();
    batch.into_iter().filter_map(|down| down.item).collect()
}

#[tokio::test]
async fn a_client_whose_shard_has_restarted_goes_on_where_it_was() {
    use trunk::down::Item;
    // The first process: a client has joined a room.
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&Registry::new()).run(received));
    let (first, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox: first, restarted: false, told: Arc::default() };
    assert!(events.send(up).await.is_ok());
    let join = message(1, 1, r#"{"type":"join","room":"lobby","id":41}"#);
    let twice = message(1, 2, r#"{"type":"ping","id":42}"#);
    let items = vec![attach(1), join, twice];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    let said = next(&mut batches).await;
    let is_checkpoint = |item: &&Item| matches!(item, Item::Checkpoint(_));
    assert_eq!(said.iter().filter(is_checkpoint).count(), 1, "one in a batch: {said:?}");
    let [.., Item::Checkpoint(given), Item::Acknowledge(settled)] = said.as_slice() else {
        panic!("the checkpoint comes before what it settles: {said:?}")
    };
    assert_eq!(settled.sequence, 2);
    let position = said.iter().find_map(|item| match item {
        Item::Group(change) => Some(change.position.clone()),
        _ => None,
    });
    drop(events);
    running.await.unwrap();

    // The next, which has nothing but what the router gives back.
    let (events, received) = mpsc::channel(8);
    let running = tokio::spawn(driver(&Registry::new()).run(received));
    let (second, mut batches) = outbox(Bounds { capacity: 1 << 20, batch: 1 << 20 });
    let up = Event::TrunkUp { trunk: TRUNK, outbox: second, restarted: true, told: Arc::default() };
    assert!(events.send(up).await.is_ok());
    let Some(trunk::up::Item::Attach(fresh)) = attach(1).item else { unreachable!() };
    let again = |checkpoint: Bytes| {
        let positions = position.clone().into_iter().collect();
        let kept = trunk::Attach { checkpoint, positions, settled: 1, ..fresh.clone() };
        trunk::Up { item: Some(trunk::up::Item::Attach(kept)) }
    };
    let items = vec![again(given.state.clone()), message(1, 2, r#"{"type":"ping","id":42}"#)];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    let said = next(&mut batches).await;
    assert!(!format!("{said:?}").contains("welcome"), "{said:?}");
    assert!(said.iter().any(|item| matches!(item, Item::Group(it) if it.member)), "{said:?}");
    assert!(format!("{said:?}").contains("42"), "{said:?}");

    // What was changed on the way counts for nothing.
    let mut forged = given.state.to_vec();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    let items = vec![again(forged.into())];
    assert!(events.send(Event::TrunkBatch { trunk: TRUNK, items }).await.is_ok());
    let said = next(&mut batches).await;
    assert!(said.iter().any(|item| matches!(item, Item::Close(it) if it.code == 1012)), "{said:?}");
    drop(events);
    running.await.unwrap();
}

#[test]
fn what_the_core_leaves_to_the_shell_is_carried_out() {
    let registry = Registry::new();
    let mut driver = driver(&registry);
    let mut gathered = Gathered::default();
    driver.carry_out(&mut gathered, Output::Unhandled);
    assert_eq!(driver.metrics.unhandled.get(), 1);
    for recovered in [true, false, true] {
        driver.carry_out(&mut gathered, Output::Sought { recovered });
    }
    let sought = |outcome| driver.metrics.sought.with_label_values(&[outcome]).get();
    assert_eq!([sought("recovered"), sought("anew")], [2, 1]);
    let call = trunkline_core::ApiCallId(5);
    let answer = Ok(trunkline_core::Reply::Disconnected(2));
    driver.carry_out(&mut gathered, Output::ApiAnswer { trunk: TRUNK, call, answer });
    let items = gathered.trunks.remove(&TRUNK).unwrap().items;
    assert!(format!("{items:?}").contains("DisconnectReply { connections: 2 }"), "{items:?}");
    // Nothing is configured: the call fails at once, and the core is told so.
    let call = trunkline_core::Call {
        ticket: trunkline_core::Ticket(1),
        id: "msg_1".to_owned(),
        url: None,
        timeout: None,
        retries: None,
        body: "{}".into(),
    };
    driver.carry_out(&mut gathered, Output::Call(call));
    let refused = driver.metrics.calls.calls.with_label_values(&["refused"]);
    assert_eq!(refused.get(), 1);
}

#[test]
fn what_a_router_takes_note_of_leaves_with_what_clients_hear() {
    use trunkline_core::{ConnectionId, Dialect, Frame, FrameKind, GroupId, Part, SessionId};
    let connection = ConnectionId(1);
    let (session, state) = (SessionId([1; 24]), Bytes::new());
    let checkpoint = Output::Checkpoint { trunk: TRUNK, connection, session, state };
    let (group, member, position) = (GroupId(1), true, None);
    let entered = Output::Group { trunk: TRUNK, group, connection, member, position };
    let said = |parts| {
        let frame = Frame { kind: FrameKind::Reply, dialect: Dialect::Native, parts };
        let (connections, receipt, position, answers) = (vec![connection], None, None, None);
        Output::Send { trunk: TRUNK, connections, frame, receipt, position, answers }
    };
    for note in [checkpoint, entered, said(Vec::new())] {
        assert_eq!(haste_down(&note), Haste::Later, "{note:?}");
    }
    assert_eq!(haste_down(&said(vec![Part::text(Bytes::from_static(b"hi"))])), Haste::Now);
}

#[test]
fn an_answer_is_held_back_only_if_nobody_waits_for_it() {
    use trunkline_core::{HandoverId, Reply, RequestId, Topic, UserId};
    let reply = |number| PeerMessage::Reply { request: RequestId(number), result: Ok(Reply::Left) };
    assert_eq!(haste_of(&reply(2)), Haste::Later);
    assert_eq!(haste_of(&reply(3)), Haste::Now);
    let topic = Topic::Inbox(UserId::parse("alice").unwrap());
    let handed = |number| PeerMessage::Handed {
        topic: topic.clone(),
        handover: HandoverId(number),
        passed: true,
    };
    assert_eq!(haste_of(&handed(2)), Haste::Later);
    assert_eq!(haste_of(&handed(3)), Haste::Now);
}
