//! The one list of columns that hold sealed texts, and how a rotation walks them. A column that is not on it would be left
//! under keys that nobody renews.

use std::collections::BTreeMap;

use cb_core::{Error, Result};
use cb_vault::seal::Place;
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Func, IntoIden as _, Query, TableRef, ValueTuple};
use sea_orm::{ConnectionTrait, DbBackend, Order, Statement};
use uuid::Uuid;

use crate::backup::is_copied;
use crate::fault::db;

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

pub const WEBHOOK_SECRET: SealedColumn =
    SealedColumn { table: "webhooks", column: "secret", row: "id", field: "webhooks.secret" };
pub const WEBHOOK_PREVIOUS_SECRET: SealedColumn = SealedColumn {
    table: "webhooks",
    column: "previous_secret",
    row: "id",
    field: "webhooks.previous_secret",
};
pub const CHANNEL_SECRET: SealedColumn =
    SealedColumn { table: "channels", column: "secret", row: "id", field: "channels.secret" };

pub const HOOK_SECRET: SealedColumn =
    SealedColumn { table: "hooks", column: "secret", row: "id", field: "hooks.secret" };
pub const HOOK_PREVIOUS_SECRET: SealedColumn =
    SealedColumn { table: "hooks", column: "previous_secret", row: "id", field: "hooks.previous_secret" };

/// The audit key. Each server has it in a file as well, and all the same it counts: while it is here several servers use the vault, so
/// none of them makes a new root key in the place of one that only it has lost.
pub const SHARED_SECRET: SealedColumn =
    SealedColumn { table: "shared_secrets", column: "sealed", row: "id", field: "shared_secrets.sealed" };

pub const SEALED: &[SealedColumn] = &[
    TOTP_SECRET,
    CLIENT_SECRET,
    CREDENTIAL,
    WEBHOOK_SECRET,
    WEBHOOK_PREVIOUS_SECRET,
    CHANNEL_SECRET,
    HOOK_SECRET,
    HOOK_PREVIOUS_SECRET,
    SHARED_SECRET,
];

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
        select.order_by(self.row, Order::Asc).limit(PAGE);
        let rows = conn.query_all(&select).await.map_err(db)?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect::<Result<_, sea_orm::DbErr>>()
            .map_err(db)
    }

    /// One statement that puts each new text in the place of exactly the old one.
    pub fn replacement(&self, on: DbBackend, changes: Vec<Change>) -> Replacement {
        let wanted = changes.len() as u64;
        let rows = changes.into_iter().map(|c| ValueTuple::Three(c.row.into(), c.old.into(), c.new.into()));
        // Both databases call the columns of a bare list so.
        let given = |name: &'static str| Expr::col(("given", name));
        let mut update = Query::update();
        update.table(self.table).from(TableRef::ValuesList(rows.collect(), Alias::new("given").into_iden()));
        update.value(self.column, given("column3"));
        update.and_where(Expr::col((self.table, self.row)).eq(given("column1")));
        update.and_where(Expr::col((self.table, self.column)).eq(given("column2")));
        Replacement { table: self.table, statement: on.build(&update), wanted }
    }

    /// How many texts each key has sealed, by what the texts begin with.
    async fn uses(&self, conn: &impl ConnectionTrait) -> Result<Vec<(String, i64)>> {
        const HEAD: i32 = 39;
        let head = || Func::cust("substr").arg(Expr::col(self.column)).arg(1).arg(HEAD);
        // As a rule one key has sealed them all. To see that takes a fifth of the time of sorting them by their keys.
        let mut ends = Query::select();
        ends.expr(Func::min(head())).expr(Func::max(head())).expr(Expr::col(self.column).count());
        if let Some(row) = conn.query_one(ends.from(self.table)).await.map_err(db)? {
            let first: Option<String> = row.try_get_by_index(0).map_err(db)?;
            let last: Option<String> = row.try_get_by_index(1).map_err(db)?;
            let count = row.try_get_by_index(2).map_err(db)?;
            match first {
                None => return Ok(Vec::new()),
                Some(head) if last.as_ref() == Some(&head) => return Ok(vec![(head, count)]),
                Some(_) => {}
            }
        }
        let mut select = Query::select();
        select.expr_as(head(), "head").expr(Expr::col(self.column).count()).from(self.table);
        select.and_where(Expr::col(self.column).is_not_null()).group_by_col("head");
        let rows = conn.query_all(&select).await.map_err(db)?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect::<Result<_, sea_orm::DbErr>>()
            .map_err(db)
    }

    pub async fn count(&self, conn: &impl ConnectionTrait) -> Result<i64> {
        let mut select = Query::select();
        select.expr(Expr::col(self.column).count()).from(self.table);
        let row = conn.query_one(&select).await.map_err(db)?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0)).map_err(db)
    }
}

/// A text to be put in the place of another.
pub struct Change {
    pub row: Uuid,
    pub old: String,
    pub new: String,
}

pub struct Replacement {
    table: &'static str,
    statement: Statement,
    wanted: u64,
}

impl Replacement {
    /// Answers how many texts were replaced. It is an error when an old one did not stand in its place.
    pub async fn run(self, conn: &impl ConnectionTrait) -> Result<u64> {
        if self.wanted == 0 {
            return Ok(0);
        }
        let done = conn.execute_raw(self.statement).await.map_err(db)?.rows_affected();
        if done != self.wanted {
            return Err(Error::Internal(format!("{} changed under the lock", self.table)));
        }
        Ok(done)
    }
}

/// Every sealed text there is, a page at a time.
#[derive(Default)]
pub struct Texts {
    column: usize,
    after: Option<Uuid>,
}

impl Texts {
    /// The next page; none behind the last.
    pub async fn next(
        &mut self,
        conn: &impl ConnectionTrait,
    ) -> Result<Option<(&'static SealedColumn, Vec<(Uuid, String)>)>> {
        while let Some(column) = SEALED.get(self.column) {
            let page = column.page(conn, self.after).await?;
            match page.last() {
                Some((last, _)) => {
                    self.after = Some(*last);
                    return Ok(Some((column, page)));
                }
                None => *self = Self { column: self.column + 1, after: None },
            }
        }
        Ok(None)
    }
}

/// The number of stored secrets.
pub async fn count(conn: &impl ConnectionTrait) -> Result<i64> {
    let mut sum = 0;
    for column in SEALED {
        sum += column.count(conn).await?;
    }
    Ok(sum)
}

/// The same of those that a copy of the database takes with it: the audit key travels in its file.
pub async fn count_of_copy(conn: &impl ConnectionTrait) -> Result<i64> {
    let mut sum = 0;
    for column in SEALED.iter().filter(|column| is_copied(column.table)) {
        sum += column.count(conn).await?;
    }
    Ok(sum)
}

/// How many texts each data key has sealed; none: the root key itself, before there were data keys.
pub async fn uses(conn: &impl ConnectionTrait) -> Result<BTreeMap<Option<Uuid>, i64>> {
    let mut all = BTreeMap::new();
    for column in SEALED {
        for (head, count) in column.uses(conn).await? {
            *all.entry(cb_vault::seal::key_of(&format!("{head}:"))).or_default() += count;
        }
    }
    Ok(all)
}
