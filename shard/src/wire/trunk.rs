//! Items of trunks.

use trunkline_core::{
    Adoption, Answer, Attach, Comes, ConnectionId, Dialect, Frame, FrameKind, GroupId, Identity,
    Input, Namespace, Newcomer, Output, Part, ReceiptId, Rights, RoomRight, SlotPosition, TrunkId,
};
use trunkline_proto::{token, trunk as wire};

use super::BadItem;
use super::topic::{decode_position, session, user};

/// An item for a trunk, and about how many bytes it takes.
pub(crate) type TrunkItem = (wire::Down, usize);

/// Reads a router's item for the core; hellos are read elsewhere, and what is for the engine too.
pub(crate) fn decode_up(trunk: TrunkId, up: wire::Up) -> Result<Input, BadItem> {
    use wire::up::Item;
    Ok(match up.item.ok_or(BadItem("trunk item"))? {
        Item::Hello(_) => return Err(BadItem("second hello")),
        Item::Attach(attach) => Input::Attach { trunk, attach: decode_attach(attach)? },
        Item::Detach(wire::Detach { connection, moved }) => {
            Input::Detach { trunk, connection: ConnectionId(connection), moved }
        }
        Item::Message(wire::ClientMessage {
            connection,
            sequence,
            payload,
            binary,
            control: _,
            answered,
        }) => {
            let connection = ConnectionId(connection);
            Input::Message { trunk, connection, sequence, payload, binary, answered }
        }
        Item::Receipt(wire::Receipt { receipt, passed }) => {
            Input::Receipt { trunk, receipt: ReceiptId(receipt), passed }
        }
        Item::Poll(_)
        | Item::PollGone(_)
        | Item::PollRelease(_)
        | Item::Api(_)
        | Item::Status(_)
        | Item::Found(_) => {
            return Err(BadItem("trunk item"));
        }
    })
}

pub(crate) fn decode_attach(attach: wire::Attach) -> Result<Attach, BadItem> {
    let wire::Attach {
        connection,
        session: id,
        dialect,
        namespace,
        user: name,
        expires_ms,
        rights,
        inbox_after,
        checkpoint,
        authenticated,
        upgrade: _,
        guest,
        positions,
        slots,
        settled,
        attachment,
    } = attach;
    let dialect = match wire::Dialect::try_from(dialect) {
        Ok(wire::Dialect::Native) => Dialect::Native,
        Ok(wire::Dialect::SocketIo) => Dialect::SocketIo,
        Ok(wire::Dialect::Unspecified) | Err(_) => return Err(BadItem("dialect")),
    };
    let slot = |slot| {
        let wire::SlotPosition { slot, position } = slot;
        SlotPosition { slot, position }
    };
    let comes = if checkpoint.is_empty() {
        let rights = rights.map(|rights| rights.rights.into_iter().map(decode_right).collect());
        Comes::Anew(Newcomer {
            namespace: Namespace::parse(&namespace).map_err(|_| BadItem("namespace"))?,
            identity: Identity {
                user: user(&name)?,
                expires_ms: (expires_ms != 0).then_some(expires_ms),
                rights: Rights(rights),
            },
            authenticated,
            guest,
            inbox_after: inbox_after.map(decode_position),
        })
    } else {
        // Whether it is ours is for who has the key to say. The rest is in it: of a session that has
        // polled the router doesn't know who speaks.
        let slots = slots.into_iter().map(slot).collect();
        Comes::Again(Box::new(Adoption { state: checkpoint, positions, slots, settled }))
    };
    let connection = ConnectionId(connection);
    Ok(Attach { connection, session: session(&id)?, dialect, attachment, comes })
}

fn decode_right(right: wire::Right) -> RoomRight {
    let wire::Right { pattern, join, publish, history } = right;
    RoomRight { pattern, join, publish, history }
}

