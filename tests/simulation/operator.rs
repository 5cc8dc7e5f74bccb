//! Somebody who drains shards and has them serve again, as `trunkline shard drain` and `resume` do.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use trunkline_proto::net::Connector;
use trunkline_proto::peer::ControlRequest;
use trunkline_proto::peer::control_client::ControlClient;
use trunkline_proto::transport::Security;

use crate::clock;
use crate::network::{PORT, Wires};
use crate::plan::shard_name;
use crate::world::World;

/// The host they are at.
pub(crate) const OPERATOR: &str = "operator";
/// How often they look what there is to do.
const LOOK: Duration = Duration::from_millis(5);
/// How long they try again what doesn't work at once.
const TRIES: Duration = Duration::from_secs(2);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);

/// What is asked of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) shard: usize,
    /// Whether it is to serve.
    pub(crate) serves: bool,
}

/// Carries out what there is to do, for ever.
pub(crate) async fn work(world: Rc<World>) -> turmoil::Result {
    loop {
        for order in world.take_orders() {
            spawn_local(carry_out(Rc::clone(&world), order));
        }
        sleep(LOOK).await;
    }
}

async fn carry_out(world: Rc<World>, order: Order) {
    let until = Instant::now() + TRIES;
    loop {
        match ask(&world, order).await {
            Ok(said) => return world.note(OPERATOR, &format!("{order:?}: {said}")),
            Err(error) if Instant::now() > until => {
                return world.note(OPERATOR, &format!("{order:?} is given up: {error}"));
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn ask(world: &World, order: Order) -> Result<&'static str, Box<dyn Error>> {
    let id = shard_name(order.shard);
    let security = Security::new(&world.plan.settings.cluster)?;
    let endpoint = security.endpoint(&format!("{id}:{PORT}"))?;
    let mut client = ControlClient::new(Wires.connect(endpoint).await?);
    let request = ControlRequest { shard: id.clone() };
    let (request, opening) = security.request(request, &id, clock::now_ms())?;
    if order.serves {
        let answer = client.resume(request).await?;
        security.check_response(&answer, &opening, clock::now_ms())?;
        world.tally("resumed");
        return Ok("serves again");
    }
    let answer = client.drain(request).await?;
    security.check_response(&answer, &opening, clock::now_ms())?;
    let mut progress = answer.into_inner();
    while let Ok(Some(said)) = progress.message().await {
        if said.done {
            world.tally("drained");
            return Ok("nothing is left");
        }
        if said.alone {
            return Ok("nobody else serves");
        }
    }
    Ok("nobody knows what is left")
}
