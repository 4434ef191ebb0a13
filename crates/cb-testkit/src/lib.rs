//! What tests share: a clock that stands still until told, an application over either database, and
//! a real PostgreSQL of the test's own.

mod app;
mod clock;
mod postgres;

pub use app::{Database, TestApp};
pub use clock::TestClock;
pub use postgres::Postgres;
