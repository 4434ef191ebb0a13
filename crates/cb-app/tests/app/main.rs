//! The use cases over both databases.

mod access;
mod discovery;
mod inventory;
mod write_path;

/// Runs one test on SQLite and on PostgreSQL, as two tests.
macro_rules! on_both {
    ($($name:ident($test:ident, $ctx:ident) $body:block)+) => {$(
        mod $name {
            use super::*;
            use cb_testkit::{Database, TestApp};

            async fn run($test: TestApp, $ctx: cb_app::Ctx) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                let (test, ctx) = TestApp::ready(Database::Sqlite).await;
                run(test, ctx).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let (test, ctx) = TestApp::ready(Database::Postgres).await;
                run(test, ctx).await;
            }
        }
    )+};
}
pub(crate) use on_both;
