//! For how long the script keeps processes from each other: who can't be seen for `presence.grace` is
//! taken for gone by those who can't see them, and that is as it should be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::script::{Act, Process};

/// A stream is dialled again soon after its end is noticed.
const DIALLED: Duration = Duration::from_secs(1);
/// A stream of which something was lost is noticed by its silence, be it in the first answer. The
/// network sends nothing again.
const NOTICED: Duration = Duration::from_secs(6);

/// Time in which something has been wrong with a process, without a pause in which all could heal.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Duration,
    /// By then all has healed, if what is wrong has ended.
    until: Option<Duration>,
    heals: Duration,
}

/// Of each process the newest outage.
#[derive(Debug, Default)]
pub(crate) struct Outages(BTreeMap<Process, Outage>);

impl Outages {
    /// Something happens now.
    pub(crate) fn note(&mut self, act: &Act, now: Duration) {
        match act {
            Act::Crash(process) | Act::Stop(process) => self.begin(*process, DIALLED, now),
            Act::Vanish(process) => self.begin(*process, NOTICED, now),
            Act::Part(a, b) => [a, b].into_iter().for_each(|it| self.begin(*it, NOTICED, now)),
            Act::Hold(a, b) => [a, b].into_iter().for_each(|it| self.begin(*it, DIALLED, now)),
            Act::Start(process) => self.end(*process, now),
            Act::Join(a, b) | Act::Release(a, b) => {
                [a, b].into_iter().for_each(|it| self.end(*it, now));
            }
            _ => {}
        }
    }

    fn begin(&mut self, process: Process, heals: Duration, now: Duration) {
        let before = self.0.get(&process).filter(|it| it.until.is_none_or(|until| until >= now));
        let since = before.map_or(now, |it| it.since);
        self.0.insert(process, Outage { since, until: None, heals });
    }

    fn end(&mut self, process: Process, now: Duration) {
        if let Some(outage) = self.0.get_mut(&process) {
            outage.until.get_or_insert(now + outage.heals);
        }
    }

    /// Whether some process has been out of reach for so long.
    pub(crate) fn any_of(&self, length: Duration, now: Duration) -> bool {
        let is_long = |it: &Outage| {
            let over = it.since + length;
            now >= over && it.until.is_none_or(|until| until >= over)
        };
        self.0.values().any(is_long)
    }
}

#[test]
fn outages_that_follow_each_other_closely_are_one() {
    let shard = Process::Shard(0);
    let ms = Duration::from_millis;
    let mut outages = Outages::default();
    outages.note(&Act::Crash(shard), ms(1_000));
    outages.note(&Act::Start(shard), ms(2_000));
    outages.note(&Act::Part(shard, Process::Shard(1)), ms(3_000));
    outages.note(&Act::Join(shard, Process::Shard(1)), ms(5_000));
    assert!(!outages.any_of(ms(10_000), ms(10_999)));
    assert!(outages.any_of(ms(10_000), ms(11_000)));
    assert!(!outages.any_of(ms(10_001), ms(60_000)), "it was over at 11,000");
    outages.note(&Act::Crash(shard), ms(11_001));
    assert!(!outages.any_of(ms(10_000), ms(12_000)), "another one");
}
