//! Runs steps against a store on a disk, and asks the model after each crash.

mod moves;
mod records;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;
use trunkline_core::{
    LogFailure, LogOutcome, LogRequest, Opened, Position, ReadQuery, Record, Ticket,
};
use trunkline_log::{EmbeddedLog, OpenError, TopicLog};

use self::records::{record, settings, topics};
use crate::disk::{Disk, Plan};
use crate::model::Model;

/// What is done to the store.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append {
        topic: usize,
        count: u64,
        size: usize,
    },
    /// To all topics at once.
    AppendToAll {
        count: u64,
    },
    Reopen {
        topic: usize,
    },
    /// All but so many have been handed over.
    Mark {
        topic: usize,
        back: u64,
    },
    /// So many records come from another store, where those before them have gone.
    Import {
        topic: usize,
        count: u64,
        size: usize,
    },
    Remove {
        topic: usize,
    },
    Note,
    Pass {
        ms: u64,
    },
    Sweep,
    /// The process ends and another begins.
    Restart,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With so many writes and syncs.
    Done { operations: u64 },
    /// The store says that it is damaged, after a disk has lied.
    Damaged,
}

/// Runs steps, and judges. Panics at what mustn't be.
pub(crate) fn run(steps: &[Step], seed: u64, plans: Vec<Plan>) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let disk = Disk::new(seed, plans);
    let mut run = Run {
        runtime,
        log: None,
        models: topics().map(|_| Model::default()).into(),
        positions: [const { None }; 4].into(),
        disk,
        now_ms: 1_790_000_000_000,
        tickets: 0,
        restarts: seed,
        made: false,
        notes: Notes::default(),
    };
    match run.steps(steps) {
        Ok(()) => Ending::Done { operations: run.disk.operations() },
        Err(Damaged) => Ending::Damaged,
    }
}

/// What a disk that has lied may lead to.
struct Damaged;

struct Run {
    runtime: Runtime,
    log: Option<EmbeddedLog>,
    disk: Disk,
    models: Vec<Model>,
    /// Where the core believes the topics to be, if it has them open.
    positions: Vec<Option<Position>>,
    now_ms: u64,
    tickets: u64,
    restarts: u64,
    /// Whether the file has ever been there.
    made: bool,
    notes: Notes,
}

/// The notes that were made, by number.
#[derive(Default)]
struct Notes {
    last: u64,
    /// This one is kept, or a later one.
    kept: u64,
}

impl Run {
    fn steps(&mut self, steps: &[Step]) -> Result<(), Damaged> {
        for step in steps {
            match *step {
                Step::Append { topic, count, size } => self.append(&[topic], count, size)?,
                Step::AppendToAll { count } => self.append(&[0, 1, 2, 3], count, 100)?,
                Step::Reopen { topic } => {
                    self.positions[topic] = None;
                    self.open(topic)?;
                }
                Step::Mark { topic, back } => {
                    let handed = self.models[topic].acknowledged().saturating_sub(back);
                    self.models[topic].mark(handed);
                    let topic = topics()[topic].clone();
                    let now_ms = self.now_ms;
                    self.log()?.submit(LogRequest::Mark { topic, handed }, now_ms);
                }
                Step::Import { topic, count, size } => self.import(topic, count, size)?,
                Step::Remove { topic } => {
                    self.log()?;
                    (self.positions[topic], self.tickets) = (None, self.tickets + 1);
                    self.models[topic].remove(self.restarts);
                    let (topic, now_ms) = (topics()[topic].clone(), self.now_ms);
                    let log = self.log.as_mut().expect("it is open");
                    log.submit(LogRequest::Remove { topic }, now_ms);
                }
                Step::Note => {
                    self.log()?;
                    self.notes.last += 1;
                    let note = self.notes.last.to_le_bytes();
                    let log = self.log.as_mut().expect("it is open");
                    log.note(Bytes::copy_from_slice(&note));
                }
                Step::Pass { ms } => self.now_ms += ms,
                Step::Sweep => {
                    let now_ms = self.now_ms;
                    self.log()?.sweep(now_ms);
                }
                Step::Restart => self.close(),
            }
        }
        self.close();
        self.disk.stop();
        self.disk.start();
        (0..4).try_for_each(|topic| self.check(topic))
    }

    /// The store, on a machine that runs.
    fn log(&mut self) -> Result<&mut EmbeddedLog, Damaged> {
        if self.disk.crashed() {
            self.close();
            self.disk.start();
        }
        while self.log.is_none() {
            let disk = self.disk.clone();
            let opener = move |builder: &redb::Builder| builder.create_with_backend(disk.clone());
            self.restarts += 1;
            let entropy = StdRng::seed_from_u64(self.restarts);
            match EmbeddedLog::open_with(opener, Path::new("disk"), "a", settings(), entropy) {
                Ok(log) => {
                    self.noted(log.noted());
                    (self.log, self.made) = (Some(log), true);
                }
                Err(_) if self.disk.crashed() => self.disk.start(),
                // A file takes its name when it has been made; until then there is none.
                Err(_) if !self.made => self.disk.wipe(),
                // A shard that is started again and again.
                Err(OpenError::File { .. }) => {}
                Err(OpenError::Unreadable { .. }) if self.disk.was_short() => {}
                Err(_) if self.disk.lied() => return Err(Damaged),
                Err(error) => panic!("{error}"),
            }
        }
        let log = self.log.as_mut();
        Ok(log.expect("it was opened"))
    }

