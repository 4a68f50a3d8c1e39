//! What can happen in a run: a list of acts, drawn from the seed before anything begins, so that it can be shortened.

use crate::model::SITES;
use crate::random::Random;

/// One thing that happens. Numbers are drawn with the act; what they point at is resolved when it is played.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Units (a visit, its aggregates) are captured in one call.
    Capture { units: u64, salt: u64 },
    /// A record that exists gets so many higher revisions.
    Revise { which: u64, times: u64 },
    /// A record is captured once more, word for word.
    CaptureAgain { which: u64 },
    /// A record is captured once more, with other content under its revision.
    CaptureAltered { which: u64 },
    /// The worker dies while it captures.
    CaptureAndDie { units: u64, salt: u64, polls: u64 },
    /// An alarm, or a click.
    Sync { by_hand: bool },
    /// The worker dies while it syncs.
    SyncAndDie { polls: u64 },
    /// Records come while an upload is out.
    SyncWhileCapturing { units: u64, salt: u64, after_ms: i64 },
    /// Somebody else signs in, on this server or the other, while an upload is out.
    SyncWhileSwitching { to: u64, after_ms: i64 },
    /// The user excludes a site while an upload is out.
    SyncWhileExcluding { site: u64, after_ms: i64 },
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
    /// The user chooses the other server; `alone` without a login there.
    ChangeServer { alone: bool },
    /// The server forgets the access token.
    TokenEnds,
    /// The user pauses, or goes on.
    Pause(bool),
    /// The user withdraws the consent, or gives it again.
    Consent(bool),
    /// The user excludes a site, or includes it again.
    Exclude { site: u64, excluded: bool },
    /// Quarantined records are tried again, one or all.
    RetryQuarantine { which: u64 },
    /// For months the server answers and takes nothing.
    RefusedForMonths,
    /// Archived records are sent after all, one or all.
    RestoreArchive { which: u64 },
    /// An archived record is given up.
    DiscardArchived { which: u64 },
    /// A server gains abilities, or loses them.
    AbilitiesChange { server: u64, salt: u64 },
    /// Something goes wrong with the next questions, which are no uploads.
    Questions { fault: u64, times: u64 },
    /// A quarantined record is given up.
    DiscardQuarantined { which: u64 },
    /// What is not on the server is written to a file.
    Export,
    /// The file is read back.
    Import,
    /// Progress and waits are forgotten.
    Reset,
    /// What the server refused is accepted from now on.
    ServerHeals,
    /// The user compares the books with the server; the worker may die meanwhile.
    Compare { polls: u64 },
    /// Something else answers the next uploads, of all that can: a status, and perhaps a wait.
    Answers { status: u64, wait: u64, times: u64, after: u64 },
    /// The same for the next questions.
    QuestionAnswers { status: u64, wait: u64, times: u64 },
    /// Something is wrong with the server's answers to the next uploads.
    AnswersAltered { flaw: u64, times: u64, after: u64 },
    /// From now on requests take up to so much longer, one more, another less.
    Latencies { most_ms: u64, salt: u64 },
    /// The user compares while an upload is out.
    SyncWhileComparing { after_ms: i64 },
    /// Batches hold at most so many records of a kind, and at most so many are in flight together.
    Narrow { records: u64, together: u64 },
    /// When the faults stop, the worker lives on, and only its alarms wake it.
    LiveOn,
    /// Whatever the run lacks of its least number of records and faults.
    Minimum { salt: u64 },
}

/// The acts of a seed: at least 200 records, three faults and two syncs.
pub fn script(random: &Random) -> Vec<Act> {
    let mut acts = plain_script(random);
    for _ in 0..1 + random.below(2) {
        let at = 2 + random.below(acts.len() as u64 - 2) as usize;
        acts.insert(at, rarer(random));
    }
    if random.chance(40) {
        acts.insert(1, Act::Latencies { most_ms: 1 << random.below(10), salt: random.next() });
    }
    if random.chance(20) {
        acts.insert(1, Act::Narrow { records: 10 + random.below(30), together: 1 + random.below(3) });
    }
    if random.chance(25) {
        acts.push(Act::LiveOn);
    }
    acts
}

