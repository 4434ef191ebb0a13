//! How connections are made, and which of them may be used again.
//!
//! Invariants: a connection with a transaction open never comes out of a pool (on PostgreSQL `transaction.rs` sees to it, because the
//! driver does not know of its transactions); a connection on which COMMIT or ROLLBACK failed is
//! closed; when a database has not answered, none from before is used again. SQLite ends a transaction by itself when a disk is full, and
//! the driver does not hear of it: it would answer the next BEGIN with a savepoint, and the next COMMIT would keep nothing.
//! What a session of PostgreSQL is told at its beginning holds on it, or the connection is not used; behind a pooler it is told to each
//! transaction instead.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cb_core::Secret;
use cb_core::meter::Counter;
use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::pool::{PoolConnectionMetadata, PoolOptions};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection, Database as _};
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, Statement,
};

use crate::bounded::Signals;
use crate::fault::{Fault, driver, is_unanswered, unanswered, words};
use crate::figures::room;
use crate::file::{OpenedFile, Place};
use crate::transaction::{Kind, Transaction, begun};

/// A page of a list, at most.
const ROWS: usize = 512;
const STATEMENTS: usize = 200;
/// A request waits so long for a connection.
pub(crate) const WAIT: Duration = Duration::from_secs(2);
/// SQLite: so long for a lock of another process, once it has the connection.
const LOCKED: Duration = Duration::from_secs(2);
/// A connection to PostgreSQL is waited for so long where only its being made is asked for.
const CONNECTS: Duration = Duration::from_millis(1_500);
const BETWEEN: Duration = Duration::from_millis(200);
/// A connection to PostgreSQL that was not used for so long is asked whether it still works.
const RESTED: Duration = Duration::from_millis(250);
/// Opening may wait longer: a server that has just been stopped folds its log in.
pub(crate) const OPENING: Duration = Duration::from_secs(10);

/// What PostgreSQL calls our connections.
pub(crate) const OURS: &str = "circuit-breaker";

/// A transaction in which nothing happens is ended by PostgreSQL, and what it has locked is free. Longer than a rotation opens what is
/// sealed; no longer than the other servers may stand still when one of them is switched off in the middle of a write.
const ABANDONED: (&str, &str) = ("idle_in_transaction_session_timeout", "10000");
/// The same while tables are made or changed.
const ABANDONED_MAKING: (&str, &str) = ("idle_in_transaction_session_timeout", "30000");

/// Whatever the database or the user has as its own: the locks of a write are taken for what is committed when they are had.
const LEVEL: (&str, &str) = ("default_transaction_isolation", "read committed");

/// A pool that can be made anew. What waits for a connection that never answers stays with the one from before.
#[derive(Clone)]
pub struct Pool(Arc<Made>);

struct Made {
    now: RwLock<DatabaseConnection>,
    way: Way,
    waits: Counter,
    condemned: Condemned,
    /// None for a file: it is always the one that was opened.
    again: Option<ConnectOptions>,
}

impl Pool {
    fn new(now: DatabaseConnection, way: Way, condemned: Condemned, again: Option<ConnectOptions>) -> Self {
        Self(Arc::new(Made { now: RwLock::new(now), way, waits: Counter::new(), condemned, again }))
    }

    pub(crate) fn way(&self) -> Way {
        self.0.way
    }

