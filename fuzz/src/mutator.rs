//! Chance that a seed repeats.

/// Makes inputs out of inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

/// Bytes of an input: long enough for every bound that counts, short enough to be quick.
const BYTES_MAX: usize = 4096;

impl Mutator {
    /// The same seed makes the same inputs.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `bound`, or 0 (SplitMix64).
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// One of `corpus`, changed in one to six places, perhaps with pieces of others and of `words`.
    pub fn next(&mut self, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = self.pick(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            let (at, end) = self.range(&bytes);
            match self.below(8) {
                0 => bytes.splice(at..at, [self.byte()]).for_each(drop),
                1 => bytes.drain(at..end).for_each(drop),
                2 if at < bytes.len() => bytes[at] = self.byte(),
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                4 => {
                    // The same again, many times: depth and size.
                    let piece = bytes[at..end].repeat(1 + self.below(40));
                    bytes.splice(at..at, piece).for_each(drop);
                }
                5 => {
                    let other = self.pick(corpus).cloned().unwrap_or_default();
                    let (from, to) = self.range(&other);
                    bytes.splice(at..end, other[from..to].iter().copied()).for_each(drop);
                }
                _ => {
                    let word = self.pick(words).copied().unwrap_or_default();
                    bytes.splice(at..at, word.bytes()).for_each(drop);
                }
            }
            bytes.truncate(BYTES_MAX);
        }
        bytes
    }

    fn byte(&mut self) -> u8 {
        let interesting = *b"\0\t\r\n \"#%&'(),-./0:;<=>?@[\\]_{|}~\x7f\x80\xc3\xff";
        match self.below(2) {
            0 => interesting[self.below(interesting.len())],
            _ => u8::try_from(self.below(256)).unwrap_or(0),
        }
    }

    /// A piece of `bytes`, mostly a short one.
    fn range(&mut self, bytes: &[u8]) -> (usize, usize) {
        let at = self.below(bytes.len() + 1);
        let room = bytes.len() - at;
        let length = if self.below(4) == 0 { room } else { room.min(16) };
        (at, at + self.below(length + 1))
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(from.len());
        from.get(at)
    }
}
