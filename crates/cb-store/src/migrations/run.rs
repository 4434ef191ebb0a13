//! Brings a database to the newest schema: all of it in one transaction, or nothing, on both databases, and by one server at a time.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cb_core::Secret;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait as _;

use super::Migrator;
use crate::bounded::{Signals, in_time};
use crate::open;
use crate::open_error::OpenError;
use crate::pool::{self, Use, Way};

/// Any number that no other program uses for its advisory locks: "cbmigrat" in ASCII.
const LOCK: i64 = 0x6362_6d69_6772_6174;

/// Longer than the change of a large table takes. Without it a host that is off would be waited for without end.
const MOST: Duration = Duration::from_mins(15);

/// SQLite at `file`, which is made if it is not there.
pub(crate) async fn bring_up_sqlite(file: &Path) -> Result<(), OpenError> {
    let fail = |e: DbErr| OpenError::sqlite(file, &e);
    if let Some(denied) = OpenError::denied(file) {
        return Err(denied);
    }
    // SQLite would let everybody read it. What fails here fails there too, and is told there.
    let _ = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file);
    let db = pool::sqlite(file, 1, Use::Make, None).await.map_err(fail)?.now();
    open::check(&db, file).await?;
    if let Some(newer) = newer(&db).await.map_err(fail)? {
        return Err(newer);
    }
    if half_made(&db).await.map_err(fail)? {
        let in_use = was_in_use(&db).await.map_err(fail)?;
        db.close().await.map_err(fail)?;
        if in_use {
            return Err(OpenError::new(
                format!("The database {} is between two versions", file.display()),
                "an earlier version of this program was interrupted while it was changing the tables",
                "Restore a backup from before that upgrade, or start the earlier version with this database",
            ));
        }
        set_aside(file).map_err(|e| {
            OpenError::new(
                format!("The setup of the database {} was never completed", file.display()),
                format!("its first start was interrupted, and it cannot be moved away ({e})"),
                format!("Move it away yourself: mv {0} {0}.unfinished", file.display()),
            )
        })?;
        return Box::pin(bring_up_sqlite(file)).await;
    }
    up(&db, Way::Own).await.map_err(fail)?;
    db.close().await.map_err(fail)
}

/// PostgreSQL at `url`.
pub(crate) async fn bring_up_postgres(url: &Secret) -> Result<(), OpenError> {
    let pool = pool::postgres(url, 1, Use::Make).await.map_err(OpenError::postgres)?;
    if let Some(newer) = answered(newer(&pool)).await.map_err(OpenError::postgres)? {
        return Err(newer);
    }
    answered(up(&pool.now(), pool.way())).await.map_err(OpenError::postgres)?;
    answered(pool.now().close()).await.map_err(OpenError::postgres)
}

/// What PostgreSQL is asked here, given up after [`MOST`].
async fn answered<T>(asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    in_time(DbBackend::Postgres, MOST, &Signals::default(), Box::pin(asked), || ()).await
}

#[expect(clippy::disallowed_methods, reason = "the tables are made before there is a write path over them")]
async fn up(db: &DatabaseConnection, way: Way) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let all = db.begin_with_options(options).await?;
    if let Way::Lent(purpose) = way {
        // The migrations name their statements, as those of another server did that had this connection before.
        all.execute_unprepared(&format!("{}; DEALLOCATE ALL", purpose.for_transaction())).await?;
    }
    if db.get_database_backend() == DbBackend::Postgres {
        // Held until the end of the transaction; another server that starts waits here, as long as the pool's lock_timeout.
        let free = format!("SELECT pg_try_advisory_xact_lock({LOCK})");
        let free = all.query_one_raw(Statement::from_string(DbBackend::Postgres, free)).await?;
        if !free.map_or(Ok(false), |row| row.try_get_by_index(0))? {
            tracing::info!("another server is creating or changing the tables; this server waits for it");
            all.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
        }
    }
    Migrator::up(&all, None).await?;
    if way != Way::Own {
        all.execute_unprepared("DEALLOCATE ALL").await?;
    }
    all.commit().await
}

/// Whether every migration of this program, and no other, has been done. Only reads.
pub(crate) async fn are_done(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(has_table(db, LIST).await? && applied(db).await? == ours())
}

