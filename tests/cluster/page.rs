//! The chat page in a real browser. Needs chromium, node and npm; `tests/run` installs them.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::harness::Setup;

const BROWSER_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
/// CHROMIUM names another one, to the script that drives it too.
const CHROMIUM: &str = "/usr/bin/chromium";

async fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).kill_on_drop(true).output().await;
    output.unwrap_or_else(|error| {
        panic!("cannot run {program} ({error}); install it: apt-get install chromium nodejs npm")
    })
}

async fn must_run(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}:\n{said}{errors}");
    said
}

#[tokio::test]
async fn two_windows_chat_across_shards() {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_owned());
    assert!(
        Path::new(&chromium).exists(),
        "there is no {chromium}; install it: apt-get install chromium, or set CHROMIUM"
    );
    // Installs what the lock file says, from npm's own cache where it can.
    must_run("npm", &["ci", "--no-audit", "--no-fund", "--prefix", BROWSER_TESTS]).await;
    let cluster = Setup::new().start().await;
    // The script's people. Their shards must differ for private messages to cross.
    let owner = |user| cluster.owner(&trunkline_config::ShardKey::User(user));
    assert_ne!(owner("alice"), owner("bob"));
    let script = format!("{BROWSER_TESTS}/chat.mjs");
    let url = format!("http://127.0.0.1:{}", cluster.port);
    let said = must_run("node", &[&script, &url]).await;
    assert!(said.lines().count() >= 8, "{said}");
}
