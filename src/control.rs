//! `trunkline shard drain` and `trunkline shard resume`: what is asked of a shard that runs.

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::time::{timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Request, Status};
use trunkline_config::Loaded;
use trunkline_proto::net::{Clock, Machine};
use trunkline_proto::peer::control_client::ControlClient;
use trunkline_proto::peer::{ControlRequest, DrainProgress};
use trunkline_proto::transport::{HELLO_TIMEOUT, Opening, Security, causes};

use crate::left::Bar;
use crate::on_runtime;
use crate::process::{self, ProcessArgs};
use crate::terminal::say;

/// Whom something is asked of.
#[derive(Args, Debug)]
pub(crate) struct ControlArgs {
    /// Which shard
    id: String,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Has a shard give away what it has, and shows how far it is.
///
/// # Errors
/// If the files are wrong, the shard can't be reached, or it can't be drained.
pub(crate) fn drain(args: &ControlArgs) -> anyhow::Result<()> {
    let loaded = process::load(&args.process)?;
    on_runtime(async {
        let mut caller = Caller::new(&args.id, &loaded).await?;
        let (request, opening) = caller.request()?;
        let answer = timeout(HELLO_TIMEOUT, caller.client.drain(request)).await;
        let answer = answer.context("no answer in time")?.map_err(|status| refused(&status))?;
        caller.security.check_response(&answer, &opening, (caller.clock)())?;
        let mut progress = answer.into_inner();
        let (mut bar, mut left) = (Bar::new(), DrainProgress::default());
        loop {
            bar.tell(words(&left));
            let Ok(said) = timeout_at(bar.next(), progress.message()).await else { continue };
            let said = said.map_err(|status| refused(&status))?;
            let said = said.ok_or_else(|| anyhow!("shard {} has ended meanwhile", args.id))?;
            if said.alone {
                bail!("no other shard serves any more that could take what {} has", args.id);
            }
            if said.done {
                break;
            }
            bar.show(said.topics, said.connections);
            left = said;
        }
        bar.finish();
        let id = &args.id;
        say(format_args!("{id} has nothing left; end it, or have it serve again by `resume`"));
        Ok(())
    })
}

/// Has a shard serve again.
///
/// # Errors
/// If the files are wrong, or the shard can't be reached.
pub(crate) fn resume(args: &ControlArgs) -> anyhow::Result<()> {
    let loaded = process::load(&args.process)?;
    on_runtime(async {
        let mut caller = Caller::new(&args.id, &loaded).await?;
        let (request, opening) = caller.request()?;
        let answer = timeout(HELLO_TIMEOUT, caller.client.resume(request)).await;
        let answer = answer.context("no answer in time")?.map_err(|status| refused(&status))?;
        caller.security.check_response(&answer, &opening, (caller.clock)())?;
        say(format_args!("{} serves again", args.id));
        Ok(())
    })
}

/// How far a shard is that goes away, and what it waits for.
fn words(left: &DrainProgress) -> String {
    let DrainProgress { topics, connections, unreachable, .. } = left;
    let mut text = format!("{topics} topics and {connections} clients are left");
    if !unreachable.is_empty() {
        text.push_str(&format!(
            "; {} can't be reached, and what belongs there stays: start it, or put a map without it in force",
            unreachable.join(", ")
        ));
    }
    text
}

/// What a shard says that refuses, or a broken connection says in its place.
fn refused(status: &Status) -> anyhow::Error {
    match std::error::Error::source(status) {
        Some(cause) => anyhow!("the connection broke: {}", causes(cause)),
        None => anyhow!("refused: {}", status.message()),
    }
}

/// One that asks a shard, and shows it and is shown by it that both are of the cluster.
struct Caller {
    id: String,
    security: Security,
    clock: Clock,
    client: ControlClient<Channel>,
}

impl Caller {
    async fn new(id: &str, loaded: &Loaded) -> anyhow::Result<Self> {
        let Loaded { settings, map } = loaded;
        let Some(shard) = map.shards().iter().find(|shard| shard.id == id) else {
            let ids: Vec<&str> = map.shards().iter().map(|shard| shard.id.as_str()).collect();
            bail!("the shard map has no shard {id}; it has {}", ids.join(", "));
        };
        let security = Security::new(&settings.cluster)?;
        let Machine { connector, clock, .. } = Machine::real();
        let endpoint = security.endpoint(&shard.grpc)?;
        let channel = connector.connect(endpoint).await.map_err(|error| {
            anyhow!(
                "cannot reach shard {id} at {}; check that it runs, and its address in the shard map: {}",
                shard.grpc,
                causes(&error)
            )
        })?;
        Ok(Self { id: id.to_owned(), security, clock, client: ControlClient::new(channel) })
    }

    fn request(&self) -> anyhow::Result<(Request<ControlRequest>, Opening)> {
        let request = ControlRequest { shard: self.id.clone() };
        Ok(self.security.request(request, &self.id, (self.clock)())?)
    }
}