/// The migrations that were done.
const LIST: &str = "seaql_migrations";

/// Whether there is such a table, in the schema where ours are made.
pub(crate) async fn has_table(db: &impl ConnectionTrait, name: &str) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let asked = match backend {
        DbBackend::Postgres => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
        }
        _ => "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
    };
    let row = db.query_one_raw(Statement::from_sql_and_values(backend, asked, [name.into()])).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).map(|count| count > 0)
}

/// Those that were done, in order.
pub(crate) async fn applied(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let asked = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), asked)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The first of them that this program does not know.
pub(crate) fn foreign(applied: &[String]) -> Option<String> {
    let ours = ours();
    applied.iter().find(|name| !ours.contains(name)).cloned()
}

fn ours() -> Vec<String> {
    Migrator::migrations().iter().map(|m| m.name().to_owned()).collect()
}

/// Why this program cannot use a database that a newer one has changed.
async fn newer(db: &impl ConnectionTrait) -> Result<Option<OpenError>, DbErr> {
    if !has_table(db, LIST).await? {
        return Ok(None);
    }
    Ok(foreign(&applied(db).await?).map(|name| {
        OpenError::new(
            "The database is from a newer version than this program",
            format!("this program does not know its migration {name}"),
            "Start the newer version, or restore a backup from before the upgrade (cb restore)",
        )
    }))
}

/// The first versions made the tables of SQLite outside of a transaction. What they were killed in holds more or less than its
/// list of migrations says. In one transaction that cannot happen.
async fn half_made(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let there = names(db).await?;
    if there.is_empty() {
        return Ok(false);
    }
    let pending = Migrator::get_pending_migrations(db).await?.len();
    if pending == 0 {
        return Ok(false);
    }
    let done = Migrator::migrations().len().saturating_sub(pending);
    let (listed, newest) = (names_behind(done).await?, names_behind(done + pending).await?);
    // What somebody has added is none of ours.
    let too_many = there.difference(&listed).any(|name| newest.contains(name));
    Ok(too_many || !listed.is_subset(&there))
}

/// What the first `count` migrations make.
async fn names_behind(count: usize) -> Result<BTreeSet<String>, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await?;
    if count > 0 {
        Migrator::up(&db, Some(u32::try_from(count).unwrap_or(u32::MAX))).await?;
    }
    names(&db).await
}

/// Tables, indexes, triggers and columns.
async fn names(db: &DatabaseConnection) -> Result<BTreeSet<String>, DbErr> {
    const SQL: &str = "
        SELECT type || ' ' || name FROM sqlite_schema
            WHERE name NOT LIKE 'sqlite_%' AND name <> 'seaql_migrations'
        UNION
        SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'seaql_migrations'";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, SQL)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn was_in_use(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let users = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'users'";
    Ok(count(db, users).await? > 0 && count(db, "SELECT count(*) FROM users").await? > 0)
}

async fn count(db: &DatabaseConnection, sql: &str) -> Result<i64, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// Moves the file away, together with its log; what was moved away before stays.
fn set_aside(file: &Path) -> std::io::Result<()> {
    let beside = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let numbers = (1..).map(|n| if n == 1 { ".unfinished".to_owned() } else { format!(".unfinished.{n}") });
    let free = numbers.take(1_000).find(|name| !beside(name).exists());
    let aside = free.ok_or_else(|| std::io::Error::other("a thousand others were already moved away"))?;
    // The log first: a database without its log is older, a log without its database is another one's.
    for part in ["-shm", "-wal", ""] {
        match std::fs::rename(beside(part), beside(&format!("{aside}{part}"))) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    tracing::warn!(file = %file.display(), "the first start of an earlier version was interrupted; its database was moved aside, and the server creates a new one");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{OpenError, answered};

    #[tokio::test(start_paused = true)]
    async fn a_host_that_falls_silent_is_given_up() {
        let why =
            answered::<()>(std::future::pending()).await.map_err(OpenError::postgres).expect_err("silent");
        let why = why.to_string();
        assert!(why.contains("CB_DB_URL") && why.contains("the database has not answered for 900s"), "{why}");
    }
}
