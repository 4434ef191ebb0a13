//! The one list of columns that hold sealed texts, and how a rotation walks them. A column that is not on it would be left
//! under keys that nobody renews.

use cb_core::Result;
use cb_vault::seal::Place;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use uuid::Uuid;

use crate::open::db;

/// A column whose texts are sealed for `table.column` and the row's `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// Holds the uuid that the text is bound to.
    pub row: &'static str,
    /// `table.column`, as it was when the first text was sealed: a renamed column keeps it.
    pub field: &'static str,
}

pub const TOTP_SECRET: SealedColumn =
    SealedColumn { table: "users", column: "totp_secret", row: "id", field: "users.totp_secret" };
pub const CLIENT_SECRET: SealedColumn = SealedColumn {
    table: "oidc_providers",
    column: "client_secret",
    row: "id",
    field: "oidc_providers.client_secret",
};

pub const CREDENTIAL: SealedColumn =
    SealedColumn { table: "credentials", column: "secret", row: "id", field: "credentials.secret" };

pub const SEALED: &[SealedColumn] = &[TOTP_SECRET, CLIENT_SECRET, CREDENTIAL];

/// Rows read at a time.
const PAGE: u64 = 500;

impl SealedColumn {
    pub fn place<'a>(&self, row: &'a Uuid) -> Place<'a> {
        Place { field: self.field, row }
    }

    /// The next rows behind `after` that hold a text, in the order of their ids; empty behind the last.
    pub async fn page(
        &self,
        conn: &impl ConnectionTrait,
        after: Option<Uuid>,
    ) -> Result<Vec<(Uuid, String)>> {
        let mut select = Query::select();
        select.column(self.row).column(self.column).from(self.table);
        select.and_where(Expr::col(self.column).is_not_null());
        if let Some(after) = after {
            select.and_where(Expr::col(self.row).gt(after));
        }
        select.order_by(self.row, sea_orm::Order::Asc).limit(PAGE);
        let rows = conn.query_all(&select).await.map_err(db)?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect::<Result<_, sea_orm::DbErr>>()
            .map_err(db)
    }

    /// Puts `new` in the place of exactly `old`; says whether it stood there.
    pub async fn replace(
        &self,
        conn: &impl ConnectionTrait,
        row: Uuid,
        old: &str,
        new: &str,
    ) -> Result<bool> {
        let mut update = Query::update();
        update.table(self.table).value(self.column, new);
        update.and_where(Expr::col(self.row).eq(row)).and_where(Expr::col(self.column).eq(old));
        Ok(conn.execute(&update).await.map_err(db)?.rows_affected() == 1)
    }

    pub async fn count(&self, conn: &impl ConnectionTrait) -> Result<i64> {
        let mut select = Query::select();
        select.expr(Expr::col(self.column).count()).from(self.table);
        let row = conn.query_one(&select).await.map_err(db)?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0)).map_err(db)
    }
}
