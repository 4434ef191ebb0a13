//! Brings a database to the newest schema: all of it in one transaction, or nothing, on both databases, and by one server at a time.
//!
//! Servers of two versions work side by side while they are upgraded. So a migration only adds (see `side_by_side.rs`), and each
//! schema says from which version on a program works on it.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cb_core::Secret;
use sea_orm::sea_query::Query;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait as _;

use super::{Migrator, WORKS_FROM};
use crate::bookkeeping::{Sign, Watch, working};
use crate::bounded::{Signals, in_time};
use crate::open;
use crate::open_error::OpenError;
use crate::pool::{self, Use, Way};

/// Any number that no other program uses for its advisory locks: "cbmigrat" in ASCII.
const LOCK: i64 = 0x6362_6d69_6772_6174;

/// Longer than the change of a large table takes. Without it a host that is off would be waited for without end.
const MOST: Duration = Duration::from_mins(15);

/// What a newer schema means for whoever brings it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    /// A server works on it, where its program still fits: versions run side by side while they are upgraded.
    IfItFits,
    Refused,
}

/// What was done to a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; none where there were no tables.
    pub from: Option<String>,
    pub to: String,
    /// Migrations that were done.
    pub steps: usize,
}

impl Migrated {
    fn between(before: &[String], after: &[String]) -> Self {
        Self {
            from: before.last().cloned(),
            to: after.last().cloned().unwrap_or_default(),
            steps: after.len().saturating_sub(before.len()),
        }
    }
}

/// SQLite at `file`, which is made if it is not there.
pub(crate) async fn bring_up_sqlite(file: &Path, on_newer: Newer) -> Result<Migrated, OpenError> {
    let fail = |e: DbErr| OpenError::sqlite(file, &e);
    if let Some(denied) = OpenError::denied(file) {
        return Err(denied);
    }
    // SQLite would let everybody read it. What fails here fails there too, and is told there.
    let _ = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file);
    let db = pool::sqlite(file, 1, Use::Make, None).await.map_err(fail)?.now();
    open::check(&db, file).await?;
    if let Some(schema) = newer(&db, on_newer).await.map_err(fail)?? {
        db.close().await.map_err(fail)?;
        return Ok(schema);
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
        return Box::pin(bring_up_sqlite(file, on_newer)).await;
    }
    let done = up(&db, Way::Own, on_newer).await.map_err(fail)??;
    db.close().await.map_err(fail)?;
    Ok(done)
}

/// PostgreSQL at `url`.
pub(crate) async fn bring_up_postgres(url: &Secret, on_newer: Newer) -> Result<Migrated, OpenError> {
    let pool = pool::postgres(url, 1, Use::Make).await.map_err(OpenError::postgres)?;
    answered(encoding(&pool)).await.map_err(OpenError::postgres)??;
    // Before a lock is waited for; and under it once more.
    let newer = answered(newer(&pool, on_newer)).await.map_err(OpenError::postgres)??;
    let done = match newer {
        Some(schema) => schema,
        None => answered(up(&pool.now(), pool.way(), on_newer)).await.map_err(OpenError::postgres)??,
    };
    answered(pool.now().close()).await.map_err(OpenError::postgres)?;
    Ok(done)
}

/// Texts are in every script, and PostgreSQL keeps only what the encoding of the database has. With SQL_ASCII it keeps every byte.
async fn encoding(db: &impl ConnectionTrait) -> Result<Result<(), OpenError>, DbErr> {
    let asked = Statement::from_string(DbBackend::Postgres, "SELECT current_setting('server_encoding')");
    let found: String =
        db.query_one_raw(asked).await?.map_or(Ok(String::new()), |row| row.try_get_by_index(0))?;
    if ["UTF8", "SQL_ASCII"].contains(&found.as_str()) {
        return Ok(Ok(()));
    }
    Ok(Err(OpenError::new(
        "The database of CB_DB_URL cannot be used",
        format!("its encoding is {found}, which has no room for every text"),
        "Create it with another encoding: createdb --owner USER --encoding UTF8 --template template0 NAME",
    )))
}

/// What PostgreSQL is asked here, given up after [`MOST`].
async fn answered<T>(asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    in_time(DbBackend::Postgres, MOST, &Signals::default(), Box::pin(asked), || ()).await
}

