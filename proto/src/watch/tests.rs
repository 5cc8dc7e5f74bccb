use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Wake, Waker};

use super::*;

/// Takes note of when it is woken.
struct Bell {
    number: usize,
    rung: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.lock().unwrap().push(self.number);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn who_waits_is_woken_in_the_order_in_which_they_have_begun_to() {
    let sender = Sender::new(0);
    let rung = Arc::new(Mutex::new(Vec::new()));
    // More than tokio's watch has places for those who wait.
    let mut watchers: Vec<Receiver<i32>> = (0..40).map(|_| sender.subscribe()).collect();
    let mut waits: Vec<_> = watchers.iter_mut().map(|it| Box::pin(it.changed())).collect();
    for (number, wait) in waits.iter_mut().enumerate() {
        let bell = Arc::new(Bell { number, rung: Arc::clone(&rung) });
        assert!(wait.as_mut().poll(&mut Context::from_waker(&Waker::from(bell))).is_pending());
    }
    sender.send_replace(1);
    assert_eq!(*rung.lock().unwrap(), (0..40).collect::<Vec<_>>());
    assert!(waits.iter_mut().all(|wait| poll(wait) == Poll::Ready(Ok(()))));
}

#[test]
fn what_has_changed_is_news_once_and_what_has_not_is_none() {
    let sender = Sender::new(1);
    let mut watcher = sender.subscribe();
    assert!(!watcher.has_changed());
    assert!(!sender.send_if_modified(|_| false));
    assert!(poll(&mut pin!(watcher.changed())).is_pending());
    assert_eq!(sender.send_replace(2), 1);
    assert_eq!(sender.send_replace(3), 2);
    assert!(watcher.has_changed());
    let mut late = sender.subscribe();
    assert!(!late.has_changed());
    assert_eq!(poll(&mut pin!(watcher.changed())), Poll::Ready(Ok(())));
    assert_eq!(*watcher.borrow(), 3);
    assert!(poll(&mut pin!(watcher.changed())).is_pending());
    late.mark_changed();
    assert!(late.has_changed());
    assert_eq!(*late.borrow_and_update(), 3);
    assert!(!late.has_changed());
}

#[test]
fn a_change_that_comes_between_looking_and_waiting_wakes() {
    let sender = Sender::new(1);
    let mut watcher = sender.subscribe();
    let mut wait = pin!(watcher.wait_for(|it| *it == 3));
    assert!(poll(&mut wait).is_pending());
    sender.send_replace(2);
    assert!(poll(&mut wait).is_pending());
    sender.send_replace(3);
    assert_eq!(poll(&mut wait), Poll::Ready(Ok(())));
}

#[test]
fn the_last_news_is_still_told_when_the_sender_is_gone_and_then_nobody_waits() {
    let sender = Sender::new(1);
    let mut watcher = sender.subscribe();
    let mut other = sender.subscribe();
    let mut waits = Box::pin(other.wait_for(|it| *it == 9));
    assert!(poll(&mut waits).is_pending());
    sender.send_replace(2);
    drop(sender.clone());
    assert!(poll(&mut waits).is_pending(), "another sender is left");
    drop(sender);
    assert_eq!(poll(&mut waits), Poll::Ready(Err(Closed)));
    assert_eq!(poll(&mut pin!(watcher.changed())), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut pin!(watcher.changed())), Poll::Ready(Err(Closed)));
    assert_eq!(poll(&mut pin!(watcher.wait_for(|it| *it == 2))), Poll::Ready(Ok(())));
}
