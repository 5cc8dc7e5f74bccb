//! One owned topic: where it stands, who is in it, and what is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::append::Appends;
use super::handing::Handing;
use super::members::Members;
use super::tail::Tail;
use crate::Ticket;
use crate::asker::Asker;
use crate::attachment::Attachment;
use crate::dedupe::Dedupe;
use crate::link::ShardIndex;
use crate::log::Held;
use crate::peer::{self, Action, Delivery, Member, PeerMessage};
use crate::position::Position;
use crate::session_id::SessionId;
use crate::time::Mono;

/// Messages that may wait for a topic's log, or behind a claim.
const QUEUE: usize = 16 * 1024;

/// One owned topic.
#[derive(Debug)]
pub(super) struct OwnedTopic {
    pub(super) stage: Stage,
    pub(super) serves: Serves,
    pub(super) members: Members,
    pub(super) appends: Appends,
    /// What was published to it, so that repeats are recognised; made by the first.
    pub(super) dedupe: Option<Box<Dedupe>>,
    pub(super) handing: Handing,
    /// Sessions that are being brought up to date before they become members.
    pub(super) joining: BTreeMap<SessionId, Joining>,
    /// Shards whose members are being brought up to date together.
    pub(super) claiming: BTreeMap<ShardIndex, Claiming>,
    /// It is on the list of topics to be let go.
    pub(super) listed_idle: bool,
    /// What homes that have not claimed their members since it arrived must hear.
    pub(super) news: Option<Box<News>>,
    /// Until then there may be members of another owner who have not come back.
    pub(super) doubtful_until: Mono,
    /// Whether the log can go on with it without opening it.
    pub(super) title: Title,
}

/// By what right a topic is gone on with, with a log that all shards share.
#[derive(Debug, Default)]
pub(super) enum Title {
    /// Nobody has given it: it must be opened.
    #[default]
    None,
    /// Its owner before has ceded it.
    Deed(Bytes),
    /// Several had it, or one who did not know where it stands: only the log can tell.
    Unclear,
}

impl Title {
    /// Somebody has given the topic.
    pub(super) fn given(&mut self, deed: Option<Bytes>) {
        *self = match (std::mem::take(self), deed) {
            (Self::None, Some(deed)) => Self::Deed(deed),
            _ => Self::Unclear,
        };
    }

    /// The deed, if the topic is to be taken up by it.
    pub(super) fn deed(&self) -> Option<Bytes> {
        match self {
            Self::Deed(deed) => Some(deed.clone()),
            Self::None | Self::Unclear => None,
        }
    }
}

/// Announcements that are kept for homes until they claim their members, or the grace is over.
#[derive(Debug, Default)]
pub(super) struct News(BTreeMap<ShardIndex, (u64, Vec<Delivery>)>);

/// Since when homes are in doubt whose grace is over: no break of a link is this one.
const OVER: u64 = 0;

/// Announcements that are kept for one home; who misses more has a grace that long to ask who is
/// there.
const NEWS: usize = 1024;

/// Whether requests are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Yes,
    /// It goes to another owner.
    Leaving {
        /// The homes have been told that all has been said.
        parted: bool,
    },
    /// Another owner has given a history of it that differs.
    Merging,
}

/// Whether the topic's standing is known.
#[derive(Debug)]
pub(super) enum Stage {
    /// The log has been asked.
    Opening {
        /// What waits for its answer.
        queue: Queue,
        /// Where the topic stood before an append failed; `None` when it is first opened.
        before: Option<Box<Tail>>,
    },
    /// It is.
    Open(Tail),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Opening { queue: Queue::default(), before: None }
    }
}

impl Stage {
    /// Where an open topic stands is not known any more.
    pub(super) fn reopen(&mut self) {
        let opening = |before| Stage::Opening { queue: Queue::default(), before };
        *self = match std::mem::replace(self, opening(None)) {
            Stage::Open(tail) => opening(Some(Box::new(tail))),
            already => already,
        };
    }
}

/// A join that waits for the log.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) ticket: Ticket,
    pub(super) asker: Asker,
    pub(super) attachment: Attachment,
}

/// A claim that waits for the log.
#[derive(Debug)]
pub(super) struct Claiming {
    pub(super) after: Position,
    pub(super) members: Vec<Member>,
    /// What the same shard has said since about who is in: it comes after.
    pub(super) queue: Queue,
    /// The log did not answer, and is asked again.
    pub(super) stalled: bool,
}

/// Messages in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<(ShardIndex, PeerMessage)>);

/// Too much waits already.
pub(super) struct QueueFull;

