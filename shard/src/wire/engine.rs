//! Whom a router's items are for, and what those for the engine say.

use trunkline_core::{ConnectionId, TrunkId};
use trunkline_proto::kept::Kept;
use trunkline_proto::trunk as wire;

use super::BadItem;
use super::topic::session;
use super::trunk::decode_attach;
use crate::engine::{Asked, Said};

/// An item, by who takes it.
#[derive(Debug)]
pub(crate) enum Sorted {
    Engine(Said),
    /// Of a server of the application.
    Call(wire::ApiCall),
    Status(wire::ShardStatus),
    Found(wire::Found),
    Core(wire::Up),
}

/// Splits off what is not for the core. Every detach is: only it knows which WebSockets are those
/// that a session may change to, and it passes the others on.
pub(crate) fn sort_up(trunk: TrunkId, up: wire::Up) -> Result<Sorted, BadItem> {
    use wire::up::Item;
    Ok(Sorted::Engine(match up.item {
        Some(Item::Poll(poll)) => decode_poll(trunk, poll)?,
        Some(Item::PollGone(wire::PollGone { request, too_large })) => {
            let asked = Asked { trunk, request };
            if too_large { Said::TooLarge(asked) } else { Said::Gone(asked) }
        }
        Some(Item::PollRelease(wire::PollRelease { request })) => {
            Said::Release(Asked { trunk, request })
        }
        Some(Item::Attach(attach)) if attach.upgrade => Said::Probe {
            trunk,
            connection: ConnectionId(attach.connection),
            session: session(&attach.session)?,
        },
        Some(Item::Message(message)) if message.control => Said::Control {
            trunk,
            connection: ConnectionId(message.connection),
            payload: message.payload,
            binary: message.binary,
        },
        Some(Item::Detach(wire::Detach { connection, moved })) => {
            Said::Detach { trunk, connection: ConnectionId(connection), moved }
        }
        Some(Item::Status(said)) => return Ok(Sorted::Status(said)),
        Some(Item::Found(found)) => return Ok(Sorted::Found(found)),
        Some(Item::Api(call)) => return Ok(Sorted::Call(call)),
        item => return Ok(Sorted::Core(wire::Up { item })),
    }))
}

fn decode_poll(trunk: TrunkId, poll: wire::PollRequest) -> Result<Said, BadItem> {
    use wire::poll_request::What;
    let wire::PollRequest { request, session: id, what } = poll;
    let (asked, session) = (Asked { trunk, request }, session(&id)?);
    Ok(match what.ok_or(BadItem("poll"))? {
        What::Open(attach) => {
            let kept = Kept::begin(&attach);
            Said::Open { asked, attach: decode_attach(attach)?, kept }
        }
        What::Poll(wire::Nothing {}) => Said::Poll { asked, session },
        What::Posting(wire::Nothing {}) => Said::Posting { asked, session },
        What::Post(body) => Said::Post { asked, session, body },
    })
}
