//! Connections on which nothing is waited for without end.
//!
//! A host that is switched off closes no connection, and the driver would wait for its answer for ever. What a request asks is cut
//! short by its own deadline; what the server asks for itself has only this.

use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};

/// No statement of ours takes so long.
const ANSWER: Duration = Duration::from_mins(1);

/// A pool or a transaction whose every statement ends.
#[derive(Debug, Clone)]
pub struct Bounded<C>(C);

/// A pool.
pub type Connections = Bounded<DatabaseConnection>;
/// A reading transaction. Dropped, it is rolled back.
pub type Snapshot = Bounded<DatabaseTransaction>;

impl<C> Bounded<C> {
    pub(crate) fn new(inner: C) -> Self {
        Self(inner)
    }

    pub(crate) fn inner(&self) -> &C {
        &self.0
    }

    pub(crate) fn into_inner(self) -> C {
        self.0
    }
}

/// A file answers, or says why not; to leave it alone would not end what it does.
pub(crate) async fn in_time<T>(
    backend: DbBackend,
    asked: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    if backend == DbBackend::Sqlite {
        return asked.await;
    }
    let silence =
        || DbErr::Conn(RuntimeErr::Internal("the database has not answered for a minute".to_owned()));
    tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(silence()))
}

#[async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Bounded<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        in_time(self.get_database_backend(), self.0.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        in_time(self.get_database_backend(), self.0.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        in_time(self.get_database_backend(), self.0.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        in_time(self.get_database_backend(), self.0.query_all_raw(statement)).await
    }
}