impl Queue {
    pub(super) fn push(&mut self, home: ShardIndex, message: PeerMessage) -> Result<(), QueueFull> {
        if self.0.len() >= QUEUE {
            return Err(QueueFull);
        }
        self.push_anyway(home, message);
        Ok(())
    }

    /// For what must not be refused, and is bounded by what was let in before.
    pub(super) fn push_anyway(&mut self, home: ShardIndex, message: PeerMessage) {
        self.0.push_back((home, message));
    }

    pub(super) fn take(&mut self) -> VecDeque<(ShardIndex, PeerMessage)> {
        std::mem::take(&mut self.0)
    }
}

impl Default for OwnedTopic {
    fn default() -> Self {
        Self {
            stage: Stage::default(),
            serves: Serves::Yes,
            members: Members::default(),
            appends: Appends::default(),
            dedupe: None,
            handing: Handing::default(),
            joining: BTreeMap::new(),
            claiming: BTreeMap::new(),
            listed_idle: false,
            news: None,
            doubtful_until: Mono::default(),
            title: Title::default(),
        }
    }
}

impl OwnedTopic {
    pub(super) fn tail(&self) -> Option<&Tail> {
        match &self.stage {
            Stage::Open(tail) => Some(tail),
            Stage::Opening { .. } => None,
        }
    }

    pub(super) fn tail_mut(&mut self) -> Option<&mut Tail> {
        match &mut self.stage {
            Stage::Open(tail) => Some(tail),
            Stage::Opening { .. } => None,
        }
    }

    /// Whether what is said of a session by one of its attachments is late: it has come, is coming or
    /// has left by a later one.
    pub(super) fn is_late(&self, session: SessionId, attachment: Attachment) -> bool {
        self.members.is_late(session, attachment) || self.joins_later(session, attachment)
    }

    /// Whether a session is on its way in by a later attachment.
    pub(super) fn joins_later(&self, session: SessionId, attachment: Attachment) -> bool {
        self.joining.get(&session).is_some_and(|joining| attachment < joining.attachment)
    }

    /// Where a message of `home` has to wait, if it has to: for the log, or, if it is about who
    /// is in (`membership`), behind the shard's claim.
    pub(super) fn queue_for(&mut self, home: ShardIndex, membership: bool) -> Option<&mut Queue> {
        if let Stage::Opening { queue, .. } = &mut self.stage {
            return Some(queue);
        }
        if !membership {
            return None;
        }
        self.claiming.get_mut(&home).map(|claiming| &mut claiming.queue)
    }

    /// Those of whom a home has said that it has them, or had until now: that waits for the log.
    pub(super) fn those_who_wait(&self) -> BTreeSet<SessionId> {
        let opening = match &self.stage {
            Stage::Opening { queue, .. } => Some(queue),
            Stage::Open(_) => None,
        };
        let queues = opening.into_iter().chain(self.claiming.values().map(|it| &it.queue));
        let told_of = queues.flat_map(|queue| &queue.0).flat_map(|(_, said)| members_in(said));
        let of_member = |member: &Member| (member.session, member.attachment);
        let claimed = self.claiming.values().flat_map(|it| &it.members).map(of_member);
        let joining = self.joining.iter().map(|(session, it)| (*session, it.attachment));
        let all = told_of.chain(claimed).chain(joining);
        let all = all.filter(|(session, attachment)| !self.members.is_late(*session, *attachment));
        all.map(|(session, _)| session).collect()
    }

    /// What a broken link's shard has said and nobody has heard yet is void: what still holds it
    /// will claim.
    pub(super) fn forget_queued(&mut self, home: ShardIndex) {
        if let Stage::Opening { queue, .. } = &mut self.stage {
            queue.0.retain(|(from, _)| *from != home);
        }
    }

    /// These homes' members are in doubt, for the nth time that there was reason to.
    pub(super) fn expects(&mut self, homes: BTreeSet<ShardIndex>, nth: u64) {
        for home in homes {
            if !self.members.is_subscribed(home) {
                let News(all) = &mut **self.news.get_or_insert_default();
                all.entry(home).or_default().0 = nth;
            }
        }
    }

    /// Keeps an announcement for those who don't hear it.
    pub(super) fn keep_news(&mut self, delivery: &Delivery) {
        let Some(News(all)) = self.news.as_deref_mut() else { return };
        for (_, kept) in all.values_mut().filter(|(_, kept)| kept.len() < NEWS) {
            kept.push(delivery.clone());
        }
    }

    /// A home hears the topic again. Gives what was announced meanwhile.
    pub(super) fn take_news(&mut self, home: ShardIndex) -> Vec<Delivery> {
        let Some(News(all)) = self.news.as_deref_mut() else { return Vec::new() };
        let kept = all.remove(&home).map(|(_, kept)| kept).unwrap_or_default();
        if all.is_empty() {
            self.news = None;
        }
        kept
    }