async fn up(
    db: &DatabaseConnection,
    way: Way,
    on_newer: Newer,
) -> Result<Result<Migrated, OpenError>, DbErr> {
    const BETWEEN: Duration = Duration::from_millis(500);
    let (mut watch, mut told) = (Watch::default(), false);
    loop {
        match try_up(db, way, on_newer, &mut watch).await? {
            Ok(Some(done)) => return Ok(Ok(done)),
            Ok(None) => {}
            Err(refused) => return Ok(Err(refused)),
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!(
                "servers of an older version worked on this database and did not stop properly; this one waits half a minute until it is clear that they do not run any more"
            );
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// `None`: nothing was done, and to try again is right.
#[expect(clippy::disallowed_methods, reason = "the tables are made before there is a write path over them")]
async fn try_up(
    db: &DatabaseConnection,
    way: Way,
    on_newer: Newer,
    watch: &mut Watch,
) -> Result<Result<Option<Migrated>, OpenError>, DbErr> {
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
    // What another server has done while this one waited. A transaction that is dropped keeps nothing.
    match newer(&all, on_newer).await? {
        Ok(None) => {}
        newer => return Ok(newer),
    }
    let before = applied_if_any(&all).await?;
    if before != ours()
        && let Some((refused, runs)) = left_behind(&all, watch).await?
    {
        return Ok(if runs { Err(refused) } else { Ok(None) });
    }
    Migrator::up(&all, None).await?;
    let after = applied(&all).await?;
    note_reach(&all, &after).await?;
    // What the driver has prepared would stay in a session that the pooler lends to others.
    if way != Way::Own {
        all.execute_unprepared("DEALLOCATE ALL").await?;
    }
    all.commit().await?;
    Ok(Ok(Some(Migrated::between(&before, &after))))
}

/// Why the schema stays as it is: servers work on it whose program would fail on the new one. `false`: perhaps they were killed, and to
/// look again tells.
async fn left_behind(
    db: &impl ConnectionTrait,
    watch: &mut Watch,
) -> Result<Option<(OpenError, bool)>, DbErr> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let (mut running, mut unclear) = (Vec::new(), Vec::new());
    let servers = working(db).await?.into_iter().filter(|server| server.schema.as_str() < WORKS_FROM);
    let servers: Vec<_> = servers.collect();
    let signs = watch.look(servers.iter().map(|server| (server.run.as_str(), server.seen_at)));
    for (server, sign) in servers.into_iter().zip(signs) {
        match sign {
            Sign::Gone => {}
            Sign::Unclear if !server.lately => unclear.push(server.host),
            Sign::Unclear | Sign::Runs => running.push(server.host),
        }
    }
    let runs = !running.is_empty();
    let mut hosts = if runs { running } else { unclear };
    hosts.sort();
    hosts.dedup();
    hosts.truncate(5);
    let refused = |hosts: &str| {
        OpenError::new(
            "The database cannot be brought to the schema of this version yet",
            format!("servers work on it whose version is too old for that schema (they run on {hosts})"),
            "Stop these servers (after kill -9, wait half a minute), or upgrade them to the version in between first. Then start this program again",
        )
    };
    Ok((!hosts.is_empty()).then(|| (refused(&hosts.join(", ")), runs)))
}

/// Says how far back a program still works on this schema. Only together with the schema that it was said of does it count.
async fn note_reach(db: &impl ConnectionTrait, after: &[String]) -> Result<(), DbErr> {
    let newest = after.last().cloned().unwrap_or_default();
    if reach(db).await?.is_some_and(|(of, from)| of == newest && from == WORKS_FROM) {
        return Ok(());
    }
    let backend = db.get_database_backend();
    db.execute_unprepared("DELETE FROM schema_reach").await?;
    let mut insert = Query::insert();
    insert.into_table("schema_reach").columns(["id", "newest", "works_from"]);
    insert.values_panic([1.into(), newest.into(), WORKS_FROM.into()]);
    db.execute_raw(backend.build(&insert)).await?;
    Ok(())
}

/// The schema that this was said of, and the oldest one whose program works on it.
async fn reach(db: &impl ConnectionTrait) -> Result<Option<(String, String)>, DbErr> {
    let asked = "SELECT newest, works_from FROM schema_reach WHERE id = 1";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), asked)).await?;
    row.map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).transpose()
}

/// Whether every migration of this program, and no other, has been done. Only reads.
pub(crate) async fn are_done(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(applied_if_any(db).await? == ours())
}

pub(crate) async fn are_none(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(applied_if_any(db).await?.is_empty())
}

/// Those that were done, in order.
pub(crate) async fn applied(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let asked = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), asked)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The same of a database that may be empty.
async fn applied_if_any(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    if has_table(db, "seaql_migrations").await? { applied(db).await } else { Ok(Vec::new()) }
}

/// Whether there is such a table, in the schema where ours are made.
pub(crate) async fn has_table(db: &impl ConnectionTrait, name: &str) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
        }
        _ => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = $1",
    };
    Ok(db.query_one_raw(Statement::from_sql_and_values(backend, sql, [name.into()])).await?.is_some())
}

/// The first of them that this program does not know.
pub(crate) fn foreign(applied: &[String]) -> Option<String> {
    let ours = ours();
    applied.iter().find(|name| !ours.contains(name)).cloned()
}

fn ours() -> Vec<String> {
    Migrator::migrations().iter().map(|m| m.name().to_owned()).collect()
}

/// The schema of a database that a newer program has changed and that this one works on; or why it does not. None where no newer program
/// has been at it.
async fn newer(
    db: &impl ConnectionTrait,
    on_newer: Newer,
) -> Result<Result<Option<Migrated>, OpenError>, DbErr> {
    let applied = applied_if_any(db).await?;
    let Some(name) = foreign(&applied) else { return Ok(Ok(None)) };
    let schema = Migrated::between(&applied, &applied);
    if on_newer == Newer::IfItFits && fits(db, &applied).await? {
        tracing::warn!(
            schema = schema.to,
            "a newer version of this program has changed the database; this version still works on it. Finish the upgrade of this server soon"
        );
        return Ok(Ok(Some(schema)));
    }
    Ok(Err(OpenError::new(
        "The database is from a newer version than this program",
        format!("this program does not know its migration {name}"),
        "Start the newer version, or restore a backup from before the upgrade (cb restore)",
    )))
}

/// Whether the newer program has said that this one works on its schema.
async fn fits(db: &impl ConnectionTrait, applied: &[String]) -> Result<bool, DbErr> {
    let ours = ours();
    if !has_table(db, "schema_reach").await? || ours.iter().any(|name| !applied.contains(name)) {
        return Ok(false);
    }
    Ok(reach(db).await?.is_some_and(|(of, from)| applied.last() == Some(&of) && ours.contains(&from)))
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
