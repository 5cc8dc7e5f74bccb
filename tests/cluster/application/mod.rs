//! Rules that ask the application, with a real one at the other end.

mod answers;
mod connecting;
mod failures;

use crate::harness::{Application, Cluster, Setup};

/// The key and how it is written in the settings.
const KEY: &[u8] = b"swordfish swordfish swordfish";
const SECRET: &str = "whsec_c3dvcmRmaXNoIHN3b3JkZmlzaCBzd29yZGZpc2g=";

/// An application, and two routers and three shards that ask it.
async fn asking(application_keys: &str, rules: &str) -> (Application, Cluster) {
    let application = Application::start().await;
    let url = application.url();
    let section = format!(
        "[application]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{application_keys}\n{rules}"
    );
    let cluster = Setup::new().routers(2).section(&section).start().await;
    (application, cluster)
}

/// Whether a move is legal is the application's to say; then everyone hears of it.
const MOVES: &str = r#"
[[event]]
name = "move"
do = "call"

[[event]]
name = "move"
do = "broadcast"
emit = "moved"
"#;
