//! How a transaction begins, runs and ends, on a connection of our own or on one that a pooler lends.
//!
//! On PostgreSQL it begins in one exchange: `BEGIN`, what it is told, and the locks that it takes first. The driver does not know of
//! such a transaction, so [`Leased`] ends it.
//!
//! A pooler in transaction mode (PgBouncer) gives a client a connection for one transaction, and the next client may get the same.
//! So nothing that belongs to a session may be counted on there, and nothing may be left behind:
//! - What a session of our own is told once ([`pool`](crate::pool)) is told at the beginning of every transaction.
//! - Every statement runs in a transaction, because the driver sends one in two exchanges. A single question is a transaction of its own.
//! - No prepared statement has a name, because another client may have given the same one.

use std::time::Instant;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _, PgConnection, Postgres};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::bounded::{ANSWER, Bounded, Connections, Signals, in_time};
use crate::fault::{is_crowded, is_error};
use crate::figures::room;
use crate::pool::{Pool, WAIT, Way};

/// What a transaction is for. Whether it may write is a matter of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SQLite takes its lock at once.
    Write,
    /// Every question sees what is committed when it is asked.
    Read,
    /// All of them see one moment.
    Snapshot,
}

/// An open transaction. Dropped, it is rolled back.
#[derive(Debug)]
pub struct Transaction(On);

#[derive(Debug)]
enum On {
    Sqlite(DatabaseTransaction),
    Postgres(Mutex<Leased>, Way),
}

/// A connection to PostgreSQL on which a transaction is open. The driver does not know of it, so nothing else keeps it out of the pool:
/// dropped, it is rolled back before anybody else gets the connection, or the connection is closed.
#[derive(Debug)]
struct Leased(Option<PoolConnection<Postgres>>);

impl Leased {
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    async fn says(&mut self, sql: &str) -> Result<ExecResult, sqlx::Error> {
        self.connection()?.execute(AssertSqlSafe(sql)).await.map(Into::into)
    }

    /// Ends the transaction with `sql`.
    async fn end(mut self, sql: &str) -> Result<(), DbErr> {
        self.says(sql).await.map_err(of_statement)?;
        if let Some(connection) = self.0.take() {
            tokio::spawn(given_back(connection));
        }
        Ok(())
    }
}

/// The driver connects when no connection is free at this moment, and then tries nothing else. When PostgreSQL has no room for another
/// one, ours that come back in the meantime would be of no use: so it begins again, and takes one of these. A connection may take as
/// long to be made as the last try lasts.
async fn lease(pool: &sea_orm::DatabaseConnection) -> sqlx::Result<PoolConnection<Postgres>> {
    for patience in [WAIT / 16, WAIT / 4] {
        let (open, _, most) = room(pool);
        // One of those that wait for their turn would lose it.
        if open >= most {
            break;
        }
        if let Ok(leased) = tokio::time::timeout(patience, acquired(pool)).await {
            return leased;
        }
    }
    acquired(pool).await
}

/// PostgreSQL that has no room is asked again by the driver. A pooler that takes no more clients is not, though ours may come back.
async fn acquired(pool: &sea_orm::DatabaseConnection) -> sqlx::Result<PoolConnection<Postgres>> {
    let (all, until) = (pool.get_postgres_connection_pool(), Instant::now() + WAIT / 2);
    loop {
        match all.acquire().await {
            Err(error) if is_crowded(&error) && all.size() > 0 && Instant::now() < until => {
                tokio::time::sleep(WAIT / 100).await;
            }
            acquired => return acquired,
        }
    }
}

/// The driver asks once more before it gives a connection to the next, and would wait for the answer as long as TCP does.
async fn given_back(mut connection: PoolConnection<Postgres>) {
    // Without an answer it is closed.
    let _ = tokio::time::timeout(WAIT, connection.return_to_pool()).await;
}

impl Drop for Leased {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return drop(connection.detach()) };
        runtime.spawn(async move {
            match tokio::time::timeout(WAIT, connection.execute("ROLLBACK")).await {
                Ok(Ok(_)) => given_back(connection).await,
                _ => connection.close_on_drop(),
            }
        });
    }
}

