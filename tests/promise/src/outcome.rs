//! What came of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::History;
use crate::judge::{Noticed, Row, judge, millis};
use crate::kind::{Kind, Store};
use crate::plan::Plan;

/// What came of it. As JSON, pauses are told by quantiles.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where shards kept what they had.
    pub store: &'static str,
    /// How many clients.
    pub clients: usize,
    /// Messages a second.
    pub rate: f64,
    /// How long it took.
    pub seconds: f64,
    /// Messages that were said.
    pub said: usize,
    /// Messages that came to clients.
    pub came: usize,
    /// By how much this program was late with what it said, at most, in milliseconds: it is part of
    /// the pauses.
    pub late_max_ms: f64,
    /// Whether nobody has noticed more than it may.
    pub kept: bool,
    /// Of each kind of disruption.
    pub disruptions: Vec<Disruption>,
    /// Why connections ended and what clients were told that they should not be, and how often.
    pub reasons: BTreeMap<String, u64>,
}

/// One kind of disruption.
#[derive(Debug, Serialize)]
pub struct Disruption {
    /// Which.
    pub kind: Kind,
    /// How often.
    pub times: usize,
    /// Whether nobody has noticed more of it than it may.
    pub kept: bool,
    /// What all clients have noticed.
    pub all: Figures,
    /// What native ones have.
    pub native: Figures,
    /// What those of Socket.IO by WebSocket have.
    pub socketio: Figures,
    /// What those of Socket.IO that poll have.
    pub polling: Figures,
}

/// What clients have noticed.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Connections that ended, and weren't those of clients that poll and have recovered.
    pub disconnects: u64,
    /// Clients that poll and were cut off, and have recovered by themselves.
    pub came_back: u64,
    /// Acknowledged messages that somebody did not get, and requests that were never answered.
    pub lost: u64,
    /// Messages that somebody got again, and answers that came again.
    pub repeated: u64,
    /// Messages that came in another order than others got them, or their sender said them.
    pub out_of_order: u64,
    /// Comings and goings that were announced and were none: of people who have not begun anew.
    pub announced: u64,
    /// Other errors, and messages that were meant for others.
    pub errors: u64,
    /// Requests that were answered `unavailable`, and made again.
    pub unavailable: u64,
    /// Of all clients and disruptions: the longest time from when a message that was acknowledged
    /// was to be said to when this client got it, in milliseconds. None where nobody got any.
    pub pause_p50_ms: Option<f64>,
    /// The 99th percentile.
    pub pause_p99_ms: Option<f64>,
    /// The longest.
    pub pause_max_ms: Option<f64>,
}

impl Outcome {
    pub(crate) fn of(plan: &Plan, history: &History, seconds: f64) -> Self {
        let rows = judge(history);
        let disruptions: Vec<_> =
            rows.iter().map(|(kind, row)| Disruption::of(*kind, row, plan.store)).collect();
        Self {
            store: plan.store.name(),
            clients: plan.clients,
            rate: plan.rate,
            seconds,
            said: history.messages.len(),
            came: history.clients.iter().map(|client| client.got.len()).sum(),
            late_max_ms: millis(history.late),
            kept: disruptions.iter().all(|disruption| disruption.kept),
            disruptions,
            reasons: history.reasons.clone(),
        }
    }
}

impl Disruption {
    fn of(kind: Kind, row: &Row, store: Store) -> Self {
        Self {
            kind,
            times: row.times,
            kept: row.is_kept(kind, store),
            all: Figures::of(&row.all()),
            native: Figures::of(&row.native),
            socketio: Figures::of(&row.socketio),
            polling: Figures::of(&row.polling),
        }
    }
}

impl Figures {
    fn of(noticed: &Noticed) -> Self {
        Self {
            disconnects: noticed.disconnects,
            came_back: noticed.came_back,
            lost: noticed.lost,
            repeated: noticed.repeated,
            out_of_order: noticed.out_of_order,
            announced: noticed.announced,
            errors: noticed.errors,
            unavailable: noticed.unavailable,
            pause_p50_ms: noticed.pause_ms(0.5),
            pause_p99_ms: noticed.pause_ms(0.99),
            pause_max_ms: noticed.pause_ms(1.0),
        }
    }
}
