//! The lines that are typed, or come through a pipe.

use std::io::BufRead;

use tokio::sync::mpsc;

/// Lines that wait for the server; more wait in the pipe.
const WAITING: usize = 16;

/// Reads stdin on a thread of its own: a read of a terminal can't be cancelled, and must not keep
/// the program from ending.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        // A line that is not UTF-8 ends the input as its end does.
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
