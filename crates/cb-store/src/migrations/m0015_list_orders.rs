//! What lists sort and filter by: a finding's title and first address, an asset's role, age, addresses and ports.

use std::net::IpAddr;

use sea_orm::{ConnectionTrait as _, FromQueryResult, Statement};
use sea_orm_migration::prelude::*;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0015_list_orders"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        for column in [build.text("title_key").default("").to_owned(), build.text_null("address_key")] {
            manager.alter_table(Table::alter().table("findings").add_column(column).to_owned()).await?;
        }
        fill(manager).await?;
        for sql in UP {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in DOWN {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct Row {
    id: uuid::Uuid,
    title: String,
    ip: Option<String>,
}

/// The keys of the findings that are there.
async fn fill(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let conn = manager.get_connection();
    let backend = manager.get_database_backend();
    let read = "SELECT id, title, proposal -> 'addresses' -> 0 ->> 'ip' AS ip FROM findings";
    let rows = Row::find_by_statement(Statement::from_string(backend, read)).all(conn).await?;
    for row in rows {
        let address = row.ip.and_then(|ip| ip.parse().ok()).map(ip_key);
        let write = Query::update()
            .table("findings")
            .value("title_key", name_key(&row.title))
            .value("address_key", address)
            .and_where(Expr::col("id").eq(row.id))
            .take();
        conn.execute(&write).await?;
    }
    Ok(())
}

/// As the program makes it today. A migration keeps its own, because what was released does not change.
fn ip_key(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => format!("4{:08x}", u32::from(v4)),
        IpAddr::V6(v6) => format!("6{:032x}", u128::from(v6)),
    }
}

fn name_key(name: &str) -> String {
    let mut key = String::new();
    let mut digits = String::new();
    for c in name.to_lowercase().chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let significant = digits.trim_start_matches('0');
            let length = format!("{:03}", significant.len());
            key.push_str(&length);
            key.push_str(significant);
            digits.clear();
        }
        key.push(c);
    }
    key.pop();
    key
}

const UP: &[&str] = &[
    "CREATE INDEX findings_title ON findings (state, title_key, id)",
    "CREATE INDEX findings_address ON findings (state, address_key, id)",
    "CREATE INDEX findings_seen ON findings (state, last_seen_at, id)",
    "CREATE INDEX assets_role ON assets (COALESCE(role, kind), id)",
    "CREATE INDEX assets_created ON assets (created_at, id)",
    "CREATE INDEX addresses_first ON addresses (asset_id, ip_key)",
    "CREATE INDEX services_port ON services (port, asset_id)",
];

const DOWN: &[&str] = &[
    "DROP INDEX services_port",
    "DROP INDEX addresses_first",
    "DROP INDEX assets_created",
    "DROP INDEX assets_role",
    "DROP INDEX findings_seen",
    "DROP INDEX findings_address",
    "DROP INDEX findings_title",
    "ALTER TABLE findings DROP COLUMN address_key",
    "ALTER TABLE findings DROP COLUMN title_key",
];
