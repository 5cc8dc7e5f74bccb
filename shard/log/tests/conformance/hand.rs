//! Asking a log for one thing after the other, and records to ask with.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trunkline_core::{
    Arguments, Body, Held, LogFailure, LogOutcome, LogRequest, Namespace, Opened, Position,
    ReadQuery, Record, RoomId, SessionId, Ticket, Topic, UserId,
};
use trunkline_log::TopicLog;

/// When the tests begin, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_790_000_000_000;
/// A store that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log, and the time that it is told.
pub(crate) struct Hand {
    log: Box<dyn TopicLog>,
    pub(crate) now_ms: u64,
    tickets: u64,
}

impl Hand {
    pub(crate) fn new(log: Box<dyn TopicLog>) -> Self {
        Self { log, now_ms: START_MS, tickets: 0 }
    }

    /// Submits what takes a ticket, and gives the ticket.
    pub(crate) fn submit(&mut self, request: impl FnOnce(Ticket) -> LogRequest) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.log.submit(request(ticket), self.now_ms);
        ticket
    }

    /// The next outcome.
    pub(crate) async fn outcome(&mut self) -> (Ticket, LogOutcome) {
        let outcome = poll_fn(|cx| self.log.poll_outcome(cx));
        tokio::time::timeout(PATIENCE, outcome).await.expect("each ticket has an outcome")
    }

    /// The outcomes of these tickets, in whatever order they come.
    pub(crate) async fn outcomes(&mut self, tickets: &[Ticket]) -> Vec<LogOutcome> {
        let mut by_ticket = BTreeMap::new();
        for _ in tickets {
            let (ticket, outcome) = self.outcome().await;
            assert!(by_ticket.insert(ticket, outcome).is_none(), "{ticket:?} has one outcome");
        }
        tickets.iter().map(|it| by_ticket.remove(it).expect("only what was asked")).collect()
    }

    async fn ask(&mut self, request: impl FnOnce(Ticket) -> LogRequest) -> LogOutcome {
        let ticket = self.submit(request);
        let (of, outcome) = self.outcome().await;
        assert_eq!(of, ticket);
        outcome
    }

    pub(crate) async fn open(&mut self, topic: &Topic) -> Opened {
        self.try_open(topic).await.expect("the store is there")
    }

    pub(crate) async fn try_open(&mut self, topic: &Topic) -> Result<Opened, LogFailure> {
        match self.ask(|ticket| LogRequest::Open { ticket, topic: topic.clone() }).await {
            LogOutcome::Opened(opened) => Ok(opened),
            LogOutcome::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    /// Appends at a position; gives the oldest offset that is left.
    pub(crate) async fn append(
        &mut self,
        topic: &Topic,
        after: &Position,
        records: Vec<Record>,
    ) -> Result<u64, LogFailure> {
        let records = records.into_iter().map(Arc::new).collect();
        let (topic, after) = (topic.clone(), after.clone());
        match self.ask(|ticket| LogRequest::Append { ticket, topic, after, records }).await {
            LogOutcome::Appended { first } => Ok(first),
            LogOutcome::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    /// Opens a topic and appends so many plain records, one at a time. Gives where it stands then.
    pub(crate) async fn fill(&mut self, topic: &Topic, count: u64) -> Position {
        let opened = self.open(topic).await;
        let mut position = Position { epoch: opened.epoch, offset: opened.last };
        for _ in 0..count {
            let record = record(position.offset + 1, self.now_ms);
            self.append(topic, &position, vec![record]).await.expect("the place is right");
            position.offset += 1;
        }
        position
    }

    pub(crate) async fn read(&mut self, topic: &Topic, query: ReadQuery) -> Vec<Arc<Record>> {
        let topic = topic.clone();
        match self.ask(|ticket| LogRequest::Read { ticket, topic, query }).await {
            LogOutcome::Records { records } => records,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn offsets(&mut self, topic: &Topic, query: ReadQuery) -> Vec<u64> {
        self.read(topic, query).await.iter().map(|record| record.offset).collect()
    }

    /// An inbox's messages up to this one have been handed over.
    pub(crate) fn mark(&mut self, topic: &Topic, handed: u64) {
        self.log.submit(LogRequest::Mark { topic: topic.clone(), handed }, self.now_ms);
    }

    /// One page of topics, and whether there are more.
    pub(crate) async fn list(&mut self, after: Option<&Topic>, limit: usize) -> (Vec<Topic>, bool) {
        let after = after.cloned();
        match self.ask(|ticket| LogRequest::List { ticket, after, limit }).await {
            LogOutcome::Topics { topics, more } => (topics, more),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn export(&mut self, topic: &Topic) -> Option<Held> {
        match self.ask(|ticket| LogRequest::Export { ticket, topic: topic.clone() }).await {
            LogOutcome::Exported(held) => held.map(|held| *held),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn import(&mut self, topic: &Topic, held: Held) -> Result<(), LogFailure> {
        let (topic, held) = (topic.clone(), Box::new(held));
        match self.ask(|ticket| LogRequest::Import { ticket, topic, held }).await {
            LogOutcome::Imported => Ok(()),
            LogOutcome::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    /// What the next owner is to be told, who then goes on.
    pub(crate) async fn cede(&mut self, topic: &Topic) -> Option<Bytes> {
        match self.ask(|ticket| LogRequest::Cede { ticket, topic: topic.clone() }).await {
            LogOutcome::Ceded(deed) => deed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn take_up(&mut self, topic: &Topic, deed: Bytes) -> Opened {
        self.try_take_up(topic, deed).await.expect("it can be taken up")
    }

    pub(crate) async fn try_take_up(
        &mut self,
        topic: &Topic,
        deed: Bytes,
    ) -> Result<Opened, LogFailure> {
        let topic = topic.clone();
        match self.ask(|ticket| LogRequest::TakeUp { ticket, topic, deed }).await {
            LogOutcome::Opened(opened) => Ok(opened),
            LogOutcome::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn remove(&mut self, topic: &Topic) {
        self.log.submit(LogRequest::Remove { topic: topic.clone() }, self.now_ms);
    }

    pub(crate) fn log(&mut self) -> &mut dyn TopicLog {
        &mut *self.log
    }

    pub(crate) fn sweep(&mut self) {
        self.log.sweep(self.now_ms);
    }
}

/// Everything that there is.
pub(crate) const ALL: ReadQuery =
    ReadQuery { after: 0, before: u64::MAX, limit: usize::MAX, newest: false };

pub(crate) fn room(name: &str) -> Topic {
    Topic::Room(Namespace::parse("/").unwrap(), RoomId::parse(name).unwrap())
}

pub(crate) fn inbox(user: &str) -> Topic {
    Topic::Inbox(UserId::parse(user).unwrap())
}

/// A plain record of about 140 bytes, another at each place.
pub(crate) fn record(offset: u64, time_ms: u64) -> Record {
    Record {
        offset,
        time_ms,
        from: UserId::parse("alice").unwrap(),
        session: SessionId([7; 24]),
        sequence: offset,
        key: None,
        echo: true,
        body: Body {
            event: Arc::from("say"),
            arguments: Arguments::new(&format!("{offset}"), 1),
            attachments: Vec::new(),
        },
    }
}

/// A record that has everything that a record may have.
pub(crate) fn rich_record(offset: u64, time_ms: u64) -> Record {
    Record {
        key: Some(Arc::from(format!("key-{offset}"))),
        echo: false,
        body: Body {
            event: Arc::from("a picture \u{1f5bc}"),
            arguments: Arguments::new(r#"{"_placeholder":true,"num":0},"\u0000é",null"#, 3),
            attachments: vec![Bytes::from_static(&[0, 255, 10]), Bytes::new()],
        },
        ..record(offset, time_ms)
    }
}
