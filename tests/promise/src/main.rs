//! `tests/promise/run`: disturbs a cluster under load and says what clients have noticed of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use trunkline_bench::Speech;
use trunkline_promise::{Kind, Network, Plan, Store, run};

/// From one disruption's end to the next.
const SETTLE: Duration = Duration::from_secs(3);
const QUIET: Duration = Duration::from_secs(10);

/// Disturb a cluster of real processes under load, and say what its clients have noticed
///
/// Native clients and those of Socket.IO, by WebSocket and by polling, talk over two routers while shards are restarted, killed, drained,
/// added and removed, one after the other. Exits with 1 if anybody was disconnected, lost a
/// message, got one twice or in another order than others.
#[derive(Debug, Parser)]
#[command(name = "promise")]
struct Arguments {
    /// Where shards keep what they have
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// How long disruptions go on
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// How many clients
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Messages a second, all clients together
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// How many shards there are at first
    #[arg(long, default_value_t = 4)]
    shards: usize,
    /// These disruptions only, in this order
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// How clients speak
    #[arg(long, value_enum, value_delimiter = ',', default_value = "native,socketio,polling")]
    dialects: Vec<Dialect>,
    /// Chooses who speaks and who suffers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program under test [default: trunkline beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where the cluster's files, and the result as JSON, are put
    #[arg(long, value_name = "DIR", default_value = "target/promise")]
    folder: PathBuf,
    /// Shards are in the namespaces that tests/promise/namespaces makes
    #[arg(long)]
    namespaces: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialect {
    Native,
    #[value(name = "socketio")]
    SocketIo,
    Polling,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let name = if arguments.namespaces { "partition" } else { arguments.store.name() };
    let folder = std::path::absolute(&arguments.folder)?;
    let result = folder.join(format!("{name}.json"));
    let plan = plan(arguments, folder.join(name))?;
    let tell = |what: &str| {
        // Who doesn't listen is not told.
        let _ = writeln!(std::io::stderr(), "{what}");
    };
    let outcome = run(&plan, &tell)?;
    let json = serde_json::to_string_pretty(&outcome)?;
    std::fs::write(&result, json).with_context(|| format!("cannot write {}", result.display()))?;
    writeln!(std::io::stdout(), "{outcome}\n{}", result.display())?;
    Ok(if outcome.kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan(arguments: Arguments, folder: PathBuf) -> anyhow::Result<Plan> {
    let program = match arguments.program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("trunkline"),
    };
    anyhow::ensure!(program.exists(), "there is no {}; build it first", program.display());
    let time = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("--minutes")?;
    let speech = |dialect: &Dialect| match dialect {
        Dialect::Native => Speech::Native,
        Dialect::SocketIo => Speech::SocketIo,
        Dialect::Polling => Speech::Polling,
    };
    Ok(Plan {
        program: std::path::absolute(program)?,
        folder,
        store: arguments.store,
        network: if arguments.namespaces { Network::Namespaces } else { Network::Loopback },
        shards: arguments.shards,
        clients: arguments.clients,
        speeches: arguments.dialects.iter().map(speech).collect(),
        rate: arguments.rate,
        time,
        quiet: QUIET,
        settle: SETTLE,
        only: arguments.only,
        seed: arguments.seed,
    })
}
