//! What a world does to those who live in it: how long everything takes, and how often it fails.

use std::ops::RangeInclusive;
use std::time::Duration;

use trunkline_core::CoreSettings;

/// Milliseconds; one value of the range is drawn each time.
pub(crate) type Delay = RangeInclusive<u64>;

/// How a world behaves.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shards: usize,
    pub(crate) routers: usize,
    pub(crate) settings: CoreSettings,
    /// From one shard to another.
    pub(crate) link: Delay,
    /// Between a router and a shard, each way.
    pub(crate) trunk: Delay,
    /// Until the store has done what it was asked, and again until the core hears of it.
    pub(crate) log: Delay,
    /// Until an end of a broken link or trunk notices.
    pub(crate) notice: Delay,
    /// How often the store is slow, and how slow it is then.
    pub(crate) slow_log: (f64, Delay),
    /// How often a request to the store fails.
    pub(crate) log_failure: f64,
    /// Whether the store outlives the process.
    pub(crate) durable: bool,
    /// Whether all shards have one store; then it is `durable` too.
    pub(crate) shared: bool,
    /// Until a shard or router has heard of a change of view.
    pub(crate) news: Delay,
    /// Whether routers keep connections whose trunk breaks, and attach them again.
    pub(crate) hold: bool,
    /// How often a frame finds no room in a client's out-queue.
    pub(crate) no_room: f64,
    /// Whether clients poll: then each output is carried out at once, for their queues are the shard's.
    pub(crate) polls: bool,
}

impl Plan {
    /// Everything happens at once and nothing fails.
    pub(crate) fn calm(shards: usize) -> Self {
        Self {
            shards,
            routers: 2,
            settings: CoreSettings::default(),
            link: 0..=0,
            trunk: 0..=0,
            log: 0..=0,
            notice: 0..=0,
            slow_log: (0.0, 0..=0),
            log_failure: 0.0,
            durable: false,
            shared: false,
            news: 0..=0,
            hold: false,
            no_room: 0.0,
            polls: false,
        }
    }

    /// From now on nothing fails, and nothing is slower than it always is.
    pub(crate) fn calm_down(&mut self) {
        self.slow_log.0 = 0.0;
        self.log_failure = 0.0;
        self.no_room = 0.0;
    }

    /// The longest way of a word from a client to its shard and back, on a trunk that may be new.
    pub(crate) fn trunk_and_back(&self) -> Duration {
        Duration::from_millis(2 * self.trunk.end() + self.notice.end())
    }
}
