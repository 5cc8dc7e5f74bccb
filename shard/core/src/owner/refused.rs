//! Requests that were refused because the topic is another's come again, in their order, when all
//! that their home had under way has been answered. What the home had sent before it knew must not
//! overtake them: it is refused too, whatever the view is by then.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::deadlines::Deadlines;
use crate::link::ShardIndex;
use crate::peer::RequestId;
use crate::time::Mono;
use crate::topic::Topic;

/// A home that has not come again after this long has given up.
const REMEMBERED: Duration = Duration::from_secs(15);

/// The newest request that each home was refused of each topic.
#[derive(Debug)]
pub(super) struct Refused {
    newest: BTreeMap<(ShardIndex, Topic), (RequestId, Mono)>,
    ages: Deadlines<(ShardIndex, Topic)>,
}

impl Refused {
    pub(super) fn new() -> Self {
        Self { newest: BTreeMap::new(), ages: Deadlines::new(REMEMBERED) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    pub(super) fn note(&mut self, now: Mono, home: ShardIndex, topic: &Topic, request: RequestId) {
        while let Some(key) = self.ages.pop_due(now) {
            if self.newest.get(&key).is_some_and(|(_, at)| now.since(*at) >= REMEMBERED) {
                self.newest.remove(&key);
            }
        }
        let key = (home, topic.clone());
        self.ages.push(now, key.clone());
        let before = self.newest.get(&key).map_or(request, |(before, _)| *before);
        self.newest.insert(key, (request.max(before), now));
    }

    /// Whether a request was sent before its home knew that an earlier one was refused. One that
    /// comes again ends that.
    pub(super) fn overtakes(
        &mut self,
        home: ShardIndex,
        topic: &Topic,
        request: RequestId,
    ) -> bool {
        let key = (home, topic.clone());
        let Some((newest, _)) = self.newest.get(&key) else { return false };
        if request > *newest {
            return true;
        }
        self.newest.remove(&key);
        false
    }

    /// What a home had under way is void, and answered.
    pub(super) fn link_down(&mut self, home: ShardIndex) {
        self.newest.retain(|(of, _), _| *of != home);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::UserId;

    #[test]
    fn what_was_sent_before_its_home_knew_waits_until_the_first_comes_again() {
        let topic = Topic::Inbox(UserId::parse("alice").unwrap());
        let (home, now) = (ShardIndex(1), Mono::default());
        let mut refused = Refused::new();
        refused.note(now, home, &topic, RequestId(4));
        assert!(refused.overtakes(home, &topic, RequestId(6)));
        refused.note(now, home, &topic, RequestId(6));
        assert!(!refused.overtakes(ShardIndex(2), &topic, RequestId(9)));
        assert!(!refused.overtakes(home, &topic, RequestId(4)));
        assert!(!refused.overtakes(home, &topic, RequestId(6)));
        assert!(refused.is_empty());
    }
}
