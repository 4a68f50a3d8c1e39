//! Copying a SQLite database while it is in use.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::{AnyConnection, ConnectOptions, Connection, any::AnyConnectOptions};

use crate::{
    private_file::create_private_file,
    store::{Dialect, StoreError},
};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own.
    #[error("only SQLite databases are backed up here; use pg_dump for PostgreSQL")]
    NotSqlite,
    /// The file to write is there already, or its unfinished copy is, or it has a name that isn't text.
    #[error("the file to write must not exist, nor one with .part after its name, and its name must be text")]
    FileExists,
    /// The file can't be made.
    #[error("the file to write: {0}")]
    File(#[from] io::Error),
    /// The copy is damaged.
    #[error("the copy didn't pass its integrity check")]
    Damaged,
    /// Anything the database reports.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Writes a copy of the database as of one moment, compacted, and checks it. Writers go on meanwhile. The copy is
/// readable for this user alone. It has its name only when it is checked and on the disk; until then, `.part` follows.
pub async fn backup(database: &str, to: &Path) -> Result<(), BackupError> {
    sqlx::any::install_default_drivers();
    if Dialect::of_url(database)? != Dialect::Sqlite {
        return Err(BackupError::NotSqlite);
    }
    let part = format!("{}.part", to.to_str().ok_or(BackupError::FileExists)?);
    if to.try_exists()? {
        return Err(BackupError::FileExists);
    }
    create_private_file(Path::new(&part)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::FileExists,
        _ => BackupError::File(error),
    })?;
    let finished = match copy(database, &part).await {
        Ok(()) => keep(&part, to).map_err(BackupError::File),
        Err(error) => Err(error),
    };
    if finished.is_err() {
        // What failed is what the operator has to know.
        let _ = fs::remove_file(&part);
    }
    finished
}

async fn copy(database: &str, file: &str) -> Result<(), BackupError> {
    let mut source = connect(database).await?;
    sqlx::query("vacuum into $1").bind(file).execute(&mut source).await?;
    source.close().await?;

    let mut copy = connect(&format!("sqlite://{file}")).await?;
    let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut copy).await?;
    copy.close().await?;
    if verdict == "ok" { Ok(()) } else { Err(BackupError::Damaged) }
}

/// Gives a finished copy its name, once it is on the disk, and the name as well.
fn keep(part: &str, to: &Path) -> io::Result<()> {
    File::options().write(true).open(part)?.sync_all()?;
    fs::rename(part, to)?;
    if cfg!(unix) {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf))?.sync_all()?;
    }
    Ok(())
}

async fn connect(url: &str) -> Result<AnyConnection, sqlx::Error> {
    AnyConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}
