//! The SQLite file that was opened, as the file system knows it. A removed folder leaves the open file without a name: SQLite goes
//! on writing, and everything is gone when the server stops.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path)
            .ok()
            .filter(Metadata::is_file)
            .map(|m| Self { device: m.dev(), inode: m.ino() })
    }
}

/// The database and its write-ahead log.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    path: PathBuf,
    log: PathBuf,
    first: Mutex<Option<Id>>,
    first_log: Mutex<Option<Id>>,
}

impl OpenedFile {
    pub fn at(path: PathBuf) -> Self {
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        Self { path, log: log.into(), first: Mutex::default(), first_log: Mutex::default() }
    }

    /// Notes which files these are, once every pool has a connection to them.
    pub fn remember(&self) {
        *lock(&self.first) = Id::of(&self.path);
        *lock(&self.first_log) = Id::of(&self.log);
    }

    /// Whether what has these names is what was opened.
    pub fn is_still_there(&self) -> bool {
        let same =
            |path: &Path, first: &Mutex<Option<Id>>| lock(first).is_none_or(|id| Id::of(path) == Some(id));
        same(&self.path, &self.first) && same(&self.log, &self.first_log)
    }

    /// Whether the database is where it was, and its log nowhere.
    pub fn lost_only_its_log(&self) -> bool {
        let first = *lock(&self.first);
        first.is_some() && Id::of(&self.path) == first && !self.log.exists()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(id: &Mutex<Option<Id>>) -> std::sync::MutexGuard<'_, Option<Id>> {
    id.lock().unwrap_or_else(PoisonError::into_inner)
}
