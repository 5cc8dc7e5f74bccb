//! Whether clients have noticed, and how long they had to wait.

mod announced;
mod order;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use trunkline_bench::Speech;

use crate::history::{Break, Client, History, Message, To};
use crate::kind::{Kind, Store};

/// A message that was on its way when its recipient's connection broke, or came while it was away,
/// need not have reached it: that it broke is what is counted. In microseconds.
const ON_ITS_WAY: u64 = 30_000_000;

/// What was said up to this long before a disruption and had not come when it began, suffers from
/// it. In microseconds.
const BEFORE: u64 = 1_000_000;

/// What clients that speak alike have noticed of one kind of disruption.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noticed {
    /// Connections that ended, and weren't those of clients that poll and have recovered.
    pub(crate) disconnects: u64,
    /// Clients that poll and were cut off, and have recovered.
    pub(crate) came_back: u64,
    /// Acknowledged messages that somebody did not get, and requests that were never answered.
    pub(crate) lost: u64,
    /// Messages that somebody got again, and answers that came again.
    pub(crate) repeated: u64,
    /// Messages that somebody got after one that others got before, or that overtook another of
    /// the same sender.
    pub(crate) out_of_order: u64,
    /// Comings and goings that were announced of people who have not begun anew: there are none.
    pub(crate) announced: u64,
    /// Other errors, and messages that were meant for others.
    pub(crate) errors: u64,
    /// Requests that were answered `unavailable`, and made again.
    pub(crate) unavailable: u64,
    /// For each client and disruption the longest time from when a message that was acknowledged
    /// was to be said to when this client got it, in microseconds.
    pub(crate) pauses: Vec<u64>,
}

impl Noticed {
    /// Adds what others have noticed.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            disconnects,
            came_back,
            lost,
            repeated,
            out_of_order,
            announced,
            errors,
            unavailable,
            pauses,
        } = other;
        self.disconnects += disconnects;
        self.came_back += came_back;
        self.lost += lost;
        self.repeated += repeated;
        self.out_of_order += out_of_order;
        self.announced += announced;
        self.errors += errors;
        self.unavailable += unavailable;
        self.pauses.extend(pauses);
    }

    /// Whether all that came was right.
    fn is_sound(&self) -> bool {
        self.repeated + self.out_of_order + self.errors == 0
    }

    /// A quantile of the pauses, in milliseconds; none where nobody got anything.
    #[must_use]
    pub(crate) fn pause_ms(&self, quantile: f64) -> Option<f64> {
        let mut pauses = self.pauses.clone();
        pauses.sort_unstable();
        // There are far fewer than 2^53 pauses.
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let index = ((pauses.len() as f64 * quantile).ceil() as usize).saturating_sub(1);
        pauses.get(index).map(|pause| millis(*pause))
    }
}

/// Microseconds in milliseconds.
pub(crate) fn millis(micros: u64) -> f64 {
    // No run takes 2^53 microseconds.
    #[allow(clippy::cast_precision_loss)]
    let millis = micros as f64 / 1000.0;
    millis
}

/// One kind of disruption.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// How often.
    pub(crate) times: usize,
    /// What native clients have noticed.
    pub(crate) native: Noticed,
    /// What those of Socket.IO by WebSocket have noticed.
    pub(crate) socketio: Noticed,
    /// What those of Socket.IO that poll have noticed.
    pub(crate) polling: Noticed,
}

impl Row {
    /// What all clients have noticed.
    #[must_use]
    pub(crate) fn all(&self) -> Noticed {
        let mut all = self.native.clone();
        all.add(&self.socketio);
        all.add(&self.polling);
        all
    }

    /// Whether nobody has noticed more of it than it may.
    #[must_use]
    pub(crate) fn is_kept(&self, kind: Kind, store: Store) -> bool {
        let Self { times: _, native, socketio, polling } = self;
        let may_lose = kind.may_lose(store);
        let all = self.all();
        all.is_sound()
            && (all.lost == 0 || may_lose)
            && native.disconnects + socketio.disconnects == 0
            && (polling.disconnects == 0 || may_lose)
            && all.announced == 0
            && (all.came_back == 0 || kind.may_cut_off())
    }

    fn of(&mut self, speech: Speech) -> &mut Noticed {
        match speech {
            Speech::SocketIo => &mut self.socketio,
            Speech::Polling => &mut self.polling,
            Speech::Native | Speech::Nats => &mut self.native,
        }
    }
}

