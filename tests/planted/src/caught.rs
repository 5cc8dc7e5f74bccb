//! What catches which fault.

use std::fmt;

/// A line of `caught.txt`: a seed that a fault makes fail.
#[derive(Clone, Copy, Debug)]
pub struct Caught<'a> {
    /// The fault that is planted.
    pub fault: &'a str,
    /// The simulation that catches it.
    pub simulation: &'a str,
    /// The seed that does.
    pub seed: u64,
    /// A part of what its judge says then.
    pub says: &'a str,
}

const TABLE: &str = include_str!("../caught.txt");

impl Caught<'static> {
    /// All that a kind of simulation catches, in the table's order.
    pub fn by(kind: &str) -> impl Iterator<Item = Self> {
        lines().map(Self::read).filter(move |it| it.simulation.split(' ').next() == Some(kind))
    }

    fn read(line: &'static str) -> Self {
        let mut fields = line.split('|').map(str::trim);
        let mut field = || fields.next().unwrap_or_else(|| panic!("{line}: four fields"));
        let [fault, simulation, seed, says] = [field(), field(), field(), field()];
        assert!(!says.is_empty(), "{line}: anything would be right");
        let seed = seed.parse().unwrap_or_else(|_| panic!("{line}: a seed is a number"));
        Self { fault, simulation, seed, says }
    }
}

impl Caught<'_> {
    /// Compares what has become of the seed, with the fault and without: what went wrong, if
    /// anything did. Says what isn't as the table has it.
    ///
    /// # Errors
    ///
    /// If the fault isn't caught, by another judge, or the seed fails without it as well.
    pub fn check(&self, with: Option<&str>, without: Option<&str>) -> Result<(), String> {
        let Self { fault, simulation, seed, says } = self;
        let problem = match (with, without) {
            (_, Some(wrong)) => format!("fails without any fault: {wrong:.300}"),
            (None, None) => "doesn't catch it".to_owned(),
            (Some(wrong), None) if !wrong.contains(says) => {
                format!("should say {says:?}, and says: {wrong:.300}")
            }
            (Some(_), None) => return Ok(()),
        };
        Err(format!("{fault}: seed {seed} of {simulation} {problem}"))
    }
}

impl fmt::Display for Caught<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, simulation, seed, says } = self;
        write!(f, "{fault} | {simulation} | {seed} | {says}")
    }
}

/// All faults of the table.
pub fn faults() -> impl Iterator<Item = &'static str> {
    lines().map(|line| Caught::read(line).fault)
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const PLACE: &str = "trunkline_planted::is(\"";
    /// Where the faults are that no seed has shown.
    const FACTS: &str = "shard/core/tests/it/behaviour/planted.rs";

    /// The faults that are planted in a file, or in all files below a folder.
    fn planted(path: &Path, found: &mut Vec<String>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                planted(&entry.unwrap().path(), found);
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let names = text.split(PLACE).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }

    #[test]
    fn each_fault_that_is_planted_has_a_line_in_the_table_or_a_fact_and_no_other_has() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut found = Vec::new();
        for part in ["client/src", "config/src", "proto/src", "router/src", "shard"] {
            planted(&root.join(part), &mut found);
        }
        let facts = fs::read_to_string(root.join(FACTS)).unwrap();
        found.retain(|fault| !facts.contains(&format!("\"{fault}\",")));
        let mut table: Vec<&str> = faults().collect();
        found.sort_unstable();
        table.sort_unstable();
        assert_eq!(found, table);
    }

    #[test]
    fn a_fault_is_caught_if_the_seed_fails_by_it_alone_and_as_the_table_has_it() {
        let caught = Caught { fault: "a", simulation: "cores 0", seed: 1, says: "comes once" };
        let it = |with, without| caught.check(with, without).is_ok();
        assert!(it(Some("p1 comes once"), None));
        assert!(!it(None, None), "nobody has noticed");
        assert!(!it(Some("p1 waits"), None), "another judge has noticed");
        assert!(!it(Some("p1 comes once"), Some("p1 comes once")), "it is no fault's");
    }

    #[test]
    fn only_the_fault_that_is_planted_is_there_and_only_while_it_is() {
        let (one, other) = crate::with("one", || (crate::is("one"), crate::is("other")));
        assert!(one && !other && !crate::is("one"));
    }
}
