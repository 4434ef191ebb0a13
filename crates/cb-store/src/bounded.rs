//! Connections on which nothing is waited for without end.
//!
//! A host that is switched off closes no connection, and the driver would wait for its answer for ever. What a request asks is cut
//! short by its own deadline; what the server asks for itself has only this. When the lookout finds that the database is away, every
//! answer that is still waited for is given up: a connection from before may stay silent when the database is back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::Notify;

use crate::fault::{Fault, unanswered};
use crate::pool::Pool;
use crate::transaction::Transaction;

/// No statement of ours takes so long.
pub(crate) const ANSWER: Duration = Duration::from_mins(1);

/// Between those who ask the database and the one who watches over it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    silent: Notify,
    doubt: Notify,
    asked: AtomicU64,
    away: AtomicBool,
}

impl Signals {
    /// What the watcher has found.
    pub fn note(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    /// Nobody got a connection. Only the watcher tells a database that is away from one with too much to do.
    pub fn no_connection(&self, error: DbErr) -> DbErr {
        if self.0.away.load(Ordering::Relaxed) && Fault::of(&error) == Fault::Busy {
            return unanswered("the database does not answer".to_owned());
        }
        error
    }

    /// Everybody who waits for the database is told that it does not answer.
    pub fn give_up(&self) {
        self.0.silent.notify_waiters();
    }

    /// The watcher is told to look: a question has failed.
    pub fn doubt(&self) {
        self.0.doubt.notify_one();
    }

    pub async fn doubted(&self) {
        self.0.doubt.notified().await;
    }

    /// How many statements the database was asked.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }
}

/// A pool or a transaction whose every statement ends.
#[derive(Debug, Clone)]
pub struct Bounded<C> {
    inner: C,
    signals: Signals,
}

/// A pool.
pub type Connections = Bounded<Pool>;
/// A reading transaction. Dropped, it is rolled back.
pub type Snapshot = Bounded<Transaction>;

impl<C: ConnectionTrait> Bounded<C> {
    pub(crate) fn new(inner: C, signals: Signals) -> Self {
        Self { inner, signals }
    }

    pub(crate) fn inner(&self) -> &C {
        &self.inner
    }

    pub(crate) fn into_inner(self) -> C {
        self.inner
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        in_time(self.inner.get_database_backend(), ANSWER, &self.signals, asked, || ()).await
    }
}

/// A file answers, or says why not; to leave it alone would not end what it does. `gave_up` runs before the question is dropped.
pub(crate) async fn in_time<T>(
    backend: DbBackend,
    most: Duration,
    signals: &Signals,
    asked: impl Future<Output = Result<T, DbErr>>,
    gave_up: impl FnOnce(),
) -> Result<T, DbErr> {
    signals.0.asked.fetch_add(1, Ordering::Relaxed);
    let answer = answered(backend, most, signals, asked, gave_up).await;
    let answer = answer.map_err(|error| signals.no_connection(error));
    if answer.as_ref().is_err_and(|error| Fault::of(error) != Fault::Query) {
        signals.doubt();
    }
    answer
}

async fn answered<T>(
    backend: DbBackend,
    most: Duration,
    signals: &Signals,
    asked: impl Future<Output = Result<T, DbErr>>,
    gave_up: impl FnOnce(),
) -> Result<T, DbErr> {
    if backend == DbBackend::Sqlite {
        return asked.await;
    }
    let mut asked = pin!(asked);
    let why = tokio::select! {
        biased;
        answer = &mut asked => return answer,
        () = signals.0.silent.notified() => "the database does not answer".to_owned(),
        () = tokio::time::sleep(most) => format!("the database has not answered for {most:?}"),
    };
    gave_up();
    Err(unanswered(why))
}

#[async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Bounded<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.in_time(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.in_time(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.in_time(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.in_time(self.inner.query_all_raw(statement)).await
    }
}
