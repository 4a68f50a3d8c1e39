//! Every committed input once, and a short run from there.

use std::time::Duration;

use heyho_fuzz::corpus;
use heyho_fuzz::fuzzer::{Fuzzer, Until};
use heyho_fuzz::targets::TARGETS;

#[test]
fn the_corpus_and_what_is_near_it_is_read_and_judged_as_it_should_be() {
    for target in &TARGETS {
        let committed = corpus::inputs(&corpus::read(target.name).unwrap());
        assert!(committed.len() > 10, "{}: no corpus", target.name);
        let mut fuzzer = Fuzzer::new(target.run, &committed, &mut |_| {});
        let until = Until { executions: 20_000, time: Duration::from_secs(20) };
        let summary = fuzzer.go(1, until, &mut |_| {});
        assert!(summary.executions >= committed.len() as u64 && summary.behaviours > 10, "{summary:?}");
    }
}
