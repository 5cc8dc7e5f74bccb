//! Coming back when the shard that had the session is no more. Of a client that polled a router may
//! have what the shard has deposited ([`crate::Rescue`]): from it and the stamp that the client
//! gives back follows what it has had.

use std::sync::Arc;

use crate::attachment::Attachment;
use crate::checkpoint::{Checkpoint, KeptLine, KeptSession, KeptSocket, Place};
use crate::core::Io;
use crate::home::Home;
use crate::home::greeting::Greeting;
use crate::home::resume::{resume, socket_of};
use crate::home::session::Session;
use crate::home::stream::Stamp;
use crate::input::Adoption;
use crate::name::{Namespace, RoomId};
use crate::output::Output;
use crate::peer::Recalled;
use crate::position::Position;
use crate::rescue::{Given, Rescue};
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ConnectionId, TrunkId};

/// More messages than a client sends by one connection: what it says afterwards is new.
const SAID_SINCE: u64 = 1 << 24;

/// A session that routers are asked for.
#[derive(Debug)]
pub(in crate::home) struct Sought {
    /// Its client's, for now.
    session: SessionId,
    private_id: SessionId,
    offset: Option<Arc<str>>,
}

impl Home {
    /// No shard knows the session: perhaps a router does.
    pub(super) fn seek(
        &mut self,
        io: &mut Io,
        session: SessionId,
        private_id: SessionId,
        offset: Option<Arc<str>>,
    ) {
        let Some(Greeting::Due(due)) = self.sessions.get_mut(&session).map(|it| &mut it.greeting)
        else {
            return;
        };
        due.sought = true;
        let ticket = io.ticket();
        self.seeking.insert(ticket, Sought { session, private_id, offset });
        io.output(Output::Seek { ticket, private_id });
    }

    /// What routers have of it.
    pub(crate) fn found(&mut self, io: &mut Io, ticket: crate::Ticket, found: Vec<Rescue>) {
        let Some(Sought { session: id, private_id, offset }) = self.seeking.remove(&ticket) else {
            return;
        };
        // Its connection may have gone meanwhile.
        let Some(session) = self.sessions.get(&id).filter(|it| it.is_welcome_due()) else { return };
        let client =
            Client { private_id, namespace: &session.namespace, offset: offset.as_deref() };
        let found = found.into_iter().filter_map(|rescue| client.of(rescue));
        let newest = found.max_by_key(|it| (it.session.socket.recoveries, it.rescue.nth));
        let recalled = newest.and_then(|newest| client.recalled(newest));
        let of_all = |it: &Recalled| Attachment::new(it.attachment.recoveries(), u32::MAX);
        let recalled = recalled.filter(|it| !self.has_come_back(it.session, of_all(it)));
        match recalled {
            Some(recalled) => self.recalled(io, id, recalled),
            None => self.not_recalled(io, id),
        }
    }
}

/// A client that comes back.
struct Client<'a> {
    private_id: SessionId,
    namespace: &'a Namespace,
    offset: Option<&'a str>,
}

/// What a router has had of a connection, with the session that is sought.
struct Candidate {
    rescue: Rescue,
    /// All that it was given, the last answer included.
    after: Vec<Given>,
    /// As it was then.
    session: Found,
}

/// A session in what a router has had of its connection.
struct Found {
    origin: u64,
    socket: KeptSocket,
    kept: KeptSession,
}

impl Client<'_> {
    /// The session that it means, if it is there.
    fn of(&self, rescue: Rescue) -> Option<Candidate> {
        let mut after = rescue.before.clone();
        rescue.sent.iter().cloned().for_each(|given| given.fold(&mut after));
        Some(Candidate { session: self.find(&after)?, rescue, after })
    }

    fn find(&self, given: &[Given]) -> Option<Found> {
        let checkpoint = |it: &Given| match it {
            Given::Checkpoint(state) => Checkpoint::decode(state),
            _ => None,
        };
        let Checkpoint::SocketIo(line) = given.iter().rev().find_map(checkpoint)? else {
            return None;
        };
        let KeptLine { origin, sockets, .. } = line;
        let is_it = |(socket, kept): &(KeptSocket, KeptSession)| {
            socket.private_id == self.private_id
                && socket.ended.is_none()
                && kept.namespace == *self.namespace
        };
        let (socket, kept) = sockets.into_iter().find(is_it)?;
        Some(Found { origin, socket, kept })
    }

    /// How the session goes on; `None` if it isn't certain what its client has had.
    fn recalled(&self, candidate: Candidate) -> Option<Recalled> {
        let Candidate { rescue, after, session: found } = candidate;
        let Rescue { settled, before, sent, .. } = &rescue;
        let has_heard_all = found.has_heard_all(self.offset, &rescue)?;
        let session = found.resumed(&after, *settled);
        let earlier = match has_heard_all {
            true => None,
            false => Some(self.find(before)?.resumed(before, *settled)),
        };
        let place = |room: Option<&RoomId>, newest: Option<Position>| match &earlier {
            None => newest,
            Some(earlier) => earlier.has_had(room).or_else(|| found.entered(room, sent)),
        };
        let room =
            |room: &RoomId| Some((room.clone(), place(Some(room), session.has_had(Some(room)))?));
        let rooms = session.rooms.keys().map(room).collect::<Option<_>>()?;
        let inbox_after = match session.has_had(None) {
            Some(newest) => Some(place(None, Some(newest))?),
            None => None,
        };
        let KeptSocket { session, private_id, recoveries, origin, .. } = found.socket;
        Some(Recalled {
            session,
            private_id,
            user: found.kept.identity.user,
            attachment: Attachment::new(recoveries, 0),
            sequence: origin + SAID_SINCE,
            rooms,
            inbox_after,
        })
    }
}

