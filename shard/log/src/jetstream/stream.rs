//! The stream: how it is made, and what one that is there must be like.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_config::store::JetStreamSettings;

use super::connect::ConnectError;
use super::patience::Patience;
use super::server::Server;
use crate::settings::LogSettings;

/// How long the stream keeps a topic's newest message beyond the longest age: so long may a room be
/// silent, with nothing left of it, before its history ends.
const SILENCE: Duration = Duration::from_secs(24 * 3600);
/// How long each question is asked again: servers that have just been started take some seconds to
/// form a cluster.
const PATIENCE: Duration = Duration::from_secs(20);
/// JetStream's codes for a stream that isn't there, and for one that is, though another.
const NOT_FOUND: u64 = 10059;
const NAME_IN_USE: u64 = 10058;
/// Its code for "ask again later".
const UNAVAILABLE: u64 = 503;
/// Under this name the stream's metadata lists the servers that sync before they acknowledge.
const SYNCED: &str = "trunkline.synced";

/// How long the stream keeps messages.
pub(super) fn longest_age(settings: &LogSettings) -> Duration {
    let LogSettings { rooms, inboxes, window } = settings;
    rooms.age.max(inboxes.age).max(*window).saturating_add(SILENCE)
}

/// The stream as it is found at the start.
pub(super) struct Found {
    config: Value,
    /// The names of the servers that keep it; none if it is a server on its own.
    pub(super) peers: Vec<String>,
    /// Of those the ones that had their files synced when they were asked last, by whichever shard.
    pub(super) synced: BTreeSet<String>,
}

/// Makes the stream, or looks whether the one that is there will do.
pub(super) async fn prepare(
    server: &Server,
    options: &JetStreamSettings,
    settings: &LogSettings,
) -> Result<Found, ConnectError> {
    let name = server.stream();
    let mut info = ask(server, "STREAM.INFO", &Value::Null, "to look for the stream").await?;
    if info["error"]["err_code"] == NOT_FOUND {
        let config = config(name, options.replicas, age_nanos(settings));
        let made = ask(server, "STREAM.CREATE", &config, "to make the stream").await?;
        // Another shard may have made it a moment ago.
        info = if made["error"]["err_code"] == NAME_IN_USE {
            ask(server, "STREAM.INFO", &Value::Null, "to look for the stream").await?
        } else {
            made
        };
    }
    refused(&info, "to look at the stream or to make it")?;
    let problems = problems(&info["config"], name, options.replicas);
    if !problems.is_empty() {
        return Err(ConnectError::Stream { stream: name.to_owned(), problems });
    }
    let peers = peers(&info["cluster"]);
    let config = info["config"].take();
    let synced = config["metadata"][SYNCED].as_str().unwrap_or_default();
    let synced = synced.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    Ok(Found { config, peers, synced })
}

/// Brings the stream up to date, if it isn't: how long it keeps messages, and which of its servers
/// are known to sync.
pub(super) async fn update(
    server: &Server,
    found: Found,
    settings: &LogSettings,
    synced: &BTreeSet<String>,
) -> Result<(), ConnectError> {
    let Found { mut config, synced: known, .. } = found;
    let age = age_nanos(settings);
    if config["max_age"] == age && known == *synced {
        return Ok(());
    }
    config["max_age"] = age.into();
    // A server's name has no space.
    config["metadata"][SYNCED] =
        synced.iter().map(String::as_str).collect::<Vec<_>>().join(" ").into();
    let doing = "to change how long the stream keeps messages, or which servers are known to sync";
    refused(&ask(server, "STREAM.UPDATE", &config, doing).await?, doing)
}

fn age_nanos(settings: &LogSettings) -> u64 {
    let age = u64::try_from(longest_age(settings).as_nanos()).unwrap_or(u64::MAX);
    age.min(i64::MAX.unsigned_abs())
}

fn config(name: &str, replicas: usize, age_nanos: u64) -> Value {
    json!({
        "name": name,
        "subjects": [format!("{name}.>")],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msg_size": -1,
        "max_msgs_per_subject": -1,
        "max_age": age_nanos,
        "discard": "old",
        "allow_direct": true,
        "allow_atomic": true,
        "deny_delete": false,
        "deny_purge": false,
        "metadata": { "trunkline.log": "1" },
    })
}

