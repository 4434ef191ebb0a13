//! Opening the database: two pools over it, one that reads and one that writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cb_core::{Error, Secret};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, IsolationLevel, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait as _;

use crate::migrations::Migrator;

const READERS: u32 = 4;
/// A page of a list, at most.
const ROWS: usize = 512;
const STATEMENTS: usize = 200;
const WAIT: Duration = Duration::from_secs(10);

/// Why the database cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}. {mend}")]
pub struct OpenError {
    what: String,
    reason: String,
    mend: String,
}

/// Both pools. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    writes: Arc<AtomicU64>,
}

/// Counts a write when it is dropped.
pub(crate) struct CountedWrite<'a>(&'a AtomicU64);

impl Drop for CountedWrite<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Store {
    /// SQLite in `data_dir`, made if it is not there, and migrated.
    pub async fn open_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join("circuit-breaker.db");
        let fail = |e: DbErr| sqlite_error(&file, &e);
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let writer = Database::connect(sqlite(&url, 1, false)).await.map_err(fail)?;
        check(&writer, &file).await?;
        Migrator::up(&writer, None).await.map_err(fail)?;
        let reader = Database::connect(sqlite(&url, READERS, true)).await.map_err(fail)?;
        Ok(Self::over(reader, writer))
    }

    /// PostgreSQL 15 or later at `url`, migrated.
    pub async fn open_postgres(url: &Secret) -> Result<Self, OpenError> {
        let writer = Database::connect(postgres(url, 8, false)).await.map_err(postgres_error)?;
        Migrator::up(&writer, None).await.map_err(postgres_error)?;
        let reader = Database::connect(postgres(url, 8, true)).await.map_err(postgres_error)?;
        Ok(Self::over(reader, writer))
    }

    /// What `data_dir` holds, beside the server that may be running on it; nothing is made and nothing migrated.
    pub async fn attach_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let Self { reader, .. } = Self::read_sqlite(data_dir).await?;
        let file = data_dir.join("circuit-breaker.db");
        let url = format!("sqlite://{}?mode=rw", file.display());
        let writer = Database::connect(sqlite(&url, 1, false)).await.map_err(|e| sqlite_error(&file, &e))?;
        Self::over(reader, writer).of_this_version().await
    }

    /// The same for what `url` holds.
    pub async fn attach_postgres(url: &Secret) -> Result<Self, OpenError> {
        let writer = Database::connect(postgres(url, 1, false)).await.map_err(postgres_error)?;
        let reader = Database::connect(postgres(url, 2, true)).await.map_err(postgres_error)?;
        Self::over(reader, writer).of_this_version().await
    }

    async fn of_this_version(self) -> Result<Self, OpenError> {
        let pending = Migrator::get_pending_migrations(&self.writer).await;
        if pending.is_ok_and(|pending| pending.is_empty()) {
            return Ok(self);
        }
        Err(OpenError {
            what: "The database is not of this version".to_owned(),
            reason: "its tables are older or newer than this program".to_owned(),
            mend: "Start the server of this version once (cb serve), or use the program that it runs with"
                .to_owned(),
        })
    }

    /// Only to read what `data_dir` holds; nothing is made and nothing migrated.
    pub async fn read_sqlite(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join("circuit-breaker.db");
        if !file.exists() {
            return Err(OpenError {
                what: format!("There is no database at {}", file.display()),
                reason: "no server has run with this folder".to_owned(),
                mend: "Set CB_DATA_DIR to the server's folder".to_owned(),
            });
        }
        let url = format!("sqlite://{}?mode=rw", file.display());
        let reader =
            Database::connect(sqlite(&url, READERS, true)).await.map_err(|e| sqlite_error(&file, &e))?;
        Ok(Self::over(reader.clone(), reader))
    }

    /// Only to read what `url` holds.
    pub async fn read_postgres(url: &Secret) -> Result<Self, OpenError> {
        let reader = Database::connect(postgres(url, 2, true)).await.map_err(postgres_error)?;
        Ok(Self::over(reader.clone(), reader))
    }

    fn over(reader: DatabaseConnection, writer: DatabaseConnection) -> Self {
        Self { reader, writer, writes: Arc::default() }
    }

    /// How many audited writes this process has tried to commit: while it stays the same, what was read of sessions and users
    /// stands, as far as this process goes.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    pub(crate) fn count_write(&self) -> CountedWrite<'_> {
        CountedWrite(&self.writes)
    }

    /// For reading. The database refuses a write on it.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// A reading transaction that sees one moment, however long it takes.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, Error> {
        // SQLite's every transaction is one; it knows no levels.
        let level = (self.reader.get_database_backend() == DbBackend::Postgres)
            .then_some(IsolationLevel::RepeatableRead);
        self.reader.begin_with_config(level, None).await.map_err(db)
    }

    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Waits for what runs and closes both pools; in SQLite the log is folded into the database.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close().await.map_err(db)?;
        if self.writer.get_database_backend() == DbBackend::Sqlite {
            self.writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(db)?;
        }
        self.writer.close().await.map_err(db)
    }
}

