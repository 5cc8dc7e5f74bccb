//! The receiving half of a client.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::Event;
use crate::pending::Pending;

/// What the server tells without being asked, in the order of arrival.
///
/// It is bounded. While it is full, nothing is read from the server: replies wait too (requests
/// then end with [`RequestError::EventsNotRead`](crate::RequestError::EventsNotRead)), and a
/// server that waits too long closes with 1013 or 4002. Drop it if events don't matter.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    pending: Arc<Pending>,
    ended: bool,
}

impl Events {
    pub(crate) fn new(events: mpsc::Receiver<Event>, pending: Arc<Pending>) -> Self {
        Self { events, pending, ended: false }
    }

    /// Waits for the next event. The last one is [`Event::Closed`], then there are none.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        match self.events.recv().await {
            Some(event) => Some(event),
            None if self.ended => None,
            None => {
                let closed = self.pending.closed().await;
                self.ended = true;
                Some(Event::Closed(closed))
            }
        }
    }

    /// The next event if one is here already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}
