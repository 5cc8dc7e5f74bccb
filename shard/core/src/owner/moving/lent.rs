//! Topics that were sent to a peer which was out of reach before it said that it keeps them. It may have
//! them, and have written to them: then what is left here is older, and nobody may go on from it.

use std::collections::BTreeMap;

use crate::core::Io;
use crate::link::ShardIndex;
use crate::log::LogRequest;
use crate::output::Output;
use crate::owner::topic::Stage;
use crate::owner::{Owner, Waiting};
use crate::settings::LogReach;
use crate::topic::Topic;

/// By the peer that may have each.
#[derive(Debug, Default)]
pub(in crate::owner) struct Lent(BTreeMap<Topic, ShardIndex>);

impl Lent {
    pub(super) fn note(&mut self, topic: &Topic, to: ShardIndex) {
        self.0.insert(topic.clone(), to);
    }

    /// Another has it, who says so.
    pub(super) fn has_gone(&mut self, topic: &Topic) {
        self.0.remove(topic);
    }

    /// The peer doesn't have it, or has given it back.
    pub(in crate::owner) fn is_back(&mut self, topic: &Topic, from: ShardIndex) {
        if self.0.get(topic) == Some(&from) {
            self.0.remove(topic);
        }
    }
}

impl Owner {
    /// A peer has nothing of this shard's.
    pub(in crate::owner) fn nothing_is_lent(&mut self, io: &Io, peer: ShardIndex) {
        let me = io.links.me();
        self.moving.lent.0.retain(|topic, to| *to != peer || io.owner_of(topic) != me);
    }

    /// A peer is taken for dead. What it may have had is lost with its memory, as it would be if it had
    /// come to say that it keeps it: to go on from an older state would give two messages one place. A
    /// log that outlives processes is another matter: what is left here is then all that there is.
    pub(in crate::owner) fn let_go_of_lent(&mut self, io: &mut Io, peer: ShardIndex) {
        if io.settings.log != LogReach::Process {
            return;
        }
        let me = io.links.me();
        let is_lost = |(topic, to): (&Topic, &ShardIndex)| {
            (*to == peer && io.owner_of(topic) == me).then(|| topic.clone())
        };
        let lost: Vec<Topic> = self.moving.lent.0.iter().filter_map(is_lost).collect();
        for topic in lost {
            self.moving.lent.0.remove(&topic);
            let asked = |(of, waiting): &(Topic, Waiting)| {
                *of == topic && matches!(waiting, Waiting::Open | Waiting::Recover { .. })
            };
            if self.tickets.values().any(asked) || self.arriving.is_arriving(&topic) {
                continue;
            }
            if let Some(owned) = self.topics.get_mut(&topic) {
                let Stage::Opening { before: None, .. } = owned.stage else { continue };
                owned.handing.begin_anew();
                owned.dedupe = None;
            }
            io.output(Output::Log(LogRequest::Remove { topic }));
        }
    }
}
