//! What a topic's members hear of it.

use std::sync::Arc;
use std::time::Duration;

use super::{GatherId, HandoverId};
use crate::message::{Body, Record};
use crate::name::UserId;
use crate::position::Epoch;
use crate::session_id::SessionId;

/// What a topic's members get.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// A kept message.
    Record {
        /// The history's name.
        epoch: Epoch,
        /// The message.
        record: Arc<Record>,
        /// To be reported, for inboxes.
        handover: Option<HandoverId>,
    },
    /// A message that is not kept.
    Ephemeral {
        /// Who sent it.
        from: UserId,
        /// A session that is left out.
        except: Option<SessionId>,
        /// The content.
        body: Body,
        /// To be reported, for inboxes.
        handover: Option<HandoverId>,
    },
    /// A message that is not kept and that clients are asked to acknowledge.
    Gather {
        /// Comes back with [`super::PeerMessage::Answers`].
        gather: GatherId,
        /// Who sent it.
        from: UserId,
        /// The content.
        body: Body,
        /// How long the clients may take.
        timeout: Duration,
    },
    /// Inboxes: the user's connections are to be closed.
    Disconnect,
    /// A user's first session has joined.
    UserJoined(UserId),
    /// A user's last session has left.
    UserLeft(UserId),
}

impl Delivery {
    /// What the owner wants reported.
    pub(crate) fn handover(&self) -> Option<HandoverId> {
        match self {
            Delivery::Record { handover, .. } | Delivery::Ephemeral { handover, .. } => *handover,
            Delivery::Gather { .. }
            | Delivery::Disconnect
            | Delivery::UserJoined(_)
            | Delivery::UserLeft(_) => None,
        }
    }
}
