//! Whether requests should come here: the public answer, and what it depends on.

use std::path::PathBuf;
use std::time::Duration;

use cb_testkit::Database::{self, Postgres, Sqlite};
use http::Method;
use rstest::rstest;
use serde_json::json;

use crate::site::{Ask, Login, Site};

impl Site {
    async fn is_ready(&self) -> bool {
        let answer = self.ask(Ask::new("GET", "/api/v1/ready")).await;
        assert_eq!(answer.one("content-type"), "application/json", "{answer:?}");
        let ready = answer.status == 200;
        assert!(ready || answer.status == 503, "{answer:?}");
        // And nothing else.
        assert_eq!(answer.json(), json!({ "ready": ready }));
        assert_eq!(answer.all("retry-after").is_empty(), ready, "{answer:?}");
        ready
    }

    async fn becomes_ready(&self, wanted: bool) {
        for _ in 0..150 {
            // Where there are two servers, each of them.
            if self.is_ready().await == wanted && self.is_ready().await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("ready is not {wanted} after 15 seconds");
    }
}

#[rstest]
#[tokio::test]
async fn a_server_is_ready_until_it_begins_to_stop(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::alone(database, &[]).await;
    assert!(site.is_ready().await, "before the setup, too: its page is served");
    let head = site.ask(Ask::new("HEAD", "/api/v1/ready")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    // Before the doors close, whoever asks is sent elsewhere.
    site.test.app.leave();
    assert!(!site.is_ready().await);
    let head = site.ask(Ask::new("HEAD", "/api/v1/ready")).await;
    assert_eq!((head.status, head.one("content-length")), (503, "15"));
    assert_eq!(site.ask(Ask::new("GET", "/api/v1/health")).await.status, 200, "it lives");
}

#[rstest]
#[tokio::test]
async fn a_stop_makes_it_leave_at_once(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::alone(database, &[]).await;
    site.begin_to_stop();
    for _ in 0..100 {
        if !site.test.app.is_ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still ready a second after the stop");
}

/// A database that was taken away, and is put back.
#[tokio::test]
async fn a_server_that_cannot_save_is_not_ready() {
    let (site, login) = Site::ready(Sqlite).await;
    let here = site.test.data_dir().join("circuit-breaker.db");
    let elsewhere: PathBuf = here.with_extension("away");
    std::fs::rename(&here, &elsewhere).expect("moved");
    // Nobody has to fail first, but the look is sooner when somebody did.
    let tag = json!({ "name": "blue", "color": "#112233" });
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await.status, 503);
    site.becomes_ready(false).await;
    assert_eq!(site.ask(Ask::new("GET", "/api/v1/health")).await.status, 200, "it lives");
    std::fs::rename(&elsewhere, &here).expect("moved back");
    site.becomes_ready(true).await;
}

#[tokio::test]
async fn a_server_is_ready_while_its_postgresql_answers() {
    let mut site = Site::new(Postgres).await;
    assert!(site.is_ready().await);
    site.test.postgres().stop();
    site.becomes_ready(false).await;
    site.test.postgres().start_again();
    site.becomes_ready(true).await;
}

/// Somebody restores a dump into it, or drops its tables.
#[tokio::test]
async fn a_postgresql_without_its_tables_is_an_outage_and_no_fault() {
    let mut site = Site::new(Postgres).await;
    let login = Login::from_answer(&site.ask(site.setup_request()).await);
    site.test.postgres().sql("ALTER SCHEMA public RENAME TO elsewhere; CREATE SCHEMA public");
    for n in 0..6 {
        let tag = json!({ "name": format!("tag {n}"), "color": "#112233" });
        let answer = site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await;
        assert_eq!((answer.status, answer.all("retry-after").len()), (503, 1), "{answer:?}");
    }
    site.becomes_ready(false).await;
    site.test.postgres().sql("DROP SCHEMA public; ALTER SCHEMA elsewhere RENAME TO public");
    site.becomes_ready(true).await;
    let tag = json!({ "name": "blue", "color": "#112233" });
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await.status, 201);
}

#[test]
fn it_is_public_and_only_to_be_read() {
    assert!(cb_api::auth::is_public(&Method::GET, "/api/v1/ready"));
    assert!(!cb_api::auth::is_public(&Method::POST, "/api/v1/ready"));
}
