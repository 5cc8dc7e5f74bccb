//! Mode "jwt": who speaks, for how long, and what they may, in each transport mode.

use super::{proves, setup};

const SECRET: &str = "a secret that is long enough to be one";

#[tokio::test]
async fn tokens_say_who_speaks_for_how_long_and_what_they_may() {
    let jwt = format!("jwt = {{ algorithm = \"HS256\", key = \"{SECRET}\" }}");
    let rules =
        format!("[auth]\nmode = \"jwt\"\n{jwt}\n[socketio]\nnamespaces = [\"/\", \"/game-*\"]\n");
    let mut cluster = setup(&rules).start().await;
    let ids = cluster.ids();
    for mode in ["polling", "websocket", "upgrade"] {
        proves("tokens", &[mode, SECRET], &cluster.http_urls(), 9).await;
    }
    cluster.runs_as(&ids);
}
