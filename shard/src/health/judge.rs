//! Who is dead, as far as it can be told from who still writes and who refuses connections.
//!
//! Nobody is found dead by one who sees nobody write, itself included: then it is the servers that
//! are away, or this process that was stopped. And when they are back, everybody gets time to write
//! again: the more, the longer ago it wrote last. How long ago that was the servers' clock tells, by
//! which all entries are dated.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trunkline_config::ShardStatus;
use trunkline_config::settings::HealthSettings;
use trunkline_log::{HealthEntry, Vital};

/// How long a shard must refuse connections until that counts. Nothing that serves refuses any, and one
/// that crashed and is started again at once has this long to listen.
const REFUSED: Duration = Duration::from_millis(200);
/// How long a shard that wrote before the servers went away may take at most until it writes again.
const AFTER_OUTAGE: Duration = Duration::from_secs(10);

/// What was seen of all shards.
pub(super) struct Judge {
    me: String,
    incarnation: u64,
    settings: HealthSettings,
    seen: BTreeMap<String, Seen>,
    watching: Option<Watching>,
}

struct Seen {
    entry: HealthEntry,
    at: Instant,
    refused_since: Option<Instant>,
}

/// This shard sees its own words without a break.
#[derive(Clone, Copy)]
struct Watching {
    /// Since when, and when the first of these was written.
    since: Instant,
    since_ms: u64,
    /// When it saw the last.
    last: Instant,
}

impl Judge {
    pub(super) fn new(me: String, incarnation: u64, settings: HealthSettings) -> Self {
        Self { me, incarnation, settings, seen: BTreeMap::new(), watching: None }
    }

    /// A shard's entry was seen. False if it is not news: a watch that begins anew shows again what
    /// was seen already.
    pub(super) fn saw(&mut self, entry: HealthEntry, now: Instant) -> bool {
        let vital = &entry.vital;
        let shard = &vital.status.shard;
        if *shard == self.me {
            // Not what a process before this one has said, or who has found this one dead.
            if vital.incarnation == self.incarnation && vital.dead.is_none() {
                let (since, since_ms) = match self.watching(now) {
                    Some(Watching { since, since_ms, .. }) => (since, since_ms),
                    None => (now, entry.written_ms),
                };
                self.watching = Some(Watching { since, since_ms, last: now });
            }
            return true;
        }
        let is_news = self.seen.get(shard).is_none_or(|it| it.entry.revision != entry.revision);
        if is_news {
            self.seen.insert(shard.clone(), Seen { entry, at: now, refused_since: None });
        }
        is_news
    }

    /// Whether a shard of the map refused a connection when it was last tried.
    pub(super) fn tried(&mut self, shard: &str, refused: bool, now: Instant) {
        let seen = self.seen.entry(shard.to_owned()).or_insert_with(|| Seen {
            entry: nothing_of(shard),
            at: now,
            refused_since: None,
        });
        let since = seen.refused_since.unwrap_or(now);
        seen.refused_since = refused.then_some(since);
    }

    /// Those who are dead: what was seen of them last.
    pub(super) fn dead(&self, now: Instant) -> Vec<HealthEntry> {
        let Some(watching) = self.watching(now) else { return Vec::new() };
        let is_dead = |seen: &&Seen| {
            let silent = now.saturating_duration_since(seen.at.max(watching.since));
            let is_late = silent >= self.patience(seen, &watching);
            let refuses = seen.refused_since.is_some_and(|since| now - since >= REFUSED);
            // One that has not been there yet may be about to start.
            let is_gone = refuses && seen.entry.written_ms >= watching.since_ms;
            let vital = &seen.entry.vital;
            let is_known = vital.dead.is_some() || vital.status.away;
            !is_known && (is_late || (is_gone && silent >= self.settings.interval))
        };
        self.seen.values().filter(is_dead).map(|seen| seen.entry.clone()).collect()
    }

    /// How long a shard may be silent. One that hasn't written since the break was cut off for as long
    /// as this one, and may take longer to come back.
    fn patience(&self, seen: &Seen, watching: &Watching) -> Duration {
        let before_ms = watching.since_ms.saturating_sub(seen.entry.written_ms);
        let timeout = self.settings.timeout;
        (Duration::from_millis(before_ms) * 2).clamp(timeout, timeout.max(AFTER_OUTAGE))
    }

    /// Since when this shard sees what is written; not at all if it hasn't seen its own words for
    /// longer than it takes the late word of another to be one.
    fn watching(&self, now: Instant) -> Option<Watching> {
        let HealthSettings { interval, timeout } = self.settings;
        let most = timeout.saturating_sub(interval * 2);
        self.watching.filter(|it| now.saturating_duration_since(it.last) <= most)
    }
}

