//! Programs of others: node, npm, Python. `tests/run` installs them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

/// How long a program may take: some prove a lot, and machines are busy.
const LIMIT: Duration = Duration::from_secs(600);

async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    match timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("cannot run {program} ({error}); tests/run installs it"),
        Err(_) => panic!("{program} {arguments:?} took too long"),
    }
}

/// Runs a program that must succeed, and gives what it said.
pub(crate) async fn must_run(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}:\n{said}{errors}");
    said
}

/// Installs what a folder's lock file says, from npm's own cache where it can. Once, for tests that
/// run side by side would take it from each other.
pub(crate) async fn npm_install(folder: &str) {
    static INSTALLED: Mutex<Option<HashSet<String>>> = Mutex::const_new(None);
    let mut installed = INSTALLED.lock().await;
    if installed.get_or_insert_default().insert(folder.to_owned()) {
        must_run("npm", &["ci", "--no-audit", "--no-fund", "--prefix", folder]).await;
    }
}

/// A Python of its own with these requirements, in the build's folder; gives the interpreter.
pub(crate) async fn venv(requirements: &str) -> &'static Path {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    PYTHON
        .get_or_init(|| async {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
            must_run("python3", &["-m", "venv", folder.to_str().unwrap()]).await;
            let python = folder.join("bin").join("python");
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            let file = ["--requirement", requirements];
            must_run(python.to_str().unwrap(), &[&pip[..], &file].concat()).await;
            python
        })
        .await
}
