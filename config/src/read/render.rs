//! A shard map as a file, for a map that was made and not written by hand.

use std::fmt::Write;

use toml::Value;

use crate::shard_map::ShardMap;

/// The map as TOML that [`crate::load_map`] reads as the same map. The text contains the hash
/// key: whoever writes it to a file keeps others from reading that.
#[must_use]
pub fn render_map(map: &ShardMap) -> String {
    let hash_key = format!("{:032x}", u128::from_be_bytes(map.hash_key().0));
    let mut text = format!("version = {}\nhash_key = \"{hash_key}\"\n", map.id().version);
    for shard in map.shards() {
        let quoted = |text: &str| Value::String(text.to_owned());
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "\n[[shard]]\nid = {}\ngrpc = {}\nmetrics = {}\nweight = {:?}\n",
            quoted(&shard.id),
            quoted(&shard.grpc),
            quoted(&shard.metrics),
            shard.weight,
        );
    }
    text
}
