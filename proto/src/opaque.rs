//! Bytes that are kept for a shard's core: nobody else knows what they mean.

use bytes::Bytes;

/// The newest of them. They are a copy: what came with a batch would keep all of its memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opaque(Box<[u8]>);

impl Opaque {
    /// Copies them.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Takes newer ones in their place. Mostly these are as long, and then nothing is allocated.
    pub fn replace(&mut self, newer: &[u8]) {
        if self.0.len() == newer.len() {
            self.0.copy_from_slice(newer);
        } else {
            self.0 = newer.into();
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are sent.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_takes_the_place_of_what_was_whatever_its_length() {
        let mut kept = Opaque::default();
        assert!(kept.is_empty());
        for newer in ["one", "two", "three", "", "x"] {
            kept.replace(newer.as_bytes());
            assert_eq!(kept.to_bytes(), newer);
        }
    }
}
