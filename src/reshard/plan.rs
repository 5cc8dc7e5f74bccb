//! What going over to another map means: which keys move, and, from what the shards say of
//! themselves, about how much that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};
use trunkline_config::{MapId, Shard, ShardMap};

use super::ask::{Answer, ask_all};
use super::place::InUse;
use crate::spread::{Flow, Tally};
use crate::terminal::say;

/// Prints the plan.
pub(super) async fn run(in_use: &InUse, new: &ShardMap, as_json: bool) -> anyhow::Result<()> {
    let shards = in_use.map.shards();
    let whom = shards.iter().map(|shard| (shard.id.as_str(), shard.metrics.as_str()));
    let answers = ask_all(whom).await;
    let plan = Plan::new(&in_use.map, new, &answers, in_use.settings.moves.sessions);
    if as_json {
        say(plan.json());
    } else {
        say(plan);
    }
    Ok(())
}

/// What is going to move.
struct Plan {
    from: MapId,
    to: MapId,
    rows: Vec<Row>,
    /// Clients that a worker of a router moves in a second.
    pace: u32,
}

/// A shard of either map.
struct Row {
    id: String,
    change: Change,
    flow: Flow,
    /// What it has now; none for one that is yet to come.
    has: Option<Result<Has, String>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Stays,
    Comes,
    Goes,
    Weight { before: f64, after: f64 },
}

/// What a shard says that it has.
#[derive(Clone, Copy, Debug, Default)]
struct Has {
    topics: u64,
    bytes: u64,
    sessions: u64,
}

impl Has {
    fn of(answer: &Answer) -> Option<Self> {
        let count = |name| answer.count(name);
        // A topic may be in memory before anything of it is kept, and kept without being in memory.
        let topics = count("trunkline_topics")?.max(count("trunkline_log_topics").unwrap_or(0));
        let bytes = count("trunkline_log_bytes").unwrap_or(0);
        Some(Self { topics, bytes, sessions: count("trunkline_sessions")? })
    }
}

impl Plan {
    fn new(
        map: &ShardMap,
        new: &ShardMap,
        answers: &BTreeMap<String, anyhow::Result<Answer>>,
        pace: u32,
    ) -> Self {
        let tally = Tally::sample(map, new);
        let ids: BTreeSet<&str> =
            map.shards().iter().chain(new.shards()).map(|shard| shard.id.as_str()).collect();
        let has = |answer: &anyhow::Result<Answer>| match answer {
            Ok(answer) => Has::of(answer).ok_or_else(|| "it says nothing of sessions".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        };
        let row = |id: &str| Row {
            id: id.to_owned(),
            change: Change::of(find(map, id), find(new, id)),
            flow: tally.flow(id),
            has: answers.get(id).map(has),
        };
        let rows = ids.into_iter().map(row).collect();
        Self { from: map.id(), to: new.id(), rows, pace }
    }

    /// The share of all keys that move.
    fn moved(&self) -> f64 {
        self.rows.iter().map(|row| row.flow.out).sum()
    }

    /// About what moves of what the shards have that could be asked.
    fn moving(&self) -> Has {
        let asked =
            self.rows.iter().filter_map(|row| Some((row, row.has.as_ref()?.as_ref().ok()?)));
        asked.fold(Has::default(), |all, (row, has)| {
            let part = |count| all_of(count, row.flow);
            Has {
                topics: all.topics + part(has.topics),
                bytes: all.bytes + part(has.bytes),
                sessions: all.sessions + part(has.sessions),
            }
        })
    }

    /// How many seconds one worker of a router takes to move all the clients that move.
    fn seconds(&self) -> u64 {
        self.moving().sessions.div_ceil(u64::from(self.pace.max(1)))
    }

    fn json(&self) -> Value {
        let id =
            |id: MapId| json!({"version": id.version, "digest": format!("{:016x}", id.digest)});
        let Has { topics, bytes, sessions } = self.moving();
        json!({
            "from": id(self.from),
            "to": id(self.to),
            "moved": self.moved(),
            "topics": topics,
            "bytes": bytes,
            "sessions": sessions,
            "seconds_per_worker": self.seconds(),
            "shards": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

/// What of a shard's goes to others, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate of what a shard has, which is no negative number"
)]
fn all_of(count: u64, flow: Flow) -> u64 {
    if flow.before > 0.0 { (count as f64 * flow.out / flow.before).ceil() as u64 } else { 0 }
}

fn find<'a>(map: &'a ShardMap, id: &str) -> Option<&'a Shard> {
    map.shards().iter().find(|shard| shard.id == id)
}

impl Change {
    #[expect(clippy::float_cmp, reason = "as they are written")]
    fn of(before: Option<&Shard>, after: Option<&Shard>) -> Self {
        match (before, after) {
            (None, _) => Self::Comes,
            (_, None) => Self::Goes,
            (Some(before), Some(after)) if before.weight != after.weight => {
                Self::Weight { before: before.weight, after: after.weight }
            }
            _ => Self::Stays,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("stays"),
            Self::Comes => f.write_str("comes"),
            Self::Goes => f.write_str("goes"),
            Self::Weight { before, after } => write!(f, "weight {before} -> {after}"),
        }
    }
}

impl Row {
    fn json(&self) -> Value {
        let Flow { before, out, into } = self.flow;
        let mut row = json!({
            "id": self.id,
            "change": self.change.to_string(),
            "before": before,
            "after": before - out + into,
            "out": out,
            "in": into,
        });
        match &self.has {
            Some(Ok(Has { topics, bytes, sessions })) => {
                row["has"] = json!({"topics": topics, "bytes": bytes, "sessions": sessions});
            }
            Some(Err(error)) => row["error"] = json!(error),
            None => {}
        }
        row
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from map {} to map {}\n", self.from, self.to)?;
        writeln!(
            f,
            "{:<16} {:<18} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}",
            "shard", "change", "before", "after", "out", "in", "topics", "MiB", "sessions"
        )?;
        for Row { id, change, flow: Flow { before, out, into }, has } in &self.rows {
            let percent = |share: f64| format!("{:.2}%", share * 100.0);
            let [before, after, out, into] =
                [*before, before - out + into, *out, *into].map(percent);
            let change = change.to_string();
            write!(f, "{id:<16} {change:<18} {before:>8} {after:>8} {out:>8} {into:>8}")?;
            match has {
                Some(Ok(Has { topics, bytes, sessions })) => {
                    writeln!(f, " {topics:>9} {:>9} {sessions:>9}", mebibytes(*bytes))?;
                }
                Some(Err(_)) => writeln!(f, " {:>9} {:>9} {:>9}", "?", "?", "?")?,
                None => writeln!(f, " {:>9} {:>9} {:>9}", "-", "-", "-")?,
            }
        }
        let Has { topics, bytes, sessions } = self.moving();
        let (moved, seconds, pace) = (self.moved() * 100.0, self.seconds(), self.pace);
        write!(
            f,
            "\n{moved:.2}% of all keys move: about {topics} topics ({} MiB) and {sessions} sessions\n\
             the sessions take {seconds} s with one worker of one router, at {pace} a second (move.sessions)",
            mebibytes(bytes)
        )?;
        for row in &self.rows {
            if let Some(Err(error)) = &row.has {
                write!(f, "\n{} can't be asked, and isn't counted: {error}", row.id)?;
            }
        }
        Ok(())
    }
}

/// One decimal.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1 << 20) as f64)
}
