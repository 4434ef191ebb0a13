//! Numbered migrations, the same for both databases. To add one: `m0002_<what>.rs` and a line here.

use sea_orm_migration::prelude::*;

mod m0001_first_evening;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first_evening::Migration)]
    }
}
