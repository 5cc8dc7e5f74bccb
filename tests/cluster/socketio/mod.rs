//! Socket.IO clients as they come: programs of `tests/socketio` against real clusters, over two
//! routers. Needs node, npm and python3-venv; `tests/run` installs them.

mod applications;
mod churn;
mod conformance;
mod crash;
mod moves;
mod nginx;
mod tokens;

use tokio::sync::Semaphore;

use crate::harness::{Cluster, Setup, must_run, npm_install};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socketio");

/// The rules that come with a program.
macro_rules! rules {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socketio/", $name, ".toml"))
    };
}
use rules;

/// Two routers that serve with these rules.
fn setup(rules: &str) -> Setup {
    Setup::new().routers(2).section(rules)
}

/// What the demo pages need, the client's library included.
pub(crate) fn demo() -> Setup {
    let library = format!("{FOLDER}/node_modules/socket.io-client/dist/socket.io.min.js");
    let client = format!("[socketio]\nclient = \"{library}\"\n");
    Setup::new().section(&rules!("demo").replacen("[socketio]\n", &client, 1))
}

/// Installs what the programs need.
pub(crate) async fn install() {
    npm_install(FOLDER).await;
}

/// Runs a program of node whose facts must all hold, and as many of them at least.
pub(crate) async fn proves(program: &str, arguments: &[&str], urls: &[String], facts: usize) {
    install().await;
    proves_by("node", &format!("{program}.mjs"), arguments, urls, facts).await;
}

/// Runs a program by its interpreter. One at a time, for some have clocks that a machine which is
/// busy with the others would not keep.
async fn proves_by(
    interpreter: &str,
    script: &str,
    arguments: &[&str],
    urls: &[String],
    facts: usize,
) {
    static ONE: Semaphore = Semaphore::const_new(1);
    let _alone = ONE.acquire().await.unwrap();
    let script = format!("{FOLDER}/{script}");
    let urls = urls.iter().map(String::as_str);
    let all: Vec<&str> =
        std::iter::once(script.as_str()).chain(arguments.iter().copied()).chain(urls).collect();
    let said = must_run(interpreter, &all).await;
    let held = said.lines().filter(|line| line.starts_with("ok - ")).count();
    assert!(held >= facts, "only {held} facts:\n{said}");
}

/// Asserts that no process has ended or panicked meanwhile, and that all still serve.
pub(crate) async fn unharmed(mut cluster: Cluster) {
    let ids = cluster.ids();
    cluster.goes_on_as(&ids).await;
}
