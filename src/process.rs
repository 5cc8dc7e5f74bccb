//! What a router's and a shard's process have in common: they read the files, begin to log,
//! serve the operator, say when they are ready, and wait to be asked to end.

use std::path::PathBuf;
use std::pin::pin;

use anyhow::{Context, bail};
use clap::Args;
use prometheus::Registry;
use trunkline_config::settings::Settings;
use trunkline_config::{Loaded, load_with_map};
use trunkline_proto::watch;

use crate::ending::Ending;
use crate::ops::Ops;
use crate::{logging, maps, terminal};

/// What both are told.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProcessArgs {
    /// The cluster's settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// A shard map to use in place of the one that the settings name
    #[arg(long, value_name = "FILE")]
    pub(crate) shard_map: Option<PathBuf>,
    /// End with stdin, and leave SIGINT to the parent
    #[arg(long, hide = true)]
    under_parent: bool,
}

impl ProcessArgs {
    /// Whether `up` has started the process and ends it.
    pub(crate) fn has_parent(&self) -> bool {
        self.under_parent
    }
}

/// Reads the files, and the map that stands in the settings' bucket.
///
/// # Errors
/// Every problem of the files; servers that can't be reached.
pub(crate) fn load(args: &ProcessArgs) -> anyhow::Result<Loaded> {
    let loaded = load_files(args)?;
    let in_bucket = maps::of_bucket(args, &loaded.settings)?;
    Ok(in_bucket.unwrap_or(loaded))
}

/// Reads the files.
///
/// # Errors
/// Every problem of the files.
pub(crate) fn load_files(args: &ProcessArgs) -> anyhow::Result<Loaded> {
    let loaded = match &args.shard_map {
        Some(map) => load_with_map(&args.config, map)?,
        None => trunkline_config::load(&args.config)?,
    };
    for shard in loaded.map.shards() {
        if shard.grpc.ends_with(":0") {
            bail!(
                "shard {} has port 0 in {}, where nobody could find it; write its port (only `trunkline up` chooses free ones)",
                shard.id,
                loaded.settings.shard_map.display()
            );
        }
    }
    Ok(loaded)
}

/// Begins to log and to listen for the process's end.
///
/// # Errors
/// If either is not to be had.
pub(crate) fn begin(args: &ProcessArgs, settings: &Settings) -> anyhow::Result<Ending> {
    logging::begin(&settings.log)?;
    Ending::listen(args.under_parent).context("cannot listen for signals")
}

/// Serves the operator and says `ready_line` when the process first is ready, until `ended`.
pub(crate) async fn serve_until<T>(
    ended: impl Future<Output = T>,
    ops: Ops,
    registry: Registry,
    readiness: watch::Receiver<bool>,
    ready_line: &str,
) -> T {
    // It serves while the process ends, too, and goes with the runtime.
    tokio::spawn(ops.serve(registry, readiness.clone()));
    let mut ended = pin!(ended);
    tokio::select! {
        end = &mut ended => end,
        is_ready = becomes_ready(readiness) => {
            if is_ready {
                terminal::say(ready_line);
            }
            ended.await
        }
    }
}

/// Waits for readiness; false if nobody is left to tell of it.
async fn becomes_ready(mut readiness: watch::Receiver<bool>) -> bool {
    readiness.wait_for(|ready| *ready).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn readiness_can_be_lost_after_it_was_told() {
        let ops = Ops::bind("127.0.0.1:0").await.unwrap();
        let (ready, readiness) = watch::channel(true);
        let (lost, is_lost) = oneshot::channel();
        let lose = async {
            // On a thread of its own, that a lock can't stop the test from failing.
            std::thread::spawn(move || {
                ready.send_replace(false);
                let _ = lost.send(());
            });
            tokio::time::timeout(Duration::from_secs(5), is_lost).await
        };
        let ended = std::future::pending();
        tokio::select! {
            biased;
            () = serve_until(ended, ops, Registry::new(), readiness, "ready") => {
                panic!("it ended by itself");
            }
            result = lose => assert_eq!(result, Ok(Ok(()))),
        }
    }

    #[tokio::test]
    async fn a_process_that_never_becomes_ready_ends_when_it_is_asked_to() {
        let ops = Ops::bind("127.0.0.1:0").await.unwrap();
        let (_ready, readiness) = watch::channel(false);
        let (end, ended) = oneshot::channel::<()>();
        drop(end);
        let ended = async { drop(ended.await) };
        serve_until(ended, ops, Registry::new(), readiness, "never said").await;
    }
}
