//! Where workers are: a scan that names a site is done by the workers of that site, and each worker says what it sees of its network.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0022_sites"
    }
}

/// SQLite adds and drops one column at a time.
const COLUMNS: [(&str, &str, Kind); 4] = [
    ("servers", "site", Kind::Text),
    ("servers", "sight", Kind::Json),
    ("scans", "site", Kind::Text),
    // Null: any worker does it. Empty: those of the main site.
    ("jobs", "place", Kind::Text),
];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Json,
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, name, kind) in COLUMNS {
            let mut column = ColumnDef::new(name);
            match kind {
                Kind::Text => column.text(),
                Kind::Json => column.json(),
            };
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, name, _) in COLUMNS {
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
