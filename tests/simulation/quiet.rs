//! When nothing breaks any more, everything is as it should be.

use crate::held;
use crate::people::present;
use crate::person::Individual;
use crate::plan::{SHARDS, room_name, shard_name};
use crate::truth::{Truth, inbox_topic, room_topic};
use crate::world::World;

/// What is not yet as it should be in the end, if anything.
pub(crate) fn unsettled(world: &World) -> Option<String> {
    if let Some(astray) = astray(world) {
        return Some(astray);
    }
    let people = world.people.borrow();
    let truth = held(&world.truth);
    for person in people.iter() {
        if !person.is_settled() {
            return Some(format!("{} still waits: {person:?}", person.name()));
        }
        if let Some(lost) = unheard(person, &truth) {
            return Some(lost);
        }
    }
    for room in (0..world.plan.rooms).map(room_name) {
        let there = present(&people, &room);
        if there.is_empty() {
            continue;
        }
        let says = world.presence(&room);
        if says.as_ref() != Some(&(there.clone(), true)) {
            return Some(format!("{there:?} are in {room}, and it is said to be {says:?}"));
        }
    }
    None
}

/// What isn't where it belongs.
fn astray(world: &World) -> Option<String> {
    let views = world.views();
    let (first, view) = views.first()?;
    let goes = |name: &str| {
        (0..SHARDS).any(|shard| shard_name(shard) == name) && view.map().index_of(name).is_none()
    };
    for (name, other) in &views {
        // Who is in no map any more, and has nothing left, says goodbye and hears no more.
        if other.id() != view.id() && !goes(name) {
            return Some(format!("{first} sees {:?}, {name} {:?}", view.id(), other.id()));
        }
    }
    for shard in 0..SHARDS {
        for topic in world.topics(shard) {
            let owner = view.shard(view.owner(&topic.key())).map(|it| it.id.as_str());
            let name = shard_name(shard);
            if owner != Some(name.as_str()) {
                return Some(format!("{name} has {topic}, which is {owner:?}'s"));
            }
        }
    }
    None
}

/// What is kept and somebody never heard.
fn unheard(person: &Individual, truth: &Truth) -> Option<String> {
    for (room, hearing) in &person.rooms {
        let last = truth.last(&room_topic(room));
        if last.is_some() && hearing.place != last {
            let (name, heard) = (person.name(), &hearing.place);
            return Some(format!("{name} has heard {room} up to {heard:?} of {last:?}"));
        }
    }
    let last = truth.last(&inbox_topic(&person.user));
    if last.is_some() && person.inbox.is_some() && person.inbox != last {
        let (name, inbox) = (person.name(), &person.inbox);
        return Some(format!("{name} has had private messages up to {inbox:?} of {last:?}"));
    }
    None
}

/// Judges what can be judged in the end alone.
pub(crate) fn judge(world: &World) {
    let people = world.people.borrow();
    let durable = world.plan.is_durable();
    let mut truth = held(&world.truth);
    let mut problems = Vec::new();
    for (payload, said) in &truth.said {
        let lost = said.acknowledged > 0 && said.kept.is_empty();
        if lost || said.acknowledged > 1 && !said.keyed {
            problems.push(format!("{payload} was acknowledged: {said:?}"));
        }
    }
    for user in world.plan.people.iter().map(|person| &person.user) {
        let theirs = || people.iter().filter(|it| it.user == *user);
        if !durable || theirs().any(|it| it.may_have_lost) {
            continue;
        }
        for payload in truth.history(&inbox_topic(user)) {
            if truth.said.get(payload).is_some_and(|said| said.heard.is_empty()) {
                problems.push(format!("{payload} is for {user}, who never got it"));
            }
        }
    }
    for problem in problems {
        truth.wrong(problem);
    }
}
