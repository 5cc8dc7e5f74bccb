//! What the servers cost, from the operating system's accounting (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use procfs::process::{Process, all_processes};

use crate::BenchError;
use crate::outcome;

/// The processes that are measured; those that they have started count with them.
#[derive(Debug, Default)]
pub struct Selection {
    /// By process ID.
    pub pids: Vec<i32>,
    /// Every process whose command line contains one of these texts.
    pub patterns: Vec<String>,
}

/// One process at one moment.
#[derive(Clone, Debug)]
struct Reading {
    name: String,
    user: u64,
    system: u64,
    /// Resident memory, in bytes.
    rss: u64,
}

/// All of them at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// By process ID and start, since IDs are used again.
    processes: BTreeMap<(i32, u64), Reading>,
}

impl Selection {
    /// Whether nothing is to be measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.patterns.is_empty()
    }

    /// Reads them all.
    ///
    /// # Errors
    /// If one that was named is not there, or none fits.
    pub(crate) fn read(&self) -> Result<Snapshot, BenchError> {
        if self.is_empty() {
            return Ok(Snapshot::default());
        }
        let unreadable = |error| BenchError::Servers(format!("/proc can't be read: {error}"));
        // A process may end while it is looked at; then it is not one of ours.
        let all: Vec<_> = all_processes()
            .map_err(unreadable)?
            .filter_map(|process| {
                let process = process.ok()?;
                let stat = process.stat().ok()?;
                Some((process, stat))
            })
            .collect();
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let mut chosen: BTreeSet<i32> = self.pids.iter().copied().collect();
        for (process, _) in all.iter().filter(|_| !self.patterns.is_empty()) {
            let line = process.cmdline().unwrap_or_default().join(" ");
            let fits = self.patterns.iter().any(|pattern| line.contains(pattern.as_str()));
            if fits && process.pid != me {
                chosen.insert(process.pid);
            }
        }
        loop {
            let before = chosen.len();
            let children = all.iter().filter(|(_, stat)| chosen.contains(&stat.ppid));
            let children: Vec<_> = children.map(|(process, _)| process.pid).collect();
            chosen.extend(children.into_iter().filter(|pid| *pid != me));
            if chosen.len() == before {
                break;
            }
        }
        let page = procfs::page_size();
        let mut processes = BTreeMap::new();
        for (process, stat) in all.iter().filter(|(process, _)| chosen.remove(&process.pid)) {
            let reading = Reading {
                name: stat.comm.clone(),
                user: stat.utime,
                system: stat.stime,
                rss: stat.rss * page,
            };
            processes.insert((process.pid, stat.starttime), reading);
        }
        if let Some(pid) = chosen.first() {
            return Err(BenchError::Servers(format!("there is no process {pid}")));
        }
        if processes.is_empty() {
            return Err(BenchError::Servers("no command line fits the pattern".to_owned()));
        }
        Ok(Snapshot { processes })
    }
}

impl Snapshot {
    pub(crate) fn rss(&self) -> u64 {
        self.processes.values().map(|process| process.rss).sum()
    }

    /// What was spent since `before`. A process that has come since counts from its start; one
    /// that has gone is named without what it has spent.
    pub(crate) fn since(&self, before: &Self) -> Cost {
        let ticks = procfs::ticks_per_second().max(1);
        // Ticks of a process are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let seconds = |ticks_spent: u64| ticks_spent as f64 / ticks as f64;
        let mut cost = Cost::default();
        for (&(pid, start), now) in &self.processes {
            let then = before.processes.get(&(pid, start));
            let user = seconds(now.user.saturating_sub(then.map_or(0, |then| then.user)));
            let system = seconds(now.system.saturating_sub(then.map_or(0, |then| then.system)));
            cost.user_seconds += user;
            cost.system_seconds += system;
            let name = now.name.clone();
            let process = outcome::Process { pid, name, cpu_seconds: user + system, rss: now.rss };
            cost.processes.push(process);
        }
        cost.gone = before.processes.keys().filter(|key| !self.processes.contains_key(key)).count();
        cost
    }
}

/// What was spent between two moments.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) processes: Vec<outcome::Process>,
    /// How many have ended in between.
    pub(crate) gone: usize,
}

/// What this process has spent itself: in all, and its busiest thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTime {
    threads: BTreeMap<i32, u64>,
}

impl OwnTime {
    pub(crate) fn read() -> Self {
        let threads = || {
            let tasks = Process::myself().ok()?.tasks().ok()?;
            Some(
                tasks
                    .filter_map(|task| {
                        let task = task.ok()?;
                        let stat = task.stat().ok()?;
                        Some((task.tid, stat.utime + stat.stime))
                    })
                    .collect(),
            )
        };
        Self { threads: threads().unwrap_or_default() }
    }

    /// CPU time since `before`: of all threads, and of the busiest.
    pub(crate) fn since(&self, before: &Self) -> (Duration, Duration) {
        let ticks = procfs::ticks_per_second().max(1);
        let span = |count: u64| Duration::from_millis(count * 1000 / ticks);
        let spent = |(tid, now): (&i32, &u64)| now - before.threads.get(tid).unwrap_or(&0).min(now);
        let all: Vec<u64> = self.threads.iter().map(spent).collect();
        (span(all.iter().sum()), span(all.iter().copied().max().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let selection = Selection { pids: vec![i32::MAX], patterns: Vec::new() };
        let error = selection.read().expect_err("none");
        assert!(error.to_string().contains("2147483647"), "{error}");
        let selection = Selection { pids: Vec::new(), patterns: vec!["\u{1}none".to_owned()] };
        assert!(selection.read().is_err());
    }

    #[test]
    fn a_process_is_measured_with_what_it_has_started() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let me = i32::try_from(std::process::id()).expect("a PID");
        let child_pid = i32::try_from(child.id()).expect("a PID");
        let selection = Selection { pids: vec![me], patterns: Vec::new() };
        let snapshot = selection.read().expect("readable");
        child.kill().expect("killed");
        child.wait().expect("ended");
        let cost = snapshot.since(&Snapshot::default());
        assert!(cost.processes.iter().any(|process| process.pid == child_pid));
        assert!(snapshot.rss() > 100_000);
    }

    #[test]
    fn own_time_grows_with_work() {
        let before = OwnTime::read();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        // On a busy machine it may be long until this thread has been at work for a tick.
        let spent = loop {
            let (all, busiest) = OwnTime::read().since(&before);
            if busiest > Duration::ZERO || std::time::Instant::now() > deadline {
                break (all, busiest);
            }
        };
        assert!(spent.0 >= spent.1 && spent.1 > Duration::ZERO);
    }
}
