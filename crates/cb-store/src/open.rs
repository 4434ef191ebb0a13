//! Opening the database: a pool that reads, one that writes, and one connection that checks whether the database works.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cb_core::{Error, Secret};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::bounded::{Bounded, Connections, Signals};
use crate::durable::Flushes;
use crate::figures::Written;
use crate::file::{self, Named, OpenedFile, Place};
use crate::journal;
use crate::migrations::{self, Migrated, Newer};
use crate::open_error::OpenError;
use crate::pool::{self, Pool, Use, Way};
use crate::storage::{Storage, Watched};

const READERS: u32 = 4;
const POSTGRES: u32 = 8;
/// The connections of a server to PostgreSQL: those that read, those that write, the one that flushes, the lookout's, and one that
/// sees whether there is another.
const SERVER_USES: usize = 19;
/// The connections of a command that runs beside the servers.
const COMMAND_USES: usize = 4;

/// The database's file in a data folder, and in the folder of a copy.
pub const DATABASE_FILE: &str = "circuit-breaker.db";

/// The file in a data folder that a server keeps locked.
pub const LOCK_FILE: &str = "lock";

/// The pools. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reader: Connections,
    writer: Connections,
    /// One connection that only checks whether the database works, so it never waits for a request. It also keeps SQLite's log open.
    lookout: Connections,
    /// One connection to PostgreSQL that makes durable what the writers have committed.
    flusher: Connections,
    /// None for a file.
    flushes: Option<Flushes>,
    writes: AtomicU64,
    written: Written,
    /// Writes of ours that keep all others waiting.
    heads: AtomicUsize,
    signals: Signals,
    home: Home,
    /// The data folder, and the keys in it, where their place matters besides that of the database.
    beside: OnceLock<Beside>,
    watched: Watched,
}

/// What the database is read with.
struct Beside {
    folder: Named,
    /// These may be replaced, but not be missing.
    keys: Vec<PathBuf>,
}

impl Beside {
    fn missing(&self) -> Option<&Path> {
        if !self.folder.is_still_there() {
            return Some(self.folder.path());
        }
        self.keys.iter().find(|key| !key.exists()).map(PathBuf::as_path)
    }
}

/// Where the database is that this process serves.
enum Home {
    File(Arc<OpenedFile>),
    Network(Secret),
    /// Another process serves it.
    OfAnother,
}

/// PostgreSQL allows fewer connections than the servers and a command use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallRoom {
    pub servers: usize,
    pub used: usize,
    pub allowed: usize,
}

impl fmt::Display for SmallRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, used, allowed } = self;
        let servers = if *servers == 1 { "one server".to_owned() } else { format!("{servers} servers") };
        write!(
            f,
            "PostgreSQL allows {allowed} connections, but {servers} and a command use up to {used}. When all are busy, some requests are refused. Raise max_connections, or the CONNECTION LIMIT of the user or the database, or put PgBouncer in front of PostgreSQL"
        )
    }
}

/// Counts a write when it is dropped.
pub(crate) struct CountedWrite<'a>(&'a AtomicU64);

impl Drop for CountedWrite<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Counts as long as it lives.
pub(crate) struct HeadHeld(Store);

impl Drop for HeadHeld {
    fn drop(&mut self) {
        self.0.0.heads.fetch_sub(1, Ordering::Release);
    }
}