    /// A transaction for one question, where the connection is lent; none where it is our own.
    async fn lent(&self) -> Result<Option<Transaction>, DbErr> {
        if self.0.way == Way::Own {
            return Ok(None);
        }
        let signals = Signals::default();
        let begun = begun(self, Kind::Read, String::new, &signals);
        // The pooler may have no connection for us: whoever asks is told so as soon as by a pool of ours.
        let begun = tokio::time::timeout(WAIT, begun).await;
        begun.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))).map(Some)
    }

    pub(crate) fn now(&self) -> DatabaseConnection {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same for a question, which waits when every connection is in use.
    pub(crate) fn asked(&self) -> DatabaseConnection {
        let now = self.now();
        let (open, idle, most) = room(&now);
        if idle == 0 && open >= most {
            self.0.waits.one();
        }
        now
    }

    /// Whether it has a connection, or one is made within `most`. A file has one.
    pub(crate) async fn is_connected(&self, most: Duration) -> bool {
        let now = self.now();
        if room(&now).0 > 0 || now.get_database_backend() == DbBackend::Sqlite {
            return true;
        }
        let made = tokio::time::timeout(most, now.get_postgres_connection_pool().acquire()).await;
        matches!(made, Ok(Ok(_)))
    }

    /// Questions that found every connection in use.
    pub(crate) fn waits(&self) -> &Counter {
        &self.0.waits
    }

    pub(crate) fn condemned(&self) -> &Condemned {
        &self.0.condemned
    }

    /// Without a connection; the first question makes one. The pool from before ends with its last user.
    pub(crate) async fn start_anew(&self) -> Result<(), DbErr> {
        let Some(options) = &self.0.again else { return Ok(()) };
        let anew = Database::connect(options.clone()).await?;
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = anew;
        Ok(())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its options hold the password.
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.now().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let Some(tx) = self.lent().await? else { return self.asked().execute_raw(statement).await };
        let done = tx.execute_raw(statement).await?;
        tx.commit().await.map(|()| done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let Some(tx) = self.lent().await? else { return self.asked().execute_unprepared(sql).await };
        let done = tx.execute_unprepared(sql).await?;
        tx.commit().await.map(|()| done)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let Some(tx) = self.lent().await? else { return self.asked().query_one_raw(statement).await };
        let row = tx.query_one_raw(statement).await?;
        tx.commit().await.map(|()| row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Some(tx) = self.lent().await? else { return self.asked().query_all_raw(statement).await };
        let rows = tx.query_all_raw(statement).await?;
        tx.commit().await.map(|()| rows)
    }
}

/// When a BEGIN, COMMIT or ROLLBACK last failed or had no answer: what was connected before is not used again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condemned(Arc<Mutex<Option<Instant>>>);

impl Condemned {
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn spares(&self, connection: &PoolConnectionMetadata) -> bool {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_none_or(|at| at.elapsed() > connection.age)
    }
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The database refuses every write.
    Read,
    Write,
    /// One connection that nobody else uses, kept as long as it works: it tells whether the database does.
    Look,
    /// One connection to PostgreSQL that makes durable what others have committed.
    Flush,
    /// The first connection to a folder, which may make the file.
    Make,
}

impl Use {
    /// What the sessions of a pool to PostgreSQL are told.
    fn session(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Read => &[("lock_timeout", "1000")],
            // A lock is waited for no longer than a connection. The head of the log is locked by every write: a server that hangs in
            // the middle of one, or is cut off, must not keep the others out.
            Self::Write | Self::Look | Self::Flush => &[("lock_timeout", "2000"), ABANDONED],
            Self::Make => &[("lock_timeout", "60000"), ABANDONED_MAKING],
        }
    }

    /// The same for one transaction.
    pub fn for_transaction(self) -> String {
        let settings = self.session().iter().map(|(name, value)| format!("SET LOCAL {name} = {value}"));
        settings.collect::<Vec<_>>().join("; ")
    }
}

/// Whose a connection to the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Ours as long as it is open.
    Own,
    /// A pooler lends it for a transaction (`transaction.rs`).
    Lent(Use),
}

impl Way {
    /// How a transaction on PostgreSQL begins.
    pub fn begin(self, kind: Kind) -> String {
        let level = if kind == Kind::Snapshot { "REPEATABLE READ" } else { "READ COMMITTED" };
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        match self {
            Self::Own => begin,
            Self::Lent(Use::Read) => format!("{begin} READ ONLY; {}", Use::Read.for_transaction()),
            Self::Lent(purpose) => format!("{begin}; {}", purpose.for_transaction()),
        }
    }
}

/// A setting of no meaning that a session of our own keeps, and that no pooler passes on.
const OWN: &str = "circuit_breaker.session";

/// SQLite at `file`; `opened` refuses another file under the same name.
pub(crate) async fn sqlite(
    file: &Path,
    connections: u32,
    purpose: Use,
    opened: Option<Arc<OpenedFile>>,
) -> Result<Pool, DbErr> {
    let mode = if purpose == Use::Make { "rwc" } else { "rw" };
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode={mode}", file.display()));
    let patience = if purpose == Use::Make { OPENING } else { LOCKED };
    let condemned = Condemned::default();
    let condemns = condemned.clone();
    options
        .max_connections(connections)
        // All of them at once: when the file has lost its name, they are what still reads it.
        .min_connections(connections)
        .acquire_timeout(if purpose == Use::Make { OPENING } else { WAIT })
        .sqlx_logging(false)
        .test_before_acquire(false)
        .map_sqlx_sqlite_pool_opts(move |o| {
            let opened = opened.clone();
            // Never closed for its age: the last connection to go would take the log along.
            guarded(o.max_lifetime(None).idle_timeout(None), purpose, &condemns).after_connect(move |_, _| {
                let there = opened.as_ref().is_none_or(|file| file.place() == Place::Same);
                Box::pin(async move {
                    let gone =
                        || std::io::Error::other("the database file was replaced after the server opened it");
                    if there { Ok(()) } else { Err(sqlx::Error::Io(gone())) }
                })
            })
        })
        .map_sqlx_sqlite_opts(move |o| {
            let o = o
                .journal_mode(SqliteJournalMode::Wal)
                // In WAL mode a power cut may lose the last commits but never the consistency;
                // an audit log must not lose what it has answered for, hence FULL.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(patience)
                // A page of rows crosses from SQLite's thread without waiting for the reader in between.
                .row_buffer_size(ROWS)
                .statement_cache_capacity(STATEMENTS);
            if purpose == Use::Read { o.pragma("query_only", "1") } else { o }
        });
    Ok(Pool::new(Database::connect(options).await?, Way::Own, condemned, None))
}

