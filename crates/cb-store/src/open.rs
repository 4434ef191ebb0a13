//! Opening the database: a pool that reads, one that writes, and one connection that checks whether the database works.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cb_core::{Error, Secret};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::bounded::{Bounded, Connections, Silence};
use crate::file::OpenedFile;
use crate::migrations;
use crate::open_error::OpenError;
use crate::pool::{self, Condemned, Pool, Use};
use crate::storage::Watched;

const READERS: u32 = 4;
const POSTGRES: u32 = 8;

/// The database's file in a data folder, and in the folder of a copy.
pub const DATABASE_FILE: &str = "circuit-breaker.db";

/// The pools. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reader: Connections,
    writer: Connections,
    /// One connection that only checks whether the database works, so it never waits for a request. It also keeps SQLite's log open.
    lookout: Connections,
    writes: AtomicU64,
    /// Writes of ours that hold the head of the log.
    heads: AtomicUsize,
    condemned: Condemned,
    silence: Silence,
    home: Home,
    watched: Watched,
}

/// Where the database is that this process serves.
enum Home {
    File(Arc<OpenedFile>),
    Network(Secret),
    /// Another process serves it.
    OfAnother,
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
        migrations::bring_up_sqlite(&file).await?;
        let opened = Arc::new(OpenedFile::at(file.clone()));
        let condemned = Condemned::default();
        let writer = pool::sqlite(&file, 1, Use::Write(condemned.clone()), Some(opened.clone()))
            .await
            .map_err(fail)?;
        let reader = pool::sqlite(&file, READERS, Use::Read(Condemned::default()), Some(opened.clone()))
            .await
            .map_err(fail)?;
        let lookout = pool::sqlite(&file, 1, Use::Write(condemned.clone()), Some(opened.clone()))
            .await
            .map_err(fail)?;
        for pool in [&writer, &reader, &lookout] {
            // The log is opened with the first question.
            pool.execute_unprepared("SELECT count(*) FROM sqlite_schema").await.map_err(fail)?;
        }
        opened.remember();
        Ok(Self::over(reader, writer, lookout, condemned, Home::File(opened)))
    }

    /// PostgreSQL 15 or later at `url`, migrated.
    pub async fn open_postgres(url: &Secret) -> Result<Self, OpenError> {
        migrations::bring_up_postgres(url).await?;
        let condemned = Condemned::default();
        let [reader, writer, lookout] = pools(url, &condemned).await.map_err(OpenError::postgres)?;
        for pool in [&reader, &writer, &lookout] {
            pool.ping().await.map_err(OpenError::postgres)?;
        }
        Ok(Self::over(reader, writer, lookout, condemned, Home::Network(url.clone())))
    }

    /// What `data_dir` holds, beside the server that may be running on it; nothing is made and nothing migrated.
    pub async fn attach_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let reader = Self::read_sqlite(data_dir).await?.reader().inner().now();
        let file = data_dir.join(DATABASE_FILE);
        let condemned = Condemned::default();
        let writer = pool::sqlite(&file, 1, Use::Write(condemned.clone()), None)
            .await
            .map_err(|e| OpenError::sqlite(&file, &e))?;
        let store = Self::over(reader.clone(), writer, reader, condemned, Home::OfAnother);
        store.of_this_version(|e| OpenError::sqlite(&file, &e)).await
    }

    /// The same for what `url` holds.
    pub async fn attach_postgres(url: &Secret) -> Result<Self, OpenError> {
        let condemned = Condemned::default();
        let writer =
            pool::postgres(url, 1, Use::Write(condemned.clone())).await.map_err(OpenError::postgres)?;
        let reader =
            pool::postgres(url, 2, Use::Read(Condemned::default())).await.map_err(OpenError::postgres)?;
        let store = Self::over(reader.clone(), writer, reader, condemned, Home::OfAnother);
        store.of_this_version(OpenError::postgres).await
    }

    async fn of_this_version(self, fail: impl Fn(DbErr) -> OpenError) -> Result<Self, OpenError> {
        if migrations::are_done(&self.reader().inner().now()).await.map_err(fail)? {
            return Ok(self);
        }
        Err(OpenError::new(
            "The database is not of this version",
            "its tables are older or newer than this program",
            "Start the server of this version once (cb serve), or use the program that it runs with",
        ))
    }

    /// Only to read what `data_dir` holds; nothing is made and nothing migrated.
    pub async fn read_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join(DATABASE_FILE);
        if let Some(missing) = OpenError::missing(&file) {
            return Err(missing);
        }
        let reader = pool::sqlite(&file, READERS, Use::Read(Condemned::default()), None)
            .await
            .map_err(|e| OpenError::sqlite(&file, &e))?;
        Ok(Self::reading(&reader))
    }

    /// Only to read what `url` holds.
    pub async fn read_postgres(url: &Secret) -> Result<Self, OpenError> {
        let reader =
            pool::postgres(url, 2, Use::Read(Condemned::default())).await.map_err(OpenError::postgres)?;
        Ok(Self::reading(&reader))
    }

    fn reading(reader: &DatabaseConnection) -> Self {
        let silence = Silence::default();
        let pool = || Bounded::new(Pool::new(reader.clone()), silence.clone());
        Self(Arc::new(Inner {
            reader: pool(),
            writer: pool(),
            lookout: pool(),
            writes: AtomicU64::new(0),
            heads: AtomicUsize::new(0),
            condemned: Condemned::default(),
            silence,
            home: Home::OfAnother,
            watched: Watched::default(),
        }))
    }

    fn over(
        reader: DatabaseConnection,
        writer: DatabaseConnection,
        lookout: DatabaseConnection,
        condemned: Condemned,
        home: Home,
    ) -> Self {
        let silence = Silence::default();
        Self(Arc::new(Inner {
            reader: Bounded::new(Pool::new(reader), silence.clone()),
            writer: Bounded::new(Pool::new(writer), silence.clone()),
            // It is the one that tells the others.
            lookout: Bounded::new(Pool::new(lookout), Silence::default()),
            writes: AtomicU64::new(0),
            heads: AtomicUsize::new(0),
            condemned,
            silence,
            home,
            watched: Watched::default(),
        }))
    }

    /// How many audited writes this process has tried to commit: while it stays the same, what was read of sessions and users
    /// stands, as far as this process goes.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Acquire)
    }

    pub(crate) fn count_write(&self) -> CountedWrite<'_> {
        CountedWrite(&self.0.writes)
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

    pub(crate) fn backend(&self) -> DbBackend {
        self.0.writer.get_database_backend()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    pub(crate) fn condemned(&self) -> &Condemned {
        &self.0.condemned
    }

    pub(crate) fn silence(&self) -> &Silence {
        &self.0.silence
    }

    pub(crate) fn watched(&self) -> &Watched {
        &self.0.watched
    }

    /// Makes every pool anew. A host that comes back may know nothing of the connections from before, and never answer on them,
    /// whatever they were in the middle of. Those it does know are let go before there are new ones: it may have no room for both.
    pub(crate) async fn start_anew(&self) -> Result<(), DbErr> {
        let Home::Network(url) = &self.0.home else { return Ok(()) };
        let [reader, writer, lookout] = pools(url, &self.0.condemned).await?;
        self.reader().inner().replace(reader);
        self.writer().inner().replace(writer);
        self.lookout().inner().replace(lookout);
        Ok(())
    }

    fn file(&self) -> Option<&OpenedFile> {
        if let Home::File(file) = &self.0.home { Some(file) } else { None }
    }

    /// Whether the database is still the file that was opened.
    pub(crate) fn is_still_there(&self) -> bool {
        self.file().is_none_or(OpenedFile::is_still_there)
    }

    /// Writes into the database what only a log holds that lost its name, and that would be gone with the process.
    pub(crate) async fn save_lost_log(&self) {
        if !self.file().is_some_and(OpenedFile::lost_only_its_log) {
            return;
        }
        if let Err(error) = self.lookout().execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await {
            tracing::warn!(%error, "what the removed log of the database holds could not be saved");
        }
    }

    /// Waits for what runs and closes the pools; in SQLite the log is folded into the database.
    pub async fn close(self) -> Result<(), Error> {
        // A file is written to the end; a host that is off is not waited for.
        let patience = Duration::from_secs(if self.is_sqlite() { 10 } else { 3 });
        let lost = self.file().filter(|file| !file.is_still_there());
        let all = async {
            close(self.reader()).await?;
            close(self.lookout()).await?;
            // Only the server: beside it, another program would stop the writers with it.
            if self.file().is_some() && lost.is_none() {
                // What stays in the log is folded in at the next start.
                let folded = self.writer().execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await;
                if let Err(error) = folded {
                    tracing::warn!(%error, "the database's log could not be folded in; the next start does it");
                }
            }
            close(self.writer()).await
        };
        if let Ok(closed) = tokio::time::timeout(patience, all).await {
            closed.map_err(crate::fault::db)?;
        } else {
            tracing::warn!("the database does not answer; its connections are cut");
        }
        match lost {
            Some(file) => Err(Error::Unavailable(format!(
                "{} was removed or replaced while the server ran; what was written afterwards is not kept",
                file.path().display()
            ))),
            None => Ok(()),
        }
    }
}

async fn close(pool: &Connections) -> Result<(), DbErr> {
    pool.inner().now().close().await
}

/// The pools of a server: one that reads, one that writes, and the lookout's. None has a connection yet.
async fn pools(url: &Secret, condemned: &Condemned) -> Result<[DatabaseConnection; 3], DbErr> {
    let writing = || Use::Write(condemned.clone());
    let reader = pool::postgres_later(url, POSTGRES, Use::Read(condemned.clone())).await?;
    let writer = pool::postgres_later(url, POSTGRES, writing()).await?;
    Ok([reader, writer, pool::postgres_later(url, 1, writing()).await?])
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
