//! The children of a process, as the system sees them. Linux only, as the router is.

use std::collections::BTreeMap;
use std::fs;

/// The children of a process that have not ended, by what they run: `router`, or a shard's ID.
pub(crate) fn children(parent: u32) -> BTreeMap<String, u32> {
    let ids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| state(*id).is_some_and(|(is_alive, of)| is_alive && of == parent))
        .filter_map(|id| Some((role(id)?, id)))
        .collect()
}

/// Whether a process has not ended; one that nobody has waited for has.
pub(crate) fn lives(id: u32) -> bool {
    state(id).is_some_and(|(is_alive, _)| is_alive)
}

/// Whether it lives, and its parent; none if there is no such process.
fn state(id: u32) -> Option<(bool, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // What is before may hold anything: it is the program's name.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    Some((!matches!(state, "Z" | "X"), fields.next()?.parse().ok()?))
}

fn role(id: u32) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
    let mut words = line.split('\0').skip(1);
    match words.next()? {
        "shard" => words.skip_while(|word| *word != "--id").nth(1).map(str::to_owned),
        other => Some(other.to_owned()),
    }
}
