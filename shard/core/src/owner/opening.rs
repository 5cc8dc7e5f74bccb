//! Learning where a topic stands: when it is first asked for, and again after an append failed.

use super::tail::Tail;
use super::topic::{Serves, Stage, Title};
use super::{Owner, Tickets, Waiting};
use crate::Ticket;
use crate::attachment::Attachment;
use crate::core::Io;
use crate::dedupe::{Dedupe, Identity, Key};
use crate::log::{LogOutcome, LogRequest, Opened, Publication, ReadQuery};
use crate::output::Output;
use crate::peer::{Member, PeerMessage, Reply, SendStatus};
use crate::position::Position;
use crate::settings::LogReach;
use crate::topic::Topic;

impl Owner {
    /// Makes a topic and asks the log where it stands.
    pub(super) fn open(&mut self, io: &mut Io, topic: &Topic) {
        self.topics.insert(topic.clone(), Box::default());
        self.open_for_sure(io, topic, None);
    }

    /// An append failed, and whether it was kept is not known: ask where the topic stands now.
    pub(super) fn reopen(&mut self, io: &mut Io, topic: &Topic) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        owned.stage.reopen();
        if io.settings.log == LogReach::Cluster {
            if io.owner_of(topic) != io.links.me() {
                // To ask the log would take it back from its owner, who may have it already.
                self.stop_serving(io, topic, Serves::Leaving { parted: false });
            }
            if self.topics.get(topic).is_some_and(|owned| owned.serves != Serves::Yes) {
                return self.give_up_appends(io, topic);
            }
        }
        self.ask_log(io, topic, Waiting::Open, |ticket, topic| LogRequest::Open { ticket, topic });
    }

    pub(super) fn opened(&mut self, io: &mut Io, topic: &Topic, outcome: LogOutcome) {
        let LogOutcome::Opened(opened) = outcome else {
            self.retries.push(io.now.mono, topic.clone());
            return;
        };
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Stage::Opening { before, .. } = &mut owned.stage else { return };
        match before {
            Some(tail) if *tail.epoch() != opened.epoch => owned.handing.begin_anew(),
            _ => {}
        }
        owned.title = Title::default();
        owned.handing.resume(opened.handed, opened.waiting_bytes);
        let forgets = trunkline_planted::is("forget what the log knows");
        if !opened.publications.is_empty() && !forgets {
            let window = io.settings.key_window;
            let dedupe = owned.dedupe.get_or_insert_with(|| Box::new(Dedupe::new(window)));
            for publication in &opened.publications {
                let reply = first_answer(topic, &opened, publication.offset);
                dedupe.remember(io.now.mono, &identity(publication), &reply);
            }
        }
        match before.take() {
            None => {
                let Opened { epoch, first, last, last_time_ms, .. } = opened;
                self.ready(io, topic, Tail::new(epoch, first, last, last_time_ms));
            }
            Some(tail) if *tail.epoch() == opened.epoch && tail.last() == opened.last => {
                self.abandon_unknown(io, topic);
                self.ready(io, topic, *tail);
            }
            Some(tail) => {
                // Something was kept that nobody was told of, or the history is another one.
                let same = *tail.epoch() == opened.epoch;
                // Who reads an inbox has had what was handed over, by whichever connection.
                let readable = opened.first.saturating_sub(1);
                let after = if same { tail.last() } else { readable.max(opened.handed) };
                let last = opened.last;
                let Opened { epoch, first, last_time_ms, .. } = opened;
                // The tail that stood before is of no more use; the new one begins where reading does.
                if let Stage::Opening { before, .. } = &mut owned.stage {
                    *before = Some(Box::new(Tail::new(epoch, first, after, last_time_ms)));
                }
                let query = ReadQuery { after, before: last + 1, limit: usize::MAX, newest: false };
                let waiting = Waiting::Recover { after, last, anew: !same };
                let read = |ticket, topic| LogRequest::Read { ticket, topic, query };
                self.ask_log(io, topic, waiting, read);
            }
        }
    }

    /// What was kept though nobody was told: publishers get their answers, members the messages.
    pub(super) fn recovered(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        (after, last): (u64, u64),
        anew: bool,
        outcome: LogOutcome,
    ) {
        let LogOutcome::Records { records } = outcome else {
            self.retries.push(io.now.mono, topic.clone());
            return;
        };
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let Stage::Opening { before, .. } = &mut owned.stage else { return };
        let Some(stood) = before.take() else { return };
        let readable = records.first().map_or(last + 1, |record| record.offset);
        let first = stood.first().max(if readable == after + 1 { 0 } else { readable });
        let mut tail = Tail::new(stood.epoch().clone(), first, readable - 1, 0);
        for record in &records {
            tail.push(record.clone());
        }
        let gap = (anew || readable > after + 1).then_some(readable - 1);
        let homes: Vec<_> = owned.members.subscribers().collect();
        self.settle_unknown(io, topic, &tail, &records);
        self.abandon_unknown(io, topic);
        for home in homes {
            let handover = self.hand_missed(io, topic, home, &records);
            let claimed = PeerMessage::Claimed {
                topic: topic.clone(),
                epoch: tail.epoch().clone(),
                gap,
                missed: records.clone(),
                last: tail.last(),
                handover,
            };
            io.tell(home, claimed);
        }
        self.ready(io, topic, tail);
    }

    /// The topic's standing is known: what waited for it goes on.
    fn ready(&mut self, io: &mut Io, topic: &Topic, tail: Tail) {
        let Some(owned) = self.topics.get_mut(topic) else { return };
        let stage = std::mem::replace(&mut owned.stage, Stage::Open(tail));
        owned.flush(io, &mut self.tickets, topic);
        self.retry_claims(io, topic);
        if let Stage::Opening { mut queue, .. } = stage {
            for (home, message) in queue.take() {
                self.resume(io, home, message);
            }
        }
    }

    /// Takes up a message that had to wait.
    pub(super) fn resume(
        &mut self,
        io: &mut Io,
        home: crate::link::ShardIndex,
        message: PeerMessage,
    ) {
        match message {
            PeerMessage::Request { request, member, sequence, topic, action } => {
                self.request(io, home, request, member, sequence, topic, action);
            }
            PeerMessage::Claim { topic, after, members } => {
                self.claim(io, home, topic, after, members);
            }
            PeerMessage::Forget { topic, session, attachment } => {
                self.forget(io, home, topic, session, attachment);
            }
            PeerMessage::Suspend { topic, session, attachment } => {
                self.suspend(io, home, topic, session, attachment);
            }
            _ => {}
        }
    }

    /// The log did not answer a while ago. One that has been asked again since is not asked twice:
    /// the second answer would be taken for news.
    pub(super) fn retry(&mut self, io: &mut Io, topic: &Topic) {
        if self.owed.is_wanted(topic) || self.arriving.is_arriving(topic) {
            return;
        }
        let Some(owned) = self.topics.get(topic) else { return };
        let asked = |(of, waiting): &(Topic, Waiting)| {
            of == topic && matches!(waiting, Waiting::Open | Waiting::Recover { .. })
        };
        match &owned.stage {
            Stage::Opening { .. } if self.tickets.values().any(asked) => {}
            Stage::Opening { .. } => self.ask_where_it_stands(io, topic),
            Stage::Open(_) => self.retry_claims(io, topic),
        }
    }

    /// Opens a topic, or takes it up if it was ceded to this shard.
    pub(super) fn ask_where_it_stands(&mut self, io: &mut Io, topic: &Topic) {
        let deed = self.topics.get(topic).and_then(|owned| owned.title.deed());
        self.ask_log(io, topic, Waiting::Open, |ticket, topic| match deed {
            Some(deed) => LogRequest::TakeUp { ticket, topic, deed },
            None => LogRequest::Open { ticket, topic },
        });
    }

    pub(super) fn ask_log(
        &mut self,
        io: &mut Io,
        topic: &Topic,
        waiting: Waiting,
        request: impl FnOnce(Ticket, Topic) -> LogRequest,
    ) -> Ticket {
        ask_log(&mut self.tickets, io, topic, waiting, request)
    }
}

