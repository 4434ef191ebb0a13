//! The database: entities, migrations, and the only way to a writing transaction.
//!
//! Invariants:
//! - Nobody outside this crate holds a connection that can write. [`Store::reader`] is read-only by
//!   the database itself (`query_only` in SQLite, read-only transactions in PostgreSQL).
//! - A write happens in [`Store::write`], which appends a chained audit entry in the same transaction,
//!   or in one of the named functions of [`bookkeeping`], which record what machines do all the time
//!   (a session was seen, a scan has progressed) and nothing that a person decides.
//! - Behind a pooler that lends connections for a transaction, nothing is told to a session (`transaction.rs`).
//! - One entity set and one migration set for both databases.
//!
//! To add a table: `entities/<name>.rs`, a migration in `migrations/`, one line in each `mod.rs`.

#[cfg(test)]
mod acknowledged;
mod among;
pub mod audit;
pub mod backup;
#[cfg(test)]
mod black_hole;
pub mod bookkeeping;
mod bounded;
mod clock;
mod durable;
pub mod entities;
mod fault;
mod figures;
mod file;
mod foreign;
mod journal;
#[cfg(test)]
mod lent;
mod locks;
mod migrations;
mod open;
mod open_error;
mod outbox;
mod pool;
mod queue;
pub mod sealed;
mod storage;
mod transaction;
mod write;

pub use among::among;
pub use bounded::{Connections, Snapshot};
pub use fault::{conflict, db, taken};
pub use figures::PoolFigures;
pub use foreign::Foreign;
pub use locks::Row;
pub use migrations::Migrated;
pub use open::{LOCK_FILE, SmallRoom, Store};
pub use open_error::OpenError;
pub use outbox::{Standing, Subscriber, WAITING_MOST};
pub use queue::{Duty, End, Enqueued, Hold, NewJob, Order, dead_jobs};
pub use sea_orm;
pub use storage::{Refuses, Storage};
pub use write::{After, Audit, Origin, WriteTx};
