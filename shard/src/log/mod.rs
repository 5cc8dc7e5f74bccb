//! Where topics are kept. A store takes the core's requests and gives their outcomes; the core
//! waits for neither.

mod memory;

pub(crate) use memory::MemoryLog;