    /// What homes that don't hear it have yet to be told.
    pub(super) fn all_news(&self) -> Vec<peer::News> {
        let Some(News(all)) = self.news.as_deref() else { return Vec::new() };
        let of_home = |(home, (_, kept)): (&ShardIndex, &(u64, Vec<Delivery>))| {
            let (home, kept) = (*home, kept.clone());
            kept.into_iter().filter_map(move |said| match said {
                Delivery::UserJoined(user) => Some(peer::News { home, user, came: true }),
                Delivery::UserLeft(user) => Some(peer::News { home, user, came: false }),
                _ => None,
            })
        };
        all.iter().flat_map(of_home).collect()
    }

    /// The owner before has not told homes this, which don't hear the topic here either.
    pub(super) fn take_over(&mut self, news: Vec<peer::News>) {
        let Some(News(all)) = self.news.as_deref_mut() else { return };
        let mut before: BTreeMap<ShardIndex, Vec<Delivery>> = BTreeMap::new();
        for peer::News { home, user, came } in news {
            let said = if came { Delivery::UserJoined(user) } else { Delivery::UserLeft(user) };
            before.entry(home).or_default().push(said);
        }
        for (home, mut said) in before {
            let Some((_, kept)) = all.get_mut(&home) else { continue };
            said.append(kept);
            said.truncate(NEWS);
            *kept = said;
        }
    }

    /// Homes that have claimed their members, and have to wait until the topic is open or they are up to
    /// date.
    fn claimants(&self) -> BTreeSet<ShardIndex> {
        let queue = match &self.stage {
            Stage::Opening { queue, .. } => Some(&queue.0),
            Stage::Open(_) => None,
        };
        let claims = queue.into_iter().flatten();
        let claims = claims.filter(|(_, message)| matches!(message, PeerMessage::Claim { .. }));
        claims.map(|(home, _)| *home).chain(self.claiming.keys().copied()).collect()
    }

    /// Nobody is waited for any more who is in doubt since then. Whose claim waits is told what it misses
    /// all the same.
    pub(super) fn drop_news(&mut self, nth: u64) {
        if self.news.is_none() {
            return;
        }
        let claimants = self.claimants();
        if let Some(News(all)) = self.news.as_deref_mut() {
            all.retain(|home, (since, _)| {
                if *since == nth {
                    *since = OVER;
                }
                *since != OVER || claimants.contains(home)
            });
            if all.is_empty() {
                self.news = None;
            }
        }
    }

    /// All that waits for the log, and for nothing else.
    pub(super) fn take_queues(&mut self) -> VecDeque<(ShardIndex, PeerMessage)> {
        match &mut self.stage {
            Stage::Opening { queue, .. } => queue.take(),
            Stage::Open(_) => VecDeque::new(),
        }
    }

    /// Whether its homes still hear of it: not once they have been told that all has been said.
    pub(super) fn may_announce(&self) -> bool {
        self.serves != (Serves::Leaving { parted: true })
    }

    /// Whether all that was asked before it stopped to serve is done.
    pub(super) fn is_drained(&self) -> bool {
        let is_known = !matches!(self.stage, Stage::Opening { before: Some(_), .. });
        is_known && self.appends.is_empty() && self.handing.is_empty()
    }

    /// Where it stands, if its log has nothing of it.
    pub(super) fn held(&self) -> Option<Box<Held>> {
        let tail = self.tail()?;
        let (position, handed) = (tail.position(), self.handing.handed());
        Some(Box::new(Held {
            epoch: position.epoch,
            first: position.offset + 1,
            last: position.offset,
            last_time_ms: tail.next_time(0),
            handed,
            records: Vec::new(),
            publications: Vec::new(),
        }))
    }

    /// Whether nobody is in it and nothing is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
            && self.members.is_empty()
            && self.appends.is_empty()
            && self.handing.is_empty()
            && self.joining.is_empty()
            && self.claiming.is_empty()
    }
}

/// Whom a home has, by what it says of a topic's members.
fn members_in(said: &PeerMessage) -> Vec<(SessionId, Attachment)> {
    let of_member = |member: &Member| (member.session, member.attachment);
    match said {
        PeerMessage::Claim { members, .. } => members.iter().map(of_member).collect(),
        PeerMessage::Request { member, action: Action::Join { .. }, .. } => vec![of_member(member)],
        PeerMessage::Suspend { session, attachment, .. } => vec![(*session, *attachment)],
        _ => Vec::new(),
    }
}
