//! `simulate -- --seeds N [--seed S] [--corpus] [--plain]`: plays seeds, first those that once failed, or replays one;
//! shortens the story of what fails.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use heyho_simulation::act::{Act, plain_script, script};
use heyho_simulation::model::{EVENTS, FAULTS};
use heyho_simulation::random::Random;
use heyho_simulation::run::{Account, MINIMUM, play};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seeds that once failed, each with what it found.
const CORPUS: &str = include_str!("../corpus.txt");
/// In so many seeds everything that can happen does.
const ENOUGH_SEEDS: u64 = 10_000;

/// A seed, and whether it is played without what was added to the acts since the corpus began.
type Story = (u64, bool);

fn acts_of((seed, plain): Story) -> Vec<Act> {
    let random = Random::new(seed);
    if plain { plain_script(&random) } else { script(&random) }
}

fn outcome(seed: u64, acts: &[Act]) -> Result<Account, String> {
    catch_unwind(AssertUnwindSafe(|| play(seed, acts, None))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

// The whole run of a seed, which must hold what every run is to hold.
fn whole(story: Story) -> Result<Account, String> {
    let account = outcome(story.0, &acts_of(story))?;
    match account.is_enough() {
        true => Ok(account),
        false => Err(format!("too little happens: {account:?}")),
    }
}

// What fails, whichever record it fails for.
fn sort_of(why: &str) -> String {
    why.split('"')
        .step_by(2)
        .flat_map(|words| words.chars().filter(|c| !c.is_ascii_digit()))
        .take(60)
        .collect()
}

// The same failure with as few acts as removing them in ever smaller groups allows.
fn shortest(seed: u64, mut acts: Vec<Act>, why: &str) -> Vec<Act> {
    let mut group = acts.len() / 2;
    while group > 0 {
        let mut from = 0;
        while from < acts.len() {
            let mut fewer = acts.clone();
            fewer.drain(from..(from + group).min(acts.len()));
            if outcome(seed, &fewer).is_err_and(|other| sort_of(&other) == sort_of(why)) {
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

// Both ways: most were found before there was the other.
fn corpus() -> impl Iterator<Item = Story> {
    let seeds = CORPUS.lines().filter_map(|line| line.split_whitespace().next());
    seeds.filter_map(|seed| seed.parse().ok()).flat_map(|seed| [(seed, true), (seed, false)])
}

/// What all runs together came to.
#[derive(Default)]
struct Total {
    seeds: u64,
    failures: u64,
    fired: BTreeMap<&'static str, u64>,
    least: Option<(u64, u64, u64)>,
}

impl Total {
    fn add(&mut self, account: Account) {
        let mine = (account.records, account.faults, account.syncs);
        let least = self.least.unwrap_or(mine);
        self.least = Some((least.0.min(mine.0), least.1.min(mine.1), least.2.min(mine.2)));
        account.fired.into_iter().for_each(|(name, count)| *self.fired.entry(name).or_default() += count);
    }

    // Plays the seeds, until five have failed.
    #[allow(clippy::print_stdout, reason = "a command that tells its result")]
    fn play(&mut self, stories: impl Iterator<Item = Story>) {
        for (seed, plain) in stories {
            self.seeds += 1;
            let Err(why) = whole((seed, plain)).map(|account| self.add(account)) else { continue };
            self.failures += 1;
            let story = shortest(seed, acts_of((seed, plain)), &why);
            println!("seed {seed} fails: {why}");
            if let Err(shortened) = outcome(seed, &story) {
                println!("  the shortest story that fails: {shortened}");
                story.iter().for_each(|act| println!("    {act:?}"));
            }
            println!("  replay: npm run simulate -- --seed {seed}{}", if plain { " --plain" } else { "" });
            if self.failures >= 5 {
                break;
            }
        }
    }

    #[allow(clippy::print_stdout, reason = "a command that tells its result")]
    fn tell(&self) {
        for (title, names) in [("faults that fired", &FAULTS[..]), ("what else happened", &EVENTS[..])] {
            println!("{title}:");
            for name in names {
                println!("  {:>10}  {name}", self.fired.get(name).copied().unwrap_or_default());
            }
        }
        if let Some((records, faults, syncs)) = self.least {
            let (most_records, most_faults, most_syncs) = MINIMUM;
            println!(
                "least in a seed: {records} records (of {most_records} asked for), \
                 {faults} faults (of {most_faults}), {syncs} syncs (of {most_syncs})"
            );
        }
        println!("{} passed, {} failed", self.seeds - self.failures, self.failures);
    }

    // What never happened was not tested.
    fn never(&self) -> Vec<&'static str> {
        FAULTS.into_iter().chain(EVENTS).filter(|name| !self.fired.contains_key(name)).collect()
    }
}

#[allow(clippy::print_stdout, reason = "a command that tells its result")]
fn replay((seed, plain): Story) {
    let acts = acts_of((seed, plain));
    if let Err(why) = outcome(seed, &acts) {
        let story = shortest(seed, acts, &why);
        let _ = catch_unwind(|| play(seed, &story, Some(|line| println!("{line}"))));
    }
}

#[allow(clippy::print_stdout, reason = "a command that tells its result")]
fn main() -> ExitCode {
    let first = argument("--seed").unwrap_or(1);
    let seeds = argument("--seeds").unwrap_or(1);
    let plain = std::env::args().any(|argument| argument == "--plain");
    std::panic::set_hook(Box::new(|_| {}));
    let mut total = Total::default();
    if std::env::args().any(|argument| argument == "--corpus") {
        total.play(corpus());
        println!("{} seeds of the corpus, {} failed", total.seeds, total.failures);
    }
    if seeds == 1 && argument("--seed").is_some() {
        replay((first, plain));
    }
    let begun = Instant::now();
    if total.failures < 5 {
        total.play((first..first + seeds).map(|seed| (seed, plain)));
    }
    println!("{seeds} seeds from {first}, {:.0} a second", seeds as f64 / begun.elapsed().as_secs_f64());
    total.tell();
    let never = if seeds >= ENOUGH_SEEDS { total.never() } else { Vec::new() };
    never.iter().for_each(|name| println!("never happened: {name}"));
    if total.failures == 0 && never.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
