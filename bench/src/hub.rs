//! All clients of one thread, and what they hear.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::client::{Sink, Stream};
use crate::dialect::{Dialect, Heard, Say, Stamp};
use crate::entry::Entered;
use crate::progress::Progress;
use crate::tally::{Tally, micros};

struct Member {
    dialect: Box<dyn Dialect>,
    sink: Sink,
}

/// All clients of one thread.
pub(crate) struct Hub {
    members: RefCell<Vec<Member>>,
    tally: RefCell<Tally>,
    /// Requests that wait for their acknowledgement, by client and number: their intended times.
    asked: RefCell<HashMap<(usize, u64), u64>>,
    /// From when on times are counted, since nobody can measure before the warm-up is over.
    from: Cell<u64>,
    origin: Instant,
    progress: Arc<Progress>,
}

impl Hub {
    pub(crate) fn new(origin: Instant, progress: Arc<Progress>) -> Rc<Self> {
        Rc::new(Self {
            members: RefCell::default(),
            tally: RefCell::new(Tally::new()),
            asked: RefCell::default(),
            from: Cell::new(u64::MAX),
            origin,
            progress,
        })
    }

    /// Takes a client in and listens to it from here on.
    pub(crate) fn admit(self: &Rc<Self>, entered: Entered) {
        let Entered { dialect, sink, stream, recovered: _ } = entered;
        let mut members = self.members.borrow_mut();
        let index = members.len();
        members.push(Member { dialect, sink });
        tokio::task::spawn_local(listen(Rc::clone(self), index, stream));
    }

    /// Messages whose intended time is this or later are counted.
    pub(crate) fn count_from(&self, time: u64) {
        self.from.set(time);
    }

    pub(crate) fn tally<R>(&self, with: impl FnOnce(&mut Tally) -> R) -> R {
        with(&mut self.tally.borrow_mut())
    }

    /// Microseconds since the start of everything.
    pub(crate) fn time(&self, moment: Instant) -> u64 {
        micros(moment.saturating_duration_since(self.origin))
    }

    /// Lets a client say something that was meant for `time` and should lead to `expected`
    /// deliveries. With a number the acknowledgement is waited for.
    pub(crate) fn say(
        &self,
        index: usize,
        what: &Say<'_>,
        number: Option<u64>,
        time: u64,
        expected: u32,
    ) {
        let member = &mut self.members.borrow_mut()[index];
        let message = member.dialect.say(what, number);
        let sent = member.sink.send(message);
        if time < self.from.get() {
            return;
        }
        let mut tally = self.tally.borrow_mut();
        let late = self.time(Instant::now()).saturating_sub(time);
        tally.lag.saturating_record(late);
        tally.expected += u64::from(expected);
        self.progress.expect(expected.into());
        match sent {
            Ok(()) => {
                tally.sent += 1;
                if let Some(number) = number {
                    self.asked.borrow_mut().insert((index, number), time);
                }
            }
            Err(why) => tally.fail(why),
        }
    }

    /// Whether everything has arrived that should.
    pub(crate) fn is_drained(&self) -> bool {
        self.progress.is_drained() && self.asked.borrow().is_empty()
    }

    pub(crate) fn into_tally(self: Rc<Self>) -> Tally {
        std::mem::replace(&mut self.tally.borrow_mut(), Tally::new())
    }

    fn hear(&self, index: usize, message: &[u8]) {
        let Member { dialect, sink } = &mut self.members.borrow_mut()[index];
        dialect.hear(message, &mut |heard| match heard {
            Heard::Delivery(Stamp { time, .. }) if time >= self.from.get() => {
                let latency = self.time(Instant::now()).saturating_sub(time);
                let mut tally = self.tally.borrow_mut();
                tally.delivered += 1;
                self.progress.expect(-1);
                tally.latency.saturating_record(latency);
            }
            Heard::Done(number) => {
                if let Some(time) = self.asked.borrow_mut().remove(&(index, number)) {
                    let latency = self.time(Instant::now()).saturating_sub(time);
                    self.tally.borrow_mut().acknowledged.saturating_record(latency);
                }
            }
            Heard::Failed(number, why) => {
                self.asked.borrow_mut().remove(&(index, number));
                self.tally.borrow_mut().fail(why);
            }
            Heard::Error(why) => self.tally.borrow_mut().fail(why),
            Heard::Answer(answer) => {
                if let Err(why) = sink.send(answer) {
                    self.tally.borrow_mut().fail(why);
                }
            }
            Heard::Delivery(_) | Heard::Welcome { .. } | Heard::Presence { .. } => {}
        });
    }
}

/// Hears everything that comes for a client until its connection ends.
async fn listen(hub: Rc<Hub>, index: usize, mut stream: Stream) {
    let why = loop {
        match stream.next().await {
            Ok(message) => hub.hear(index, &message),
            Err(why) => break why,
        }
    };
    hub.tally(|tally| {
        tally.lost += 1;
        tally.error.get_or_insert(why);
    });
}
