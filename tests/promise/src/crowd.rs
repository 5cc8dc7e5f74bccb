//! The clients: all of them on one thread, which keeps what they say and hear.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use trunkline_bench::{
    Arrival, Dialect, Entered, Heard, Identity, Say, Sink, Speech, Stamp, Stream, payload,
};

use crate::history::{Announced, Break, Client, Got, History, Message, To};

/// How long a client may take to get in.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long one who was refused waits before it tries again, and one who was cut off.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a message's payload.
const PAYLOAD: usize = 100;

/// Who the clients are.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    pub(crate) urls: Vec<String>,
    pub(crate) speeches: Vec<Speech>,
    pub(crate) clients: usize,
    pub(crate) rooms: usize,
}

impl Census {
    pub(crate) fn speech(&self, client: usize) -> Speech {
        self.speeches[client % self.speeches.len()]
    }

    /// Every room has clients of all dialects.
    pub(crate) fn room(&self, client: usize) -> usize {
        client / self.speeches.len() % self.rooms
    }

    /// Lets a client in, for the first time or again, as it remembers where it was.
    async fn enter(&self, client: usize, before: Option<&dyn Dialect>) -> Result<Entered, String> {
        let identity = &Identity { user: user_name(client), room: None, token: None };
        let (speech, room) = (self.speech(client), &room_name(self.room(client)));
        let urls = &self.urls;
        // Every room has clients at all routers.
        let first = client / self.speeches.len() / self.rooms;
        let arrival =
            Arrival { urls, first, speech, identity, room: Some(room), deadline: DEADLINE };
        match before {
            None => arrival.enter().await,
            Some(before) => arrival.enter_again(before).await,
        }
    }
}

/// What users' names begin with.
const USER: &str = "promise-";

fn user_name(client: usize) -> String {
    format!("{USER}{client}")
}

/// Whose name this is; nobody's of the crowd is no number of any.
fn user_number(name: &str) -> usize {
    let number = name.strip_prefix(USER).and_then(|number| number.parse().ok());
    number.unwrap_or(usize::MAX)
}

fn room_name(room: usize) -> String {
    format!("promise-{room}")
}

/// One of them.
struct Member {
    dialect: Box<dyn Dialect>,
    /// None while it is away.
    sink: Option<Sink>,
    /// Its messages that have no answer yet.
    asked: BTreeSet<usize>,
}

/// All of them.
pub(crate) struct Crowd {
    pub(crate) census: Census,
    origin: Instant,
    members: RefCell<Vec<Member>>,
    history: RefCell<History>,
}

impl Crowd {
    pub(crate) fn new(census: Census, origin: Instant) -> Rc<Self> {
        let (members, history) = (RefCell::default(), RefCell::default());
        Rc::new(Self { census, origin, members, history })
    }

    /// Connects a client, which is taken in when those before it are.
    ///
    /// # Errors
    /// Why it is not let in.
    pub(crate) async fn enter(&self, client: usize) -> Result<Entered, String> {
        self.census.enter(client, None).await.map_err(|why| format!("client {client}: {why}"))
    }

    pub(crate) fn admit(self: &Rc<Self>, entered: Entered) {
        let Entered { dialect, sink, stream, recovered: _ } = entered;
        let mut members = self.members.borrow_mut();
        let number = members.len();
        members.push(Member { dialect, sink: Some(sink), asked: BTreeSet::new() });
        let client = Client::new(self.census.speech(number), self.census.room(number));
        self.history.borrow_mut().clients.push(client);
        tokio::task::spawn_local(Rc::clone(self).live(number, stream));
    }

