//! Topics that come from another store, and what another store would be given.

use std::sync::Arc;

use trunkline_core::{
    Epoch, Held, LogFailure, LogOutcome, LogRequest, Opened, Publication, Record, Ticket,
};
use trunkline_log::TopicLog;

use super::records::{record, topics};
use super::{Damaged, Run};

impl Run {
    pub(super) fn import(&mut self, topic: usize, count: u64, size: usize) -> Result<(), Damaged> {
        self.log()?;
        // What another store has kept, and before it what that one has let go.
        let (first, last) = (count + 1, 2 * count);
        self.tickets += 1;
        let (ticket, now_ms) = (Ticket(self.tickets), self.now_ms);
        let records: Vec<Record> =
            (1..=last).map(|offset| record(offset, now_ms, ticket.0, size)).collect();
        let (gone, kept) = records.split_at(usize::try_from(count).unwrap());
        let keyed = gone.iter().filter(|record| record.key.is_some());
        let held = Held {
            epoch: Epoch::new(&format!("import-{}", ticket.0)),
            first,
            last,
            last_time_ms: now_ms,
            handed: count,
            records: kept.iter().cloned().map(Arc::new).collect(),
            publications: keyed.chain(kept).map(Publication::of).collect(),
        };
        self.models[topic].import(&held, &records, now_ms);
        self.positions[topic] = None;
        let log = self.log.as_mut().expect("it is open");
        let (topic_name, held) = (topics()[topic].clone(), Box::new(held));
        log.submit(LogRequest::Import { ticket, topic: topic_name, held }, now_ms);
        match self.outcome() {
            (answered, LogOutcome::Imported) if answered == ticket => {
                self.models[topic].acknowledge_import();
            }
            (_, LogOutcome::Failed(LogFailure::Unavailable)) => {}
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    /// What another store would be given is what was opened and read.
    pub(super) fn is_exported(
        &mut self,
        topic: usize,
        opened: &Opened,
        records: &[Record],
    ) -> Result<(), Damaged> {
        let name = topics()[topic].clone();
        let export = |ticket| LogRequest::Export { ticket, topic: name.clone() };
        let outcome = self.ask(export)?;
        let LogOutcome::Exported(held) = outcome else { panic!("{outcome:?}") };
        let list = |ticket| LogRequest::List { ticket, after: None, limit: 10 };
        let outcome = self.ask(list)?;
        let LogOutcome::Topics { topics, more: false } = outcome else { panic!("{outcome:?}") };
        assert!(topics.is_sorted() && (records.is_empty() || topics.contains(&name)));
        let Some(held) = held else {
            assert_eq!(*opened, Opened::new(opened.epoch.clone()));
            return Ok(());
        };
        let exported: Vec<Record> = held.records.iter().map(|it| Record::clone(it)).collect();
        assert_eq!(exported, records);
        let Held { epoch, first, last, last_time_ms, handed, publications, .. } = *held;
        let waiting_bytes = opened.waiting_bytes;
        let held = Opened { epoch, first, last, last_time_ms, handed, waiting_bytes, publications };
        assert_eq!(held, *opened);
        Ok(())
    }
}
