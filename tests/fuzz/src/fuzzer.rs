//! Inputs that did something new are kept, and changed again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::mutate::{Chance, mutate};
use crate::targets::Run;

/// When to stop; the first that comes counts.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    pub executions: u64,
    pub time: Duration,
}

/// What a run has done.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    pub executions: u64,
    pub time: Duration,
    /// Inputs that each did something new, those of the corpus included.
    pub kept: usize,
    pub behaviours: usize,
    /// Edges of the program that were taken; none where the compiler doesn't count them.
    pub edges: Option<usize>,
}

/// One run over one target.
pub struct Fuzzer {
    run: Run,
    kept: Vec<Vec<u8>>,
    behaviours: HashSet<u64>,
    coverage: Coverage,
    executions: u64,
}

impl Fuzzer {
    /// Begins with a corpus, and with an empty input; all of it is run.
    pub fn new(run: Run, corpus: &[Vec<u8>], before_each: &mut impl FnMut(&[u8])) -> Self {
        let mut fuzzer = Self {
            run,
            kept: Vec::new(),
            behaviours: HashSet::new(),
            coverage: Coverage::default(),
            executions: 0,
        };
        fuzzer.try_one(Vec::new(), before_each);
        for input in corpus {
            fuzzer.try_one(input.clone(), before_each);
        }
        fuzzer
    }

    fn try_one(&mut self, input: Vec<u8>, before_each: &mut impl FnMut(&[u8])) {
        before_each(&input);
        self.executions += 1;
        self.coverage.begin();
        let behaviour = (self.run)(&input);
        // Both are asked: each remembers what it has seen.
        if self.coverage.is_new() | self.behaviours.insert(behaviour) {
            self.kept.push(input);
        }
    }

    /// Goes on until there is an end; the same seed and corpus give the same inputs.
    pub fn go(&mut self, seed: u64, until: Until, before_each: &mut impl FnMut(&[u8])) -> Summary {
        let begin = Instant::now();
        let mut chance = Chance::new(seed);
        while self.executions < until.executions
            && (!self.executions.is_multiple_of(1024) || begin.elapsed() < until.time)
        {
            let one = chance.pick(&self.kept);
            let input = if chance.below(2) == 0 {
                // One of those that came last: from there on least was tried.
                let newest = self.kept.len().div_ceil(8);
                &self.kept[self.kept.len() - 1 - chance.below(newest)]
            } else {
                // The shorter of two: it is quicker, and more of it matters.
                let two = chance.pick(&self.kept);
                if one.len() <= two.len() { one } else { two }
            };
            let other = chance.pick(&self.kept);
            let input = mutate(&mut chance, input, other);
            self.try_one(input, before_each);
        }
        Summary {
            executions: self.executions,
            time: begin.elapsed(),
            kept: self.kept.len(),
            behaviours: self.behaviours.len(),
            edges: self.coverage.edges(),
        }
    }

    /// The inputs that each did something new, those of the corpus included.
    pub fn kept(&self) -> &[Vec<u8>] {
        &self.kept
    }
}

/// Of `inputs` those that take an edge which none before them takes, however often; where the compiler doesn't count,
/// those that do what none before them does.
pub fn needed(run: Run, inputs: &[Vec<u8>], before_each: &mut impl FnMut(&[u8])) -> Vec<Vec<u8>> {
    let (mut coverage, mut behaviours) = (Coverage::rough(), HashSet::new());
    let mut needed = inputs.to_vec();
    needed.retain(|input| {
        before_each(input);
        coverage.begin();
        let behaviour = run(input);
        let new_edge = coverage.is_new();
        if coverage.edges().is_some() { new_edge } else { behaviours.insert(behaviour) }
    });
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEF: Until = Until { executions: 1_000_000, time: Duration::from_secs(60) };

    // Each byte that is right is a behaviour of its own; no chance hits them all at once.
    fn lock(input: &[u8]) -> u64 {
        let right = input.iter().zip(b"sesame").take_while(|(one, other)| one == other).count();
        assert!(right < 6, "opened");
        right as u64
    }

    #[test]
    fn what_is_new_leads_on_to_what_blind_chance_never_finds() {
        let found = std::panic::catch_unwind(|| {
            Fuzzer::new(lock, &[b"s".to_vec()], &mut |_| {}).go(1, BRIEF, &mut |_| {});
        });
        let words = found.unwrap_err();
        assert_eq!(words.downcast_ref::<&str>(), Some(&"opened"));
    }

    #[test]
    fn the_same_seed_takes_the_same_way() {
        let kept = |seed| {
            let length = |input: &[u8]| input.len() as u64 / 8;
            let mut fuzzer = Fuzzer::new(length, &[b"{}".to_vec()], &mut |_| {});
            fuzzer.go(seed, Until { executions: 2_000, ..BRIEF }, &mut |_| {});
            fuzzer.kept().to_vec()
        };
        assert_eq!(kept(7), kept(7));
        assert_ne!(kept(7), kept(8));
    }
}
