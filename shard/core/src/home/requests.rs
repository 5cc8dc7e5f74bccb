//! Requests on their way to an owner. Each is answered once: by the owner, by the end of the
//! link, or by its deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::command::Origin;
use super::respond::ReplyTo;
use crate::attachment::Attachment;
use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::message::Body;
use crate::name::Namespace;
use crate::output::Answer;
use crate::peer::{Action, Member, PeerMessage, RequestId};
use crate::session_id::SessionId;
use crate::time::Mono;
use crate::topic::Topic;

/// No connection, for a session that a client has has random numbers in its ID.
const NOBODY: SessionId = SessionId([0; 24]);

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) session: SessionId,
    /// The connection that has asked. A session that came back by another is not told.
    pub(super) line: SessionId,
    /// The connection's count of its messages; `None` for what no client has asked.
    pub(super) sequence: Option<u64>,
    /// What a repeat of it is recognised by.
    pub(super) known_by: u64,
    pub(super) reply_to: ReplyTo,
    pub(super) owner: ShardIndex,
    pub(super) started: Mono,
    pub(super) subject: Subject,
    pub(super) asked: Asked,
}

impl Pending {
    /// Whether somebody waits for the answer. With the others than messages it is the home itself.
    fn is_awaited(&self) -> bool {
        match self.subject {
            Subject::Publish(_) | Subject::Send { .. } => self.reply_to.is_awaited(),
            Subject::Part => false,
            _ => true,
        }
    }

    /// What the answer to the client is.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.reply_to.answer(self.sequence, self.known_by)
    }

    /// The topic that is asked, if one is.
    pub(super) fn topic(&self) -> Option<&Topic> {
        match &self.asked {
            Asked::Topic { topic, .. } => Some(topic),
            Asked::Whisper { .. } | Asked::Recall { .. } => None,
        }
    }

    /// Whether a session wants to be in the topic no more.
    pub(super) fn leaves(&self, from: &Topic) -> bool {
        match &self.asked {
            Asked::Topic { topic, action: Action::Leave, .. } => topic == from,
            _ => false,
        }
    }

    /// Which of the session's attachments has asked.
    pub(super) fn attachment(&self) -> Attachment {
        match &self.asked {
            Asked::Topic { member, .. } | Asked::Whisper { member, .. } => member.attachment,
            Asked::Recall { .. } => Attachment::default(),
        }
    }

    /// What a repeat of it is recognised by, if it is a message.
    fn message(&self) -> Option<(SessionId, u64)> {
        let is_message = matches!(self.subject, Subject::Publish(_) | Subject::Send { .. });
        is_message.then_some((self.session, self.known_by))
    }

    /// Whether its connection is gone: whatever is not done by now is asked again by the next.
    pub(super) fn is_void(&self) -> bool {
        self.line == NOBODY && !matches!(self.subject, Subject::Part)
    }
}

/// The question, so that it can be asked again elsewhere.
#[derive(Debug)]
pub(super) enum Asked {
    Topic {
        member: Member,
        sequence: u64,
        topic: Topic,
        action: Action,
    },
    Whisper {
        member: Member,
        sequence: u64,
        to: SessionId,
        body: Body,
        key: Option<Arc<str>>,
        ephemeral: bool,
    },
    Recall {
        private_id: SessionId,
        namespace: Namespace,
        offset: Option<Arc<str>>,
    },
}

impl Asked {
    pub(super) fn message(&self, request: RequestId) -> PeerMessage {
        match self {
            Self::Topic { member, sequence, topic, action } => PeerMessage::Request {
                request,
                member: member.clone(),
                sequence: *sequence,
                topic: topic.clone(),
                action: action.clone(),
            },
            Self::Whisper { member, sequence, to, body, key, ephemeral } => PeerMessage::Whisper {
                request,
                member: member.clone(),
                sequence: *sequence,
                to: *to,
                body: body.clone(),
                key: key.clone(),
                ephemeral: *ephemeral,
            },
            Self::Recall { private_id, namespace, offset } => PeerMessage::Recall {
                request,
                private_id: *private_id,
                namespace: namespace.clone(),
                offset: offset.clone(),
            },
        }
    }

    /// Whether to do it twice is to do it once.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Topic { action, .. } => match action {
                Action::Publish { ephemeral, .. } => !ephemeral,
                Action::Gather { .. } | Action::Disconnect => false,
                Action::Join { .. }
                | Action::Leave
                | Action::History { .. }
                | Action::Presence { .. } => true,
            },
            Self::Whisper { .. } | Self::Recall { .. } => false,
        }
    }
}