/// Takes every row out of `tables` of the SQLite database at `file`, which nobody has open, so that nothing of them stays in it.
pub(crate) async fn empty(file: &Path, tables: &[&str]) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", file.display()));
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|o| o.journal_mode(SqliteJournalMode::Delete).pragma("secure_delete", "1"));
    let db = Database::connect(options).await?;
    for table in tables {
        db.execute_unprepared(&format!("DELETE FROM \"{table}\"")).await?;
    }
    db.close().await
}

/// PostgreSQL at `url`, with a first connection.
pub(crate) async fn postgres(url: &Secret, connections: u32, purpose: Use) -> Result<Pool, DbErr> {
    let patience = if purpose == Use::Make { OPENING } else { WAIT };
    let way = if wait_for(url, patience).await? { Way::Lent(purpose) } else { Way::Own };
    let pool = postgres_later(url, connections, purpose, way).await?;
    match tokio::time::timeout(OPENING, pool.execute_unprepared("SELECT 1")).await {
        Ok(Ok(_)) => Ok(pool),
        Ok(Err(error)) => Err(why(url, error).await),
        Err(_) => Err(unanswered(format!("no answer within {OPENING:?}"))),
    }
}

/// Waits for a PostgreSQL that starts, or has no room at this moment. Answers what [`try_postgres`] does.
pub(crate) async fn wait_for(url: &Secret, patience: Duration) -> Result<bool, DbErr> {
    let began = Instant::now();
    let mut waits = false;
    loop {
        let error = match try_postgres(url).await {
            Ok(lent) => return Ok(lent),
            Err(error) => error,
        };
        if !may_pass(&error) || began.elapsed() > patience {
            return Err(error);
        }
        if !std::mem::replace(&mut waits, true) {
            let error = words(&error);
            tracing::warn!(
                error,
                "PostgreSQL does not accept connections; the server waits up to {patience:?} for it"
            );
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// One connection, made and closed again. A pool tries as long as it may, and then says only that it took too long. Answers whether
/// a pooler stands in between: then a session does not keep what it is told at its beginning, or the pooler refuses to hear it.
pub(crate) async fn try_postgres(url: &Secret) -> Result<bool, DbErr> {
    let fail = |error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
    let options = url.expose().parse::<PgConnectOptions>().map_err(fail)?;
    let options = options.application_name(OURS).extra_float_digits(None).disable_statement_logging();
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let connect = async |options: PgConnectOptions| {
        let made = tokio::time::timeout(CONNECTS, options.connect()).await;
        made.map_err(|_| unanswered(format!("no connection to {place} within {CONNECTS:?}")))?.map_err(fail)
    };
    let told = connect(options.clone().options([(OWN, "probe")])).await;
    let (mut made, refused) = match told {
        Err(error) if refuses_options(&error) => (connect(options).await?, true),
        made => (made?, false),
    };
    // Of a pooler, an open connection says nothing about the database.
    let kept = tokio::time::timeout(CONNECTS, keeps(&mut made, "probe")).await;
    let kept = kept.map_err(|_| unanswered(format!("no answer within {CONNECTS:?}")))?.map_err(fail)?;
    // Whether it hears that we leave does not matter.
    let _ = tokio::time::timeout(CONNECTS, made.close()).await;
    Ok(refused || !kept)
}

/// Whether it was not PostgreSQL that read the options (<https://www.pgbouncer.org/config.html#ignore_startup_parameters>).
fn refuses_options(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(told)) = driver(error) else { return false };
    told.message().contains("unsupported startup parameter")
}

/// Whether this session knows what it was told at its beginning.
async fn keeps(connection: &mut sqlx::PgConnection, told: &str) -> Result<bool, sqlx::Error> {
    use sqlx::{Executor as _, Row as _};
    let row = connection.fetch_one(AssertSqlSafe(format!("SELECT current_setting('{OWN}', true)"))).await?;
    Ok(row.try_get::<Option<String>, _>(0)?.as_deref() == Some(told))
}

/// Why no connection could be had.
pub(crate) async fn why(url: &Secret, error: DbErr) -> DbErr {
    if Fault::of(&error) != Fault::Busy {
        return error;
    }
    try_postgres(url).await.err().unwrap_or(error)
}

/// Whether it may be different in a moment: PostgreSQL may be starting, or another client may leave.
fn may_pass(error: &DbErr) -> bool {
    match driver(error) {
        Some(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        Some(sqlx::Error::Database(error)) => error.is_transient_in_connect_phase(),
        _ => is_unanswered(error),
    }
}

/// PostgreSQL at `url`, without a connection; the first question makes one.
async fn postgres_later(url: &Secret, connections: u32, purpose: Use, way: Way) -> Result<Pool, DbErr> {
    let condemned = Condemned::default();
    let options = postgres_options(url, connections, purpose, way, &condemned);
    let made = Database::connect(options.clone()).await?;
    Ok(Pool::new(made, way, condemned, Some(options)))
}

fn postgres_options(
    url: &Secret,
    connections: u32,
    purpose: Use,
    way: Way,
    condemned: &Condemned,
) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose());
    let read_only = (purpose == Use::Read).then_some(("default_transaction_read_only", "on"));
    // PostgreSQL's own side of the connection: it ends the session of a server that was switched off.
    let session = purpose.session().iter().chain(&[
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "25000"),
    ]);
    let session = session.copied().chain(read_only).chain([LEVEL, (OWN, "kept")]);
    let condemned = condemned.clone();
    options
        .max_connections(connections)
        // The driver would go on connecting for minutes, for a pool that nobody uses any more.
        .min_connections(0)
        .connect_lazy(true)
        .acquire_timeout(match purpose {
            Use::Make => OPENING,
            Use::Read | Use::Write => WAIT,
            Use::Look | Use::Flush => CONNECTS,
        })
        .sqlx_logging(false)
        .map_sqlx_postgres_pool_opts(move |o| {
            let o = guarded(o, purpose, &condemned);
            if way != Way::Own {
                return o;
            }
            // A pooler that was put in between since would give us sessions that may write where they must not.
            o.after_connect(move |connection, _| {
                Box::pin(async move {
                    let passed = || {
                        std::io::Error::other(
                            "a pooler of connections was put in front of PostgreSQL; restart this server",
                        )
                    };
                    if keeps(connection, "kept").await? { Ok(()) } else { Err(sqlx::Error::Io(passed())) }
                })
            })
        })
        .map_sqlx_postgres_opts(move |o| {
            let o = o.application_name(OURS);
            match way {
                Way::Own => o.options(session.clone()),
                // It refuses what it does not know, and the driver's statements are kept by a session.
                Way::Lent(_) => o.extra_float_digits(None).statement_cache_capacity(0),
            }
        });
    // `guarded` asks those that have rested; one that was used a moment ago answered then.
    options.test_before_acquire(false);
    options
}

