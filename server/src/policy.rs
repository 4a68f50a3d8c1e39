//! Every limit of the server, with its unit and its reason.

/// So many requests in a window of so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in one window.
    pub requests: i64,
    /// Length of the window.
    pub seconds: i64,
}

/// Records of one kind in one request. The published backend takes 1,000 in total; the client sends at most 100.
pub const MAX_RECORDS_PER_KIND: usize = 1_000;

/// Body of a request in bytes, before and after inflation. The client stays under 512 KB; eight times that leaves
/// room for other clients, and bounds what one request can cost in memory.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Body of a request that carries no records (sign-in and the like).
pub const MAX_SMALL_BODY_BYTES: usize = 16 * 1024;

/// JSON text of one record in bytes: room for its largest fields and for what is cut from them. Parsed, a record can
/// take thirty times its length, so this is what bounds the memory of a request.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// Nesting of one record. Real metadata is three or four deep; the parser itself stops at 128.
pub const MAX_JSON_DEPTH: usize = 32;

/// Characters of a record id or of a reference to one. A UUID has 36; the key of an index row is bounded as well.
pub const MAX_ID_CHARS: usize = 255;

/// Characters of a URL, as the published backend has it.
pub const MAX_URL_CHARS: usize = 2_048;

/// Characters of a title; longer ones are cut.
pub const MAX_TITLE_CHARS: usize = 500;

/// Characters of a host name (RFC 1035); longer ones are cut.
pub const MAX_DOMAIN_CHARS: usize = 253;

/// Characters of a short label (anonymous client id, category method).
pub const MAX_LABEL_CHARS: usize = 255;

/// Characters of one string inside `metadata`; longer ones are cut and end in three dots.
pub const MAX_METADATA_STRING_CHARS: usize = 2_000;

/// Bytes of one JSON-valued field, as the published backend limits `metadata`.
pub const MAX_JSON_FIELD_BYTES: usize = 51_200;

/// Seconds in a visit; longer ones are clamped to one day, as the published backend does.
pub const MAX_VISIT_SECONDS: f64 = 86_400.0;

/// Seconds in a tab aggregate: what a 32-bit column of the published backend holds (68 years).
pub const MAX_AGGREGATE_SECONDS: f64 = 2_147_483_647.0;

/// Revisions are exact in a JavaScript number.
pub const MAX_REVISION: i64 = 9_007_199_254_740_991;

/// Last moment that an ISO date with four digits of year can name, in ms since the epoch.
pub const MAX_UNIX_MILLIS: i64 = 253_402_300_799_999;

/// Characters of an e-mail address (RFC 5321).
pub const MAX_EMAIL_CHARS: usize = 254;

/// Characters of a password; below this it is refused.
pub const MIN_PASSWORD_CHARS: usize = 8;

/// Bytes of a password; above this it is refused, as the published backend does.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// Characters of a first or last name.
pub const MAX_NAME_CHARS: usize = 100;

/// Life of an access token in seconds. Short, because it is checked against its session but is sent with every request.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;

/// Life of a session without a refresh, in seconds: a browser that was off for a month signs in again.
pub const SESSION_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Requests of one user in a minute. At 100 + 100 records a request, 1,200 drain a backlog of a quarter of a million
/// records in a minute, which is more than the client sends with three requests in flight.
pub const USER_REQUESTS: RateLimit = RateLimit { requests: 1_200, seconds: 60 };

/// Requests to the account routes from one network address, as the published backend planned it.
pub const ADDRESS_REQUESTS: RateLimit = RateLimit { requests: 300, seconds: 5 * 60 };

/// Attempts at the password of one account. A login that succeeds starts the count again.
pub const LOGIN_ATTEMPTS: RateLimit = RateLimit { requests: 10, seconds: 15 * 60 };

/// Attempts at the code sent to one address: at six digits, one in 40,000 an hour is guessed with five codes alive.
pub const VERIFY_ATTEMPTS: RateLimit = RateLimit { requests: 5, seconds: 60 * 60 };

/// Messages to one address, so that nobody's mailbox is filled.
pub const MESSAGES_TO_ADDRESS: RateLimit = RateLimit { requests: 5, seconds: 60 * 60 };

/// Life of a sign-up that waits for its address to be proved, in seconds.
pub const SIGN_UP_SECONDS: i64 = 60 * 60;

/// How long the audit log looks back, in seconds.
pub const AUDIT_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Bytes of a secret that signs tokens: as many as its digest has.
pub const MIN_SECRET_BYTES: usize = 32;

/// Wait in seconds for a turn at hashing a password before the client is told to come back later.
pub const PASSWORD_WAIT_SECONDS: u64 = 10;

/// Password hashes computed at the same time. Each takes 19 MiB and a core for tens of milliseconds.
pub const MAX_PARALLEL_PASSWORD_HASHES: usize = 2;

/// Connections to PostgreSQL by one replica.
pub const POSTGRES_CONNECTIONS: u32 = 10;

