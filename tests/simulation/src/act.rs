//! What can happen in a run: a list of acts, drawn from the seed before anything begins, so that it can be shortened.

use crate::random::Random;

/// One thing that happens. Numbers are drawn with the act; what they point at is resolved when it is played.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Units (a visit, its aggregates) are captured in one call.
    Capture { units: u64, salt: u64 },
    /// A record that exists gets a higher revision.
    Revise { which: u64 },
    /// The same records are captured once more.
    CaptureAgain { which: u64 },
    /// The worker dies while it captures.
    CaptureAndDie { units: u64, salt: u64, polls: u64 },
    /// An alarm, or a click.
    Sync { by_hand: bool },
    /// The worker dies while it syncs.
    SyncAndDie { polls: u64 },
    /// Records come while an upload is out.
    SyncWhileCapturing { units: u64, salt: u64, after_ms: i64 },
    /// The login changes while an upload is out.
    SyncWhileSwitching { account: u64, after_ms: i64 },
    /// Two workers of one database sync at once.
    TwoSyncers,
    /// A worker is frozen in a sync, another overtakes it, then it goes on.
    FrozenSyncer { polls: u64 },
    /// A new worker.
    Restart,
    /// Time passes.
    Sleep { ms: i64 },
    /// The wall clock is set.
    ClockJump { by_ms: i64 },
    /// The clock says 1970.
    ClockLost,
    /// Something goes wrong with the next requests.
    Network { fault: u64, times: u64, after: u64 },
    /// Something goes wrong with a write to come.
    Disk { fault: u64, after: u64 },
    /// A read to come fails.
    DiskRead { after: u64 },
    /// Somebody signs in.
    SignIn { account: u64 },
    /// Nobody is signed in any more.
    SignOut,
    /// The server forgets the access token.
    TokenEnds,
    /// The user pauses, or goes on.
    Pause(bool),
    /// The user excludes a site, or includes it again.
    Exclude { site: u64, excluded: bool },
    /// Quarantined records are tried again.
    RetryQuarantine,
    /// A quarantined record is given up.
    DiscardQuarantined { which: u64 },
    /// What the server refused is accepted from now on.
    ServerHeals,
}

/// The acts of a seed: at least 200 records, three faults and two syncs.
pub fn script(random: &Random) -> Vec<Act> {
    let mut acts = vec![Act::SignIn { account: 0 }];
    let length = 10 + random.below(12);
    let mut units = 0;
    for _ in 0..length {
        acts.push(act(random, &mut units));
    }
    let missing = 80_u64.saturating_sub(units);
    acts.insert(1, Act::Capture { units: missing.max(10), salt: random.next() });
    for _ in 0..3 {
        let at = 2 + random.below(acts.len() as u64 - 2) as usize;
        acts.insert(at, fault(random));
    }
    acts.push(Act::Sync { by_hand: false });
    acts.push(Act::Sync { by_hand: true });
    acts
}

fn act(random: &Random, units: &mut u64) -> Act {
    let mut some_units = |most: u64| {
        let some = 1 + random.below(most);
        *units += some;
        some
    };
    match random.below(100) {
        0..18 => Act::Capture { units: some_units(25), salt: random.next() },
        18..21 => Act::Revise { which: random.next() },
        21..23 => Act::CaptureAgain { which: random.next() },
        23..26 => Act::CaptureAndDie { units: some_units(10), salt: random.next(), polls: random.below(6) },
        26..42 => Act::Sync { by_hand: random.chance(30) },
        42..52 => Act::SyncAndDie { polls: random.below(60) },
        52..57 => Act::SyncWhileCapturing {
            units: some_units(10),
            salt: random.next(),
            after_ms: random.below(60) as i64,
        },
        57..60 => Act::SyncWhileSwitching { account: random.below(3), after_ms: random.below(60) as i64 },
        60..63 => Act::TwoSyncers,
        63..66 => Act::FrozenSyncer { polls: random.below(40) },
        66..69 => Act::Restart,
        69..74 => Act::Sleep { ms: 1 << random.below(28) },
        74..78 => Act::SignIn { account: random.below(3) },
        78..80 => Act::SignOut,
        80..83 => Act::Exclude { site: random.below(5), excluded: random.chance(70) },
        83..85 => Act::Pause(random.chance(50)),
        85..87 => Act::RetryQuarantine,
        87..89 => Act::DiscardQuarantined { which: random.next() },
        89 => Act::ServerHeals,
        _ => fault(random),
    }
}

fn fault(random: &Random) -> Act {
    match random.below(12) {
        0..5 => Act::Network { fault: random.below(16), times: 1 + random.below(4), after: random.below(4) },
        5..7 => Act::Disk { fault: random.below(4), after: random.below(6) },
        7 => Act::DiskRead { after: random.below(6) },
        8 => Act::ClockJump { by_ms: if random.chance(50) { 86_400_000 } else { -86_400_000 } },
        9 => Act::ClockLost,
        10 => Act::TokenEnds,
        _ => Act::SyncAndDie { polls: random.below(60) },
    }
}
