//! What tests share: a clock that stands still until told, an application over either database, a PostgreSQL, a PgBouncer, a Redis
//! and a NATS of the test's own, and a receiver that answers as it is told.

mod again;
mod app;
mod clock;
mod engine;
mod postgres;
mod process;
mod receiver;

pub use again::asked_again;
pub use app::{Database, TestApp};
pub use clock::TestClock;
pub use engine::{Nats, PgBouncer, Redis};
pub use postgres::Postgres;
pub use receiver::{Received, Receiver, Reply};
