//! The pages in a real browser. Needs chromium, node and npm; `tests/run` installs them.

use std::path::Path;

use trunkline_config::ShardKey;

use crate::harness::{Setup, must_run, npm_install};
use crate::socketio;

const BROWSER_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
/// CHROMIUM names another one, to the scripts that drive it too.
const CHROMIUM: &str = "/usr/bin/chromium";

async fn install() {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_owned());
    assert!(
        Path::new(&chromium).exists(),
        "there is no {chromium}; install it: apt-get install chromium, or set CHROMIUM"
    );
    npm_install(BROWSER_TESTS).await;
}

#[tokio::test]
async fn two_windows_chat_across_shards() {
    install().await;
    let cluster = Setup::new().start().await;
    // The script's people. Their shards must differ for private messages to cross.
    let owner = |user| cluster.owner(&ShardKey::User(user));
    assert_ne!(owner("alice"), owner("bob"));
    let script = format!("{BROWSER_TESTS}/chat.mjs");
    let url = format!("http://127.0.0.1:{}", cluster.port);
    let said = must_run("node", &[&script, &url]).await;
    assert!(said.lines().count() >= 8, "{said}");
}

#[tokio::test]
async fn two_windows_use_each_demo() {
    install().await;
    socketio::install().await;
    let cluster = socketio::demo().start().await;
    let script = format!("{BROWSER_TESTS}/demo.mjs");
    let url = format!("http://127.0.0.1:{}", cluster.port);
    let said = must_run("node", &[&script, &url]).await;
    assert!(said.lines().count() >= 10, "{said}");
}