impl Found {
    /// Whether its client has had the last answer; `None` if it has not had what it must have, or has
    /// heard what isn't known here.
    fn has_heard_all(&self, offset: Option<&str>, rescue: &Rescue) -> Option<bool> {
        let offset = match offset {
            Some(text) => Some(Stamp::parse(text)?),
            None => None,
        };
        let (before, sent) = (self.stamps(&rescue.before), self.stamps(&rescue.sent));
        let Some(offset) = offset else {
            // It has never heard anything that can be recovered.
            return before.is_empty().then_some(sent.is_empty());
        };
        let of_stream = |it: &&Stamp| it.stream == offset.stream;
        let noted = before.iter().chain(&sent).chain(&self.socket.came_with);
        let noted = noted.filter(of_stream).map(|it| it.number).max();
        // What it was sent in answer to itself has the newest stamp then, be that another's.
        let here = rescue.upto.filter(|upto| upto.stream == offset.stream && !rescue.torn);
        let upto = here.map(|upto| upto.number).max(noted);
        let is_missed = |stamp: &Stamp| match stamp.stream == offset.stream {
            true => stamp.number > offset.number,
            false => rescue.upto.is_some_and(|upto| upto.stream == stamp.stream),
        };
        let knows_less = upto.is_none_or(|upto| offset.number > upto)
            && !trunkline_planted::is("go on from what was deposited too early");
        if knows_less || before.iter().any(is_missed) {
            return None;
        }
        let is_heard = |it: &Stamp| it.stream == offset.stream && it.number <= offset.number;
        Some(sent.is_empty() || sent.iter().any(is_heard))
    }

    /// The stamps of what was sent to it.
    fn stamps(&self, given: &[Given]) -> Vec<Stamp> {
        let stamp = |it: &Given| match it {
            Given::Group { place, heard: true, .. } | Given::Elsewhere { place, heard: true } => {
                Place::decode(place).filter(|place| self.hears(&place.topic))?.stamp
            }
            Given::Slot(slot) if slot.slot / 2 == self.socket.nth => {
                Place::decode(&slot.position)?.stamp
            }
            _ => None,
        };
        given.iter().filter_map(stamp).collect()
    }

    fn is_in(&self, place: &[u8]) -> bool {
        let topic = Place::decode(place).map(|place| place.topic).filter(|it| self.hears(it));
        let Some(Topic::Room(_, room)) = topic else { return false };
        self.kept.rooms.iter().any(|kept| kept.room == room)
    }

    fn hears(&self, topic: &Topic) -> bool {
        matches!(topic, Topic::Room(namespace, _) if *namespace == self.kept.namespace)
    }

    /// The session with all that it has had.
    fn resumed(&self, given: &[Given], settled: u64) -> Session {
        let mut adoption = Adoption::default();
        for it in given {
            match it {
                Given::Group { place, .. } => adoption.positions.push(place.clone()),
                // It may have left since.
                Given::Elsewhere { place, .. } if self.is_in(place) => {
                    adoption.positions.push(place.clone());
                }
                Given::Slot(slot) => adoption.slots.push(slot.clone()),
                Given::Elsewhere { .. } | Given::Checkpoint(_) | Given::Left(_) => {}
            }
        }
        let Self { origin, socket, kept } = self;
        let (id, identity) = (socket.session, kept.identity.clone());
        let nowhere = (TrunkId(0), ConnectionId(0));
        let mut session = Session::new(id, id, kept.namespace.clone(), identity, nowhere);
        let settled = origin + settled.min(SAID_SINCE);
        session.socket = Some(Box::new(socket_of(socket.clone(), (*origin, settled), 0)));
        resume(session, kept.clone(), &adoption, settled, None)
    }

    /// Where it entered a topic by the last answer.
    fn entered(&self, room: Option<&RoomId>, sent: &[Given]) -> Option<Position> {
        let is_it = |place: &Place| match (&place.topic, room) {
            (Topic::Room(_, it), Some(room)) => self.hears(&place.topic) && it == room,
            (Topic::Inbox(_), None) => true,
            _ => false,
        };
        // If the first that it was given there is a message, where it entered isn't known.
        let entry = |place: Place| place.stamp.is_none().then_some(place.position);
        for it in sent {
            match it {
                Given::Group { place, heard, .. } => {
                    let place = Place::decode(place).filter(is_it);
                    match place {
                        Some(place) if *heard => return entry(place),
                        Some(place) => return Some(place.position),
                        None => {}
                    }
                }
                Given::Slot(slot) if slot.slot / 2 == self.socket.nth => {
                    if let Some(place) = Place::decode(&slot.position).filter(is_it) {
                        return entry(place);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

impl Session {
    /// What it has had of a room, or of its inbox.
    fn has_had(&self, room: Option<&RoomId>) -> Option<Position> {
        match room {
            Some(room) => self.rooms.get(room)?.base.clone(),
            None => self.inbox_after.clone(),
        }
    }
}