/// Whom a token names, as the core sees it; `None` if its subject can't be a user.
pub(crate) fn identity(identity: token::Identity) -> Option<Identity> {
    let token::Identity { user: name, expires_ms, rights } = identity;
    let right = |right: token::RoomRight| {
        let token::RoomRight { pattern, join, publish, history } = right;
        RoomRight { pattern, join, publish, history }
    };
    Some(Identity {
        user: user(&name).ok()?,
        expires_ms: Some(expires_ms),
        rights: Rights(rights.map(|rights| rights.into_iter().map(right).collect())),
    })
}

/// Writes a core's output to a trunk; `None` for an output that is for something else.
pub(crate) fn encode_down(output: Output) -> Option<(TrunkId, TrunkItem)> {
    use wire::down::Item;
    let (trunk, item, size) = match output {
        Output::Send { trunk, connections, frame, receipt, position, answers } => {
            let kept = position.as_ref().map_or(0, |it| it.position.len());
            let size = frame_size(&frame) + connections.len() * 8 + kept;
            let connections = connections.into_iter().map(|ConnectionId(number)| number).collect();
            let receipt = receipt.map_or(0, |ReceiptId(number)| number);
            let frame = Some(encode_frame(frame));
            let position = position.map(|it| {
                let SlotPosition { slot, position } = it;
                wire::SlotPosition { slot, position }
            });
            let (answers, part) =
                answers.map_or((0, 0), |Answer { message, part }| (message, part));
            let send = wire::Send { connections, frame, receipt, position, answers, part };
            (trunk, Item::Send(send), size)
        }
        Output::Fan { trunk, group: GroupId(group), frame, except, position } => {
            let position = position.unwrap_or_default();
            let size = frame_size(&frame) + position.len();
            let except = except.map_or(0, |ConnectionId(number)| number);
            let frame = Some(encode_frame(frame));
            (trunk, Item::Fan(wire::Fan { group, frame, except, position }), size)
        }
        Output::Group { trunk, group: GroupId(group), connection, member, position } => {
            let position = position.unwrap_or_default();
            let (connection, size) = (connection.0, ITEM + position.len());
            let change = wire::GroupChange { group, connection, member, position };
            (trunk, Item::Group(change), size)
        }
        Output::Close { trunk, connection, code, reason } => {
            let close = wire::Close {
                connection: connection.0,
                code: u32::from(code.number()),
                reason: reason.to_owned(),
            };
            (trunk, Item::Close(close), ITEM)
        }
        Output::Acknowledge { trunk, connection, sequence } => {
            let acknowledge = wire::Acknowledge { connection: connection.0, sequence };
            (trunk, Item::Acknowledge(acknowledge), ITEM)
        }
        Output::Checkpoint { trunk, connection, session: _, state } => {
            let (connection, size) = (connection.0, ITEM + state.len());
            (trunk, Item::Checkpoint(wire::Checkpoint { connection, state }), size)
        }
        Output::Peer { .. }
        | Output::CutLink { .. }
        | Output::Log(_)
        | Output::Verify { .. }
        | Output::ApiAnswer { .. }
        | Output::Call(_)
        | Output::Owed { .. }
        | Output::Seek { .. }
        | Output::Sought { .. }
        | Output::Unhandled
        | Output::Published(_) => return None,
    };
    Some((trunk, (wire::Down { item: Some(item) }, size)))
}

/// About what an item takes beside its payload, in bytes.
const ITEM: usize = 32;

fn frame_size(frame: &Frame) -> usize {
    ITEM + frame.parts.iter().map(|part| part.payload.len() + 8).sum::<usize>()
}

fn encode_frame(frame: Frame) -> wire::Frame {
    let Frame { kind, dialect: _, parts } = frame;
    let kind = match kind {
        FrameKind::Live => wire::FrameKind::Live,
        FrameKind::Ephemeral => wire::FrameKind::Ephemeral,
        FrameKind::Reply => wire::FrameKind::Reply,
    };
    let part = |Part { payload, binary }| wire::Part { payload, binary };
    let parts = parts.into_iter().map(part).collect();
    wire::Frame { parts, kind: kind.into() }
}
