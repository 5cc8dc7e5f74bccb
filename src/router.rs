//! `trunkline router`: a router's process.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use prometheus::Registry;
use tokio::time::timeout;
use trunkline_config::settings::{Auth, JwtAlgorithm};
use trunkline_config::{Loaded, Statuses};
use trunkline_proto::cluster::Cluster;
use trunkline_router::{Listeners, Router, RouterOptions};

use crate::ending::Asked;
use crate::handover::{self, Door, Predecessor, Sockets};
use crate::maps;
use crate::on_runtime;
use crate::ops::Ops;
use crate::process::{self, ProcessArgs, serve_until};

/// RFC 7518 §3.2: an HS256 key has at least as many bits as the hash.
const HS256_KEY_BYTES: usize = 32;

/// How long a router waits for its trunks before it takes over from another in any case.
const READY: Duration = Duration::from_secs(10);

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
    // Whoever started this one also ends it, and starts the next.
    let handover = settings.router.handover.take().filter(|_| !args.process.has_parent());
    let taken = match &handover {
        Some(path) => handover::take(path).await?,
        None => None,
    };
    let settings = Arc::new(settings);
    let cluster = Cluster::new(Arc::new(map), Statuses::default());
    maps::show_version(&registry, &cluster)?;
    maps::follow(&args.process, &settings, &cluster);
    let options = RouterOptions { settings, cluster, listen, registry: registry.clone() };
    let (mut router, ops) = match taken {
        None => {
            let ops = Ops::bind(&metrics.to_string()).await?;
            let router = Router::start(options).await.context("cannot start the router")?;
            (router, ops)
        }
        Some((predecessor, sockets)) => {
            let begun = take_over(options, metrics, predecessor, sockets);
            tokio::select! {
                begun = begun => begun?,
                _ = ending.wait() => return Ok(()),
            }
        }
    };
    let door = handover.as_deref().map(Door::open).transpose()?;
    let ready_line = format!("ready {scheme}://{}", router.local_addr());
    let (copy, closer) = (ops.copy()?, ops.closer());
    let ended = async {
        let handed_over = async {
            let Some(door) = &door else { return pending().await };
            door.hand_over(|| copies(&router, &copy)).await;
        };
        tokio::select! {
            asked = ending.wait() => End::Asked(asked),
            () = handed_over => End::HandedOver,
        }
    };
    let end = serve_until(ended, ops, registry, router.readiness(), &ready_line).await;
    drop(copy);
    match end {
        End::HandedOver => {
            tracing::info!("another router has taken over; sending clients there");
            closer.close();
        }
        End::Asked(asked) => {
            door.into_iter().for_each(Door::close);
            if asked == Asked::AtOnce {
                router.shutdown().await;
                return Ok(());
            }
            tracing::info!("sending clients to other routers; a second signal ends it at once");
        }
    }
    tokio::select! {
        () = router.drain() => {}
        _ = ending.wait() => {}
    }
    router.shutdown().await;
    Ok(())
}

/// Why a router doesn't serve any more.
enum End {
    Asked(Asked),
    HandedOver,
}

/// Starts a router with another one's sockets, and relieves that one when this one can do its work,
/// or after a while in which it still can't.
async fn take_over(
    options: RouterOptions,
    metrics: SocketAddr,
    predecessor: Predecessor,
    sockets: Sockets,
) -> anyhow::Result<(Router, Ops)> {
    let Sockets { clients, api, metrics: taken } = sockets;
    let taken = taken.map(|taken| Ops::take(taken, metrics)).transpose()?.flatten();
    let ops = match taken {
        Some(ops) => ops,
        None => Ops::bind(&metrics.to_string()).await?,
    };
    let listeners = Listeners { clients, api };
    let router =
        Router::take_over(options, listeners).await.context("cannot take over the router")?;
    let mut readiness = router.readiness();
    if timeout(READY, readiness.wait_for(|ready| *ready)).await.is_err() {
        tracing::warn!("taking over though not all trunks are up");
    }
    router.open();
    match predecessor.relieve() {
        Ok(()) => tracing::info!("took over the listening sockets of the router before"),
        Err(error) => tracing::warn!(%error, "the router before has ended meanwhile"),
    }
    Ok((router, ops))
}

/// All sockets of the process, for the one that comes next.
fn copies(router: &Router, metrics: &TcpListener) -> io::Result<Sockets> {
    let Listeners { clients, api } = router.listeners()?;
    Ok(Sockets { clients, api, metrics: Some(metrics.try_clone()?) })
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
