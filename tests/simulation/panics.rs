//! Panics of simulated processes. A task that panics is gone, and nobody else may notice: here it
//! is as wrong as anything.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whether panics of this thread are kept, and not printed.
pub(crate) fn listen(listens: bool) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if LISTENS.get() {
                FIRST.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| info.to_string());
                });
            } else {
                before(info);
            }
        }));
    });
    LISTENS.set(listens);
}

/// The first panic since the last time, if there was one.
pub(crate) fn take() -> Option<String> {
    FIRST.take()
}
