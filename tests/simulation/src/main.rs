//! `simulate -- --seeds N [--seed S]`: plays seeds, or replays one, and shortens the story of what fails.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use heyho_simulation::act::{Act, script};
use heyho_simulation::random::Random;
use heyho_simulation::run::play;

type Fired = BTreeMap<&'static str, u64>;

fn acts_of(seed: u64) -> Vec<Act> {
    script(&Random::new(seed))
}

fn outcome(seed: u64, acts: &[Act]) -> Result<Fired, String> {
    catch_unwind(AssertUnwindSafe(|| play(seed, acts, |_| {}))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

// The same failure with as few acts as removing them in ever smaller groups allows.
fn shortest(seed: u64, mut acts: Vec<Act>) -> Vec<Act> {
    let mut group = acts.len() / 2;
    while group > 0 {
        let mut from = 0;
        while from < acts.len() {
            let mut fewer = acts.clone();
            fewer.drain(from..(from + group).min(acts.len()));
            if outcome(seed, &fewer).is_err() {
                acts = fewer;
            } else {
                from += group;
            }
        }
        group /= 2;
    }
    acts
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().and_then(|value| value.parse().ok())
}

#[allow(clippy::print_stdout, reason = "a command that tells its result")]
fn main() -> ExitCode {
    let first = argument("--seed").unwrap_or(1);
    let seeds = argument("--seeds").unwrap_or(1);
    std::panic::set_hook(Box::new(|_| {}));
    if seeds == 1 && argument("--seed").is_some() {
        let story = shortest(first, acts_of(first));
        if outcome(first, &story).is_err() {
            let _ = catch_unwind(|| play(first, &story, |line| println!("{line}")));
        }
    }
    let begun = Instant::now();
    let mut fired = Fired::new();
    let mut failures = 0;
    for seed in first..first + seeds {
        match outcome(seed, &acts_of(seed)) {
            Ok(faults) => {
                faults.into_iter().for_each(|(name, count)| *fired.entry(name).or_default() += count)
            }
            Err(why) => {
                failures += 1;
                let story = shortest(seed, acts_of(seed));
                let shortened = outcome(seed, &story).err().unwrap_or_default();
                println!("seed {seed} fails: {why}\n  the shortest story that fails: {shortened}");
                story.iter().for_each(|act| println!("    {act:?}"));
                println!("  replay: npm run simulate -- --seed {seed}");
                if failures >= 5 {
                    break;
                }
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds from {first}, {:.0} a second", seeds as f64 / seconds);
    fired.iter().for_each(|(name, count)| println!("  {count:>10}  {name}"));
    println!("{} passed, {failures} failed", seeds - failures);
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
