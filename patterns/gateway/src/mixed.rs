//! A hash whose bits are all worth the same.

use std::hash::Hasher;

use dozen_core::Fnv;

/// [`Fnv`], finished with the mixer of MurmurHash3: the same number in every process, spread evenly over its whole range.
#[derive(Default)]
pub(crate) struct Mixed(Fnv);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finish();
        let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}
