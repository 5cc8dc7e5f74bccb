//! Faults that are planted in the code on purpose. A test that says that the cluster loses nothing
//! is worth something only if it fails when the cluster does lose something: so each fault stands in
//! one line at the place where it would be a mistake, and a test tries them one by one.
//!
//! Without the feature `on`, which only that test asks for, [`is`] is false by constant and
//! nothing of a fault is compiled.

#[cfg(feature = "on")]
thread_local! {
    static PRESENT: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Plants the one fault that this thread has from now on, or none.
#[cfg(feature = "on")]
pub fn plant(fault: Option<&'static str>) {
    PRESENT.set(fault);
}

/// Whether a fault is planted in this thread.
#[cfg(feature = "on")]
#[must_use]
pub fn is(fault: &str) -> bool {
    PRESENT.get() == Some(fault)
}

/// Whether a fault is planted: never.
#[cfg(not(feature = "on"))]
#[inline(always)]
#[must_use]
pub const fn is(_fault: &str) -> bool {
    false
}