impl Store {
    /// SQLite in `data_dir`, made if it is not there, and migrated.
    pub async fn open_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join(DATABASE_FILE);
        let fail = |e: DbErr| OpenError::sqlite(&file, &e);
        migrations::bring_up_sqlite(&file, Newer::IfItFits).await?;
        let opened = Arc::new(OpenedFile::at(file.clone()));
        let pool = async |connections, purpose| {
            pool::sqlite(&file, connections, purpose, Some(opened.clone())).await.map_err(fail)
        };
        let writer = pool(1, Use::Write).await?;
        let reader = pool(READERS, Use::Read).await?;
        let lookout = pool(1, Use::Look).await?;
        for pool in [&writer, &reader, &lookout] {
            // The log is opened with the first question.
            pool.execute_unprepared("SELECT count(*) FROM sqlite_schema").await.map_err(fail)?;
        }
        opened.remember();
        Ok(Self::over(reader, writer.clone(), lookout, writer, Home::File(opened)))
    }

    /// PostgreSQL 15 or later at `url`, migrated.
    pub async fn open_postgres(url: &Secret) -> Result<Self, OpenError> {
        migrations::bring_up_postgres(url, Newer::IfItFits).await?;
        let pool =
            async |count, purpose| pool::postgres(url, count, purpose).await.map_err(OpenError::postgres);
        let lookout = pool(1, Use::Look).await?;
        let (reader, writer) = (pool(POSTGRES, Use::Read).await?, pool(POSTGRES, Use::Write).await?);
        let flusher = pool(1, Use::Flush).await?;
        if lookout.way() != Way::Own {
            tracing::info!(
                "A pooler of connections stands between this server and PostgreSQL. The server works in short transactions and keeps nothing in a session."
            );
        }
        Ok(Self::over(reader, writer, lookout, flusher, Home::Network(url.clone())))
    }

    /// Brings the database in `data_dir` to the schema of this program, and does not open it.
    pub async fn migrate_sqlite(data_dir: &Path) -> Result<Migrated, OpenError> {
        migrations::bring_up_sqlite(&data_dir.join(DATABASE_FILE), Newer::Refused).await
    }

    /// The same for the database at `url`.
    pub async fn migrate_postgres(url: &Secret) -> Result<Migrated, OpenError> {
        migrations::bring_up_postgres(url, Newer::Refused).await
    }

    /// What `data_dir` holds, beside the server that may be running on it; nothing is made and nothing migrated.
    pub async fn attach_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let reader = Self::read_sqlite(data_dir).await?.reader().inner().clone();
        let file = data_dir.join(DATABASE_FILE);
        let fail = |e: DbErr| OpenError::sqlite(&file, &e);
        let writer = pool::sqlite(&file, 1, Use::Write, None).await.map_err(fail)?;
        let store = Self::over(reader.clone(), writer.clone(), reader, writer, Home::OfAnother);
        store.of_this_version(fail).await
    }

    /// The same for what `url` holds.
    pub async fn attach_postgres(url: &Secret) -> Result<Self, OpenError> {
        let writer = pool::postgres(url, 1, Use::Write).await.map_err(OpenError::postgres)?;
        let reader = pool::postgres(url, 2, Use::Read).await.map_err(OpenError::postgres)?;
        // Whoever flushes has no transaction open, so the writer's connection is free.
        let store = Self::over(reader.clone(), writer.clone(), reader, writer, Home::OfAnother);
        store.of_this_version(OpenError::postgres).await
    }

    async fn of_this_version(self, fail: impl Fn(DbErr) -> OpenError) -> Result<Self, OpenError> {
        if migrations::are_done(self.reader()).await.map_err(&fail)? {
            return Ok(self);
        }
        if migrations::are_none(self.reader()).await.map_err(&fail)? {
            return Err(OpenError::new(
                "The database is empty",
                "no server has used it yet",
                "Start a server (cb serve), which creates the tables, or create them first: cb migrate",
            ));
        }
        Err(OpenError::new(
            "The database belongs to another version",
            "its tables are older or newer than this program",
            "Start the server of this version once (cb serve), or use the version of this program that runs the server",
        ))
    }

    /// Only to read what `data_dir` holds; nothing is made and nothing migrated.
    pub async fn read_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join(DATABASE_FILE);
        if let Some(missing) = OpenError::missing(&file) {
            return Err(missing);
        }
        if let Some(user) = file::nameless_log(&file, &data_dir.join(LOCK_FILE)).await {
            return Err(OpenError::without_log(&file, user));
        }
        let reader = async {
            journal::ensure_log(&file).await?;
            pool::sqlite(&file, READERS, Use::Read, None).await
        };
        Ok(Self::reading(reader.await.map_err(|e| OpenError::sqlite(&file, &e))?))
    }

    /// Only to read what `url` holds.
    pub async fn read_postgres(url: &Secret) -> Result<Self, OpenError> {
        let reader = pool::postgres(url, 2, Use::Read).await.map_err(OpenError::postgres)?;
        Ok(Self::reading(reader))
    }

    fn reading(reader: Pool) -> Self {
        Self::over(reader.clone(), reader.clone(), reader.clone(), reader, Home::OfAnother)
    }

    fn over(reader: Pool, writer: Pool, lookout: Pool, flusher: Pool, home: Home) -> Self {
        let (signals, backend) = (Signals::default(), writer.get_database_backend());
        Self(Arc::new(Inner {
            reader: Bounded::new(reader, signals.clone()),
            writer: Bounded::new(writer, signals.clone()),
            // It is the one that tells the others.
            lookout: Bounded::new(lookout, Signals::default()),
            flusher: Bounded::new(flusher, signals.clone()),
            flushes: (backend == DbBackend::Postgres).then(Flushes::default),
            writes: AtomicU64::new(0),
            written: Written::default(),
            heads: AtomicUsize::new(0),
            signals,
            home,
            beside: OnceLock::new(),
            watched: Watched::default(),
        }))
    }

    /// Nothing is written any more when this folder is not where it was, or one of those files is missing that are there now: what
    /// was written could not be read without them.
    pub fn stay_beside(&self, folder: &Path, keys: &[&str]) {
        let beside = self.0.beside.get_or_init(|| {
            let keys = keys.iter().map(|name| folder.join(name)).filter(|key| key.exists());
            Beside { folder: Named::at(folder.to_owned()), keys: keys.collect() }
        });
        beside.folder.remember();
    }

    /// Says in the locked file of the data folder which files this process works with, for the commands that run beside it.
    pub fn record_in(&self, lock: &File) -> io::Result<()> {
        self.file().map_or(Ok(()), |file| file.record_in(lock.try_clone()?))
    }

    /// How many audited writes this process has tried to commit: while it stays the same, what was read of sessions and users
    /// stands, as far as this process goes.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Acquire)
    }

    /// How many statements this process has asked the database.
    pub fn statements(&self) -> u64 {
        self.0.signals.asked()
    }

    pub(crate) fn count_write(&self) -> CountedWrite<'_> {
        CountedWrite(&self.0.writes)
    }

    pub(crate) fn written(&self) -> &Written {
        &self.0.written
    }

    pub(crate) fn holds_head(&self) -> HeadHeld {
        self.0.heads.fetch_add(1, Ordering::AcqRel);
        HeadHeld(self.clone())
    }

    /// Whether a write of ours keeps all others waiting.
    pub(crate) fn is_writing(&self) -> bool {
        self.0.heads.load(Ordering::Acquire) > 0
    }

    /// For reading. The database refuses a write on it.
    pub fn reader(&self) -> &Connections {
        &self.0.reader
    }

    pub(crate) fn writer(&self) -> &Connections {
        &self.0.writer
    }

    pub(crate) fn lookout(&self) -> &Connections {
        &self.0.lookout
    }

    pub(crate) fn flusher(&self) -> &Connections {
        &self.0.flusher
    }

    pub(crate) fn flushes(&self) -> Option<&Flushes> {
        self.0.flushes.as_ref()
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.0.writer.get_database_backend()
    }

    pub fn is_sqlite(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.0.signals
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.0.watched
    }

    /// Makes every pool anew. A host that comes back may know nothing of the connections from before, and never answer on them,
    /// whatever they were in the middle of. Those it does know are let go before there are new ones: it may have no room for both.
    pub(crate) async fn start_anew(&self) {
        for pool in [self.reader(), self.writer(), self.flusher(), self.lookout()] {
            if let Err(error) = pool.inner().start_anew().await {
                tracing::warn!(%error, "the server cannot connect to the database again");
            }
        }
    }

    /// Whether the database takes one more connection. A file does.
    pub(crate) async fn another_connection(&self) -> Result<(), DbErr> {
        let Home::Network(url) = &self.0.home else { return Ok(()) };
        pool::try_postgres(url).await.map(drop)
    }

    /// What PostgreSQL lacks for so many servers. Nothing for a file, and nothing behind a pooler, which lends few connections to many.
    pub async fn small_room(&self, servers: usize) -> Result<Option<SmallRoom>, Error> {
        if self.is_sqlite() || self.reader().inner().way() != Way::Own {
            return Ok(None);
        }
        let allowed = allowed(self.reader()).await.map_err(crate::fault::db)?;
        let used = servers * SERVER_USES + COMMAND_USES;
        Ok(allowed.filter(|allowed| *allowed < used).map(|allowed| SmallRoom { servers, used, allowed }))
    }

    /// What is behind an error that may only say that no connection was had.
    pub(crate) async fn why(&self, error: DbErr) -> DbErr {
        let Home::Network(url) = &self.0.home else { return error };
        pool::why(url, error).await
    }

    pub(crate) fn file(&self) -> Option<&OpenedFile> {
        if let Home::File(file) = &self.0.home { Some(file) } else { None }
    }

    /// Whether what was opened is no longer where it was, and how much of it.
    pub(crate) fn lost(&self) -> Option<Storage> {
        let missing = self.0.beside.get().and_then(Beside::missing);
        missing.map(|_| Storage::Replaced).or_else(|| self.lost_file())
    }

    /// The same of the database alone: what was written into it may be gone.
    pub(crate) fn lost_file(&self) -> Option<Storage> {
        match self.file().map_or(Place::Same, OpenedFile::place) {
            Place::Same => None,
            Place::WithoutLog { kept } => Some(Storage::LogRemoved { kept }),
            Place::Other => Some(Storage::Replaced),
        }
    }

    /// Writes into the database what only a log holds that lost its name, and that would be gone with the process. Where somebody
    /// reads an older state, the next time does the rest.
    pub(crate) async fn save_lost_log(&self) {
        let Some(file) = self.file() else { return };
        if !matches!(file.place(), Place::WithoutLog { .. }) || !file.may_fold() {
            return;
        }
        match fold(self.lookout(), "PASSIVE").await {
            Ok(all) => {
                file.was_folded(all);
                // Then the log holds nothing that could be written over what others do. Where one of them reads, the next time does it.
                if all && let Err(error) = fold(self.lookout(), "TRUNCATE").await {
                    tracing::debug!(%error, "the deleted log of the database is not empty yet");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the content of the deleted log of the database could not be saved");
            }
        }
    }

    /// Waits for what runs and closes the pools; in SQLite the log is folded into the database.
    pub async fn close(self) -> Result<(), Error> {
        // A file is written to the end; a host that is off is not waited for.
        let patience = Duration::from_secs(if self.is_sqlite() { 10 } else { 3 });
        let (lost, lost_file) = (self.lost(), self.lost_file());
        if let Some(file) = self.file() {
            file.forget_record();
        }
        let all = async {
            close(self.reader()).await?;
            close(self.lookout()).await?;
            // Only the server: beside it, another program would stop the writers with it.
            let may = match lost_file {
                None => self.file().is_some(),
                Some(Storage::LogRemoved { .. }) => self.file().is_some_and(OpenedFile::may_fold),
                Some(_) => false,
            };
            let folded = may && self.fold_all(lost_file).await;
            close(self.writer()).await?;
            close(self.flusher()).await?;
            Ok(folded)
        };
        let folded = if let Ok(closed) = tokio::time::timeout(patience, all).await {
            closed.map_err(crate::fault::db)?
        } else {
            tracing::warn!("the database does not answer; the server closes its connections");
            false
        };
        let what = match lost {
            None => return Ok(()),
            Some(Storage::LogRemoved { kept }) if kept || folded => return Ok(()),
            Some(Storage::LogRemoved { .. }) => {
                "lost its log while the server was running; the content of the log may be lost, because another program was using the database"
            }
            Some(_) => {
                "was removed or replaced while the server was running; nothing was saved while it was missing"
            }
        };
        Err(Error::Unavailable(format!("{} {what}", self.path_shown())))
    }

    /// Whether all of the log is in the database. What stays in it is folded in at the next start, unless it is lost.
    async fn fold_all(&self, lost: Option<Storage>) -> bool {
        let why = match fold(self.writer(), "TRUNCATE").await {
            Ok(true) => return true,
            Ok(false) => "another program is reading the database".to_owned(),
            Err(error) => error.to_string(),
        };
        if lost.is_none() {
            tracing::warn!(
                why,
                "the database's log could not be written into the database file; the next start does this"
            );
        }
        false
    }

    /// The path of what is lost, for people.
    fn path_shown(&self) -> String {
        let missing = self.0.beside.get().and_then(Beside::missing);
        missing
            .or_else(|| self.file().map(OpenedFile::path))
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    }
}

