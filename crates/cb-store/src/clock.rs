//! The one clock that all servers of a database share: PostgreSQL's. SQLite has one server, and that server's clock.

use cb_core::Result;
use cb_core::clock::Time;
use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::fault::db;

/// The time at which a statement begins. Within it the time does not change, so an index can be searched by it.
pub(crate) fn now(conn: &impl ConnectionTrait, here: Time) -> SimpleExpr {
    match conn.get_database_backend() {
        DbBackend::Postgres => Expr::cust("statement_timestamp()"),
        _ => Expr::val(here),
    }
}

/// A time that lies `ahead` of [`now`].
pub(crate) fn later(conn: &impl ConnectionTrait, here: Time, ahead: TimeDelta) -> SimpleExpr {
    match conn.get_database_backend() {
        DbBackend::Postgres => Expr::cust_with_values(
            "(statement_timestamp() + make_interval(secs => $1))",
            [ahead.as_seconds_f64()],
        ),
        _ => Expr::val(here + ahead),
    }
}

/// Asks for the time.
pub(crate) async fn read(conn: &impl ConnectionTrait, here: Time) -> Result<Time> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(here);
    }
    let mut asked = Query::select();
    asked.expr(now(conn, here));
    let row = conn.query_one(&asked).await.map_err(db)?;
    row.map_or(Ok(here), |row| row.try_get_by_index(0)).map_err(db)
}
