//! What the command line says. A reader that has gone away (`trunkline spread | head`) is no
//! reason to panic, so what it doesn't read is dropped.

use std::fmt::Display;
use std::io::Write;

/// A line of what was asked for, on stdout.
pub(crate) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line of what went wrong, on stderr.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
