//! What was acknowledged as stored stays stored, whatever dies.

mod kills;
mod ledger;
mod people;
mod plug;
