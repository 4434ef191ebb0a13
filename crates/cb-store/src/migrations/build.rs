//! What the migrations are written with.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::timestamp_with_time_zone;

/// Columns that mean the same on both databases.
pub(super) struct Build {
    pub postgres: bool,
}

impl Build {
    pub fn on(manager: &SchemaManager<'_>) -> Self {
        Self { postgres: manager.get_database_backend() == DbBackend::Postgres }
    }

    /// Text that sorts by code point on both databases, so that a page's cursor means the same on each.
    pub fn text(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text().not_null();
        if self.postgres {
            column.extra("COLLATE \"C\"");
        }
        column
    }

    pub fn text_null(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text().null();
        if self.postgres {
            column.extra("COLLATE \"C\"");
        }
        column
    }
}

pub(super) fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).take()
}

pub(super) trait Columns {
    fn stamps(&mut self) -> TableCreateStatement;
    fn belongs(
        &mut self,
        column: &'static str,
        to: &'static str,
        gone: ForeignKeyAction,
    ) -> TableCreateStatement;
}

impl Columns for TableCreateStatement {
    fn stamps(&mut self) -> TableCreateStatement {
        self.col(timestamp_with_time_zone("created_at")).col(timestamp_with_time_zone("updated_at")).take()
    }

    /// A reference to another table's `id`; `gone` is what happens here when that row goes.
    fn belongs(
        &mut self,
        column: &'static str,
        to: &'static str,
        gone: ForeignKeyAction,
    ) -> TableCreateStatement {
        self.foreign_key(ForeignKey::create().from_col(column).to(to, "id").on_delete(gone)).take()
    }
}