    pub(crate) fn time(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.origin);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        self.time(Instant::now())
    }

    /// Lets a client say something new that was due at this moment.
    pub(crate) fn speak(&self, from: usize, to: To, due: Instant) {
        let number = {
            let intended = self.time(due);
            let mut history = self.history.borrow_mut();
            history.late = history.late.max(self.now().saturating_sub(intended));
            history.messages.push(Message::new(from, to, intended));
            history.messages.len() - 1
        };
        self.say(number);
    }

    /// Says a message, for the first time or again, always under the same key. Who is away says it
    /// when it is back.
    fn say(&self, number: usize) {
        let mut history = self.history.borrow_mut();
        let message = &mut history.messages[number];
        let stamp = Stamp { time: message.intended, number: number as u64 };
        let (payload, key) = (&payload(stamp, PAYLOAD), Some(stamp.number));
        let member = &mut self.members.borrow_mut()[message.from];
        let frame = match message.to {
            To::Room(room) => {
                let room = &room_name(room);
                member.dialect.say(&Say::Publish { room, payload, key }, key)
            }
            To::User(user) => {
                let user = &user_name(user);
                member.dialect.say(&Say::Private { user, payload, key }, key)
            }
        };
        member.asked.insert(number);
        // What can't be sent stays without an answer: mostly its connection has ended, which is heard
        // at the other half.
        if let Some(sink) = &mut member.sink {
            let _ = sink.send(frame);
        }
    }

    /// Whether every message has its answer, and has come to all whom it is for.
    pub(crate) fn is_drained(&self) -> bool {
        let history = self.history.borrow();
        let mut members = vec![0; self.census.rooms];
        for client in &history.clients {
            members[client.room] += 1;
        }
        let due = |message: &Message| match message.to {
            To::Room(room) => members[room],
            To::User(_) => 1,
        };
        let granted = history.messages.iter().filter(|message| message.granted > 0);
        let expected: usize = granted.map(due).sum();
        let came: usize = history.clients.iter().map(|client| client.got.len()).sum();
        came >= expected && !history.messages.iter().any(Message::is_open)
    }

    pub(crate) fn into_history(self: Rc<Self>) -> History {
        std::mem::take(&mut self.history.borrow_mut())
    }

    /// Hears all that comes for a client, over one connection after the other.
    async fn live(self: Rc<Self>, number: usize, mut stream: Stream) {
        loop {
            let why = self.listen(number, &mut stream).await;
            self.has_gone(number, why);
            drop(stream);
            let entered = self.come_back(number).await;
            stream = self.is_back(number, entered);
        }
    }

    async fn listen(self: &Rc<Self>, number: usize, stream: &mut Stream) -> String {
        loop {
            match stream.next().await {
                Ok(message) => self.hear(number, &message),
                Err(why) => return why,
            }
        }
    }

    fn has_gone(&self, number: usize, why: String) {
        self.members.borrow_mut()[number].sink = None;
        let gone = Break { from: self.now(), until: None, recovered: false };
        let mut history = self.history.borrow_mut();
        history.reasons.entry(why).and_modify(|count| *count += 1).or_insert(1);
        history.clients[number].breaks.push(gone);
    }

    async fn come_back(&self, number: usize) -> Entered {
        // Every attempt is by what it knew when it went.
        let before = self.members.borrow()[number].dialect.again();
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Ok(entered) = self.census.enter(number, Some(&*before)).await {
                return entered;
            }
        }
    }

    /// Who has recovered says again what wasn't answered, and what it wanted to say meanwhile. Nobody
    /// can tell what became of that if it has begun anew.
    fn is_back(&self, number: usize, entered: Entered) -> Stream {
        let Entered { dialect, sink, stream, recovered } = entered;
        let until = Some(self.now());
        let unanswered = {
            let member = &mut self.members.borrow_mut()[number];
            (member.dialect, member.sink) = (dialect, Some(sink));
            if recovered { member.asked.clone() } else { std::mem::take(&mut member.asked) }
        };
        if let Some(gone) = self.history.borrow_mut().clients[number].breaks.last_mut() {
            (gone.until, gone.recovered) = (until, recovered);
        }
        for message in unanswered {
            match recovered {
                true => self.say(message),
                false => self.history.borrow_mut().messages[message].abandoned = true,
            }
        }
        stream
    }

    fn hear(self: &Rc<Self>, number: usize, frame: &[u8]) {
        let at = self.now();
        let Member { dialect, sink, asked } = &mut self.members.borrow_mut()[number];
        let History { clients, messages, reasons, .. } = &mut *self.history.borrow_mut();
        let client = &mut clients[number];
        let mut complain = |why: &str| {
            client.errors.push(at);
            reasons.entry(why.to_owned()).and_modify(|count| *count += 1).or_insert(1);
        };
        dialect.hear(frame, &mut |heard| match heard {
            Heard::Delivery(stamp) => {
                client.got.push(Got { number: place(stamp.number), at });
            }
            Heard::Done(answered) => match messages.get_mut(place(answered)) {
                Some(message) if message.from == number => {
                    asked.remove(&place(answered));
                    message.granted += 1;
                }
                _ => complain("an answer to a question that was not asked"),
            },
            Heard::Failed(answered, why) if why.contains("\"unavailable\"") => {
                if asked.remove(&place(answered)) {
                    messages[place(answered)].refused += 1;
                    tokio::task::spawn_local(Rc::clone(self).try_again(place(answered)));
                } else {
                    complain("a refusal of what was not asked");
                }
            }
            Heard::Failed(_, why) | Heard::Error(why) => complain(why),
            Heard::Answer(answer) => {
                if let Some(Err(why)) = sink.as_mut().map(|sink| sink.send(answer)) {
                    complain(&why);
                }
            }
            Heard::Presence { user, is_here } => {
                client.announced.push(Announced { at, user: user_number(user), is_here });
            }
            Heard::Welcome { .. } => {}
        });
    }

    async fn try_again(self: Rc<Self>, number: usize) {
        tokio::time::sleep(PAUSE).await;
        if !self.history.borrow().messages[number].abandoned {
            self.say(number);
        }
    }
}

/// A message's number as its place in the history; what is no place is none of ours.
fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
