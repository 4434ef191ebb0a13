//! Whether an SQLite database has a write-ahead log beside it: while it is used it has one, and as a copy that travels it has none.
//!
//! SQLite does not wait when it changes this. Of several connections that change it at once, all but one fail.

use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::SqliteJournalMode;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};

use crate::fault::is_busy;

/// A lock of another connection, which may be about to end, is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(50);

/// Gives the database at `file` its log, by one connection, before several are made. Nothing but SQLite may look into the file: when
/// a process closes a file, it loses all its locks on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
pub(crate) async fn ensure_log(file: &Path) -> Result<(), DbErr> {
    changed(file, SqliteJournalMode::Wal).await?.close().await
}

/// Makes the database at `file` one file, without a log beside it. Fails where changes are left in a log.
pub(crate) async fn keep_no_log(file: &Path) -> Result<(), DbErr> {
    let db = changed(file, SqliteJournalMode::Delete).await?;
    let asked = Statement::from_string(DbBackend::Sqlite, "PRAGMA journal_mode");
    let mode = db.query_one_raw(asked).await?.map(|row| row.try_get_by_index::<String>(0)).transpose()?;
    db.close().await?;
    match mode.as_deref() {
        Some("delete") => Ok(()),
        mode => Err(DbErr::Custom(format!("{} stays in the journal mode {mode:?}", file.display()))),
    }
}

async fn changed(file: &Path, mode: SqliteJournalMode) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", file.display()));
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |o| o.journal_mode(mode).busy_timeout(PATIENCE));
    let began = Instant::now();
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_busy(&error) && began.elapsed() < PATIENCE => tokio::time::sleep(BETWEEN).await,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::EntityTrait as _;

    use super::keep_no_log;
    use crate::entities::audit_entry;
    use crate::open::DATABASE_FILE;
    use crate::{Store, open};

    #[tokio::test]
    async fn changes_that_stay_in_a_log_are_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_sqlite(dir.path()).await.expect("opens");
        let file = dir.path().join(DATABASE_FILE);
        let reading = store.snapshot().await.expect("begins");
        audit_entry::Entity::find().all(&reading).await.expect("reads");
        let change = "UPDATE settings SET version = 9";
        sea_orm::ConnectionTrait::execute_unprepared(store.writer(), change).await.expect("written");
        assert!(keep_no_log(&file).await.is_err(), "somebody reads an older state");
        drop(reading);
        store.close().await.expect("closed");
        keep_no_log(&file).await.expect("one file");
    }

    /// As a copy that was just restored: several commands begin with it at the same moment.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_without_a_log_gets_one_whoever_comes_first() {
        let dir = tempfile::tempdir().expect("a folder");
        Store::open_sqlite(dir.path()).await.expect("opens").close().await.expect("closed");
        let file = dir.path().join(open::DATABASE_FILE);
        for _ in 0..20 {
            keep_no_log(&file).await.expect("one file");
            let read = async || {
                let store = Store::read_sqlite(dir.path()).await.expect("opens");
                audit_entry::Entity::find().all(store.reader()).await.expect("reads");
                store
            };
            let (one, two, three) = tokio::join!(read(), read(), read());
            for store in [one, two, three] {
                store.close().await.expect("closed");
            }
        }
    }
}
