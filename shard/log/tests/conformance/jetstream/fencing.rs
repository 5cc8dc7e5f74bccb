//! Two shards and one topic.
