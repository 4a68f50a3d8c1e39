//! The tracker against an oracle that replays the same script second by second and counts on its fingers. The oracle
//! shares no code with the tracker: it knows the words of an event and the rules as they are written in the
//! documentation, nothing else. Its scripts use whole seconds, and no two events in one second.

#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod oracle;
mod scripts;

use std::collections::{BTreeSet, HashMap, HashSet};

use heyho_sync::decisions::tracker::{IdSource, Rules, Step, TrackerState, step, uuid_v7};
use heyho_sync::words::event::{Happening, TabEvent};
use heyho_sync::words::time::UnixMillis;

use oracle::{Aggregate, Oracle, Outcome, Visit};
use scripts::{EXCLUDED, HOUR, Script, busy_hour, random_script};

const EPOCH_MS: i64 = 1_761_040_000_000;

#[derive(Default)]
struct Counting(u128);

impl IdSource for Counting {
    fn uuid_v7(&mut self, at: UnixMillis) -> String {
        self.0 += 1;
        uuid_v7(at, self.0.to_be_bytes())
    }
}

/// What the tracker makes of a script, event by event.
fn track(script: &Script, killed_between_events: bool) -> Vec<Step> {
    let mut state = TrackerState::default();
    let mut ids = Counting::default();
    let rules = Rules { recordable: &|url| !url.starts_with(EXCLUDED) };
    let mut steps = Vec::new();
    for (second, what) in script {
        if killed_between_events {
            let stored = serde_json::to_vec(&state).unwrap();
            assert!(stored.len() < 100 * 1024);
            state = serde_json::from_slice(&stored).unwrap();
        }
        let event = TabEvent { at: UnixMillis(EPOCH_MS + second * 1000), what: what.clone() };
        steps.push(step(&mut state, &event, &mut ids, &rules));
    }
    steps
}

/// The tracker's records in the oracle's terms; checks on the way what must hold for every record.
fn outcome(steps: &[Step]) -> Outcome {
    let second = |at: UnixMillis| {
        assert_eq!((at.0 - EPOCH_MS) % 1000, 0);
        (at.0 - EPOCH_MS) / 1000
    };
    let mut outcome = Outcome::default();
    let mut named: HashMap<&str, (i64, i64)> = HashMap::new();
    let mut told: HashSet<(&str, u32)> = HashSet::new();
    for step in steps {
        for visit in &step.visits {
            let start = second(visit.visited_at);
            let source = visit.source_page_visit_id.as_deref().map(|id| named[id]);
            assert!(named.insert(&visit.id, (visit.tab_id, start)).is_none(), "a visit is told once");
            assert_eq!(visit.active_duration.0 % 1000, 0);
            let active = visit.active_duration.0 / 1000;
            assert!(0 <= active && active <= visit.duration_seconds);
            let rate =
                if visit.duration_seconds == 0 { 0.0 } else { active as f64 / visit.duration_seconds as f64 };
            assert!((visit.engagement_rate - rate).abs() <= 0.000_05);
            outcome.visits.push(Visit {
                tab: visit.tab_id,
                start,
                url: visit.url.clone(),
                end: second(visit.last_heartbeat),
                total: visit.duration_seconds,
                active,
                idle: visit
                    .idle_periods
                    .iter()
                    .map(|idle| (second(idle.start), second(idle.end), idle.duration_ms.0 / 1000))
                    .collect(),
                opened: visit.opened_at.map(second),
                source,
            });
        }
        for aggregate in &step.aggregates {
            assert!(told.insert((&aggregate.id, aggregate.revision)), "a revision is told once");
            let (tab, start) = named[aggregate.page_visit_id.as_str()];
            outcome.aggregates.push(Aggregate {
                tab,
                start,
                revision: aggregate.revision,
                total: aggregate.total_time_seconds,
                active: aggregate.active_time_seconds,
                scroll: aggregate.scroll_depth_percent,
                closed: aggregate.closed_at.map(second),
                pages: aggregate.page_count,
                domains: aggregate.domain_durations.clone(),
                url: aggregate.current_url.clone().unwrap(),
            });
        }
    }
    outcome.sorted()
}

#[test]
fn an_hour_of_browsing_gives_exactly_the_visits_and_seconds_of_the_oracle() {
    let script = busy_hour();
    let tabs: BTreeSet<_> = script
        .iter()
        .filter_map(|(_, what)| match what {
            Happening::Opened { tab_id, .. } => Some(*tab_id),
            _ => None,
        })
        .collect();
    assert!(tabs.len() > 60, "{} tabs", tabs.len());

    let oracle = Oracle::replay(&script);
    let tracker = outcome(&track(&script, true));
    assert_eq!(tracker.visits, oracle.visits);
    assert_eq!(tracker.aggregates, oracle.aggregates);
    assert!(oracle.visits.len() > 150, "{} visits", oracle.visits.len());
    let unread = oracle.visits.iter().filter(|visit| visit.total == 0).count();
    assert_eq!(unread, 9, "the stories that were never looked at");
    assert!(oracle.visits.iter().all(|visit| visit.total < HOUR), "no sleep, no night, no absence counts");
}

#[test]
fn random_scripts_give_exactly_the_visits_and_seconds_of_the_oracle() {
    let (mut visits, mut with_idle, mut with_source, mut revised) = (0, 0, 0, 0);
    for seed in 1..=500 {
        let script = random_script(seed);
        let oracle = Oracle::replay(&script);
        let tracker = outcome(&track(&script, false));
        assert_eq!(tracker.visits, oracle.visits, "seed {seed}");
        assert_eq!(tracker.aggregates, oracle.aggregates, "seed {seed}");
        visits += oracle.visits.len();
        with_idle += oracle.visits.iter().filter(|visit| !visit.idle.is_empty()).count();
        with_source += oracle.visits.iter().filter(|visit| visit.source.is_some()).count();
        revised += oracle.aggregates.iter().filter(|aggregate| aggregate.revision == 2).count();
    }
    for (what, count) in
        [("visits", visits), ("idle", with_idle), ("sources", with_source), ("revised", revised)]
    {
        assert!(count > 1_000, "the scripts hardly try {what}: {count}");
    }
}

#[test]
fn a_worker_killed_between_any_two_events_loses_nothing() {
    for seed in 1..=150 {
        let script = random_script(seed);
        assert!(track(&script, true) == track(&script, false), "seed {seed}");
    }
}
