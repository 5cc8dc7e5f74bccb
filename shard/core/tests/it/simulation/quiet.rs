//! When nothing breaks any more, everything is as it should be: nothing is lost, everybody is
//! known, and in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trunkline_core::Gauges;

use super::client::What;
use super::judge::{inbox_topic, room_topic};
use super::run::Run;
use super::script::{ROOMS, USERS};
use crate::harness::ClientId;

/// Long enough for everything that was broken to heal, and for everything slow to be done.
const HEALING: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(8);

pub(super) fn quiet(run: &mut Run<'_>) {
    run.world.plan.calm_down();
    run.pass(HEALING);
    everybody_comes_back(run);
    run.pass(HEALING);
    nothing_waits(run);
    everything_was_heard(run);
    presence_is_exact(run);
    what_was_queued_is_handed_over_once(run);
    nothing_is_left(run);
}

fn everybody_comes_back(run: &mut Run<'_>) {
    let Run { world, judge, script, .. } = run;
    for person in 0..script.people.len() {
        if script.people[person].at.is_none_or(|client| !judge.clients.contains_key(&client)) {
            script.come(world, judge, person);
            assert!(script.people[person].at.is_some(), "every trunk is whole");
        }
    }
}

fn nothing_waits(run: &Run<'_>) {
    for client in run.judge.clients.values() {
        assert!(client.welcomed && client.asked.is_empty(), "{client:?} waits");
        assert_eq!(client.settled, client.sent, "all of {} is settled", client.session);
    }
    for shard in 0..run.world.plan.shards {
        assert_eq!(run.world.gauges(shard).requests, 0, "requests of shard {shard}");
        assert!(
            run.world.is_settled(shard),
            "shard {shard} has what is another's: {}",
            run.world
                .inside(shard)
                .split("moving: Moving")
                .nth(1)
                .unwrap_or_default()
                .split("refused: Refused")
                .next()
                .unwrap_or_default()
        );
    }
}

/// Who is in a room has heard all there is of it.
fn everything_was_heard(run: &Run<'_>) {
    for client in run.judge.clients.values() {
        for (room, hearing) in &client.rooms {
            let topic = room_topic(room);
            let (epoch, _) = run.world.readable(&topic);
            let (heard, offset) = &hearing.place;
            let last = run.judge.truth.last(&topic, &epoch);
            assert_eq!(*heard, epoch, "{} hears another {room}", client.session);
            for missing in offset + 1..=last {
                assert!(
                    run.judge.truth.is_spared(&topic, &epoch, missing, &client.session),
                    "{} never hears {epoch}:{missing} of {room}",
                    client.session
                );
            }
        }
    }
}

fn presence_is_exact(run: &mut Run<'_>) {
    let mut members = 0;
    for room in ROOMS {
        let mut there: BTreeMap<String, u64> = BTreeMap::new();
        let mut asks: Option<ClientId> = None;
        for (id, client) in &run.judge.clients {
            if client.rooms.contains_key(room) {
                *there.entry(client.user.clone()).or_default() += 1;
                asks = Some(*id);
                members += 1;
            }
        }
        for client in run.judge.clients.values() {
            let Some(users) = client.rooms.get(room).and_then(|it| it.users.as_ref()) else {
                continue;
            };
            let there: BTreeSet<String> = there.keys().cloned().collect();
            assert_eq!(*users, there, "who {} believes to be in {room}", client.session);
        }
        if let Some(asks) = asks {
            assert_eq!(ask_presence(run, asks, room), there, "who is in {room}");
        }
    }
    let gauges: usize = (0..run.world.plan.shards).map(|it| run.world.gauges(it).members).sum();
    assert_eq!(gauges, members, "memberships of all rooms");
}

/// What the owner says, page by page.
fn ask_presence(run: &mut Run<'_>, client: ClientId, room: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    loop {
        let Run { world, judge, script, .. } = run;
        let mut text = serde_json::json!({"type": "presence", "room": room, "limit": 2});
        if let Some((last, _)) = BTreeMap::last_key_value(&all) {
            let last: &String = last;
            text["after"] = last.as_str().into();
        }
        let what = What::Presence { room: room.to_owned(), first: false };
        script.ask(world, judge, client, text, what);
        judge.page = None;
        run.pass(SOON);
        let (page, sure) = run.judge.page.take().expect("presence is answered");
        assert!(sure, "presence of {room} is sure");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Who comes gets what nobody was handed, each once; who comes next gets nothing.
fn what_was_queued_is_handed_over_once(run: &mut Run<'_>) {
    for user in USERS {
        let topic = inbox_topic(user);
        let (epoch, first) = run.world.readable(&topic);
        let waiting: Vec<String> = run
            .judge
            .truth
            .history(&topic, &epoch)
            .into_iter()
            .flat_map(|history| history.range(first..))
            .map(|(_, written)| written.payload.clone())
            .collect();
        let waiting: Vec<String> =
            waiting.into_iter().filter(|it| run.judge.truth.said(it).passed == 0).collect();
        let person = usize::MAX;
        for come in 0..2 {
            let Run { world, judge, script, .. } = run;
            let connected = script.connect(world, judge, (user, person), None);
            let client = connected.expect("every trunk is whole");
            run.pass(SOON);
            let had = &run.judge.clients[&client];
            if come == 0 {
                for payload in &waiting {
                    assert!(had.had(payload), "{payload} waits for {user}, who has come");
                    run.judge.tally.entry("waited").and_modify(|it| *it += 1).or_insert(1);
                }
            } else {
                assert!(!had.had_any(), "{user} is handed again what was handed over");
            }
            run.world.disconnect(client);
            run.judge.leaves(client);
        }
    }
}

fn nothing_is_left(run: &mut Run<'_>) {
    let clients: Vec<ClientId> = run.judge.clients.keys().copied().collect();
    for client in clients {
        run.world.disconnect(client);
        run.judge.leaves(client);
    }
    let window = run.world.plan.settings.key_window;
    run.pass(HEALING + 4 * window);
    for shard in 0..run.world.plan.shards {
        let inside = || run.world.inside(shard);
        let gauges = run.world.gauges(shard);
        assert!(gauges == Gauges::default(), "shard {shard} in the end: {gauges:?}\n{}", inside());
    }
}
