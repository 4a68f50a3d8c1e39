//! Which edges of the program the last input took, where the compiler counts them.
#![allow(unsafe_code, reason = "the compiler gives its counters as a range of memory")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static FIRST: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called by every instrumented module before `main`, with the counters of all of them.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(first: *mut u8, end: *mut u8) {
    FIRST.store(first, Ordering::Relaxed);
    LENGTH.store(end as usize - first as usize, Ordering::Relaxed);
}

/// The edges seen so far, each with how often it was taken, in powers of two.
#[derive(Default)]
pub struct Coverage {
    seen: Vec<u8>,
    now: Vec<u8>,
    /// Whether it matters only that an edge was taken, not how often.
    rough: bool,
}

impl Coverage {
    /// Edges, however often they were taken.
    pub fn rough() -> Self {
        Self { rough: true, ..Self::default() }
    }

    /// Forgets what was counted until now.
    pub fn begin(&mut self) {
        let length = LENGTH.load(Ordering::Relaxed);
        self.seen.resize(length, 0);
        self.now.resize(length, 0);
        if length > 0 {
            // SAFETY: the compiler reserved so many bytes there, for as long as the program runs; one thread counts.
            unsafe { ptr::write_bytes(FIRST.load(Ordering::Relaxed), 0, length) };
        }
    }

    /// Takes in what was counted since [`Self::begin`]; whether an edge is new, or was taken more often than ever.
    pub fn is_new(&mut self) -> bool {
        if self.now.is_empty() {
            return false;
        }
        // SAFETY: as above, and the copy is as long. It is copied because this code is counted as well.
        unsafe {
            ptr::copy_nonoverlapping(FIRST.load(Ordering::Relaxed), self.now.as_mut_ptr(), self.now.len())
        };
        let mut new = false;
        for (counts, seen) in self.now.chunks(64).zip(self.seen.chunks_mut(64)) {
            if *counts == [0; 64] {
                continue;
            }
            for (count, seen) in counts.iter().zip(seen) {
                let bit = if self.rough { u8::from(*count > 0) } else { highest_bit(*count) };
                new |= *seen & bit != bit;
                *seen |= bit;
            }
        }
        new
    }

    /// How many edges were seen; none where the compiler doesn't count.
    pub fn edges(&self) -> Option<usize> {
        (!self.seen.is_empty()).then(|| self.seen.iter().filter(|seen| **seen > 0).count())
    }
}

fn highest_bit(count: u8) -> u8 {
    count.checked_ilog2().map_or(0, |log| 1 << log)
}