/// Writes the log of SQLite into the database; whether that is all of it.
async fn fold(pool: &Connections, how: &str) -> Result<bool, DbErr> {
    let asked = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA wal_checkpoint({how})"));
    let row = pool.query_one_raw(asked).await?;
    let Some(row) = row else { return Ok(false) };
    let number = |index| row.try_get_by_index::<i64>(index);
    // https://www.sqlite.org/pragma.html#pragma_wal_checkpoint: blocked, pages in the log, of these in the database
    Ok(number(0)? == 0 && number(1)? == number(2)?)
}

async fn close(pool: &Connections) -> Result<(), DbErr> {
    pool.inner().now().close().await
}

/// How many connections PostgreSQL allows the user of the servers.
async fn allowed(db: &impl ConnectionTrait) -> Result<Option<usize>, DbErr> {
    // `reserved_connections` is of PostgreSQL 16.
    const SQL: &str = "
        SELECT least(
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                - coalesce(current_setting('reserved_connections', true)::int, 0),
            (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
            (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, SQL)).await?;
    let allowed: Option<i32> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(allowed.map(|allowed| usize::try_from(allowed).unwrap_or_default()))
}

/// A damaged file is told at the start, not in the middle of somebody's evening.
pub(crate) async fn check(writer: &impl ConnectionTrait, file: &Path) -> Result<(), OpenError> {
    let answer = writer
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)"))
        .await
        .and_then(|row| row.map_or(Ok(String::new()), |r| r.try_get_by_index(0)))
        .map_err(|e| OpenError::sqlite(file, &e))?;
    if answer == "ok" { Ok(()) } else { Err(OpenError::damaged(file, &answer)) }
}
