//! `trunkline repair`: what is damaged in a shard's store, and what of it can be saved.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use trunkline_log::{RepairReport, TopicDamage, repair};

use crate::terminal::say;

/// Show what is damaged in a shard's store and what a repair would lose, and repair it
#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    /// The store's file; the shard that uses it must not run
    file: PathBuf,
    /// Copy what is intact to a new file that takes the place of this one, which is set aside
    #[arg(long)]
    apply: bool,
}

/// Prints the report.
///
/// # Errors
/// If the file is in use or can't be read at all, or a repaired one can't be written.
pub(crate) fn run(args: &RepairArgs) -> anyhow::Result<()> {
    let report = repair(&args.file, args.apply)?;
    say(text(&args.file, &report));
    Ok(())
}

fn text(file: &Path, report: &RepairReport) -> String {
    let RepairReport { name, topics, records, damages, keys, pages, set_aside } = report;
    let file = file.display();
    let (topics, records) = (count(*topics, "topic"), count(*records, "message"));
    let mut text = format!("{file}: the store of {name}, {topics}, {records}");
    if report.is_clean() {
        let _ = write!(text, "\nnothing is damaged");
        return text;
    }
    if !damages.is_empty() {
        let _ = write!(
            text,
            "\n\n{:<40} {:>15} {:>15} {:>8}  history",
            "topic", "messages", "kept", "lost"
        );
    }
    for damage in damages {
        let TopicDamage { topic, should_be, kept, new_epoch, .. } = damage;
        let _ = write!(
            text,
            "\n{topic:<40} {:>15} {:>15} {:>8}  {}",
            range(Some(should_be)),
            range(kept.as_ref()),
            damage.lost(),
            if *new_epoch { "begins anew" } else { "goes on" }
        );
    }
    text.push('\n');
    if *keys > 0 {
        let _ = write!(
            text,
            "\nlost: {}; a repeat of their messages counts as new",
            count(*keys, "idempotency key")
        );
    }
    if let Some(pages) = pages {
        let _ = write!(text, "\nthe file itself is damaged: {pages}");
    }
    let lost = count(report.lost(), "message");
    let _ = match set_aside {
        Some(aside) => {
            write!(text, "\nrepaired; lost: {lost}; the damaged file is now {}", aside.display())
        }
        None => write!(
            text,
            "\na repair loses {lost}; `trunkline repair {file} --apply` does it, and keeps the damaged file"
        ),
    };
    text
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn range(range: Option<&RangeInclusive<u64>>) -> String {
    match range.filter(|range| !range.is_empty()) {
        Some(range) => format!("{}-{}", range.start(), range.end()),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(damages: Vec<TopicDamage>) -> RepairReport {
        RepairReport {
            name: "a".to_owned(),
            topics: 2,
            records: 30,
            damages,
            keys: 0,
            pages: None,
            set_aside: None,
        }
    }

    #[test]
    fn a_store_in_order_is_said_to_be() {
        let text = text(Path::new("a.redb"), &report(Vec::new()));
        assert_eq!(text, "a.redb: the store of a, 2 topics, 30 messages\nnothing is damaged");
    }

    #[test]
    fn each_damaged_topic_has_a_line_with_what_is_kept_and_lost() {
        let damage = TopicDamage {
            topic: "room lobby of namespace /".to_owned(),
            what: "damaged".to_owned(),
            should_be: 1..=20,
            kept: Some(6..=20),
            new_epoch: false,
        };
        let text = text(Path::new("a.redb"), &report(vec![damage]));
        let line = text.lines().find(|line| line.starts_with("room lobby")).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(5).collect();
        assert_eq!(words, ["1-20", "6-20", "5", "goes", "on"]);
        assert!(text.ends_with("keeps the damaged file"), "{text}");
    }
}