/// What stands for the entry of a shard that has never written one.
fn nothing_of(shard: &str) -> HealthEntry {
    let status = ShardStatus { shard: shard.to_owned(), stamp_ms: 0, away: false };
    let vital = Vital { incarnation: 0, beat: 0, status, dead: None };
    HealthEntry { vital, revision: 0, written_ms: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    /// Milliseconds are counted from the start, at which it is long after an hour by the servers' clock.
    struct Play {
        judge: Judge,
        start: Instant,
        revision: u64,
    }

    impl Play {
        fn new() -> Self {
            let judge = Judge::new("me".to_owned(), 1, HealthSettings::default());
            Self { judge, start: Instant::now(), revision: 0 }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn writes(&mut self, shard: &str, ms: u64) {
            assert!(self.sees(entry(shard, 2 * HOUR_MS + ms), ms));
        }

        fn sees(&mut self, entry: HealthEntry, ms: u64) -> bool {
            self.revision += 1;
            let at = self.at(ms);
            self.judge.saw(HealthEntry { revision: self.revision, ..entry }, at)
        }

        fn dead(&self, ms: u64) -> Vec<String> {
            let dead = self.judge.dead(self.at(ms));
            dead.into_iter().map(|entry| entry.vital.status.shard).collect()
        }
    }

    fn entry(shard: &str, written_ms: u64) -> HealthEntry {
        let status = ShardStatus { shard: shard.to_owned(), stamp_ms: 1, away: false };
        let vital = Vital { incarnation: 1, beat: written_ms, status, dead: None };
        HealthEntry { vital, revision: 0, written_ms }
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
        for shard in ["gone", "silent", "b", "me"] {
            play.writes(shard, 1500);
        }
        play.judge.tried("gone", true, play.at(1590));
        play.judge.tried("gone", true, play.at(1780));
        assert_eq!(play.dead(1799), [""; 0], "the next word may be on its way");
        assert_eq!(play.dead(1800), ["gone"]);
        play.judge.tried("gone", false, play.at(1800));
        assert_eq!(play.dead(1800), [""; 0]);
        play.judge.tried("gone", true, play.at(1810));
        play.writes("me", 1810);
        assert_eq!(play.dead(2009), [""; 0], "it may be about to listen");
        assert_eq!(play.dead(2010), ["gone"]);
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
    fn after_a_short_break_nobody_is_waited_for_long() {
        let mut play = Play::new();
        for ms in (0..=3000).step_by(300) {
            play.writes("me", ms);
            play.writes("b", ms);
        }
        // Servers that are slow for a moment let b write no more, and then it is stopped.
        for ms in (4500..=7500).step_by(300) {
            play.writes("me", ms);
        }
        assert_eq!(play.dead(7499), [""; 0]);
        assert_eq!(play.dead(7500), ["b"]);
    }

    #[test]
    fn who_has_just_started_knows_who_wrote_just_before() {
        let mut play = Play::new();
        let own = entry("me", HOUR_MS - 1);
        let own = HealthEntry { vital: Vital { incarnation: 0, ..own.vital }, ..own };
        play.sees(own, 0);
        play.sees(entry("starts", HOUR_MS), 1);
        play.writes("b", 2);
        for ms in (200..=10_100).step_by(300) {
            let dead = if ms < 1700 { &[][..] } else { &["b"] };
            play.writes("me", ms);
            assert_eq!(play.dead(ms), dead, "{ms}");
        }
        assert_eq!(play.dead(10_200), ["b", "starts"]);
    }

    #[test]
    fn who_never_comes_is_dead_after_a_while_though_nothing_listens_there() {
        let mut play = Play::new();
        for ms in (0..=10_200).step_by(300) {
            play.writes("me", ms);
            play.judge.tried("new", true, play.at(ms));
            assert_eq!(play.dead(ms), if ms < 10_000 { &[][..] } else { &["new"] }, "{ms}");
        }
        assert_eq!(play.judge.dead(play.at(10_200))[0].revision, 0);
        play.writes("new", 10_300);
        assert_eq!(play.dead(10_300), [""; 0]);
    }

    #[test]
    fn what_is_seen_again_is_not_news() {
        let mut play = Play::new();
        let seen = HealthEntry { revision: 7, ..entry("b", HOUR_MS) };
        assert!(play.judge.saw(seen.clone(), play.start));
        assert!(!play.judge.saw(seen, play.start));
    }

    #[test]
    fn who_is_known_to_be_away_or_dead_is_not_found_dead() {
        let mut play = Play::new();
        for (shard, away, dead) in [("away", true, None), ("dead", false, Some("b".to_owned()))] {
            let status = ShardStatus { shard: shard.to_owned(), stamp_ms: 1, away };
            let vital = Vital { incarnation: 1, beat: 1, status, dead };
            play.sees(HealthEntry { vital, ..entry(shard, HOUR_MS) }, 0);
        }
        for ms in (0..=3000).step_by(300) {
            play.writes("me", ms);
        }
        assert_eq!(play.dead(3000), [""; 0]);
    }
}
