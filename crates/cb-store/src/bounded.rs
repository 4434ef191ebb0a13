//! Connections on which nothing is waited for without end.
//!
//! A host that is switched off closes no connection, and the driver would wait for its answer for ever. What a request asks is cut
//! short by its own deadline; what the server asks for itself has only this. When the lookout finds that the database is away, every
//! answer that is still waited for is given up: a connection from before may stay silent when the database is back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};
use tokio::sync::Notify;

use crate::pool::Pool;

/// No statement of ours takes so long.
pub(crate) const ANSWER: Duration = Duration::from_mins(1);

/// Tells everybody who waits for the database that it does not answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Silence(Arc<Notify>);

impl Silence {
    pub fn tell(&self) {
        self.0.notify_waiters();
    }
}

/// A pool or a transaction whose every statement ends.
#[derive(Debug, Clone)]
pub struct Bounded<C> {
    inner: C,
    silence: Silence,
}

/// A pool.
pub type Connections = Bounded<Pool>;
/// A reading transaction. Dropped, it is rolled back.
pub type Snapshot = Bounded<DatabaseTransaction>;

impl<C: ConnectionTrait> Bounded<C> {
    pub(crate) fn new(inner: C, silence: Silence) -> Self {
        Self { inner, silence }
    }

    pub(crate) fn inner(&self) -> &C {
        &self.inner
    }

    pub(crate) fn into_inner(self) -> C {
        self.inner
    }

    pub(crate) fn silence(&self) -> &Silence {
        &self.silence
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        in_time(self.inner.get_database_backend(), ANSWER, &self.silence, asked, || ()).await
    }
}

/// A file answers, or says why not; to leave it alone would not end what it does. `unanswered` runs before the question is dropped.
pub(crate) async fn in_time<T>(
    backend: DbBackend,
    most: Duration,
    silence: &Silence,
    asked: impl Future<Output = Result<T, DbErr>>,
    unanswered: impl FnOnce(),
) -> Result<T, DbErr> {
    if backend == DbBackend::Sqlite {
        return asked.await;
    }
    let mut asked = pin!(asked);
    let why = tokio::select! {
        biased;
        answer = &mut asked => return answer,
        () = silence.0.notified() => "the database does not answer".to_owned(),
        () = tokio::time::sleep(most) => format!("the database has not answered for {most:?}"),
    };
    unanswered();
    Err(DbErr::Conn(RuntimeErr::Internal(why)))
}

/// Whether nobody has waited for the answer any longer.
pub(crate) fn is_unanswered(error: &DbErr) -> bool {
    matches!(error, DbErr::Conn(RuntimeErr::Internal(_)))
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