/// Why a stream can't keep topics.
fn problems(config: &Value, name: &str, replicas: usize) -> Vec<String> {
    let mut problems = Vec::new();
    let mut need = |field: &str, fine: bool, wanted: &str| {
        if !fine {
            let found = config.get(field).unwrap_or(&Value::Null);
            problems.push(format!("`{field}` is {found} and must be {wanted}"));
        }
    };
    let is_set = |field: &str| config[field].as_bool().unwrap_or(false);
    let subjects = config["subjects"].as_array();
    let covers = subjects.is_some_and(|all| all.contains(&json!(format!("{name}.>"))));
    need("subjects", covers, &format!("[\"{name}.>\"]"));
    need("storage", config["storage"] == "file", "\"file\"");
    need("retention", config["retention"] == "limits", "\"limits\"");
    need("discard", config["discard"] == "old", "\"old\"");
    need("allow_atomic", is_set("allow_atomic"), "true");
    need("allow_direct", is_set("allow_direct"), "true");
    for field in ["deny_delete", "deny_purge", "sealed"] {
        need(field, !is_set(field), "false");
    }
    let per_subject = config["max_msgs_per_subject"].as_i64().unwrap_or(-1);
    need("max_msgs_per_subject", per_subject <= 0, "-1");
    let kept_on = config["num_replicas"].as_u64().unwrap_or(0);
    need("num_replicas", kept_on >= replicas as u64, &format!("{replicas} or more"));
    // An asynchronous one acknowledges what it hasn't written.
    let mode = config["persist_mode"].as_str().unwrap_or("default");
    need("persist_mode", matches!(mode, "" | "default"), "\"default\"");
    for field in ["subject_transform", "mirror"] {
        need(field, config[field].is_null(), "left out");
    }
    problems
}

/// The servers that keep a stream.
fn peers(cluster: &Value) -> Vec<String> {
    let leader = cluster["leader"].as_str();
    let others = cluster["replicas"].as_array().into_iter().flatten();
    let names = leader.into_iter().chain(others.filter_map(|peer| peer["name"].as_str()));
    names.map(str::to_owned).collect()
}

fn refused(answer: &Value, doing: &'static str) -> Result<(), ConnectError> {
    match answer.get("error") {
        None => Ok(()),
        Some(error) => {
            let why = error["description"].as_str().unwrap_or_default().to_owned();
            Err(ConnectError::Refused { doing, why })
        }
    }
}

/// Asks until there is an answer that lasts.
async fn ask(
    server: &Server,
    verb: &str,
    question: &Value,
    doing: &'static str,
) -> Result<Value, ConnectError> {
    let mut patience = Patience::new(PATIENCE);
    let late = |_| ConnectError::Late { doing };
    loop {
        match patience.wait(server.ask(verb, question)).await.map_err(late)? {
            Ok(answer) if answer["error"]["code"] != UNAVAILABLE => return Ok(answer),
            Ok(answer) => tracing::debug!(%answer, "JetStream isn't ready"),
            Err(failure) => tracing::debug!(%failure, "JetStream doesn't answer"),
        }
        patience.pause().await.map_err(late)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_made_will_do() {
        let config = config("t", 3, 1);
        assert_eq!(problems(&config, "t", 3), [""; 0]);
        assert_eq!(problems(&config, "t", 1), [""; 0]);
    }

    #[test]
    fn a_stream_that_loses_or_refuses_messages_is_told_by_its_field() {
        for (field, value) in [
            ("subjects", json!(["other.>"])),
            ("storage", json!("memory")),
            ("retention", json!("workqueue")),
            ("discard", json!("new")),
            ("allow_atomic", json!(false)),
            ("allow_direct", Value::Null),
            ("deny_delete", json!(true)),
            ("deny_purge", json!(true)),
            ("sealed", json!(true)),
            ("max_msgs_per_subject", json!(1)),
            ("num_replicas", json!(1)),
            ("persist_mode", json!("async")),
        ] {
            let mut config = config("t", 3, 1);
            config[field] = value;
            let problems = problems(&config, "t", 3);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(field), "{problems:?}");
        }
    }

    #[test]
    fn a_stream_s_servers_are_its_leader_and_the_others() {
        let cluster = json!({ "leader": "a", "replicas": [{ "name": "b" }, { "name": "c" }] });
        assert_eq!(peers(&cluster), ["a", "b", "c"]);
        assert_eq!(peers(&Value::Null), [""; 0]);
    }
}