impl Transaction {
    /// `first` says what belongs to the beginning, when there is a connection.
    #[expect(clippy::disallowed_methods, reason = "the one place that begins")]
    async fn begin(
        pool: &sea_orm::DatabaseConnection,
        way: Way,
        kind: Kind,
        first: impl FnOnce() -> String + Send,
    ) -> Result<Self, DbErr> {
        if pool.get_database_backend() == DbBackend::Sqlite {
            // Its every transaction sees one moment; it knows no levels.
            let options = TransactionOptions {
                sqlite_transaction_mode: (kind == Kind::Write).then_some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            return pool.begin_with_options(options).await.map(|begun| Self(On::Sqlite(begun)));
        }
        let leased = lease(pool).await;
        let mut leased = leased.map(|leased| Leased(Some(leased))).map_err(|error| match error {
            // As sea-orm tells it.
            sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
        })?;
        let (begin, first) = (way.begin(kind), first());
        let all = if first.is_empty() { begin } else { format!("{begin}; {first}") };
        match leased.says(&all).await {
            Ok(_) => Ok(Self(On::Postgres(Mutex::new(leased), way))),
            // A pooler that has no connection says so in its own words, and ends the session.
            Err(error) if way != Way::Own && !error.as_database_error().is_some_and(is_error) => {
                Err(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
            }
            Err(error) => Err(of_statement(error)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "called by the one place that commits")]
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        match self.0 {
            On::Sqlite(tx) => tx.commit().await,
            On::Postgres(leased, _) => leased.into_inner().end("COMMIT").await,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "called by the one place that rolls back")]
    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        match self.0 {
            On::Sqlite(tx) => tx.rollback().await,
            On::Postgres(leased, _) => leased.into_inner().end("ROLLBACK").await,
        }
    }
}

fn of_statement(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn bound(statement: &Statement, way: Way) -> sqlx::query::Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| sea_orm::sea_query::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values)).persistent(way == Way::Own)
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            On::Sqlite(tx) => tx.get_database_backend(),
            On::Postgres(..) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0 {
            On::Sqlite(tx) => tx.execute_raw(statement).await,
            On::Postgres(leased, way) => {
                let mut leased = leased.lock().await;
                let done = bound(&statement, *way).execute(leased.connection().map_err(of_statement)?).await;
                done.map(Into::into).map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            On::Sqlite(tx) => tx.execute_unprepared(sql).await,
            On::Postgres(leased, _) => {
                let done = leased.lock().await.says(sql).await;
                done.map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            On::Sqlite(tx) => tx.query_one_raw(statement).await,
            On::Postgres(leased, way) => {
                let mut leased = leased.lock().await;
                let connection = leased.connection().map_err(of_statement)?;
                let row = bound(&statement, *way).fetch_optional(connection).await;
                row.map(|row| row.map(Into::into)).map_err(of_statement)
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            On::Sqlite(tx) => tx.query_all_raw(statement).await,
            On::Postgres(leased, way) => {
                let mut leased = leased.lock().await;
                let connection = leased.connection().map_err(of_statement)?;
                let rows = bound(&statement, *way).fetch_all(connection).await;
                rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(of_statement)
            }
        }
    }
}

/// When whoever waits for it is gone, or the database is, nothing that was begun stays open.
pub(crate) async fn begin(
    pool: &Connections,
    kind: Kind,
    first: impl FnOnce() -> String + Send,
) -> Result<Bounded<Transaction>, DbErr> {
    let signals = pool.signals().clone();
    let begun = begun(pool.inner(), kind, first, &signals).await?;
    Ok(Bounded::new(begun, signals))
}

/// The same of a pool by itself.
pub(crate) async fn begun(
    pool: &Pool,
    kind: Kind,
    first: impl FnOnce() -> String + Send,
    signals: &Signals,
) -> Result<Transaction, DbErr> {
    let asked = pool.asked();
    let begun = Box::pin(Transaction::begin(&asked, pool.way(), kind, first));
    in_time(pool.get_database_backend(), ANSWER, signals, begun, || pool.condemned().now()).await
}
