//! The routers beside a cluster's first one. They have the same files, and ports of their own.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Cluster, Process, free, get, metric};

pub(super) struct OtherRouter {
    pub(super) name: String,
    pub(super) process: Process,
    port: u16,
    metrics: u16,
    /// Where it serves gRPC, if the others do.
    grpc: Option<SocketAddr>,
}

impl Cluster {
    pub(super) async fn start_other_router(&mut self, number: usize) {
        let name = format!("router-{number}");
        let (port, metrics) = (free(), free());
        let [listen, on] = [port, metrics].map(|port| format!("127.0.0.1:{port}"));
        let grpc = self.grpc.map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, free())));
        let errors = self.path(&format!("{name}.log"));
        let config = self.config();
        let own = grpc.map(|address| address.to_string());
        let mut arguments = vec!["router", "--config", &config, "--listen", &listen];
        arguments.extend(["--metrics", &on]);
        arguments.extend(own.iter().flat_map(|address| ["--grpc", address]));
        let mut process = Process::start(&errors, &arguments);
        process.line("ready").await;
        self.others.push(OtherRouter { name, process, port, metrics, grpc });
    }

    /// Where clients of all routers connect.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let others = self.others.iter().map(|other| other.port);
        std::iter::once(self.port).chain(others).collect()
    }

    /// The routers' URLs for HTTP.
    pub(crate) fn http_urls(&self) -> Vec<String> {
        self.ports().iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// Where the routers serve gRPC, if they do.
    pub(crate) fn grpc(&self) -> Vec<SocketAddr> {
        self.grpc.into_iter().chain(self.others.iter().filter_map(|other| other.grpc)).collect()
    }

    /// The sum of a metric over all routers.
    pub(crate) async fn routers_metric(&self, name: &str) -> f64 {
        let mut sum = self.router_metric(name).await;
        for other in &self.others {
            sum += metric(&get(other.metrics, "/metrics").await.body, name);
        }
        sum
    }

    /// The sum of a metric over all shards.
    pub(crate) async fn shards_metric(&self, name: &str) -> f64 {
        let mut sum = 0.0;
        for shard in self.map.shards() {
            sum += self.shard_metric(&shard.id, name).await;
        }
        sum
    }
}
