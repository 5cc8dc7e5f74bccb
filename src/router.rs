//! `trunkline router`: a router's process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use prometheus::Registry;
use trunkline_config::settings::{Auth, JwtAlgorithm};
use trunkline_config::{Loaded, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_router::{Router, RouterOptions};

use crate::maps;
use crate::on_runtime;
use crate::ops::Ops;
use crate::process::{self, ProcessArgs, serve_until};

/// RFC 7518 §3.2: an HS256 key has at least as many bits as the hash.
const HS256_KEY_BYTES: usize = 32;

/// Run a router: it takes clients and carries them to their shards
#[derive(Args, Debug)]
pub(crate) struct RouterArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Where clients connect, in place of router.listen
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where metrics are served, in place of router.metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Where the interface for servers is served over gRPC, in place of api.grpc
    #[arg(long, value_name = "ADDRESS")]
    grpc: Option<SocketAddr>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// If the files are wrong or a port is taken.
pub(crate) fn run(args: RouterArgs) -> anyhow::Result<()> {
    let loaded = process::load(&args.process)?;
    on_runtime(serve(args, loaded))
}

async fn serve(args: RouterArgs, loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { mut settings, map } = loaded;
    let mut ending = process::begin(&args.process, &settings)?;
    settings.api.grpc = args.grpc.or(settings.api.grpc);
    warn_of_weak_auth(&settings.auth);
    let listen = args.listen.unwrap_or(settings.router.listen);
    let metrics = args.metrics.unwrap_or(settings.router.metrics);
    let scheme = if settings.router.tls.is_some() { "https" } else { "http" };
    let registry = Registry::new();
    let ops = Ops::bind(&metrics.to_string()).await?;
    let settings = Arc::new(settings);
    let cluster = Cluster::new(Arc::new(map), Statuses::default());
    maps::follow(&args.process, &settings, &cluster);
    let router = Router::start(RouterOptions {
        settings: Arc::clone(&settings),
        cluster,
        listen,
        registry: registry.clone(),
    })
    .await
    .context("cannot start the router")?;
    let ready_line = format!("ready {scheme}://{}", router.local_addr());
    serve_until(ending.wait(), ops, registry, router.readiness(), &ready_line).await;
    router.shutdown().await;
    Ok(())
}

/// What is no reason to refuse, for it is meant in development, and the tokens of a running system
/// may be signed so; but nobody should run it unawares.
fn warn_of_weak_auth(auth: &Auth) {
    match auth {
        Auth::Open => {
            tracing::warn!(
                "auth.mode is open: every name is believed; set it to jwt in production"
            );
        }
        Auth::Jwt(jwt)
            if jwt.algorithm == JwtAlgorithm::Hs256 && jwt.key.len() < HS256_KEY_BYTES =>
        {
            tracing::warn!(
                "auth.jwt.key has fewer than {HS256_KEY_BYTES} bytes and can be guessed from a token; take a longer one (RFC 7518 §3.2)"
            );
        }
        Auth::Jwt(_) => {}
    }
}