/// The acts that a seed had before there were those of [`rarer`]: what seeds of the corpus are kept for they tell so.
pub fn plain_script(random: &Random) -> Vec<Act> {
    let mut acts = vec![Act::SignIn { account: 0 }];
    let length = 10 + random.below(12);
    let mut units = 0;
    for _ in 0..length {
        acts.push(act(random, &mut units));
    }
    let missing = 90_u64.saturating_sub(units);
    acts.insert(1, Act::Capture { units: missing.max(10), salt: random.next() });
    for _ in 0..3 {
        let at = 2 + random.below(acts.len() as u64 - 2) as usize;
        acts.insert(at, fault(random));
    }
    acts.push(Act::Minimum { salt: random.next() });
    acts.push(Act::Sync { by_hand: false });
    acts.push(Act::Sync { by_hand: true });
    for _ in 0..2 {
        let at = 2 + random.below(acts.len() as u64 - 2) as usize;
        let polls = if random.chance(30) { random.below(12) } else { u64::MAX };
        acts.insert(at, Act::Compare { polls });
    }
    acts
}

fn act(random: &Random, units: &mut u64) -> Act {
    let mut some_units = |most: u64| {
        let some = 1 + random.below(most);
        *units += some;
        some
    };
    let soon_ms = || random.below(60) as i64;
    match random.below(118) {
        0..17 => Act::Capture { units: some_units(25), salt: random.next() },
        17..21 => Act::Revise { which: random.next(), times: 1 + random.below(2) },
        21..24 => Act::CaptureAgain { which: random.next() },
        24 => Act::CaptureAltered { which: random.next() },
        25..28 => Act::CaptureAndDie { units: some_units(10), salt: random.next(), polls: random.below(6) },
        28..43 => Act::Sync { by_hand: random.chance(30) },
        43..52 => Act::SyncAndDie { polls: random.below(60) },
        52..57 => Act::SyncWhileCapturing { units: some_units(10), salt: random.next(), after_ms: soon_ms() },
        57..60 => Act::SyncWhileSwitching { to: random.next(), after_ms: soon_ms() },
        60..62 => Act::SyncWhileExcluding { site: random.below(SITES), after_ms: soon_ms() },
        62..65 => Act::TwoSyncers,
        65..68 => Act::FrozenSyncer { polls: random.below(40) },
        68..71 => Act::Restart,
        71..76 => Act::Sleep { ms: 1 << random.below(28) },
        76..80 => Act::SignIn { account: random.below(3) },
        80..82 => Act::SignOut,
        82..84 => Act::ChangeServer { alone: random.chance(30) },
        84..87 => Act::Exclude { site: random.below(SITES), excluded: random.chance(70) },
        87..89 => Act::Pause(random.chance(50)),
        89 => Act::Consent(random.chance(50)),
        90..93 => Act::RetryQuarantine { which: random.next() },
        93..95 => Act::DiscardQuarantined { which: random.next() },
        95..97 => Act::Export,
        97..99 => Act::Import,
        99 => Act::Reset,
        100 => Act::ServerHeals,
        101 => Act::RefusedForMonths,
        102..104 => Act::RestoreArchive { which: random.next() },
        104 => Act::DiscardArchived { which: random.next() },
        105..108 => Act::AbilitiesChange { server: random.below(2), salt: random.next() },
        _ => fault(random),
    }
}

fn rarer(random: &Random) -> Act {
    let (times, after) = (1 + random.below(3), random.below(4));
    match random.below(10) {
        0..5 => Act::Answers { status: random.below(18), wait: random.below(6), times, after },
        5..7 => Act::QuestionAnswers { status: random.below(18), wait: random.below(6), times },
        7..9 => Act::AnswersAltered { flaw: random.below(3), times: 1 + random.below(6), after: 0 },
        _ => Act::SyncWhileComparing { after_ms: random.below(60) as i64 },
    }
}

fn fault(random: &Random) -> Act {
    match random.below(13) {
        12 => Act::Questions { fault: random.below(6), times: 1 + random.below(4) },
        0..5 => Act::Network { fault: random.below(16), times: 1 + random.below(4), after: random.below(4) },
        5..7 => Act::Disk { fault: random.below(4), after: random.below(6) },
        7 => Act::DiskRead { after: random.below(6) },
        8 => Act::ClockJump { by_ms: if random.chance(50) { 86_400_000 } else { -86_400_000 } },
        9 => Act::ClockLost,
        10 => Act::TokenEnds,
        _ => Act::SyncAndDie { polls: random.below(60) },
    }
}
