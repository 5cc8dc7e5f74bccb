//! Routers behind nginx, which gives each request to the next of them and remembers nobody.

use std::fs::{self, File};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::{proves, rules, setup, unharmed};
use crate::harness::{Cluster, Setup, eventually, free, get};

/// Debian's is not on everybody's path.
const NGINX: &str = "/usr/sbin/nginx";

/// A balancer before all routers of a cluster; ended when it is dropped.
struct Balancer {
    _child: Child,
    url: String,
}

impl Balancer {
    async fn start(cluster: &Cluster) -> Self {
        let port = free();
        let folder = cluster.path("nginx");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("nginx.conf"), config(port, &cluster.ports())).unwrap();
        let errors = folder.join("error.log");
        let child = Command::new(NGINX)
            .args(["-e", errors.to_str().unwrap(), "-c", "nginx.conf", "-p"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("stderr.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {NGINX} ({error}); install it: apt-get install nginx")
            });
        let is_up = async || get(port, "/healthz").await.status == 200;
        eventually("nginx is up", is_up).await;
        Self { _child: child, url: format!("http://127.0.0.1:{port}") }
    }
}

/// Round robin, and what a WebSocket needs to pass. No cookie, no hash of an address.
fn config(port: u16, routers: &[u16]) -> String {
    let servers: String =
        routers.iter().map(|port| format!("server 127.0.0.1:{port};\n        ")).collect();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {name};\n    "))
        .collect();
    format!(
        r#"
# One process in the foreground, which ends when the test does.
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {folders}
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        "" "";
    }}
    upstream routers {{
        {servers}keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 2m;
        location / {{
            proxy_pass http://routers;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_read_timeout 60s;
        }}
    }}
}}
"#
    )
}

/// Runs a program whose every request goes through the balancer.
async fn proves_behind_nginx(setup: Setup, program: &str, arguments: &[&str], facts: usize) {
    let cluster = setup.start().await;
    let balancer = Balancer::start(&cluster).await;
    proves(program, arguments, std::slice::from_ref(&balancer.url), facts).await;
    unharmed(cluster).await;
}

#[tokio::test]
async fn polling_clients_need_no_stickiness() {
    proves_behind_nginx(setup(rules!("conformance")), "conformance", &["polling"], 49).await;
}

#[tokio::test]
async fn upgrading_clients_need_no_stickiness() {
    proves_behind_nginx(setup(rules!("conformance")), "conformance", &["upgrade"], 49).await;
}

#[tokio::test]
async fn a_chat_behind_a_balancer_works() {
    proves_behind_nginx(setup(rules!("chat")), "chat", &[], 7).await;
}