/// What was asked, as far as the answer needs it.
#[derive(Debug)]
pub(super) enum Subject {
    Join(Topic),
    Leave(Topic),
    Publish(Topic),
    History(Topic),
    Presence(Topic),
    Send {
        to: String,
    },
    /// Acknowledgements, for which the clients may take this long.
    Gather(Duration),
    Disconnect,
    /// A session that its client says it had elsewhere.
    Recall,
    /// A session leaves without its client having asked, or wanting to know.
    Part,
}

/// All requests that wait.
#[derive(Debug)]
pub(super) struct Requests {
    next: u64,
    /// Boxed, as they are large, and moved from hand to hand.
    pending: BTreeMap<RequestId, Box<Pending>>,
    /// The messages among them that are of no connection any more, by what they are known by.
    disowned: BTreeMap<(SessionId, u64), RequestId>,
    deadlines: Deadlines<RequestId>,
}

impl Requests {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            next: 0,
            pending: BTreeMap::new(),
            disowned: BTreeMap::new(),
            deadlines: Deadlines::new(timeout),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn begin(&mut self, pending: Box<Pending>) -> RequestId {
        self.next += 1;
        let request = RequestId::new(self.next, pending.is_awaited());
        self.deadlines.push(pending.started, request);
        self.pending.insert(request, pending);
        request
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&Pending> {
        self.pending.get(&request).map(Box::as_ref)
    }

    /// A request is asked of another shard.
    pub(super) fn redirect(&mut self, request: RequestId, owner: ShardIndex) -> Option<&Pending> {
        let pending = self.pending.get_mut(&request)?;
        pending.owner = owner;
        Some(pending)
    }

    /// All that wait, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, &Pending)> {
        self.pending.iter().map(|(request, pending)| (*request, &**pending))
    }

    /// A request that was taken out waits on.
    pub(super) fn put_back(&mut self, request: RequestId, pending: Box<Pending>) {
        if pending.line == NOBODY {
            self.disowned.extend(pending.message().map(|message| (message, request)));
        }
        self.pending.insert(request, pending);
    }

    /// What these sessions have asked is of no connection any more: their clients ask again by the
    /// next.
    pub(super) fn disown(&mut self, sessions: &BTreeSet<SessionId>) {
        for (request, pending) in &mut self.pending {
            if sessions.contains(&pending.session) {
                pending.line = NOBODY;
                self.disowned.extend(pending.message().map(|message| (message, *request)));
            }
        }
    }

    /// A message to a topic is sent again while its first request is still under way: that one's
    /// answer is the answer. False if there is none.
    pub(super) fn reclaim(&mut self, again: Origin) -> bool {
        if self.disowned.is_empty() {
            return false;
        }
        let request = self.disowned.remove(&(again.session, again.sequence));
        let pending = request.and_then(|request| self.pending.get_mut(&request));
        let Some(pending) = pending else { return false };
        (pending.line, pending.reply_to) = (again.line, again.reply_to);
        true
    }

    pub(super) fn end(&mut self, request: RequestId) -> Option<Box<Pending>> {
        let pending = self.pending.remove(&request)?;
        self.forget_disowned(&pending);
        Some(pending)
    }

    fn forget_disowned(&mut self, ended: &Pending) {
        if ended.line == NOBODY
            && let Some(message) = ended.message()
        {
            self.disowned.remove(&message);
        }
    }

    /// The next request whose deadline has come and that still waits.
    pub(super) fn pop_overdue(&mut self, now: Mono) -> Option<Box<Pending>> {
        while let Some(request) = self.deadlines.pop_due(now) {
            match self.pending.get(&request).map(|pending| (&pending.subject, pending.started)) {
                // Its clients have longer: it is looked at again in a while.
                Some((Subject::Gather(timeout), started)) if now < started + *timeout => {
                    self.deadlines.push(now, request);
                }
                Some(_) => return self.end(request),
                None => {}
            }
        }
        None
    }

    /// Takes out all requests to a peer, oldest first.
    pub(super) fn end_all(&mut self, owner: ShardIndex) -> Vec<(RequestId, Box<Pending>)> {
        let ended = self.pending.extract_if(.., |_, pending| pending.owner == owner);
        let ended: Vec<_> = ended.collect();
        for (_, pending) in &ended {
            self.forget_disowned(pending);
        }
        ended
    }

    /// Takes out the joins of a topic that a connection has asked for its session, oldest first.
    pub(super) fn end_joins(&mut self, of: &Pending, topic: &Topic) -> Vec<Pending> {
        let joins = |pending: &Pending| {
            (pending.session, pending.line) == (of.session, of.line)
                && matches!(&pending.subject, Subject::Join(it) if it == topic)
        };
        self.pending.extract_if(.., |_, pending| joins(pending)).map(|(_, p)| *p).collect()
    }

    pub(super) fn next_deadline(&mut self, now: Mono) -> Option<Mono> {
        let Self { pending, deadlines, .. } = self;
        deadlines.next_that(now, |request| pending.contains_key(request))
    }
}