/// Asks the log something of a topic, which may be borrowed from its owner.
pub(super) fn ask_log(
    tickets: &mut Tickets,
    io: &mut Io,
    topic: &Topic,
    waiting: Waiting,
    request: impl FnOnce(Ticket, Topic) -> LogRequest,
) -> Ticket {
    let ticket = io.ticket();
    tickets.insert(ticket, (topic.clone(), waiting));
    io.output(Output::Log(request(ticket, topic.clone())));
    ticket
}

/// What a publish is recognised by.
fn identity(publication: &Publication) -> Identity {
    let Publication { from, session, sequence, key, .. } = publication;
    let attachment = Attachment::default();
    let member = Member { session: *session, user: from.clone(), attachment };
    // What has a place in the log was not ephemeral.
    let key = key.clone().map(|text| Key { text, ephemeral: false });
    Identity { member, sequence: *sequence, key }
}

/// What a publish that the log has was answered, or would have been.
fn first_answer(topic: &Topic, opened: &Opened, offset: u64) -> Reply {
    match topic {
        Topic::Room(..) => Reply::Published(Position { epoch: opened.epoch.clone(), offset }),
        Topic::Inbox(_) if offset <= opened.handed => Reply::Sent(SendStatus::Delivered),
        Topic::Inbox(_) => Reply::Sent(SendStatus::Queued),
    }
}
