//! Numbered migrations, the same for both databases. To add one: `m00NN_<what>.rs` and a line here. It must only add: servers of the
//! version before work on the new schema until they are upgraded (`side_by_side.rs`). What a release no longer needs, the next one may
//! remove, and then raises [`WORKS_FROM`].

use sea_orm_migration::prelude::*;

mod build;
mod m0001_first_evening;
mod m0002_identity;
mod m0003_passkeys;
mod m0004_audit_retention;
mod m0005_providers;
mod m0006_audit_origin;
mod m0007_vault_keys;
mod m0008_vault_schedule;
mod m0009_credentials;
mod m0010_notifications;
mod m0011_hooks;
mod m0012_credential_ports;
mod m0013_idempotency;
mod m0014_asset_status;
mod m0015_list_orders;
mod m0016_service_scheme;
mod m0017_review_and_sight;
mod m0018_views;
mod m0019_periodic_work;
mod m0020_jobs;
mod m0021_servers;
mod m0022_sites;
mod m0023_audit_order;
mod m0024_server_told;
mod m0025_server_twin;
mod run;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod upgrade;

pub use run::Migrated;
pub(crate) use run::{
    Newer, applied, are_done, are_none, bring_up_postgres, bring_up_sqlite, foreign, has_table,
};

/// A program whose newest migration is this one, or a later one, works on the newest schema.
pub(crate) const WORKS_FROM: &str = "m0022_sites";

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_evening::Migration),
            Box::new(m0002_identity::Migration),
            Box::new(m0003_passkeys::Migration),
            Box::new(m0004_audit_retention::Migration),
            Box::new(m0005_providers::Migration),
            Box::new(m0006_audit_origin::Migration),
            Box::new(m0007_vault_keys::Migration),
            Box::new(m0008_vault_schedule::Migration),
            Box::new(m0009_credentials::Migration),
            Box::new(m0010_notifications::Migration),
            Box::new(m0011_hooks::Migration),
            Box::new(m0012_credential_ports::Migration),
            Box::new(m0013_idempotency::Migration),
            Box::new(m0014_asset_status::Migration),
            Box::new(m0015_list_orders::Migration),
            Box::new(m0016_service_scheme::Migration),
            Box::new(m0017_review_and_sight::Migration),
            Box::new(m0018_views::Migration),
            Box::new(m0019_periodic_work::Migration),
            Box::new(m0020_jobs::Migration),
            Box::new(m0021_servers::Migration),
            Box::new(m0022_sites::Migration),
            Box::new(m0023_audit_order::Migration),
            Box::new(m0024_server_told::Migration),
            Box::new(m0025_server_twin::Migration),
        ]
    }
}
