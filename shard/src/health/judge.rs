//! Who is dead, as far as it can be told from who still writes and who refuses connections.
//!
//! Nobody is found dead by one who sees nobody write, itself included: then it is the servers that
//! are away, or this process that was stopped. And when they are back, everybody gets time to write
//! again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trunkline_config::settings::HealthSettings;
use trunkline_log::Vital;

/// How long a shard must refuse connections until that counts.
const REFUSED: Duration = Duration::from_millis(500);
/// How long a shard that wrote before the servers went away may take until it writes again.
const AFTER_OUTAGE: Duration = Duration::from_secs(10);

/// What was seen of all shards.
pub(super) struct Judge {
    me: String,
    settings: HealthSettings,
    seen: BTreeMap<String, Seen>,
    /// Since when this shard sees its own writes without a break, and when it last did.
    watching: Option<(Instant, Instant)>,
}

struct Seen {
    vital: Vital,
    revision: u64,
    at: Instant,
    refused_since: Option<Instant>,
}

impl Judge {
    pub(super) fn new(me: String, settings: HealthSettings) -> Self {
        Self { me, settings, seen: BTreeMap::new(), watching: None }
    }

    /// A shard's entry was seen.
    pub(super) fn saw(&mut self, vital: Vital, revision: u64, now: Instant) {
        let shard = vital.status.shard.clone();
        if shard == self.me {
            let since = self.watching_since(now).unwrap_or(now);
            self.watching = Some((since, now));
            return;
        }
        // A watch that begins anew shows again what was seen already.
        if self.seen.get(&shard).is_none_or(|seen| seen.revision != revision) {
            self.seen.insert(shard, Seen { vital, revision, at: now, refused_since: None });
        }
    }

    /// Whether a shard refused a connection when it was last tried.
    pub(super) fn tried(&mut self, shard: &str, refused: bool, now: Instant) {
        if let Some(seen) = self.seen.get_mut(shard) {
            let since = seen.refused_since.unwrap_or(now);
            seen.refused_since = refused.then_some(since);
        }
    }

    /// Those who are dead, with what was seen of them last.
    pub(super) fn dead(&self, now: Instant) -> Vec<(Vital, u64)> {
        let Some(since) = self.watching_since(now) else { return Vec::new() };
        let HealthSettings { interval, timeout } = self.settings;
        let is_dead = |seen: &&Seen| {
            let silent = now.saturating_duration_since(seen.at.max(since));
            let is_late = if seen.at >= since {
                silent >= timeout
            } else {
                silent >= timeout.max(AFTER_OUTAGE)
            };
            let refuses = seen.refused_since.is_some_and(|since| now - since >= REFUSED);
            let is_known = seen.vital.dead.is_some() || seen.vital.status.away;
            !is_known && (is_late || (refuses && silent >= interval * 2))
        };
        let dead = self.seen.values().filter(is_dead);
        dead.map(|seen| (seen.vital.clone(), seen.revision)).collect()
    }

    /// Since when this shard sees what is written; not at all if it hasn't seen its own writes for
    /// longer than it takes the late word of another to be one.
    fn watching_since(&self, now: Instant) -> Option<Instant> {
        let HealthSettings { interval, timeout } = self.settings;
        let (since, last) = self.watching?;
        (now.saturating_duration_since(last) <= timeout.saturating_sub(interval * 2))
            .then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use trunkline_config::ShardStatus;

    use super::*;

    struct Play {
        judge: Judge,
        start: Instant,
        revision: u64,
    }

    impl Play {
        fn new() -> Self {
            let judge = Judge::new("me".to_owned(), HealthSettings::default());
            Self { judge, start: Instant::now(), revision: 0 }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn writes(&mut self, shard: &str, ms: u64) {
            self.revision += 1;
            let status = ShardStatus { shard: shard.to_owned(), stamp_ms: 1, away: false };
            let vital = Vital { incarnation: 1, beat: self.revision, status, dead: None };
            let at = self.at(ms);
            self.judge.saw(vital, self.revision, at);
        }

        fn dead(&self, ms: u64) -> Vec<String> {
            let dead = self.judge.dead(self.at(ms));
            dead.into_iter().map(|(vital, _)| vital.status.shard).collect()
        }
    }

    #[test]
    fn who_is_silent_while_others_write_is_dead_and_who_refuses_is_sooner() {
        let mut play = Play::new();
        for ms in (0..=1500).step_by(300) {
            play.writes("me", ms);
            play.writes("b", ms);
        }
        play.writes("silent", 0);
        // One that is seen late is silent since then.
        assert_eq!(play.dead(1499), [""; 0]);
        assert_eq!(play.dead(1500), ["silent"]);
        play.writes("gone", 1500);
        for ms in (1800..=2100).step_by(300) {
            play.writes("me", ms);
            play.judge.tried("gone", true, play.at(ms));
        }
        play.writes("silent", 1900);
        play.writes("b", 2100);
        assert_eq!(play.dead(2299), [""; 0]);
        assert_eq!(play.dead(2300), ["gone"]);
        play.judge.tried("gone", false, play.at(2300));
        assert_eq!(play.dead(2300), [""; 0]);
    }

    #[test]
    fn who_sees_nobody_write_finds_nobody_dead_and_lets_all_write_again() {
        let mut play = Play::new();
        play.writes("me", 0);
        play.writes("b", 0);
        assert_eq!(play.dead(1400), [""; 0]);
        assert_eq!(play.dead(60_000), [""; 0]);
        // The servers are back, and this shard is the first to write.
        for ms in (60_000..=70_000).step_by(300) {
            play.writes("me", ms);
            assert_eq!(play.dead(ms), [""; 0], "{ms}");
        }
        play.writes("me", 70_100);
        assert_eq!(play.dead(70_100), ["b"]);
    }

    #[test]
    fn who_is_known_to_be_away_or_dead_is_not_found_dead() {
        let mut play = Play::new();
        for (shard, away, dead) in [("away", true, None), ("dead", false, Some("b".to_owned()))] {
            let status = ShardStatus { shard: shard.to_owned(), stamp_ms: 1, away };
            let vital = Vital { incarnation: 1, beat: 1, status, dead };
            let start = play.start;
            play.judge.saw(vital, 7, start);
        }
        for ms in (0..=3000).step_by(300) {
            play.writes("me", ms);
        }
        assert_eq!(play.dead(3000), [""; 0]);
    }
}
