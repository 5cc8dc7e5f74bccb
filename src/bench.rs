//! `trunkline bench`: load on a cluster, and what it costs there.

mod bar;
mod table;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use trunkline_bench::{Plan, Progress, Scenario, Selection, Speech};
use trunkline_config::{load_map, parse_duration};

use crate::terminal::say;

/// Put load on a cluster and measure what it costs
///
/// Messages are sent when their time has come, whether or not the last have arrived, and latency
/// counts from that time. Only ever use it on servers of your own.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// What the clients do
    #[arg(value_enum)]
    scenario: Scenario,
    /// Where to connect; of several, clients take one after the other
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080")]
    url: Vec<String>,
    /// How the clients speak
    #[arg(long, value_enum, default_value_t = Speech::Native)]
    dialect: Speech,
    /// How many clients; of storm, how many at once at most
    #[arg(long, value_name = "N", default_value_t = 500)]
    clients: usize,
    /// The first client's number: drivers that run side by side need numbers of their own
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: usize,
    /// How many rooms they are spread over
    #[arg(long, value_name = "N", default_value_t = 10)]
    rooms: usize,
    /// Messages a second, all clients together; of storm, clients [default: 400, of private 2000,
    /// of storm 200]
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Bytes of a message's argument
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = payload_size)]
    payload: usize,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// How long the load runs before it is measured
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    warm_up: Duration,
    /// How long a client may take to get in
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    deadline: Duration,
    /// Threads that carry the clients
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// What connections are placed by [default: of fanout and hot-room the room, else the user]
    #[arg(long, value_enum)]
    place: Option<Place>,
    /// Ask for an acknowledgement of each message, and measure how long it takes
    #[arg(long)]
    acknowledge: bool,
    /// Sign a token for each client (HS256) with this key
    #[arg(long, value_name = "KEY", env = "TRUNKLINE_JWT_KEY", hide_env_values = true)]
    jwt_key: Option<String>,
    /// Send private messages only between users of different shards of this map
    #[arg(long, value_name = "SHARDS_TOML")]
    apart: Option<PathBuf>,
    /// Measure this process and those that it has started
    #[arg(long, value_name = "PID")]
    pid: Vec<i32>,
    /// Measure every process whose command line contains this, and those that it has started
    #[arg(long, value_name = "TEXT")]
    process: Vec<String>,
    /// Write the result as JSON; - for standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    Room,
    User,
}

/// A mebibyte is beyond what any server here takes.
fn payload_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= 1 << 20 => Ok(bytes),
        Ok(_) => Err("at most 1048576".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Puts the load on, and prints what came of it.
///
/// # Errors
/// If clients can't get in, the servers can't be measured, or the result can't be written.
pub(crate) fn run(args: BenchArgs) -> anyhow::Result<()> {
    // The file first: nobody wants to learn after the load that there is nowhere to put it.
    let mut json = args.json.as_deref().map(output).transpose()?;
    let to_stdout = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let quiet = args.quiet;
    let plan = Arc::new(plan(args)?);
    let progress = Arc::new(Progress::default());
    let bar = (!quiet).then(|| bar::watch(&plan, &progress));
    let outcome = trunkline_bench::run(&plan, &progress);
    if let Some(bar) = bar {
        bar.finish();
    }
    let outcome = outcome?;
    if let Some(json) = &mut json {
        use std::io::Write as _;
        serde_json::to_writer_pretty(&mut *json, &outcome).context("cannot write the result")?;
        writeln!(json).context("cannot write the result")?;
    }
    if !to_stdout {
        say(table::Table(&outcome));
    }
    Ok(())
}

fn output(path: &std::path::Path) -> anyhow::Result<Box<dyn std::io::Write>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(file))
}

fn plan(args: BenchArgs) -> anyhow::Result<Plan> {
    let scenario = args.scenario;
    let rate = match scenario {
        Scenario::Private => 2000.0,
        Scenario::Storm => 200.0,
        _ => 400.0,
    };
    let place = match scenario {
        Scenario::Fanout | Scenario::HotRoom => Place::Room,
        _ => Place::User,
    };
    Ok(Plan {
        scenario,
        speech: args.dialect,
        urls: args.url,
        clients: args.clients,
        first: args.first,
        rooms: args.rooms,
        rate: args.rate.unwrap_or(rate),
        payload: args.payload,
        duration: args.duration,
        warm_up: args.warm_up,
        deadline: args.deadline,
        threads: args.threads,
        by_room: args.place.unwrap_or(place) == Place::Room,
        acknowledged: args.acknowledge,
        jwt_key: args.jwt_key.map(String::into_bytes),
        apart: args.apart.as_deref().map(load_map).transpose()?,
        servers: Selection { pids: args.pid, patterns: args.process },
    })
}
