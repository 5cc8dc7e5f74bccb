//! What a connection or a topic is placed by, and its digest.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// The 128-bit key of the shard map's digests. Outsiders who don't know it can't choose names
/// that all fall on one shard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

impl HashKey {
    pub(crate) fn hasher(&self) -> SipHasher24 {
        SipHasher24::new_with_key(&self.0)
    }
}

/// What a connection or a topic is placed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardKey<'a> {
    /// A room of a namespace.
    Room {
        /// The namespace, with its leading slash.
        namespace: &'a str,
        /// The room's ID.
        room: &'a str,
    },
    /// A user: their inbox, and their connections that name no room.
    User(&'a str),
    /// A connection with neither room nor user: a random number.
    Anonymous(u64),
}

impl ShardKey<'_> {
    /// The key's digest: SipHash-2-4 over a tag byte and the parts, each after its length, so that
    /// no two keys have the same bytes. Fixed for ever: golden vectors in the tests hold it.
    #[must_use]
    pub fn digest(&self, key: &HashKey) -> Digest {
        let mut hasher = key.hasher();
        match *self {
            ShardKey::Room { namespace, room } => {
                hasher.write(&[1]);
                write_part(&mut hasher, namespace);
                write_part(&mut hasher, room);
            }
            ShardKey::User(user) => {
                hasher.write(&[2]);
                write_part(&mut hasher, user);
            }
            ShardKey::Anonymous(number) => {
                hasher.write(&[3]);
                hasher.write(&number.to_be_bytes());
            }
        }
        Digest(hasher.finish())
    }
}

fn write_part(hasher: &mut SipHasher24, part: &str) {
    hasher.write(&(part.len() as u64).to_be_bytes());
    hasher.write(part.as_bytes());
}

impl fmt::Display for ShardKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardKey::Room { namespace, room } => write!(f, "room {room} of namespace {namespace}"),
            ShardKey::User(user) => write!(f, "user {user}"),
            ShardKey::Anonymous(number) => write!(f, "anonymous {number:016x}"),
        }
    }
}

/// A shard key's 64-bit digest: all that placement needs, and all of a key that a session ID carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
