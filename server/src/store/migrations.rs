//! The schema, step by step. A step that was released is never edited; a new one may only add what replicas that
//! still run the old code can live with.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

const STEPS: &[(i64, &str, &str)] = &[
    (1, "accounts", include_str!("../../migrations/0001_accounts.sql")),
    (2, "records", include_str!("../../migrations/0002_records.sql")),
    (3, "sync", include_str!("../../migrations/0003_sync.sql")),
    (4, "protection", include_str!("../../migrations/0004_protection.sql")),
];

pub(super) fn migrator() -> Migrator {
    let steps = STEPS.iter().map(|(version, name, sql)| {
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    // An old replica may restart on a database that a newer one has already brought forward.
    migrator.set_ignore_missing(true);
    migrator
}