/// What was noticed of each kind of disruption.
#[must_use]
pub(crate) fn judge(history: &History) -> BTreeMap<Kind, Row> {
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    for span in &history.spans {
        rows.entry(span.kind).or_default().times += 1;
    }
    let mut judge = Judge { history, rows };
    judge.senders();
    for (number, client) in history.clients.iter().enumerate() {
        judge.events(client);
        judge.deliveries(number, client);
    }
    order::judge(history, |client, time| judge.noticed(client, time).out_of_order += 1);
    judge.rows
}

struct Judge<'a> {
    history: &'a History,
    rows: BTreeMap<Kind, Row>,
}

impl Judge<'_> {
    /// What a client has noticed, of what happened at this time.
    fn noticed(&mut self, client: &Client, time: u64) -> &mut Noticed {
        let span = self.history.span_at(time);
        let kind = self.history.spans.get(span).map_or(Kind::Quiet, |span| span.kind);
        self.rows.entry(kind).or_default().of(client.speech)
    }

    fn senders(&mut self) {
        for message in &self.history.messages {
            let sender = &self.history.clients[message.from];
            let noticed = self.noticed(sender, message.intended);
            noticed.unavailable += u64::from(message.refused);
            noticed.repeated += u64::from(message.granted.saturating_sub(1));
            if message.is_open() {
                self.noticed(sender, suffers(message, u64::MAX)).lost += 1;
            }
        }
    }

    fn events(&mut self, client: &Client) {
        for gone in &client.breaks {
            let noticed = self.noticed(client, gone.from);
            match has_recovered(client, gone) {
                true => noticed.came_back += 1,
                false => noticed.disconnects += 1,
            }
        }
        announced::judge(self.history, client, |at| self.noticed(client, at).announced += 1);
        for at in &client.errors {
            self.noticed(client, *at).errors += 1;
        }
    }

    fn deliveries(&mut self, number: usize, client: &Client) {
        let history = self.history;
        let begin = history.spans.first().map_or(0, |first| first.from);
        let mut came: HashMap<usize, u64> = HashMap::new();
        let mut pauses: BTreeMap<usize, u64> = BTreeMap::new();
        for got in &client.got {
            let Some(message) = history.messages.get(got.number) else {
                self.noticed(client, got.at).errors += 1;
                continue;
            };
            if !is_for(message, number, client) {
                self.noticed(client, message.intended).errors += 1;
            }
            if came.insert(got.number, got.at).is_some() {
                self.noticed(client, suffers(message, got.at)).repeated += 1;
            } else if message.granted > 0 && message.intended >= begin {
                let pause = got.at.saturating_sub(message.intended);
                let span = history.span_at(suffers(message, got.at));
                let longest = pauses.entry(span).or_default();
                *longest = pause.max(*longest);
            }
        }
        for (span, pause) in pauses {
            let from = history.spans.get(span).map_or(0, |span| span.from);
            self.noticed(client, from).pauses.push(pause);
        }
        for (index, message) in history.messages.iter().enumerate() {
            let is_missed = message.granted > 0
                && is_for(message, number, client)
                && !came.contains_key(&index);
            if is_missed && !was_away(client, message.intended) {
                self.noticed(client, suffers(message, u64::MAX)).lost += 1;
            }
        }
    }
}

/// The time to whose disruption it counts what became of a message that came `at` this time.
fn suffers(message: &Message, at: u64) -> u64 {
    at.min(message.intended + BEFORE)
}

fn is_for(message: &Message, number: usize, client: &Client) -> bool {
    match message.to {
        To::Room(room) => room == client.room,
        To::User(user) => user == number,
    }
}

/// Whether a client that polls has its session again, and so must have missed nothing. A socket must
/// not have ended at all.
fn has_recovered(client: &Client, gone: &Break) -> bool {
    client.speech.polls() && gone.recovered
}

/// Whether a client was away when a message came that was said at this time, and got nothing of it
/// afterwards.
fn was_away(client: &Client, said: u64) -> bool {
    let mut missed = client.breaks.iter().filter(|gone| !has_recovered(client, gone));
    missed.any(|gone| gone.from < said + ON_ITS_WAY && gone.until.is_none_or(|until| until > said))
}
