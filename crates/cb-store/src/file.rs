//! What was opened, as the file system knows it. A removed folder leaves an open file without a name: SQLite goes on writing, and
//! everything is gone when the server stops.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    device: u64,
    inode: u64,
}

/// A file or folder, and whether it is still the one that had this name.
#[derive(Debug)]
pub(crate) struct Named {
    path: PathBuf,
    first: OnceLock<Id>,
}

impl Named {
    pub fn at(path: PathBuf) -> Self {
        Self { path, first: OnceLock::new() }
    }

    /// Notes which one it is; what is not there is noted the next time.
    pub fn remember(&self) {
        if let Some(id) = self.id() {
            self.first.get_or_init(|| id);
        }
    }

    pub fn is_still_there(&self) -> bool {
        self.first.get().is_none_or(|first| self.id() == Some(*first))
    }

    fn is_gone(&self) -> bool {
        self.first.get().is_some() && self.id().is_none()
    }

    fn id(&self) -> Option<Id> {
        std::fs::metadata(&self.path).ok().map(|m| Id { device: m.dev(), inode: m.ino() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything is where it was.
    Same,
    /// The database is, and its log or the index of the log is nowhere. What they hold can still be written into the database.
    WithoutLog,
    Other,
}

/// An SQLite database with its write-ahead log and the index of that.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    database: Named,
    beside: [Named; 2],
}

impl OpenedFile {
    pub fn at(path: PathBuf) -> Self {
        let beside = ["-wal", "-shm"].map(|suffix| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            Named::at(name.into())
        });
        Self { database: Named::at(path), beside }
    }

    /// Notes which files these are, once every pool has a connection to them.
    pub fn remember(&self) {
        self.database.remember();
        self.beside.iter().for_each(Named::remember);
    }

    pub fn place(&self) -> Place {
        if !self.database.is_still_there() {
            return Place::Other;
        }
        let mut moved = self.beside.iter().filter(|file| !file.is_still_there()).peekable();
        if moved.peek().is_none() {
            Place::Same
        } else if moved.all(Named::is_gone) {
            Place::WithoutLog
        } else {
            Place::Other
        }
    }

    pub fn path(&self) -> &Path {
        self.database.path()
    }
}
