//! One of many ids, as each database likes to be asked.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend};
use uuid::Uuid;

/// Whether `column` has one of `ids`. PostgreSQL gets them as one array. A list would be another statement for each number of ids,
/// and PostgreSQL would plan a long one anew each time, which takes longer than answering it.
pub fn among(conn: &impl ConnectionTrait, column: impl ColumnTrait, ids: Vec<Uuid>) -> SimpleExpr {
    if conn.get_database_backend() == DbBackend::Postgres {
        return Expr::col(column.as_column_ref()).eq(PgFunc::any(ids));
    }
    column.is_in(ids)
}