/// Connections to SQLite: one writes, the others read.
pub const SQLITE_CONNECTIONS: u32 = 4;

/// Wait for a database connection in seconds before the client is told to come back later.
pub const DATABASE_WAIT_SECONDS: u64 = 10;

/// Attempts at a transaction that the database gave up because of another one (serialisation, deadlock).
pub const TRANSACTION_ATTEMPTS: u32 = 4;

/// Batches that SQLite commits together: enough to share the wait for the disk, few enough to answer soon.
pub const MAX_BATCHES_IN_COMMIT: usize = 16;

/// `Retry-After` in seconds when the database can't be reached or is overloaded.
pub const RETRY_AFTER_OVERLOAD_SECONDS: u64 = 5;

/// Characters of an `Idempotency-Key`; a UUID has 36.
pub const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// How long the answer to a saved batch is remembered, in seconds: a client retries within minutes.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 60 * 60;

/// Ids in one preflight question, both kinds together.
pub const MAX_KNOWN_IDS: usize = 20_000;

/// Records of each kind on one page of `GET /browsing_data`, as the published backend has it.
pub const MAX_PAGE_RECORDS: i64 = 100;

/// Number of the last page that may be asked for: more records than anybody has.
pub const MAX_PAGE: i64 = 1_000_000_000;

/// Syncs that `GET /data/sync/status` lists.
pub const STATUS_SYNCS: i64 = 10;

/// Syncs that the quality figure looks back on.
pub const QUALITY_SYNCS: i64 = 100;

/// How long a sync stays in the log, in seconds.
pub const SYNC_LOG_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Characters of a browser's or extension's name or version in the sync log; longer ones are cut.
pub const MAX_CLIENT_CHARS: usize = 64;

/// How far ahead of the server's clock, in seconds, an erasure is believed: time zones lie 26 hours apart.
pub const MAX_CLOCK_AHEAD_SECONDS: i64 = 26 * 60 * 60;

/// Erasures that a user may have, not counting those that another one includes: every batch is held against all of
/// them while others wait.
pub const MAX_ERASURES: i64 = 500;

/// Rows that an erasure looks through at a time.
pub const ERASE_PAGE_ROWS: i64 = 500;

/// Bytes of bodies that arrive at the same time, all requests together: what bounds the memory of a server under attack.
/// 16 bodies of the greatest length, or 500 of the client's usual 130 KB.
pub const MAX_BODY_BYTES_ARRIVING: usize = 64 * 1024 * 1024;

/// Bytes of the bodies of one user, from their arrival until they are saved: a quarter, so that nobody shuts the others
/// out by sending slowly.
pub const MAX_BODY_BYTES_OF_USER: usize = MAX_BODY_BYTES_ARRIVING / 4;

/// Bytes of bodies that have arrived and aren't saved yet. One that is unpacked and judged may become
/// [`MAX_BODY_BYTES`] long, so that 16 are at a time; a batch that waits for the database takes what it takes.
pub const MAX_BODY_BYTES_IN_WORK: usize = 64 * 1024 * 1024;

/// Bytes of the longest page of records: 100 of each kind, each with three fields of [`MAX_JSON_FIELD_BYTES`], an address
/// and a title. The answer to a preflight stays below: 20,000 times an id of a kilobyte.
pub const MAX_PAGE_BYTES: usize = 36 * 1024 * 1024;

/// Bytes of pages of records that are made, or that their clients have yet to read: four of the greatest length, or a
/// thousand of the client's usual ones.
pub const MAX_PAGE_BYTES_LEAVING: usize = 4 * MAX_PAGE_BYTES;

/// What a record in memory takes beside its texts, in bytes.
pub const RECORD_BYTES: usize = 1024;

/// Wait in seconds for memory to become free before the client is told to come back later.
pub const BODY_WAIT_SECONDS: u64 = 10;

/// Time in seconds that a body may take to arrive.
pub const BODY_SECONDS: u64 = 30;

/// Bytes of a body that nobody reads which are still taken off the line. A client that is cut off in the middle of its
/// sending sees a broken connection instead of the 401 or 413 that it was sent.
pub const MAX_DISCARDED_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Time in seconds that a connection may take to send the head of a request, or stay idle between two.
pub const IDLE_SECONDS: u64 = 30;

/// Head of a request in bytes, and what is read ahead of a body. A token has some 400; every connection may fill it.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Open connections; more wait in the operating system's queue. Idle ones cost some 20 KB each.
pub const MAX_CONNECTIONS: usize = 8_192;

/// Files that may be open: one for each connection, and some for the database.
pub const OPEN_FILES: u64 = 10_000;

/// Time in seconds that a stopping server waits for requests in flight; longer than a client waits for its answer.
pub const DRAIN_SECONDS: u64 = 30;

/// Time in seconds that the mail program may take.
pub const MAIL_SECONDS: u64 = 30;

/// Pause in seconds between two sweeps of counts and sign-ups that are over.
pub const SWEEP_SECONDS: u64 = 60 * 60;
