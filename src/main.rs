//! The `trunkline` command: one file per subcommand.
//!
//! Everything that a cluster does lives in the workspace's crates; here are only the words of
//! the command line, the start and the end of a process, and the parent of a local cluster.

mod bench;
mod chat;
mod check;
mod configuration;
mod control;
mod ending;
mod handover;
mod left;
mod locate;
mod logging;
mod map;
mod maps;
mod ops;
mod process;
mod repair;
mod reshard;
mod router;
mod shard;
mod spread;
mod terminal;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use trunkline_config::Problems;

/// Shard-key routed messaging: one owner per room, no sticky sessions, no broker.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Up(up::UpArgs),
    Router(router::RouterArgs),
    Shard(shard::ShardArgs),
    Locate(locate::LocateArgs),
    Check(check::CheckArgs),
    Spread(spread::SpreadArgs),
    Repair(repair::RepairArgs),
    Chat(chat::ChatArgs),
    Bench(bench::BenchArgs),
    Map(map::MapArgs),
    Reshard(reshard::ReshardArgs),
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command.unwrap_or(Command::Up(up::UpArgs::default()));
    // Whoever installed one before us has the same aim; rustls only wants to be told once.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let result = match command {
        Command::Up(args) => on_runtime(up::run(args)),
        Command::Router(args) => router::run(args),
        Command::Shard(args) => shard::run(args),
        Command::Locate(args) => locate::run(&args),
        Command::Check(args) => return check::run(&args),
        Command::Spread(args) => spread::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Chat(args) => on_runtime(chat::run(args)),
        Command::Bench(args) => bench::run(args),
        Command::Map(args) => on_runtime(map::run(args)),
        Command::Reshard(args) => on_runtime(reshard::run(args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Problems>() {
                Some(problems) => terminal::complain(problems),
                None => terminal::complain(format_args!("error: {error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

/// One thread runs everything but the router's workers, which bring their own.
fn on_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    on_gathering_runtime(Duration::ZERO, work)
}

/// Like [`on_runtime`], on a thread that carries traffic.
fn on_gathering_runtime<T>(
    flush_delay: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    trunkline_proto::runtime::gathering(flush_delay)?.block_on(work)
}
