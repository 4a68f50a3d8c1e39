//! Every limit of the server, with its unit and its reason.

/// Records of one kind in one request. The published backend takes 1,000 in total; the client sends at most 100.
pub const MAX_RECORDS_PER_KIND: usize = 1_000;

/// Body of a request in bytes, before and after inflation. The client stays under 512 KB; eight times that leaves
/// room for other clients, and bounds what one request can cost in memory.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Body of a request that carries no records (sign-in and the like).
pub const MAX_SMALL_BODY_BYTES: usize = 16 * 1024;

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

/// Syncs that `GET /data/sync/status` lists.
pub const STATUS_SYNCS: i64 = 10;

/// Syncs that the quality figure looks back on.
pub const QUALITY_SYNCS: i64 = 100;

/// How long a sync stays in the log, in seconds.
pub const SYNC_LOG_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Characters of a browser's or extension's name or version in the sync log; longer ones are cut.
pub const MAX_CLIENT_CHARS: usize = 64;

/// Rows that an erasure looks through at a time.
pub const ERASE_PAGE_ROWS: i64 = 500;
