//! The committed inputs, one file each.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;

/// Where a target's inputs are.
pub fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// An input of the corpus.
pub struct Entry {
    pub path: PathBuf,
    pub input: Vec<u8>,
}

impl Entry {
    /// Whether the fuzzer made it: those that people wrote, and those that once failed, have a name.
    pub fn is_made(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// A target's corpus; what people wrote comes first.
///
/// # Errors
/// Where a file can't be read.
pub fn read(target: &str) -> io::Result<Vec<Entry>> {
    let mut corpus = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let path = entry?.path();
        corpus.push(Entry { input: fs::read(&path)?, path });
    }
    corpus.sort_by_key(|entry| (entry.is_made(), entry.path.clone()));
    Ok(corpus)
}

/// The inputs alone.
pub fn inputs(corpus: &[Entry]) -> Vec<Vec<u8>> {
    corpus.iter().map(|entry| entry.input.clone()).collect()
}

/// Adds an input under a name that its content gives.
///
/// # Errors
/// Where the file can't be written.
pub fn add(target: &str, prefix: &str, input: &[u8]) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = folder(target).join(format!("{prefix}{:016x}", hasher.finish()));
    fs::write(&path, input)?;
    Ok(path)
}
