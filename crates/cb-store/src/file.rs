//! What was opened, as the file system knows it. A removed folder leaves an open file without a name: SQLite goes on writing, and
//! everything is gone when the server stops.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// While a program opens or closes the database, its log may not be there yet, or no longer.
const PASSING: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(50);
/// A disk that was full has room again when it takes so much.
const ROOM: usize = 1024 * 1024;

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
    /// The database is, and its log or the index of the log is not.
    WithoutLog {
        /// What was committed is in the files that have a name.
        kept: bool,
    },
    Other,
}

/// An SQLite database with its write-ahead log and the index of that.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    database: Named,
    log: Named,
    index: Named,
    /// Of a log that was removed: everything is in the database.
    folded: AtomicBool,
    /// Where other processes read which files these are. See [`nameless_log`].
    record: Mutex<Option<File>>,
}

impl OpenedFile {
    pub fn at(path: PathBuf) -> Self {
        let [log, index] = beside(&path).map(Named::at);
        Self {
            database: Named::at(path),
            log,
            index,
            folded: AtomicBool::new(false),
            record: Mutex::default(),
        }
    }

    /// Notes which files these are, once every pool has a connection to them.
    pub fn remember(&self) {
        [&self.database, &self.log, &self.index].into_iter().for_each(Named::remember);
    }

    pub fn place(&self) -> Place {
        if !self.database.is_still_there() {
            return Place::Other;
        }
        let log = self.log.is_still_there();
        if log && self.index.is_still_there() {
            return Place::Same;
        }
        Place::WithoutLog { kept: log || self.folded.load(Ordering::Acquire) }
    }

    /// Whether what the log holds may be written into the database: no other program has written there, with a log of its own or with
    /// this one and an index of its own.
    pub fn may_fold(&self) -> bool {
        if self.log.is_still_there() {
            return self.index.is_still_there() || !self.index.path().exists();
        }
        std::fs::metadata(self.log.path()).map_or(true, |log| log.len() == 0)
    }

    /// Whether the disk takes more than a few pages: the log has some room of its own, and a small write goes there. Nothing of it
    /// stays. Where no such file can be made, nothing says that there is no room.
    pub fn has_room(&self) -> bool {
        let folder = self.path().parent().unwrap_or(self.path());
        let nameless = OpenOptions::new().write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(folder);
        let taken = nameless.and_then(|mut file| file.write_all(&vec![0; ROOM]));
        taken
            .err()
            .is_none_or(|error| !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }

    pub fn was_folded(&self, all: bool) {
        self.folded.store(all, Ordering::Release);
    }

    /// Writes into `file`, which this process keeps open, which files it works with, and locks it.
    pub fn record_in(&self, mut file: File) -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(in_use(self.path()).as_bytes())?;
        fcntl(&file, FcntlArg::F_SETLK(&range(0, 0)?))?;
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// What was recorded is no longer true: the files are about to be closed.
    pub fn forget_record(&self) {
        // Closing it unlocks it.
        self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn path(&self) -> &Path {
        self.database.path()
    }
}

/// The log of the database `file`, and the index of that. SQLite makes them beside what a link leads to.
pub(crate) fn beside(file: &Path) -> [PathBuf; 2] {
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    ["-wal", "-shm"].map(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Which files have the names of the database `file`, of its log and of the index.
fn in_use(file: &Path) -> String {
    let [log, index] = beside(file);
    let ids = [file.to_path_buf(), log, index].map(|path| match std::fs::metadata(path) {
        Ok(about) => format!("{}:{}", about.dev(), about.ino()),
        Err(_) => "none".to_owned(),
    });
    format!("{}\n", ids.join(" "))
}

/// The process that works with the database `file` while the log that it writes has no name: what it has written last is not to be
/// seen here, and whoever opens the file makes another log, or breaks the index of that one. `record` is where a server says
/// which files it uses. To be asked before this process opens the database: closing a file lets go of every lock that the process has
/// on it.
pub(crate) async fn nameless_log(file: &Path, record: &Path) -> Option<i32> {
    let began = Instant::now();
    loop {
        let user = if let Some((server, used)) = recorded(record) {
            if used == in_use(file) {
                return None;
            }
            server
        } else if beside(file).iter().all(|name| name.exists()) {
            return None;
        } else {
            // https://www.sqlite.org/src/file?name=src/os.h: in WAL mode, everybody holds a shared lock on these bytes.
            locked_by(&File::open(file).ok()?, 0x4000_0002, 510)?
        };
        if began.elapsed() > PASSING {
            return Some(user);
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// The server that has recorded the files that it uses, and which these are.
fn recorded(record: &Path) -> Option<(i32, String)> {
    let mut file = File::open(record).ok()?;
    let server = locked_by(&file, 0, 0)?;
    let mut used = String::new();
    file.read_to_string(&mut used).ok()?;
    Some((server, used))
}

/// Another process that has locked some of these bytes.
fn locked_by(file: &File, start: i64, bytes: i64) -> Option<i32> {
    let mut asked = range(start, bytes).ok()?;
    fcntl(file, FcntlArg::F_GETLK(&mut asked)).ok()?;
    (i32::from(asked.l_type) != libc::F_UNLCK).then_some(asked.l_pid)
}

/// To be locked; no bytes means all of them.
fn range(start: i64, bytes: i64) -> io::Result<libc::flock> {
    Ok(libc::flock {
        l_type: libc::F_WRLCK.try_into().map_err(io::Error::other)?,
        l_whence: libc::SEEK_SET.try_into().map_err(io::Error::other)?,
        l_start: start,
        l_len: bytes,
        l_pid: 0,
    })
}
