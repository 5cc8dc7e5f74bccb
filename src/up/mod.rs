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
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::{mpsc, watch};
use trunkline_config::settings::Auth;
use trunkline_config::store::{DATA, Store};
use trunkline_config::{Loaded, load_map, render_map};

use self::child::{Event, Keeper, Program};
use self::plan::Plan;
use crate::configuration::{ClusterFiles, temporary_folder};
use crate::ending::Ending;
use crate::terminal::{complain, say};

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
    /// Where to keep the rooms' histories, the inboxes, and the map that the cluster runs with
    /// [default: trunkline-data beside the settings]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs the cluster until it is asked to end, then ends the router first, that clients leave in
/// an orderly way, and the shards after it.
///
/// # Errors
/// If the files are wrong, no port is free, or a child won't run.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    let mut ending = Ending::listen(false).context("cannot listen for signals")?;
    let temporary = temporary_folder()?;
    let folder = match &args.data {
        Some(data) => private_folder(data)?,
        None => temporary.path(),
    };
    let (config, loaded) = args.files.load(folder)?;
    let data = data_folder(&args, &loaded)?;
    let mut plan = Plan::new(&loaded, args.shards.map(usize::from))?;
    let map = data.as_deref().unwrap_or(folder).join("resolved-shards.toml");
    if let (Some(data), Ok(before)) = (&data, load_map(&map)) {
        plan.come_after(&before);
        let gone: Vec<&str> = before.shards().iter().map(|shard| shard.id.as_str()).collect();
        let gone: Vec<&str> =
            gone.into_iter().filter(|id| plan.map.index_of(id).is_none()).collect();
        if !gone.is_empty() {
            complain(format_args!(
                "note: in {} there is what {} kept, which are no more; it can't be seen until they run again",
                data.display(),
                gone.join(", ")
            ));
        }
    }
    write_map(&map, &render_map(&plan.map))?;

    let programs = Programs { executable: std::env::current_exe()?, config, map, data };
    let (events, heard) = mpsc::channel(EVENTS);
    let (ready, was_ready) = watch::channel(false);
    let keep = |program| Keeper::start(program, events.clone(), was_ready.clone());
    let shards = plan.map.shards().iter().map(|shard| keep(programs.shard(&shard.id))).collect();
    let router = keep(programs.router(&plan));
    drop(events);

    let is_open = matches!(loaded.settings.auth, Auth::Open);
    let data = programs.data.as_deref();
    let greeting = |url: &str| greeting(url, &plan, &args.files, &programs.map, data, is_open);
    let gave_up = tokio::select! {
        _ = ending.wait() => None,
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

/// Where the shards keep what outlives them, if they keep it in files.
fn data_folder(args: &UpArgs, loaded: &Loaded) -> anyhow::Result<Option<PathBuf>> {
    let beside = args.files.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let store = &loaded.settings.store;
    let usual = store.data.clone().unwrap_or_else(|| beside.join(DATA));
    match store.choose(Some(args.data.as_deref().unwrap_or(&usual))) {
        Store::Embedded(folder) => {
            private_folder(&folder)?;
            Ok(Some(folder))
        }
        Store::Memory | Store::JetStream(_) => Ok(None),
    }
}

/// Makes a folder, if it is not there, that only this user may look into.
fn private_folder(path: &Path) -> anyhow::Result<&Path> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(path)
}

/// Writes the map, in place of an earlier run's, where only this user can read it: it holds the
/// hash key.
fn write_map(path: &Path, text: &str) -> anyhow::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
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
    /// Where shards keep their files, if they do.
    data: Option<PathBuf>,
}

impl Programs {
    fn router(&self, plan: &Plan) -> Program {
        let (listen, metrics) = (plan.listen.to_string(), plan.metrics.to_string());
        self.program(ROUTER, "router", &["--listen", &listen, "--metrics", &metrics])
    }

    fn shard(&self, id: &str) -> Program {
        let mut program = self.program(&format!("shard {id}"), "shard", &["--id", id]);
        if let Some(data) = &self.data {
            program.arguments.extend(["--data".into(), data.clone().into()]);
        }
        program
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
fn greeting(
    url: &str,
    plan: &Plan,
    files: &ClusterFiles,
    map: &Path,
    data: Option<&Path>,
    is_open: bool,
) -> String {
    let chat = chat_flags(url);
    let locate = locate_flags(plan, files, map);
    let mut lines = vec![
        format!("ready {url}"),
        format!("  chat      {url}/ in two browser windows"),
        format!("  demos     {url}/demo/ with the Socket.IO client"),
        format!("  try       trunkline chat --user alice{chat}"),
        format!("            trunkline locate --room lobby{locate}"),
        format!("  metrics   http://{}/metrics", plan.metrics),
    ];
    if let Some(data) = data {
        lines.push(format!("  data      {}", data.display()));
    }
    if is_open {
        lines.push(
            "  note      auth is open: whoever connects may take any name. For development only"
                .to_owned(),
        );
    }
    lines.push("  stop      Ctrl-C".to_owned());
    lines.join("\n")
}

/// What `chat` must be told to find the router; nothing where it is looked for anyway.
fn chat_flags(url: &str) -> String {
    match url.strip_prefix("http") {
        None | Some("://127.0.0.1:8080") => String::new(),
        Some(rest) => format!(" --url ws{rest}"),
    }
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

#[cfg(test)]
mod tests {
    use trunkline_config::{Loaded, load};

    use super::*;

    fn plan(shards: Option<usize>) -> Plan {
        let Loaded { settings, map } = load(Path::new("config/cluster.toml")).unwrap();
        Plan::new(&Loaded { settings, map }, shards).unwrap()
    }

    #[test]
    fn the_greeting_begins_with_the_ready_line_and_warns_of_open_auth() {
        let greet = |is_open| {
            let (plan, files) = (plan(None), ClusterFiles::default());
            greeting("http://127.0.0.1:8080", &plan, &files, Path::new("m.toml"), None, is_open)
        };
        assert!(greet(true).starts_with("ready http://127.0.0.1:8080\n"));
        assert!(greet(true).contains("trunkline chat --user alice\n"));
        assert!(greet(true).contains("trunkline locate --room lobby\n"));
        assert!(greet(true).contains("For development only"));
        assert!(!greet(false).contains("development"));
    }

    #[test]
    fn what_to_try_names_what_is_not_the_default() {
        assert_eq!(chat_flags("https://127.0.0.1:8080"), " --url wss://127.0.0.1:8080");
        assert_eq!(chat_flags("http://127.0.0.1:81"), " --url ws://127.0.0.1:81");
        let files = ClusterFiles { config: Some("c.toml".into()), shard_map: None };
        let flags = |shards| locate_flags(&plan(shards), &files, Path::new("m.toml"));
        assert_eq!(flags(None), " --config c.toml");
        assert_eq!(flags(Some(5)), " --config c.toml --shard-map m.toml");
    }

    #[test]
    fn the_map_is_written_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = temporary_folder().unwrap();
        let path = folder.path().join("map.toml");
        write_map(&path, "version = 1\n").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write_map(&path, "").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
