//! Puts a map in force and shows how far the cluster is, which moves by itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};
use trunkline_config::{ShardMap, load_map};

use super::ask::ask_all;
use super::place::InUse;
use super::progress::{Left, Process, Role, Watch};
use super::{ApplyArgs, has};
use crate::ending::Ending;
use crate::left::Bar;
use crate::terminal::say;

/// From one question to the next.
const STEP: Duration = Duration::from_millis(250);
/// Nothing must have been left for so long: a process that has just taken the map may not have
/// counted yet.
const QUIET: Duration = Duration::from_secs(2);

/// Does it.
pub(super) async fn run(
    args: &ApplyArgs,
    in_use: &InUse,
    new: &Arc<ShardMap>,
) -> anyhow::Result<()> {
    let ApplyArgs { files, file, before, routers, patience } = args;
    if let Some(shard) = new.shards().iter().find(|shard| shard.grpc.ends_with(":0")) {
        bail!("shard {} has port 0, where nobody could find it; write its port", shard.id);
    }
    // Before anything changes, so that Ctrl-C always ends in words.
    let mut ending = Ending::listen(false).context("cannot listen for signals")?;
    let has = has(in_use, new)?;
    let before = before.as_deref().map(load_map).transpose()?;
    let metrics = in_use.settings.router.metrics.to_string();
    let routers = if routers.is_empty() { &[metrics][..] } else { routers };
    let known = before.as_ref().unwrap_or(&in_use.map);
    let watch = Watch::new(new.id().version, processes(known, new, routers));
    let moved = async {
        if has {
            say(format_args!("the cluster has map {} already", new.id()));
            if before.is_none() {
                say(
                    "shards that only the map before it has are watched if --before names that one",
                );
            }
        } else {
            in_use.replace(file).await?;
        }
        follow(watch, *patience).await
    };
    tokio::select! {
        moved = moved => moved?,
        _ = ending.wait() => {
            // No success: who goes on to end a shard that the map no longer has would be too early.
            bail!(
                "stopped before all had moved; the cluster goes on by itself; `trunkline reshard apply {}{}` shows what is left",
                file.display(),
                files.flags()
            );
        }
    }
    say(format_args!("everything is where it belongs by map {}", new.id()));
    Ok(())
}

/// All shards of both maps, and the routers.
fn processes(before: &ShardMap, new: &ShardMap, routers: &[String]) -> Vec<Process> {
    let routers = routers.iter().map(|address| Process {
        name: format!("the router at {address}"),
        address: address.clone(),
        role: Role::Router,
    });
    let shard = |role, id: &str, address: &str| Process {
        name: format!("shard {id}"),
        address: address.to_owned(),
        role,
    };
    let stay = new.shards().iter().map(|it| shard(Role::Shard, &it.id, &it.metrics));
    let leave = before.shards().iter().filter(|it| new.index_of(&it.id).is_none());
    let leave = leave.map(|it| shard(Role::Leaving, &it.id, &it.metrics));
    routers.chain(stay).chain(leave).collect()
}

/// Watches until nothing is left, or nothing has moved for as long as `patience`.
async fn follow(mut watch: Watch, patience: Duration) -> anyhow::Result<()> {
    let mut bar = Bar::new();
    let mut before: Option<Left> = None;
    let mut since = Instant::now();
    loop {
        let answers = ask_all(watch.whom()).await;
        let left = watch.see(&answers);
        bar.show(left.topics, left.connections);
        if !left.is_none() {
            bar.tell(left.words().join("; "));
        }
        if before.as_ref() != Some(&left) {
            since = Instant::now();
        }
        if left.is_none() && since.elapsed() >= QUIET {
            bar.finish();
            return Ok(());
        }
        if !left.is_none() && since.elapsed() >= patience {
            bar.finish();
            bail!(stuck(&left, patience));
        }
        before = Some(left);
        sleep(STEP).await;
    }
}

fn stuck(left: &Left, patience: Duration) -> String {
    format!(
        "nothing has moved for {} s\n  {}\nthe map is in force, and what can move will; the same command goes on watching",
        patience.as_secs_f64(),
        left.words().join("\n  ")
    )
}
