//! Ports for processes that are about to start. They lie below the range from which the system
//! takes ports for outgoing connections. No two calls give the same, whether of this process or of
//! other test binaries that run at the same time: each takes ports by blocks, and a block is whose
//! process listens on its first port.

use std::net::TcpListener;
use std::process;
use std::sync::{Mutex, PoisonError};

const FIRST: u16 = 12_000;
const BLOCK: u16 = 60;
const BLOCKS: u16 = 300;

/// The block from which ports are taken, and those that were used up.
static OWN: Mutex<Vec<Block>> = Mutex::new(Vec::new());

struct Block {
    _owned: TcpListener,
    next: u16,
    end: u16,
}

/// A port on which nobody listens.
pub(crate) fn free() -> u16 {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(block) = own.last_mut().filter(|block| block.next < block.end) else {
            own.push(claim());
            continue;
        };
        let port = block.next;
        block.next += 1;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A block that no test binary has.
fn claim() -> Block {
    // Not all begin at the same place: an ended process leaves sockets that linger.
    let start = u16::try_from(process::id() % u32::from(BLOCKS)).unwrap();
    let blocks = (0..BLOCKS).map(|nth| FIRST + (start + nth) % BLOCKS * BLOCK);
    let mut free = blocks.filter_map(|first| {
        let owned = TcpListener::bind(("127.0.0.1", first)).ok()?;
        Some(Block { _owned: owned, next: first + 1, end: first + BLOCK })
    });
    free.next().expect("a block of ports that nobody has")
}
