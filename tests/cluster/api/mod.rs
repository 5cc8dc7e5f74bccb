//! What the servers of an application ask, of real clusters of three shards and two routers. It
//! must not matter which router is asked.

mod acknowledgements;
mod grpc;
mod refusals;
mod rooms;
mod users;

use serde_json::{Value, json};

use crate::harness::{Cluster, KEY, Server, Setup};

fn setup() -> Setup {
    Setup::new().routers(2).section(&format!("[api]\nkeys = [\"{KEY}\"]"))
}

/// A server for each router.
fn servers(cluster: &Cluster) -> Vec<Server> {
    cluster.ports().into_iter().map(|port| Server { port }).collect()
}

fn note(data: impl Into<Value>) -> Value {
    json!({"event": "note", "data": data.into()})
}