/// What was read of a database made no sense, or could not be read.
pub(crate) fn unreadable(error: &DbErr) -> OpenError {
    OpenError {
        what: "The database cannot be read".to_owned(),
        reason: error.to_string(),
        mend: "Start again; if it stays so, restore a backup (cb restore)".to_owned(),
    }
}

/// A database error that no rule foresaw.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub fn db(error: DbErr) -> Error {
    Error::Internal(format!("database: {error}"))
}

fn sqlite(url: &str, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(WAIT)
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |o| {
            let o = o
                .journal_mode(SqliteJournalMode::Wal)
                // In WAL mode a power cut may lose the last commits but never the consistency;
                // an audit log must not lose what it has answered for, hence FULL.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(WAIT)
                // A page of rows crosses from SQLite's thread without waiting for the reader in between.
                .row_buffer_size(ROWS)
                .statement_cache_capacity(STATEMENTS);
            if read_only { o.pragma("query_only", "1") } else { o }
        });
    options
}

fn postgres(url: &Secret, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose());
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(WAIT)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |o| {
            let o = o.application_name("circuit-breaker");
            if read_only { o.options([("default_transaction_read_only", "on")]) } else { o }
        });
    options
}

/// A damaged file is told at the start, not in the middle of somebody's evening.
async fn check(writer: &DatabaseConnection, file: &Path) -> Result<(), OpenError> {
    let answer = writer
        .query_one_raw(sea_orm::Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)"))
        .await
        .and_then(|row| row.map_or(Ok(String::new()), |r| r.try_get_by_index(0)))
        .map_err(|e| sqlite_error(file, &e))?;
    if answer == "ok" { Ok(()) } else { Err(damaged(file, &answer)) }
}

fn damaged(file: &Path, reason: &str) -> OpenError {
    OpenError {
        what: format!("The database {} is damaged", file.display()),
        reason: reason.to_owned(),
        mend: format!(
            "Restore it from a backup, or save what can be read with: sqlite3 {} .recover > recovered.sql",
            file.display()
        ),
    }
}

fn sqlite_error(file: &Path, error: &DbErr) -> OpenError {
    let text = error.to_string();
    let folder: PathBuf = file.parent().unwrap_or(file).into();
    if text.contains("malformed") || text.contains("not a database") {
        return damaged(file, &text);
    }
    let mend = if text.contains("full") {
        format!("Free space on the disk that holds {}", folder.display())
    } else {
        format!(
            "Let the server's user write there: chown -R \"$(id -un)\" {0} && chmod 700 {0}",
            folder.display()
        )
    };
    OpenError { what: format!("The database {} cannot be used", file.display()), reason: text, mend }
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn postgres_error(error: DbErr) -> OpenError {
    OpenError {
        what: "The database of CB_DB_URL cannot be used".to_owned(),
        reason: error.to_string(),
        mend: "See that PostgreSQL 15 or later runs there, and that the user, password and database in CB_DB_URL and CB_DB_PASSWORD are right".to_owned(),
    }
}