    /// What the store has noted: the last note, or one of which nothing later has been answered.
    fn noted(&mut self, noted: Option<Bytes>) {
        let number = noted.map_or(0, |note| u64::from_le_bytes(note.as_ref().try_into().unwrap()));
        let Notes { last, kept } = self.notes;
        assert!(self.disk.lied() || (kept..=last).contains(&number), "{number}: {kept} to {last}");
        self.notes = Notes { last: number, kept: number };
    }

    fn close(&mut self) {
        self.log = None;
        self.positions.fill(None);
    }

    fn submit(&mut self, request: impl FnOnce(Ticket) -> LogRequest) -> Result<Ticket, Damaged> {
        self.tickets += 1;
        let (ticket, now_ms) = (Ticket(self.tickets), self.now_ms);
        self.log()?.submit(request(ticket), now_ms);
        Ok(ticket)
    }

    fn outcome(&mut self) -> (Ticket, LogOutcome) {
        let Self { runtime, log, .. } = self;
        let log = log.as_mut().expect("something was submitted");
        let (ticket, outcome) = runtime.block_on(async {
            let outcome = poll_fn(|cx| log.poll_outcome(cx));
            tokio::time::timeout(Duration::from_secs(30), outcome).await.expect("an outcome")
        });
        // What is only read says nothing of what was written.
        if !matches!(outcome, LogOutcome::Failed(_) | LogOutcome::Records { .. }) {
            self.notes.kept = self.notes.last;
        }
        (ticket, outcome)
    }

    /// Asks until the store can answer.
    fn ask(&mut self, request: impl Fn(Ticket) -> LogRequest) -> Result<LogOutcome, Damaged> {
        loop {
            let asked = self.submit(&request)?;
            let (ticket, outcome) = self.outcome();
            assert_eq!(ticket, asked);
            if !matches!(outcome, LogOutcome::Failed(LogFailure::Unavailable)) {
                return Ok(outcome);
            }
            if !self.disk.crashed() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Opens a topic as the core does, unless it is open.
    fn open(&mut self, topic: usize) -> Result<Position, Damaged> {
        // A crash closes what is open.
        self.log()?;
        if let Some(position) = &self.positions[topic] {
            return Ok(position.clone());
        }
        let opened = self.opened(topic)?;
        let position = Position { epoch: opened.epoch.clone(), offset: opened.last };
        self.positions[topic] = Some(position.clone());
        Ok(position)
    }

    fn opened(&mut self, topic: usize) -> Result<Opened, Damaged> {
        let name = topics()[topic].clone();
        let outcome = self.ask(|ticket| LogRequest::Open { ticket, topic: name.clone() })?;
        let LogOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
        if !self.disk.lied() {
            self.models[topic].opened(&opened, self.restarts, self.now_ms);
        }
        Ok(opened)
    }

    fn append(&mut self, to: &[usize], count: u64, size: usize) -> Result<(), Damaged> {
        let mut asked = Vec::new();
        // A crash at the last closes those before.
        while to.iter().any(|topic| self.positions[*topic].is_none()) || self.disk.crashed() {
            for &topic in to {
                self.open(topic)?;
            }
        }
        for &topic in to {
            let position = self.positions[topic].clone().expect("it is open");
            let records: Vec<Record> = (position.offset + 1..=position.offset + count)
                .map(|offset| record(offset, self.now_ms, self.tickets, size))
                .collect();
            self.models[topic].submit(&position.epoch, &records, self.now_ms);
            let request = |ticket| LogRequest::Append {
                ticket,
                topic: topics()[topic].clone(),
                after: position.clone(),
                records: records.into_iter().map(Arc::new).collect(),
            };
            self.tickets += 1;
            let (ticket, now_ms) = (Ticket(self.tickets), self.now_ms);
            // To the store that has answered the open: after a crash it is still that one.
            let log = self.log.as_mut().expect("the topic is open");
            log.submit(request(ticket), now_ms);
            asked.push((ticket, topic, position));
        }
        for _ in 0..asked.len() {
            let (ticket, outcome) = self.outcome();
            let (_, topic, position) =
                asked.iter().find(|(asked, ..)| *asked == ticket).expect("it was asked for");
            match outcome {
                LogOutcome::Appended { .. } => {
                    self.models[*topic].acknowledge(&position.epoch);
                    let offset = position.offset + count;
                    let epoch = position.epoch.clone();
                    self.positions[*topic] = Some(Position { epoch, offset });
                }
                LogOutcome::Failed(LogFailure::Unavailable) => self.positions[*topic] = None,
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    /// What the topic is, as one sees it who opens it and reads it all.
    fn check(&mut self, topic: usize) -> Result<(), Damaged> {
        let opened = self.opened(topic)?;
        let name = topics()[topic].clone();
        let query = ReadQuery { after: 0, before: u64::MAX, limit: usize::MAX, newest: false };
        let outcome = self.ask(|ticket| LogRequest::Read { ticket, topic: name.clone(), query })?;
        let LogOutcome::Records { records } = outcome else { panic!("{outcome:?}") };
        let records: Vec<Record> = records.iter().map(|record| Record::clone(record)).collect();
        if self.disk.lied() {
            self.models[topic].are_submitted_somewhere(&opened.epoch, &records);
        } else {
            self.models[topic].read(&opened, &records, self.now_ms);
            self.is_exported(topic, &opened, &records)?;
        }
        Ok(())
    }
}
