//! Faults that are planted in the code on purpose. A test that says that the cluster loses nothing
//! is worth something only if it fails when the cluster does lose something: so each fault stands in
//! one line at the place where it would be a mistake, and tests plant one by one. `caught.txt` says
//! which simulation catches it, by which seed.
//!
//! Only a debug build has them, and in none of them before a test plants one: with optimisation for
//! release [`is`] is false by constant and nothing of a fault is compiled.

#[cfg(debug_assertions)]
mod caught;

#[cfg(debug_assertions)]
pub use caught::{Caught, faults};

#[cfg(debug_assertions)]
thread_local! {
    static PRESENT: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Lets this thread do something with the one fault that it has meanwhile. It must not panic.
#[cfg(debug_assertions)]
pub fn with<T>(fault: &'static str, work: impl FnOnce() -> T) -> T {
    PRESENT.set(Some(fault));
    let done = work();
    PRESENT.set(None);
    done
}

/// Whether a fault is planted in this thread.
#[cfg(debug_assertions)]
#[inline]
#[must_use]
pub fn is(fault: &str) -> bool {
    match PRESENT.get() {
        None => false,
        Some(present) => present == fault,
    }
}

/// Whether a fault is planted: never.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[must_use]
pub const fn is(_fault: &str) -> bool {
    false
}
