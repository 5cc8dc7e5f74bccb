//! Bytes of a shard's that are kept for it: nobody here knows what they mean.

use bytes::Bytes;

/// The newest of them. They are a copy: what came with a batch would keep all of its memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Opaque(Box<[u8]>);

impl Opaque {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Takes newer ones in their place. Mostly these are as long, and then nothing is allocated.
    pub(crate) fn replace(&mut self, newer: &[u8]) {
        if self.0.len() == newer.len() {
            self.0.copy_from_slice(newer);
        } else {
            self.0 = newer.into();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are sent.
    pub(crate) fn to_bytes(&self) -> Bytes {
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
