//! What the syncer must remember between two attempts; one persisted document.

use serde::{Deserialize, Serialize};

use super::abilities::Learnt;
use super::backoff::Retry;
use super::erasure::Erasures;
use super::health::Health;
use super::limits::Adaptive;
use super::metrics::Uploads;
use super::report::Report;
use super::suspects::Unexplained;
use super::verdict::{Cause, NoAnswer};
use crate::words::key::RowKey;
use crate::words::time::UnixMillis;

/// The syncer's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncState {
    /// The fencing token: raised by each syncer that takes the lock; a settlement with an older one fails (rule 8).
    pub token: u64,
    /// The wait after a failure.
    pub retry: Option<Retry>,
    /// What keeps records from being delivered.
    pub problem: Option<Problem>,
    /// When a request was last started.
    pub last_attempt_at: Option<UnixMillis>,
    /// When a batch was last acknowledged.
    pub last_success_at: Option<UnixMillis>,
    /// When the holder of the token last got anywhere.
    pub alive_at: Option<UnixMillis>,
    /// What is known of the server.
    pub server: ServerMemory,
    /// The batch limit, where trouble has shrunk it.
    pub adaptive: Adaptive,
    /// The batch at the head that fails.
    pub failing: Option<Failing>,
    /// Trouble that nobody explains.
    pub unexplained: Unexplained,
    /// Rows that failed before something else was stored: if one fails alone, it is to blame itself (rule 5).
    pub outlived: Vec<RowKey>,
    /// How the last uploads went.
    #[serde(rename = "lastUploads")]
    pub uploads: Uploads,
    /// Since when the server has answered and taken nothing, by a clock that it confirmed.
    pub undelivered_since: Option<UnixMillis>,
    /// Waiting records may be on the server already: some were imported or put back.
    pub doubtful: bool,
    /// What the user wants gone and is not yet.
    pub erasures: Erasures,
    /// The account of the last run that found work.
    pub last_report: Option<Report>,
    /// How far the running drain is; left behind by a worker that died.
    pub progress: Option<Progress>,
    /// What is known of the database's health.
    pub health: Health,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerMemory {
    /// Its origin.
    pub origin: String,
    /// Whether it has counted what it stored: a 200 without counts confirms nothing from then on (rule 1).
    pub gives_counts: bool,
    /// What it can do beyond storing batches.
    pub learnt: Learnt,
}

/// How often a batch has failed in a way that splits it in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Its oldest row: it is the same batch with what was recorded behind that meanwhile.
    pub head: Option<RowKey>,
    /// Answers of 500 and the like.
    pub server_faults: u32,
    /// Confirmations that did not account for every record.
    pub shortfalls: u32,
}

/// How far a drain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Records settled since the drain began.
    pub done: u64,
    /// When it began.
    pub started_at: UnixMillis,
}

/// What keeps records from being delivered, until a request succeeds or the user acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it is.
    pub code: ProblemCode,
    /// Since when.
    pub since: UnixMillis,
}

/// The problems that a user can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The login is no longer accepted.
    SignInAgain,
    /// The account may not send records.
    NotAllowed,
    /// The server refuses every record.
    ServerRefuses,
    /// The server can't be reached.
    Unreachable,
    /// The server takes too long.
    TimedOut,
    /// The server answers with a failure of its own, or asks to wait.
    ServerTrouble,
    /// Something between here and the server answers in its place.
    WrongAnswer,
    /// The address is not that of a sync server.
    WrongAddress,
    /// The address may not be sent to: not https.
    InsecureAddress,
    /// The database on this machine fails.
    Storage,
}

impl ProblemCode {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignInAgain => "sign in again",
            Self::NotAllowed => "not allowed",
            Self::ServerRefuses => "the server refuses",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::ServerTrouble => "server trouble",
            Self::WrongAnswer => "wrong answer",
            Self::WrongAddress => "wrong address",
            Self::InsecureAddress => "insecure address",
            Self::Storage => "storage",
        }
    }

    /// What the user can do, in one sentence.
    pub const fn message(self) -> &'static str {
        match self {
            Self::SignInAgain => {
                "Sign in again: the server no longer accepts this login. Nothing is lost meanwhile."
            }
            Self::NotAllowed => {
                "Not allowed: this account may not send records. Ask whoever runs the server."
            }
            Self::ServerRefuses => {
                "The server refuses the records. They are kept; ask whoever runs the server."
            }
            Self::Unreachable => "The server can't be reached. It is tried again by itself.",
            Self::TimedOut => "The server takes too long to answer. It is tried again by itself.",
            Self::ServerTrouble => "The server has trouble of its own. It is tried again by itself.",
            Self::WrongAnswer => {
                "Something else answers in the server's place, such as a hotel's login page. It is tried again by itself."
            }
            Self::WrongAddress => "There is no sync server at this address. Check it in the settings.",
            Self::InsecureAddress => {
                "This address is not secure: only https leaves the machine. Check it in the settings."
            }
            Self::Storage => "The browser's storage fails. Free some disk space, then restart the browser.",
        }
    }

    /// Whether it needs the user, and waiting alone won't help.
    pub const fn needs_the_user(self) -> bool {
        !matches!(self, Self::Unreachable | Self::TimedOut | Self::ServerTrouble | Self::WrongAnswer)
    }
}

impl From<Cause> for ProblemCode {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::NoAnswer(NoAnswer::TimedOut) => Self::TimedOut,
            Cause::NoAnswer(NoAnswer::Network | NoAnswer::BodyCutOff) => Self::Unreachable,
            Cause::Status(408 | 425 | 429 | 500..=599) => Self::ServerTrouble,
            Cause::NotAnAcknowledgement => Self::WrongAnswer,
            Cause::Redirect | Cause::Status(_) => Self::WrongAddress,
        }
    }
}

impl SyncState {
    /// Whether a wait began later than now.
    pub fn is_of_another_clock(&self, now: UnixMillis) -> bool {
        self.erasures.is_of_another_clock(now) || self.retry.is_some_and(|retry| retry.on_clock(now) != retry)
    }

    /// Notes a problem, keeping its beginning where it stands already.
    pub fn trouble(&mut self, code: ProblemCode, now: UnixMillis) {
        match &mut self.problem {
            Some(problem) if problem.code == code => {}
            problem => *problem = Some(Problem { code, since: now }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails is to panic")]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_or_a_newer_release_has_written_can_be_read() {
        let text = r#"{"token":3,"lastReport":{"batches":2,"ofANewerOne":[1]},"server":{"origin":"https://a.example"},"ofANewerOne":{}}"#;
        let state: SyncState = serde_json::from_str(text).unwrap();
        assert_eq!((state.token, state.last_report.unwrap().batches), (3, 2));
        assert!(!state.server.gives_counts && state.erasures.there.is_empty());
    }
}