fn guarded<D: sqlx::Database>(
    options: PoolOptions<D>,
    purpose: Use,
    condemned: &Condemned,
) -> PoolOptions<D> {
    let (condemned, released) = (condemned.clone(), condemned.clone());
    // The lookout's own question finds out. A file is always there.
    let asks = D::NAME == sqlx::Postgres::NAME && purpose != Use::Look;
    let options = if purpose == Use::Look { options.max_lifetime(None).idle_timeout(None) } else { options };
    // A writer of SQLite comes back after a COMMIT, or with a transaction that its driver knows of; every other write waits for it.
    let knows = D::NAME == sqlx::Sqlite::NAME && matches!(purpose, Use::Write | Use::Look);
    options
        .before_acquire(move |connection, about| {
            let sound = !connection.is_in_transaction() && condemned.spares(&about);
            Box::pin(async move {
                if sound && asks && about.idle_for > RESTED {
                    connection.ping().await?;
                }
                Ok(sound)
            })
        })
        .after_release(move |connection, about| {
            let spared = released.spares(&about);
            Box::pin(async move {
                if !spared {
                    return Ok(false);
                }
                if knows && !connection.is_in_transaction() {
                    return Ok(true);
                }
                // What was dropped half-way is answered or rolled back behind this. Without an answer the connection is closed. On
                // PostgreSQL nothing is asked where nothing was left: the driver asks once itself (`transaction.rs` bounds that).
                let answered = async {
                    if D::NAME == sqlx::Postgres::NAME {
                        connection.flush().await
                    } else {
                        connection.ping().await
                    }
                };
                let answer = tokio::time::timeout(WAIT, answered).await;
                answer.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(!connection.is_in_transaction())
            })
        })
}
