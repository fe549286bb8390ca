//! A number for bytes that is the same in every process, on every machine and in every version.

use std::hash::Hasher;

/// FNV-1a of 64 bits (Fowler, Noll and Vo): for numbers that two processes, or two versions of one, have to agree on.
///
/// It withstands accident, not malice. Its high bits change late: whoever cuts its range into pieces has to mix it first.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Fnv {
    /// The number of these bytes.
    pub fn of(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(Self::default(), Self::and).0
    }

    fn and(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        *self = bytes.iter().copied().fold(*self, Self::and);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_its_authors_published() {
        assert_eq!(Fnv::of(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::of(*b"a"), 0xaf63_dc4c_8601_ec8c);
        let mut hasher = Fnv::default();
        hasher.write(b"foo");
        hasher.write(b"bar");
        assert_eq!(hasher.finish(), 0x8594_4171_f739_67e8);
    }
}
