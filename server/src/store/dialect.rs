//! Where SQLite and PostgreSQL differ.

use std::{io, str::FromStr};

use sqlx::sqlite::SqliteConnectOptions;

use super::StoreError;
use crate::private_file::create_private_file;

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, one machine.
    Sqlite,
    /// PostgreSQL, or a distributed database that speaks its protocol.
    Postgres,
}

/// A column of a record table, as the statements and PostgreSQL need to know it.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) sql_type: &'static str,
}

impl Dialect {
    /// Reads the dialect off a database URL.
    pub fn of_url(url: &str) -> Result<Self, StoreError> {
        match url.split(':').next() {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StoreError::UnknownDatabase),
        }
    }

    /// Creates a missing SQLite file, unless the URL says otherwise.
    pub(super) fn create_file(self, url: &str) -> Result<(), StoreError> {
        if self != Self::Sqlite || url.contains("mode=") || url.contains(":memory:") {
            return Ok(());
        }
        match create_private_file(SqliteConnectOptions::from_str(url)?.get_filename()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => Ok(result?),
        }
    }

    /// Run once on every new connection.
    pub(super) fn connection_settings(self) -> &'static [&'static str] {
        match self {
            // Full synchronisation: after our 200 the client deletes its copy, so a power cut must not undo the commit.
            // Batches that are committed together dirty some 3 MB of pages: the cache (8 MB) holds them until then, and
            // the log (16 MB) is carried over into the database, for which the disk has to be waited for twice, after
            // several commits.
            Self::Sqlite => &[
                "pragma busy_timeout = 10000",
                "pragma journal_mode = wal",
                "pragma synchronous = full",
                "pragma foreign_keys = on",
                "pragma cache_size = -8000",
                "pragma wal_autocheckpoint = 4000",
            ],
            // A replica that vanishes in the middle of a transaction must not keep its user locked out of the others.
            Self::Postgres => {
                &["set lock_timeout = '10s'", "set idle_in_transaction_session_timeout = '20s'"]
            }
        }
    }

    /// SQLite takes its write lock at the beginning: a read that turns into a write can't wait and would fail.
    pub(super) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin",
        }
    }

    /// A `from` item named `r` that makes rows of the JSON array in parameter `$parameter`.
    pub(super) fn rows_of_json(self, parameter: usize, columns: &[Column]) -> String {
        match self {
            Self::Sqlite => format!("json_each(${parameter}) as r"),
            Self::Postgres => {
                let columns: Vec<String> =
                    columns.iter().map(|column| format!("{} {}", column.name, column.sql_type)).collect();
                format!("json_to_recordset(${parameter}::json) as r({})", columns.join(", "))
            }
        }
    }

    /// A `from` item whose `r.value` are the strings of the JSON array in parameter `$parameter`.
    pub(super) fn strings_of_json(self, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("json_each(${parameter}) as r"),
            Self::Postgres => format!("json_array_elements_text(${parameter}::json) as r(value)"),
        }
    }

    /// One column of a row that `rows_of_json` made.
    pub(super) fn column_of_row(self, column: &Column) -> String {
        match self {
            Self::Sqlite => format!("r.value ->> '{}'", column.name),
            Self::Postgres => format!("r.{}", column.name),
        }
    }
}

/// Serialisation failure and deadlock in PostgreSQL; busy and busy-snapshot in SQLite.
pub(super) fn is_conflict_code(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "5" | "517")
}

/// What ends without a change to the request: conflicts, and trouble of the machine or its operator.
///
/// SQLite: busy, locked, disk error, disk full, with whatever detail. PostgreSQL: connection trouble (class 08), a
/// database that takes no writes at the moment (25006), lack of disk, memory or connections (class 53), a lock that
/// didn't come free (55P03), shutdown and its like (class 57).
pub(super) fn is_temporary_code(code: &str) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const DISK_ERROR: u32 = 10;
    const DISK_FULL: u32 = 13;
    match code.parse::<u32>() {
        // PostgreSQL's have five characters, SQLite's fewer: the kind in the lowest byte, the detail above it.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, BUSY | LOCKED | DISK_ERROR | DISK_FULL),
        _ => {
            is_conflict_code(code)
                || matches!(code, "25006" | "55P03")
                || ["08", "53", "57"].iter().any(|class| code.starts_with(class))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_pass_is_told_from_what_is_wrong() {
        for code in
            ["5", "517", "6", "13", "778", "40001", "40P01", "08006", "25006", "53100", "55P03", "57P01"]
        {
            assert!(is_temporary_code(code), "{code}");
        }
        for code in ["1", "19", "1299", "2067", "22001", "23505", "42P01", "42703"] {
            assert!(!is_temporary_code(code), "{code}");
        }
    }
}
