//! `trunkline locate`: which shard owns a room or a user, and its order of preference.

use std::borrow::Cow;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use trunkline_config::name::{check_id, check_user};
use trunkline_config::{ShardKey, ShardMap};

use crate::configuration::ClusterFiles;
use crate::terminal::say;

/// Show which shard owns a user or a room
#[derive(Args, Debug)]
pub(crate) struct LocateArgs {
    #[command(flatten)]
    files: ClusterFiles,
    /// The room's namespace
    #[arg(long, default_value = "/", requires = "room")]
    namespace: String,
    #[command(flatten)]
    key: Key,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Key {
    /// A user's name
    #[arg(long)]
    user: Option<String>,
    /// A room's ID
    #[arg(long)]
    room: Option<String>,
}

/// Prints where the key belongs.
///
/// # Errors
/// If the files are wrong, or no client could have such a key.
pub(crate) fn run(args: &LocateArgs) -> anyhow::Result<()> {
    let map = args.files.load_once()?.map;
    let namespace = namespace(&args.namespace);
    let key = match (&args.key.room, &args.key.user) {
        (Some(room), _) => {
            check_id(room).context("not a room's ID")?;
            check_id(&namespace).context("not a namespace")?;
            ShardKey::Room { namespace: &namespace, room }
        }
        (None, user) => {
            let user = user.as_deref().unwrap_or_default();
            check_user(user).context("not a user's name")?;
            ShardKey::User(user)
        }
    };
    say(if args.json { json(&map, &key) } else { plain(&map, &key) });
    Ok(())
}

/// With its leading slash, which routers add too where a client leaves it out.
fn namespace(name: &str) -> Cow<'_, str> {
    if name.starts_with('/') { name.into() } else { format!("/{name}").into() }
}

fn placement<'a>(map: &'a ShardMap, key: &ShardKey<'_>) -> Vec<&'a str> {
    let id = |index| map.shards().get(usize::from(index)).map(|shard| shard.id.as_str());
    map.placement().order(map.digest(key)).filter_map(id).collect()
}

fn json(map: &ShardMap, key: &ShardKey<'_>) -> String {
    let placement = placement(map, key);
    // Written by hand, for serde_json would sort the names.
    format!(
        "{{\"key\":{},\"digest\":\"{}\",\"owner\":{},\"placement\":{}}}",
        json!(key.to_string()),
        map.digest(key),
        json!(placement.first()),
        json!(placement)
    )
}

fn plain(map: &ShardMap, key: &ShardKey<'_>) -> String {
    let placement = placement(map, key);
    format!(
        "{key}\n  digest     {}\n  owner      {}\n  placement  {}",
        map.digest(key),
        placement.first().copied().unwrap_or_default(),
        placement.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use trunkline_config::{HashKey, Shard};

    use super::*;

    fn map() -> ShardMap {
        let shard = |id: &str| Shard {
            id: id.to_owned(),
            grpc: format!("{id}:1"),
            metrics: format!("{id}:2"),
            weight: 1.0,
        };
        ShardMap::new(1, HashKey([7; 16]), ["a", "b", "c"].map(shard).to_vec())
    }

    #[test]
    fn json_names_the_key_its_digest_its_owner_and_the_order() {
        let text = json(&map(), &ShardKey::User("al\"ice"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["key"], "user al\"ice");
        assert_eq!(value["digest"].as_str().unwrap().len(), 16);
        assert_eq!(value["owner"], value["placement"][0]);
        assert_eq!(value["placement"].as_array().unwrap().len(), 3);
        assert!(text.starts_with("{\"key\":"), "{text}");
    }

    #[test]
    fn plain_text_agrees_with_the_json() {
        let key = ShardKey::Room { namespace: "/", room: "lobby" };
        let value: serde_json::Value = serde_json::from_str(&json(&map(), &key)).unwrap();
        let text = plain(&map(), &key);
        assert!(text.starts_with("room lobby of namespace /\n"), "{text}");
        assert!(text.contains(&format!("owner      {}\n", value["owner"].as_str().unwrap())));
    }

    #[test]
    fn a_namespace_is_the_same_with_and_without_its_slash() {
        assert_eq!(namespace("/game"), namespace("game"));
        assert_eq!(namespace("/"), "/");
    }
}
