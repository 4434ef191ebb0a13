//! How a transaction begins, runs and ends, on a connection of our own or on one that a pooler lends.
//!
//! A pooler in transaction mode (PgBouncer) gives a client a connection for one transaction, and the next client may get the same.
//! So nothing that belongs to a session may be counted on there, and nothing may be left behind:
//! - What a session of our own is told once ([`pool`](crate::pool)) is told at the beginning of every transaction, in the same exchange.
//! - Every statement runs in a transaction, because the driver sends one in two exchanges. A single question is a transaction of its own.
//! - No prepared statement has a name, because another client may have given the same one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _, Postgres};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::bounded::{ANSWER, Bounded, Connections, Signals, in_time};
use crate::pool::{Pool, Way};

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
    Own(DatabaseTransaction),
    Lent(Mutex<sqlx::Transaction<'static, Postgres>>),
}

impl Transaction {
    #[expect(clippy::disallowed_methods, reason = "the one place that begins")]
    async fn begin(pool: &sea_orm::DatabaseConnection, way: Way, kind: Kind) -> Result<Self, DbErr> {
        if let Way::Lent(purpose) = way {
            let first = AssertSqlSafe(purpose.begin(kind));
            let begun = pool.get_postgres_connection_pool().begin_with(first).await;
            return begun.map(|begun| Self(On::Lent(Mutex::new(begun)))).map_err(|error| match error {
                // As sea-orm tells it of a pool of ours.
                sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
                sqlx::Error::PoolClosed => {
                    DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::ConnectionClosed)
                }
                error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
            });
        }
        let sqlite = pool.get_database_backend() == DbBackend::Sqlite;
        let options = TransactionOptions {
            sqlite_transaction_mode: (kind == Kind::Write).then_some(SqliteTransactionMode::Immediate),
            // SQLite's every transaction sees one moment; it knows no levels.
            isolation_level: (kind == Kind::Snapshot && !sqlite).then_some(IsolationLevel::RepeatableRead),
            ..TransactionOptions::default()
        };
        pool.begin_with_options(options).await.map(|begun| Self(On::Own(begun)))
    }

    #[expect(clippy::disallowed_methods, reason = "called by the one place that commits")]
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        match self.0 {
            On::Own(tx) => tx.commit().await,
            On::Lent(tx) => tx.into_inner().commit().await.map_err(of_statement),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "called by the one place that rolls back")]
    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        match self.0 {
            On::Own(tx) => tx.rollback().await,
            On::Lent(tx) => tx.into_inner().rollback().await.map_err(of_statement),
        }
    }
}

fn of_statement(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

fn nameless(statement: &Statement) -> sqlx::query::Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| sea_orm::sea_query::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values)).persistent(false)
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            On::Own(tx) => tx.get_database_backend(),
            On::Lent(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0 {
            On::Own(tx) => tx.execute_raw(statement).await,
            On::Lent(tx) => {
                let done = nameless(&statement).execute(&mut **tx.lock().await).await;
                done.map(Into::into).map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            On::Own(tx) => tx.execute_unprepared(sql).await,
            On::Lent(tx) => {
                let done = (&mut **tx.lock().await).execute(AssertSqlSafe(sql)).await;
                done.map(Into::into).map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            On::Own(tx) => tx.query_one_raw(statement).await,
            On::Lent(tx) => {
                let row = nameless(&statement).fetch_optional(&mut **tx.lock().await).await;
                row.map(|row| row.map(Into::into)).map_err(of_statement)
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            On::Own(tx) => tx.query_all_raw(statement).await,
            On::Lent(tx) => {
                let rows = nameless(&statement).fetch_all(&mut **tx.lock().await).await;
                rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(of_statement)
            }
        }
    }
}

/// A beginning does not end with its caller. On PostgreSQL the driver forgets a BEGIN that nobody has waited for, and whatever the
/// connection was given afterwards would belong to a transaction that nobody ends. When the caller is gone, a task waits for it and
/// drops the transaction; when the database is, the connection is not used again.
pub(crate) async fn begin(pool: &Connections, kind: Kind) -> Result<Bounded<Transaction>, DbErr> {
    let signals = pool.signals().clone();
    let begun = begun(pool.inner(), kind, &signals).await?;
    Ok(Bounded::new(begun, signals))
}

/// The same of a pool by itself.
pub(crate) async fn begun(pool: &Pool, kind: Kind, signals: &Signals) -> Result<Transaction, DbErr> {
    let (backend, way, condemned) = (pool.get_database_backend(), pool.way(), pool.condemned().clone());
    let (pool, signals) = (pool.asked(), signals.clone());
    let begun = GoesOn::new(async move {
        let asked = Transaction::begin(&pool, way, kind);
        in_time(backend, ANSWER, &signals, asked, || condemned.now()).await
    });
    begun.await
}

/// Work that a task of its own ends when whoever waits for it is gone. Until then no other thread has to wake up for it.
struct GoesOn<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send> GoesOn<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send> Future for GoesOn<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let done = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(done)
    }
}

impl<T: Send> Drop for GoesOn<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}
