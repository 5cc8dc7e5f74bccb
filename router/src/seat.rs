//! Places, of which there are so many: one is given back when who has it is dropped.

use std::cell::Cell;
use std::rc::Rc;

/// A place among those that are counted together.
pub(crate) struct Seat(Rc<Cell<usize>>);

impl Seat {
    /// A place in any case.
    pub(crate) fn take(taken: &Rc<Cell<usize>>) -> Self {
        taken.set(taken.get() + 1);
        Self(Rc::clone(taken))
    }

    /// One of `most` places, if there is one left.
    pub(crate) fn take_one_of(taken: &Rc<Cell<usize>>, most: usize) -> Option<Self> {
        (taken.get() < most).then(|| Self::take(taken))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
