//! `trunkline up`: a whole cluster on this machine, a router and its shards as processes of
//! their own, as they would run on several machines.
//!
//! It is a parent and nothing else: it carries no traffic, and its children don't miss it until
//! it is gone.

mod child;
mod names;
mod plan;
mod ports;
mod restart;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::{mpsc, watch};
use trunkline_config::render_map;
use trunkline_config::settings::Auth;

use self::child::{Event, Keeper, Program};
use self::plan::Plan;
use crate::configuration::{ClusterFiles, temporary_folder};
use crate::ending::Ending;
use crate::terminal::say;

const ROUTER: &str = "router";
/// Events that may wait to be heard; children wait beyond it.
const EVENTS: usize = 16;

/// Run a router and its shards on this machine (what `trunkline` alone does)
#[derive(Args, Debug, Default)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    files: ClusterFiles,
    /// How many shards to run, if not those of the shard map
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
}

/// Runs the cluster until it is asked to end, then ends the router first, that clients leave in
/// an orderly way, and the shards after it.
///
/// # Errors
/// If the files are wrong, no port is free, or a child won't run.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    let ending = Ending::listen(false).context("cannot listen for signals")?;
    let folder = temporary_folder()?;
    let (config, loaded) = args.files.load(folder.path())?;
    let plan = Plan::new(&loaded, args.shards.map(usize::from))?;
    let map = folder.path().join("resolved-shards.toml");
    write_map(&map, &render_map(&plan.map))?;

    let programs = Programs { executable: std::env::current_exe()?, config, map };
    let (events, heard) = mpsc::channel(EVENTS);
    let (ready, was_ready) = watch::channel(false);
    let keep = |program| Keeper::start(program, events.clone(), was_ready.clone());
    let shards = plan.map.shards().iter().map(|shard| keep(programs.shard(&shard.id))).collect();
    let router = keep(programs.router(&plan));
    drop(events);

    let is_open = matches!(loaded.settings.auth, Auth::Open);
    let greeting = |url: &str| greeting(url, &plan, &args.files, &programs.map, is_open);
    let gave_up = tokio::select! {
        () = ending.wait() => None,
        name = follow(heard, &ready, greeting) => name,
    };
    Keeper::end(vec![router]).await;
    Keeper::end(shards).await;
    match gave_up {
        None => Ok(()),
        Some(name) => bail!("{name} would not start; see what it said above"),
    }
}

/// Hears the children, greets when the router first is ready, and returns the name of a child
/// that won't run.
async fn follow(
    mut heard: mpsc::Receiver<Event>,
    ready: &watch::Sender<bool>,
    greeting: impl Fn(&str) -> String,
) -> Option<String> {
    while let Some(event) = heard.recv().await {
        match event {
            Event::Ready { name, what } if name == ROUTER && !ready.send_replace(true) => {
                say(greeting(&what));
            }
            Event::Ready { .. } => {}
            Event::GaveUp { name } => return Some(name),
        }
    }
    None
}

/// Writes the map where only this user can read it: it holds the hash key.
fn write_map(path: &Path, text: &str) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The children's command lines.
struct Programs {
    executable: PathBuf,
    config: PathBuf,
    map: PathBuf,
}

impl Programs {
    fn router(&self, plan: &Plan) -> Program {
        let (listen, metrics) = (plan.listen.to_string(), plan.metrics.to_string());
        self.program(ROUTER, "router", &["--listen", &listen, "--metrics", &metrics])
    }

    fn shard(&self, id: &str) -> Program {
        self.program(&format!("shard {id}"), "shard", &["--id", id])
    }

    fn program(&self, name: &str, command: &str, more: &[&str]) -> Program {
        let mut arguments: Vec<OsString> = vec![
            command.into(),
            "--under-parent".into(),
            "--config".into(),
            self.config.clone().into(),
            "--shard-map".into(),
            self.map.clone().into(),
        ];
        arguments.extend(more.iter().map(OsString::from));
        Program { name: name.to_owned(), executable: self.executable.clone(), arguments }
    }
}

/// What is said once the cluster is ready.
fn greeting(url: &str, plan: &Plan, files: &ClusterFiles, map: &Path, is_open: bool) -> String {
    let mut lines =
        vec![format!("ready {url}"), format!("  chat      {url}/ in two browser windows")];
    let chat = if plan.listen.port() == 8080 { String::new() } else { format!(" --url {url}") };
    lines.push(format!("  try       trunkline chat --user alice{chat}"));
    lines.push(format!(
        "            trunkline locate --room lobby{}",
        locate_flags(plan, files, map)
    ));
    lines.push(format!("  metrics   http://{}/metrics", plan.metrics));
    lines.push("  stop      Ctrl-C".to_owned());
    if is_open {
        lines.push(
            "  auth is open: whoever connects may take any name. For development only; see [auth] in cluster.toml"
                .to_owned(),
        );
    }
    lines.join("\n")
}

/// What `locate` must be told to read the same map.
fn locate_flags(plan: &Plan, files: &ClusterFiles, map: &Path) -> String {
    let mut flags = String::new();
    if let Some(config) = &files.config {
        flags = format!(" --config {}", config.display());
    }
    let map = if plan.is_reshaped { Some(map) } else { files.shard_map.as_deref() };
    if let Some(map) = map {
        flags = format!("{flags} --shard-map {}", map.display());
    }
    flags
}
