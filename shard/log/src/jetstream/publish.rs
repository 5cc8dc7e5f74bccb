//! Publishing until it is known what became of it.

use bytes::Bytes;

use super::entry::{AppendId, Entry};
use super::patience::{Late, Patience};
use super::server::{Failure, Server};

/// What is to be kept, after which message of the subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publish<'a> {
    pub(super) subject: &'a str,
    /// The place of the newest message, 0 if there must be none.
    pub(super) expected: u64,
    pub(super) append: AppendId,
    pub(super) payloads: &'a [Bytes],
}

/// Why messages were not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    /// Another message than the expected one is the newest: none was kept, unless something else
    /// has followed since.
    #[error("somebody else has written")]
    Conflict,
    /// Whether they were kept is not known, and they may yet be.
    #[error("it is not known what became of them: {0}")]
    Unknown(#[from] Late),
    /// They can't be.
    #[error("{0}")]
    Impossible(Failure),
}

/// What the newest message says about an append that was not answered.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It was kept.
    Kept(u64),
    /// It was not, so far: it can be sent again. Should both arrive, one is refused.
    Missing,
    /// It was not, or something else has followed.
    Conflict,
    /// The server that answered is late.
    Stale,
}

impl Server {
    /// Keeps messages, all or none; gives the place of the last. When an answer fails to come the
    /// newest message is read back and its append's ID compared, before anything is sent again.
    pub(super) async fn keep(
        &self,
        publish: Publish<'_>,
        patience: &mut Patience,
    ) -> Result<u64, NotKept> {
        let Publish { subject, expected, append, payloads } = publish;
        for attempt in 0.. {
            let sent = self.publish(subject, expected, append, attempt, payloads);
            let at_least = match patience.wait(sent).await? {
                Ok(last) => return Ok(last),
                Err(failure @ Failure::TooLarge(_)) => return Err(NotKept::Impossible(failure)),
                Err(Failure::Moved(newest)) => newest,
                Err(Failure::Unknown(why)) => {
                    tracing::debug!(subject, %why, "an append is read back");
                    patience.pause().await?;
                    None
                }
            };
            loop {
                let newest = patience.wait(self.newest(subject)).await?;
                let verdict = newest.as_ref().map_or(Verdict::Stale, |newest| {
                    judge(newest.as_ref(), expected, append, at_least)
                });
                match verdict {
                    Verdict::Kept(last) => return Ok(last),
                    Verdict::Conflict => return Err(NotKept::Conflict),
                    Verdict::Missing => break,
                    Verdict::Stale => patience.pause().await?,
                }
            }
            patience.pause().await?;
        }
        Err(NotKept::Unknown(Late))
    }
}

/// `at_least` is what a server that refused the append said is the newest.
fn judge(
    newest: Option<&Entry>,
    expected: u64,
    append: AppendId,
    at_least: Option<u64>,
) -> Verdict {
    let (sequence, of) = newest.map_or((0, None), |it| (it.sequence, Some(it.append)));
    if of == Some(append) {
        // It was kept whole, so that the newest is its last.
        return Verdict::Kept(sequence);
    }
    match at_least {
        // All messages that were there have been purged, or have reached their age.
        Some(0) if sequence == 0 => Verdict::Conflict,
        Some(at_least) if sequence < at_least => Verdict::Stale,
        _ if sequence == expected => Verdict::Missing,
        _ if sequence > expected => Verdict::Conflict,
        // None, though one was expected: gone, or the server is late.
        _ => Verdict::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::entry::Standing;
    use trunkline_core::Epoch;

    const OURS: AppendId = AppendId(7);

    fn entry(sequence: u64, append: AppendId) -> Entry {
        let standing = Standing::new(Epoch::new("e"));
        Entry { sequence, append, standing, records: Vec::new() }
    }

    #[test]
    fn an_append_whose_id_the_newest_message_has_was_kept() {
        let newest = entry(12, OURS);
        assert_eq!(judge(Some(&newest), 9, OURS, None), Verdict::Kept(12));
        // Its second sending was refused because the first had come through.
        assert_eq!(judge(Some(&newest), 9, OURS, Some(12)), Verdict::Kept(12));
    }

    #[test]
    fn an_append_is_sent_again_only_if_what_it_expects_is_still_the_newest() {
        let before = entry(9, AppendId(1));
        assert_eq!(judge(Some(&before), 9, OURS, None), Verdict::Missing);
        assert_eq!(judge(None, 0, OURS, None), Verdict::Missing);
        let foreign = entry(10, AppendId(1));
        assert_eq!(judge(Some(&foreign), 9, OURS, None), Verdict::Conflict);
    }

    #[test]
    fn a_server_that_is_late_decides_nothing() {
        let before = entry(9, AppendId(1));
        assert_eq!(judge(Some(&before), 9, OURS, Some(10)), Verdict::Stale);
        assert_eq!(judge(Some(&before), 10, OURS, None), Verdict::Stale);
        assert_eq!(judge(None, 9, OURS, None), Verdict::Stale);
    }

    #[test]
    fn a_subject_that_has_become_empty_is_another_one_than_was_expected() {
        assert_eq!(judge(None, 9, OURS, Some(0)), Verdict::Conflict);
    }
}
