//! What cores want done: words for routers and peers, requests to the store, tokens to check.

use std::time::Duration;

use rand::Rng;
use trunkline_core::{CallFailure, Identity, Input, LogRequest, Output, Rights, Ticket, UserId};

use super::{Event, On, World, index};
use crate::harness::log::Fate;
use crate::harness::network::Way;
use crate::harness::router::Arrival;

impl World {
    pub(super) fn send(&mut self, shard: usize, output: Output) {
        match output {
            Output::Send { trunk, .. }
            | Output::Fan { trunk, .. }
            | Output::Group { trunk, .. }
            | Output::Close { trunk, .. }
            | Output::Checkpoint { trunk, .. }
            | Output::Acknowledge { trunk, .. } => {
                if self.plan.polls && self.network.slot(trunk).is_some() {
                    self.apply(output);
                } else if self.network.slot(trunk).is_some() {
                    let delay = self.draw(&self.plan.trunk.clone());
                    let at = self.network.arrival(Way::Down(trunk), self.now + delay);
                    self.at(at, Event::Output { trunk, output });
                }
            }
            Output::Peer { peer, message } => {
                let to = usize::from(peer.0);
                if let Some(life) = self.network.link(shard, to) {
                    let delay = self.draw(&self.plan.link.clone());
                    let way = Way::Link { from: shard, to };
                    let at = self.network.arrival(way, self.now + delay);
                    let input = Input::Peer { peer: index(shard), message };
                    self.input(at, to, On::Link(shard, life), input);
                }
            }
            Output::CutLink { peer, reason } => {
                panic!("shard {shard} cuts its link to {}: {reason}", peer.0)
            }
            Output::Log(request) => {
                let life = self.shards[shard].life;
                let at = self.now + self.log_delay();
                let at = self.in_order(shard, &request, at);
                self.at(at, Event::Store { shard, life, request });
            }
            Output::Verify { ticket, token } => {
                let input = Input::Verified { ticket, identity: identity_of(&token) };
                self.input(self.now, shard, On::Nothing, input);
            }
            Output::ApiAnswer { call, answer, .. } => self.see(Arrival::Answered { call, answer }),
            Output::Call(call) => self.see(Arrival::Asked { shard, call }),
            Output::Seek { ticket, private_id } => self.seek(shard, ticket, private_id),
            Output::Sought { recovered } => self.see(Arrival::Sought { recovered }),
            Output::Unhandled => self.see(Arrival::Unhandled),
            Output::Owed { view, shards } => self.shards[shard].owed = Some((view, shards)),
            Output::Published(_) => {}
        }
    }

    /// The application answers what it was asked.
    pub(crate) fn answer_call(
        &mut self,
        shard: usize,
        ticket: Ticket,
        answer: Result<&'static str, CallFailure>,
    ) {
        let answer = answer.map(|text| text.as_bytes().into());
        self.input(self.now, shard, On::Nothing, Input::Called { ticket, answer });
    }

    pub(super) fn store(&mut self, shard: usize, life: u64, request: LogRequest) {
        if self.shards[shard].life != life || self.shards[shard].core.is_none() {
            return;
        }
        let fate = match self.chance.random_bool(self.plan.log_failure) {
            false => Fate::Done,
            true if self.chance.random_bool(0.5) => Fate::FailedBefore,
            true => Fate::FailedAfter,
        };
        let fate = match request {
            // Of what is in memory nothing stays that was taken out.
            LogRequest::Remove { .. } if !self.plan.durable => Fate::Done,
            _ => fate,
        };
        let wall_ms = self.wall_ms();
        self.trace.line(format_args!("{:?} {shard} log {fate:?} {request:?}", self.now));
        let store = if self.plan.shared { 0 } else { shard };
        let (outcome, kept) = self.shards[store].log.submit((shard, life), request, wall_ms, fate);
        for kept in kept {
            self.see(Arrival::Kept(kept));
        }
        if let Some((ticket, outcome)) = outcome {
            let delay = self.log_delay();
            self.input(self.now + delay, shard, On::Nothing, Input::Log { ticket, outcome });
        }
    }

    /// What is asked about one topic is done in the order in which it is asked, and a list sees all
    /// that was asked before; only reads may be late, or early.
    fn in_order(&mut self, shard: usize, request: &LogRequest, at: Duration) -> Duration {
        let asked = &mut self.shards[shard].asked;
        let now = self.now;
        asked.retain(|_, done| *done >= now);
        let topic = match request {
            LogRequest::Read { .. } => return at,
            LogRequest::List { .. } => return asked.values().copied().fold(at, Duration::max),
            LogRequest::Open { topic, .. }
            | LogRequest::Cede { topic, .. }
            | LogRequest::TakeUp { topic, .. }
            | LogRequest::Append { topic, .. }
            | LogRequest::Mark { topic, .. }
            | LogRequest::Export { topic, .. }
            | LogRequest::Import { topic, .. }
            | LogRequest::Remove { topic } => topic,
        };
        let at = asked.get(topic).map_or(at, |before| at.max(*before));
        asked.insert(topic.clone(), at);
        at
    }

    fn log_delay(&mut self) -> Duration {
        let (often, slow) = self.plan.slow_log.clone();
        let delay = if self.chance.random_bool(often) { slow } else { self.plan.log.clone() };
        self.draw(&delay)
    }
}

/// A token is `USER` or `USER@MILLISECONDS`; everything else is not valid.
fn identity_of(token: &str) -> Option<Identity> {
    let (user, expires_ms) = match token.split_once('@') {
        Some((user, at)) => (user, Some(at.parse().ok()?)),
        None => (token, None),
    };
    Some(Identity { user: UserId::parse(user).ok()?, expires_ms, rights: Rights(None) })
}
