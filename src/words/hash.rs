//! Maps and sets with a small hash: the standard library's guards against keys that are chosen to collide, which costs
//! more than the rest of a look-up. Ours are ids and places of rows, some hundred at a time.

use std::collections::{HashMap as StdMap, HashSet as StdSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map from ids or places.
pub type HashMap<K, V> = StdMap<K, V, BuildHasherDefault<Folded>>;
/// A set of ids or places.
pub type HashSet<K> = StdSet<K, BuildHasherDefault<Folded>>;

/// Eight bytes at a time, each multiplied by an odd number without a pattern.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.write_u64(rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    // A table takes the place from the lowest bits and a tag from the highest.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
