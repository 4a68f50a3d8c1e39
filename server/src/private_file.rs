//! Files that only the server's user may read: they hold people's browsing.

use std::{fs::OpenOptions, io, path::Path};

/// Creates an empty file of mode 0600, whatever the umask. What SQLite puts beside a database (`-wal`, `-shm`,
/// `-journal`) takes the mode of the database.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where there is one, or the folder can't be written to.
pub fn create_private_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
