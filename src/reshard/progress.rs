//! How far the processes of a cluster are on their way to a map.

use std::collections::{BTreeMap, BTreeSet};

use super::ask::Answer;
use crate::maps::VERSION;

/// Who is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// What it is called in messages.
    pub(super) name: String,
    pub(super) address: String,
    pub(super) role: Role,
}

/// What is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Router,
    Shard,
    /// A shard that the map no longer has: it may end when it has nothing left.
    Leaving,
}

/// How much is left, and who isn't where it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) topics: u64,
    pub(super) connections: u64,
    /// By the process's name, what keeps it.
    pub(super) behind: BTreeMap<String, String>,
}

impl Left {
    pub(super) fn is_none(&self) -> bool {
        self.behind.is_empty()
    }

    /// What keeps whom.
    pub(super) fn words(&self) -> Vec<String> {
        self.behind.iter().map(|(name, why)| format!("{name} {why}")).collect()
    }
}

/// What is known of the processes.
pub(super) struct Watch {
    version: u64,
    processes: Vec<Process>,
    /// Shards that were asked when they had nothing left: they may have ended since.
    emptied: BTreeSet<String>,
}

impl Watch {
    /// Of processes on their way to a map of this version.
    pub(super) fn new(version: u64, processes: Vec<Process>) -> Self {
        Self { version, processes, emptied: BTreeSet::new() }
    }

    /// Whom to ask: name and address.
    pub(super) fn whom(&self) -> impl Iterator<Item = (&str, &str)> {
        self.processes.iter().map(|process| (process.name.as_str(), process.address.as_str()))
    }

    /// What their answers say.
    pub(super) fn see(&mut self, answers: &BTreeMap<String, anyhow::Result<Answer>>) -> Left {
        let mut left = Left::default();
        for Process { name, role, .. } in &self.processes {
            let (name, role) = (name.clone(), *role);
            let answer = match answers.get(&name) {
                Some(Ok(answer)) => answer,
                Some(Err(_)) if role == Role::Leaving && self.emptied.contains(&name) => {
                    continue;
                }
                Some(Err(error)) => {
                    left.behind.insert(name, format!("can't be asked: {error:#}"));
                    continue;
                }
                None => continue,
            };
            let (metric, what) = match role {
                Role::Router => ("trunkline_moving_connections", "clients"),
                Role::Shard | Role::Leaving => ("trunkline_moving", "topics"),
            };
            let (version, moving) = (answer.count(VERSION), answer.count(metric));
            let (Some(version), Some(moving)) = (version, moving) else {
                let why = "doesn't say what it moves; it is of another version of trunkline";
                left.behind.insert(name, why.to_owned());
                continue;
            };
            match role {
                Role::Router => left.connections += moving,
                Role::Shard | Role::Leaving => left.topics += moving,
            }
            if version < self.version {
                left.behind.insert(name, format!("goes by map version {version}"));
            } else if moving > 0 {
                left.behind.insert(name, format!("has {moving} {what} that belong elsewhere"));
            } else {
                self.emptied.insert(name);
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn watch() -> Watch {
        let process = |name: &str, role| {
            let (name, address) = (name.to_owned(), String::new());
            Process { name, address, role }
        };
        let processes = vec![
            process("r", Role::Router),
            process("a", Role::Shard),
            process("b", Role::Leaving),
        ];
        Watch::new(2, processes)
    }

    fn answers(said: [&str; 3]) -> BTreeMap<String, anyhow::Result<Answer>> {
        let answer = |said: &str| match said {
            "" => bail!("refused"),
            said => Ok(Answer::of(said)),
        };
        ["r", "a", "b"].map(str::to_owned).into_iter().zip(said.map(answer)).collect()
    }

    fn router(version: u64, moving: u64) -> String {
        format!("trunkline_map_version {version}\ntrunkline_moving_connections {moving}\n")
    }

    fn shard(version: u64, moving: u64) -> String {
        format!("trunkline_map_version {version}\ntrunkline_moving {moving}\n")
    }

    #[test]
    fn nothing_is_left_when_all_have_the_map_and_nothing_of_others() {
        let (router, shard) = (router(2, 0), shard(3, 0));
        assert!(watch().see(&answers([&router, &shard, &shard])).is_none());
    }

    #[test]
    fn what_each_still_has_is_added_up_and_told() {
        let said = [router(2, 5), shard(2, 7), shard(1, 2)];
        let left = watch().see(&answers([&said[0], &said[1], &said[2]]));
        assert_eq!((left.connections, left.topics), (5, 9));
        let behind: Vec<String> =
            left.behind.iter().map(|(name, why)| format!("{name} {why}")).collect();
        assert_eq!(
            behind,
            [
                "a has 7 topics that belong elsewhere",
                "b goes by map version 1",
                "r has 5 clients that belong elsewhere",
            ]
        );
    }

    #[test]
    fn a_shard_may_end_that_leaves_and_had_nothing_left_and_no_other() {
        let (router, full, empty) = (router(2, 0), shard(2, 1), shard(2, 0));
        let mut watch = watch();
        assert!(!watch.see(&answers([&router, &empty, ""])).is_none(), "it may have had something");
        assert!(!watch.see(&answers([&router, &empty, &full])).is_none());
        assert!(!watch.see(&answers([&router, &empty, ""])).is_none());
        assert!(watch.see(&answers([&router, &empty, &empty])).is_none());
        assert!(watch.see(&answers([&router, &empty, ""])).is_none());
        assert!(!watch.see(&answers([&router, "", ""])).is_none(), "this one is to stay");
    }

    #[test]
    fn who_does_not_say_what_it_moves_is_not_taken_to_have_moved_it() {
        let (router, old) = (router(2, 0), "trunkline_map_version 2\n");
        let left = watch().see(&answers([&router, old, old]));
        assert!(left.behind["a"].contains("another version"), "{left:?}");
    }
}
