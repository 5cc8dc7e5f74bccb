//! Who was said to have come or gone, and has not.

use std::collections::BTreeMap;

use super::has_recovered;
use crate::history::{Announced, Client, History};

/// Calls `wrong` with the time of each announcement that a client was told and that is none. Whoever begins
/// anew has gone and come, once each time; before the first disruption people come.
pub(super) fn judge(history: &History, client: &Client, mut wrong: impl FnMut(u64)) {
    let mut told: BTreeMap<(usize, bool), usize> = BTreeMap::new();
    for &Announced { at, user, is_here } in &client.announced {
        if history.span_at(at) == 0 {
            continue;
        }
        let told = told.entry((user, is_here)).or_default();
        *told += 1;
        if *told > began_anew(history, user, at) {
            wrong(at);
        }
    }
}

/// How often somebody has begun anew up to a time. Others may be told of it before it has noticed itself.
fn began_anew(history: &History, user: usize, at: u64) -> usize {
    let Some(client) = history.clients.get(user) else { return 0 };
    let has_begun = |from: u64| {
        let span = history.spans.get(history.span_at(from));
        span.is_some_and(|span| span.from <= at)
    };
    let breaks = client.breaks.iter().filter(|gone| !has_recovered(client, gone));
    breaks.filter(|gone| has_begun(gone.from)).count()
}
