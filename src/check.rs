//! `trunkline check`: says everything that is wrong with a file, or what it describes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trunkline_config::settings::Auth;
use trunkline_config::{Either, Loaded, ShardMap, load_either};

use crate::terminal::say;

/// Check a cluster.toml or a shard map, and say every mistake with its line
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The file; its keys tell which of the two it is
    file: PathBuf,
}

/// Prints every problem, or one line that sums the file up.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    match load_either(&args.file) {
        Ok(either) => {
            let summary = match &either {
                Either::Cluster(loaded) => cluster(loaded),
                Either::Map(map) => shards(map),
            };
            say(format_args!("{}: ok, {summary}", args.file.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            say(problems);
            ExitCode::FAILURE
        }
    }
}

fn cluster(loaded: &Loaded) -> String {
    let Loaded { settings, map } = loaded;
    let auth = match settings.auth {
        Auth::Open => "open (for development)",
        Auth::Jwt(_) => "jwt",
    };
    format!("clients at {}, auth {auth}, {}", settings.router.listen, shards(map))
}

fn shards(map: &ShardMap) -> String {
    let ids: Vec<&str> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
    let noun = if ids.len() == 1 { "shard" } else { "shards" };
    format!("{} {noun} ({}), map {}", ids.len(), ids.join(", "), map.id())
}
