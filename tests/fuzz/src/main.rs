//! `cargo run --release -p heyho-fuzz -- --target verdict --minutes 20`

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use heyho_fuzz::corpus::{self, Entry};
use heyho_fuzz::fuzzer::{Fuzzer, Summary, Until, needed};
use heyho_fuzz::targets::{TARGETS, Target};

const USAGE: &str = "heyho-fuzz [--target word|verdict|batch] [--minutes N] [--executions N] [--seed N] [--grow]
  Without a target each of them has its turn. --grow leaves in the corpus what, of all that is known, does something that nothing shorter does.
  An input that fails is added to the corpus, where every test run tries it again.";

/// The input that runs, for the case that it doesn't return.
static RUNNING: Mutex<(&str, Vec<u8>)> = Mutex::new(("", Vec::new()));

struct Options {
    target: Option<String>,
    until: Until,
    seed: u64,
    grow: bool,
}

fn options() -> Option<Options> {
    let forever = Duration::from_secs(u64::MAX);
    let mut options =
        Options { target: None, until: Until { executions: u64::MAX, time: forever }, seed: 1, grow: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--target" => options.target = Some(words.next()?),
            "--minutes" => {
                options.until.time =
                    Duration::try_from_secs_f64(words.next()?.parse::<f64>().ok()? * 60.0).ok()?
            }
            "--executions" => options.until.executions = words.next()?.parse().ok()?,
            "--seed" => options.seed = words.next()?.parse().ok()?,
            "--grow" => options.grow = true,
            _ => return None,
        }
    }
    if options.until.executions == u64::MAX && options.until.time == forever {
        options.until.time = Duration::from_secs(60);
    }
    Some(options)
}

fn fuzz(target: &Target, options: &Options) -> std::io::Result<Summary> {
    let mut note = |input: &[u8]| {
        if let Ok(mut running) = RUNNING.lock() {
            running.0 = target.name;
            running.1.clear();
            running.1.extend_from_slice(input);
        }
    };
    let committed = corpus::read(target.name)?;
    let mut fuzzer = Fuzzer::new(target.run, &corpus::inputs(&committed), &mut note);
    let summary = fuzzer.go(options.seed, options.until, &mut note);
    if options.grow {
        grow(target, committed, fuzzer.kept(), &mut note)?;
    }
    Ok(summary)
}

// What people wrote stays. Of what the fuzzer makes, the shortest go first: a longer one that does the same is not
// needed.
fn grow(
    target: &Target,
    committed: Vec<Entry>,
    kept: &[Vec<u8>],
    note: &mut impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let (made, written): (Vec<_>, Vec<_>) = committed.into_iter().partition(Entry::is_made);
    let mut candidates = kept.to_vec();
    candidates.sort_by_key(Vec::len);
    let written = corpus::inputs(&written);
    let needed = needed(target.run, &[written.clone(), candidates].concat(), note);
    for entry in made.iter().filter(|entry| !needed.contains(&entry.input)) {
        std::fs::remove_file(&entry.path)?;
    }
    for input in needed.iter().filter(|input| !written.contains(input)) {
        corpus::add(target.name, "", input)?;
    }
    Ok(())
}

fn save_what_fails() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if let Ok(running) = RUNNING.lock() {
            match corpus::add(running.0, "failed-", &running.1) {
                Ok(path) => eprintln!("{}: the input is {}", running.0, path.display()),
                Err(error) => eprintln!("{}: the input can't be saved: {error}", running.0),
            }
        }
    }));
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let wanted = |target: &&Target| options.target.as_deref().is_none_or(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    save_what_fails();
    for target in targets {
        match fuzz(target, &options) {
            Ok(Summary { executions, time, kept, behaviours, edges }) => {
                let secs = time.as_secs_f64();
                let edges = edges.map_or("not counted".to_owned(), |edges| edges.to_string());
                println!(
                    "{}: {executions} executions in {secs:.0} s ({:.0}/s), nothing failed; inputs kept {kept}, behaviours {behaviours}, edges {edges}",
                    target.name,
                    executions as f64 / secs.max(0.001),
                );
            }
            Err(error) => {
                eprintln!("{}: {error}", target.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
