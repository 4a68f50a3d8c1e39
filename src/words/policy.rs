//! Every limit of the core, with its unit and its reason.

use super::kind::PerKind;
use super::time::Millis;

/// When request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Where the server says that it reads gzip.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Wherever the server has not refused it.
    Always,
}

/// What a caller may tune; the defaults are the product's.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Most records of a kind in one request. 100 + 100 is what the backend's authors ask for.
    pub max_records: PerKind<usize>,
    /// Most bytes of JSON in one request, before compression: 512 KiB, well inside common gateway limits (1 MB).
    pub max_body_bytes: usize,
    /// When a request is given up. Below the 30 s after which a browser stops an idle worker.
    pub request_timeout: Millis,
    /// How long after its start a slice may begin requests. What is in flight finishes.
    pub slice_budget: Millis,
    /// Most requests in flight together.
    pub max_in_flight: usize,
    /// When bodies are compressed.
    pub compress: Compress,
    /// Age at which an undelivered record is set aside.
    pub archive_after: Millis,
}

/// Slice of a host that gives no keep-alive: a worker lives 30 s after its last event.
pub const SLICE_BUDGET: Millis = Millis::from_secs(25);
/// Slice of a host that keeps the worker alive while a sync runs.
pub const SLICE_BUDGET_KEPT_ALIVE: Millis = Millis::from_secs(120);
/// A keep-alive is due at least this often: 10 s of reserve before a browser stops a worker.
pub const KEEP_ALIVE_EVERY: Millis = Millis::from_secs(20);
/// The one-shot alarm is never armed earlier: Chrome's floor for packed extensions.
pub const EARLIEST_RETRY_ALARM: Millis = Millis::from_secs(30);
/// Records of a kind read at once: three batches, measured best (fewer round trips, bounded memory).
pub const WINDOW_RECORDS: usize = 300;
/// Most quarantined records that are put back by themselves after a change of versions: one page in memory (rule 13).
pub const MOST_RETRIED: usize = 500;
/// Most attempts of one batch within a slice; the next come with an alarm.
pub const ATTEMPTS_IN_A_SLICE: u32 = 3;
/// The first wait after a failure; it doubles from there.
pub const FIRST_BACKOFF: Millis = Millis::from_secs(1);
/// The longest wait of our own making, before jitter: a recovered server is found within the hour.
pub const LONGEST_BACKOFF: Millis = Millis::from_secs(3600);
/// The longest wait a server is believed to ask for: a wrong header can't freeze the sync.
pub const LONGEST_SERVER_WAIT: Millis = Millis::from_days(1);
/// How long a server may take to hear of a sign-out.
pub const GOODBYE_TIMEOUT: Millis = Millis::from_secs(5);
/// How long what a server can do is remembered, and that it refused compressed bodies.
pub const ABILITIES_REMEMBERED: Millis = Millis::from_days(1);
/// When a server that gave no usable answer is asked for its abilities again.
pub const ABILITIES_ASKED_AGAIN: Millis = Millis::from_secs(600);
/// How long the answer to a question may take: it saves work and is never worth waiting for.
pub const QUESTION_TIMEOUT: Millis = Millis::from_secs(5);
/// Most ids in one preflight question; 0.8 MB of them, and twice as much of an answer.
pub const MOST_IDS_IN_A_QUESTION: usize = 20_000;
/// A server that takes fewer is not asked: to send them costs less.
pub const LEAST_IDS_IN_A_QUESTION: usize = 1_000;
/// Pause before a preflight question is asked again.
pub const PAUSE_BETWEEN_QUESTIONS: Millis = Millis::from_secs(1);
/// Smaller bodies are not compressed: one network packet carries them anyway.
pub const LEAST_COMPRESSED_BYTES: usize = 1024;
/// Records by which a halved batch limit grows after an acknowledged request.
pub const GROW_RECORDS: usize = 10;
/// Bytes by which a halved batch limit grows after an acknowledged request.
pub const GROW_BYTES: usize = 32 * 1024;
/// Failures of one batch with a server's own fault (500 and the like) before it is split: two may be bad luck.
pub const FAILURES_BEFORE_SPLIT: u32 = 3;
/// Unproven condemnations in a row before the server itself is doubted.
pub const MOST_SUSPECTS: usize = 10;
/// Acknowledged records that are remembered, so that their repetition is not queued: about 15 KB, which a caller's
/// capture reads.
pub const MOST_DELIVERED_REMEMBERED: usize = 200;
/// Places behind the newest one in which receipts are kept. A record takes one at its capture and one with its receipt,
/// so these are the last 50,000 acknowledged records: months of browsing, in 4 MB.
pub const RECEIPTS_KEPT: u64 = 100_000;
/// Places after which receipts that are too old are looked for.
pub const RECEIPTS_DROPPED_EVERY: u64 = 2_000;
/// Receipts that the server is asked about at once: 0.2 MB, so that a slow line carries it within the time-out.
pub const RECEIPTS_COMPARED_AT_ONCE: usize = 5_000;
/// How far our clock may be from the server's to be believed in questions of days.
pub const CLOCK_TOLERANCE: Millis = Millis::from_days(1);
/// Uploads over which success, times and network errors are counted: about a day's, in 1.5 KB.
pub const UPLOADS_REMEMBERED: usize = 100;
/// Fewer uploads or records prove nothing.
pub const FEWEST_JUDGED: usize = 20;
/// Below this share of successful uploads something is wrong.
pub const LEAST_SUCCESS_RATE: f64 = 0.99;
/// Above this share of records in quarantine something is wrong.
pub const MOST_QUARANTINED_SHARE: f64 = 0.01;
/// Failed rows that are remembered while others are stored: more than one full batch.
pub const MOST_OUTLIVED: usize = 400;
/// Windows of the backlog that are probed before "the server refuses" is said.
pub const PROBED_WINDOWS: usize = 10;
/// What a new holder of the lock needs at most to write that it is alive.
pub const MOMENT: Millis = Millis::from_secs(2);
/// A holder of the lock that made no progress for so long is overtaken: no request and no transaction takes longer.
pub const STUCK_AFTER: Millis = Millis::from_secs(180);
/// Most bytes of an answer that are read; a confirmation is a few hundred, preflight about 20,000 ids 1.3 MB.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Rows that one wake counts against the books: some ten milliseconds of work.
pub const COUNTED_ROWS: usize = 500;
/// So many rows that wait are worth being stored together.
pub const MANY_ROWS: u64 = 100;
/// How long after a full count of the rows the next one begins.
pub const COUNT_EVERY: Millis = Millis::from_days(1);
/// A retry that is late by so much has been forgotten: the periodic alarm alone comes more often.
pub const OVERDUE_AFTER: Millis = Millis::from_secs(3600);

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_records: PerKind { page_visits: 100, tab_aggregates: 100 },
            max_body_bytes: 512 * 1024,
            request_timeout: Millis::from_secs(25),
            slice_budget: SLICE_BUDGET,
            max_in_flight: 3,
            compress: Compress::Auto,
            archive_after: Millis::from_days(90),
        }
    }
}
