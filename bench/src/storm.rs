//! Clients that connect, join and go.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::BenchError;
use crate::driver::Thread;
use crate::entry::enter;
use crate::pace::Pace;
use crate::plan::Plan;
use crate::tally::{Tally, micros};

/// How long a client takes to say goodbye at most.
const GOODBYE: Duration = Duration::from_secs(1);

struct Storm {
    plan: Arc<Plan>,
    tally: RefCell<Tally>,
    under_way: Cell<usize>,
}

/// Lets clients come at the plan's rate from the signal on, and counts those that get in.
pub(crate) async fn run(mut thread: Thread) -> Result<Tally, BenchError> {
    let plan = Arc::clone(&thread.plan);
    thread.ready();
    let tally = RefCell::new(Tally::new());
    let Some(start) = thread.start().await else { return Ok(tally.into_inner()) };
    let storm = Rc::new(Storm { plan: Arc::clone(&plan), tally, under_way: Cell::new(0) });
    let counted = start + plan.warm_up;
    let span = plan.warm_up + plan.duration;
    let pace = Pace { rate: plan.rate, thread: thread.index, threads: plan.threads, start, span };
    let most = plan.clients / plan.threads;
    let mut due = pace.begin();
    let mut number = thread.index;
    while let Some(moment) = due.recv().await {
        number += plan.threads;
        let counts = moment >= counted;
        if storm.under_way.get() >= most {
            if counts {
                storm.tally.borrow_mut().fail("as many clients as may be are on their way");
            }
            continue;
        }
        if counts {
            let mut tally = storm.tally.borrow_mut();
            tally.sent += 1;
            tally.expected += 1;
            tally.lag.saturating_record(micros(moment.elapsed()));
        }
        storm.under_way.set(storm.under_way.get() + 1);
        tokio::task::spawn_local(visit(Rc::clone(&storm), number, moment, counts));
    }
    // Each of them has a deadline.
    while storm.under_way.get() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    thread.ready();
    thread.finish().await;
    Ok(std::mem::replace(&mut *storm.tally.borrow_mut(), Tally::new()))
}

async fn visit(storm: Rc<Storm>, number: usize, moment: Instant, counts: bool) {
    // Users and rooms come again, as those of a real service do.
    let client = number % storm.plan.clients;
    let room = storm.plan.room(storm.plan.room_of(client));
    match enter(&storm.plan, client, Some(&room)).await {
        Ok(mut entered) => {
            if counts {
                let mut tally = storm.tally.borrow_mut();
                tally.delivered += 1;
                tally.latency.saturating_record(micros(moment.elapsed()));
            }
            let _ = timeout(GOODBYE, entered.sink.close()).await;
        }
        Err(why) if counts => storm.tally.borrow_mut().fail(why),
        Err(_) => {}
    }
    storm.under_way.set(storm.under_way.get() - 1);
}
