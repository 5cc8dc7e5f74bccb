//! Heartbeats of all connections of a worker, with one timer.
//!
//! The interval is the same for all, so who is due next is who was asked longest ago: two
//! queues in order of time, swept by one ticker, hold what would be a timer per connection. Each
//! keeps when something was done, not when the next thing is due.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use trunkline_proto::trunk::Dialect;

use super::close::CloseReason;
use super::{Connection, Pause, Phase};
use crate::frame;

/// When each connection is pinged and when its pong is due.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    interval: Duration,
    timeout: Duration,
    /// What moments are counted from.
    start: Instant,
    /// Who came with its first ping due earlier than an interval after that.
    early: VecDeque<(Moment, u64)>,
    /// Who came, or was pinged last.
    pings: VecDeque<(Moment, u64)>,
    /// Whose pong was asked for.
    pongs: VecDeque<(Moment, u64)>,
}

/// A moment in nanoseconds: half of what an [`Instant`] takes, and there is one or two for each
/// connection.
type Moment = u64;

/// Something that is due for a connection, by number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping(u64),
    /// Something must have been received since then.
    Pong(u64, Instant),
}

impl Heartbeats {
    pub(crate) fn new(interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            start: Instant::now(),
            early: VecDeque::new(),
            pings: VecDeque::new(),
            pongs: VecDeque::new(),
        }
    }

    /// How often to sweep: fine enough that no beat is late by more than a tenth.
    pub(crate) fn tick(&self) -> Duration {
        let shortest = self.interval.min(self.timeout);
        (shortest / 10).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    /// Begins with a new connection.
    pub(crate) fn add(&mut self, connection: u64, now: Instant) {
        self.pings.push_back((self.moment(now), connection));
    }

    /// Begins with a connection whose client was pinged at most an interval ago by another way,
    /// and waits for the next for an interval and the timeout.
    pub(crate) fn add_early(&mut self, connection: u64, now: Instant) {
        self.early.push_back((self.moment(now), connection));
    }

    /// Asked for again and again until nothing is due. Who is gone is simply not asked again:
    /// the caller says with [`Heartbeats::pinged`] who still is there.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        let start = self.start;
        let pop = |queue: &mut VecDeque<(Moment, u64)>, delay| {
            let (moment, connection) = queue
                .pop_front_if(|(moment, _)| start + Duration::from_nanos(*moment) + delay <= now)?;
            Some((start + Duration::from_nanos(moment), connection))
        };
        if let Some((asked, connection)) = pop(&mut self.pongs, self.timeout) {
            return Some(Due::Pong(connection, asked));
        }
        let first = self.interval.min(self.timeout / 2);
        let due = pop(&mut self.early, first).or_else(|| pop(&mut self.pings, self.interval));
        due.map(|(_, connection)| Due::Ping(connection))
    }

    /// A ping was sent: the pong and the next ping are due in their time.
    pub(crate) fn pinged(&mut self, connection: u64, now: Instant) {
        let moment = self.moment(now);
        self.pongs.push_back((moment, connection));
        self.pings.push_back((moment, connection));
    }

    fn moment(&self, now: Instant) -> Moment {
        // They last for five hundred years.
        u64::try_from(now.duration_since(self.start).as_nanos()).unwrap_or(Moment::MAX)
    }
}

impl Connection {
    /// Sends a ping, and gives back buffers that an idle connection doesn't need.
    pub(crate) fn ping(&self) {
        {
            let mut state = self.state.borrow_mut();
            if state.phase != Phase::Open {
                return;
            }
            state.queue.push_control(match self.dialect {
                Dialect::SocketIo => frame::PING_PACKET,
                Dialect::Native | Dialect::Unspecified => frame::PING,
            });
        }
        self.flush();
        self.state.borrow_mut().queue.shrink();
    }

    /// Closes with 4002 if the client was not heard since `asked`. While the shard is behind the
    /// client is not read, and so not judged.
    pub(crate) fn expect_pong(&self, asked: Instant) {
        let judged = self.state.borrow().pause != Pause::Uplink;
        let judged = judged && !trunkline_planted::is("believe in who is silent");
        if judged && self.heard.get() < asked {
            self.close_now(&CloseReason::NO_PONG);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_come_in_order_and_stop_for_who_is_not_pinged_again() {
        let mut beats = Heartbeats::new(Duration::from_secs(10), Duration::from_secs(4));
        let start = beats.start;
        let at = |seconds| start + Duration::from_secs(seconds);
        beats.add(1, at(0));
        beats.add(2, at(1));
        assert_eq!(beats.due(at(9)), None);
        assert_eq!(beats.due(at(10)), Some(Due::Ping(1)));
        assert_eq!(beats.due(at(10)), None);
        beats.pinged(1, at(10));
        assert_eq!(beats.due(at(14)), Some(Due::Pong(1, at(10))));
        assert_eq!(beats.due(at(14)), Some(Due::Ping(2)));
        assert_eq!(beats.due(at(19)), None);
        assert_eq!(beats.due(at(20)), Some(Due::Ping(1)));
        assert_eq!(beats.due(at(99)), None);
    }

    #[test]
    fn who_was_pinged_by_another_way_is_not_left_waiting() {
        let mut beats = Heartbeats::new(Duration::from_secs(10), Duration::from_secs(4));
        let start = beats.start;
        let at = |seconds| start + Duration::from_secs(seconds);
        beats.add(1, at(0));
        beats.add_early(2, at(1));
        assert_eq!(beats.due(at(2)), None);
        assert_eq!(beats.due(at(3)), Some(Due::Ping(2)));
        beats.pinged(2, at(3));
        assert_eq!(beats.due(at(10)), Some(Due::Pong(2, at(3))));
        assert_eq!(beats.due(at(10)), Some(Due::Ping(1)));
        assert_eq!(beats.due(at(13)), Some(Due::Ping(2)));
    }
}
