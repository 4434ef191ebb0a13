//! The first administrator.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::json;

use crate::site::{Ask, Site};

#[rstest]
#[tokio::test]
async fn of_two_setups_at_once_exactly_one_wins(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::new(database).await;
    let (one, two) = (site.setup_request(), site.setup_request());
    let (one, two) = tokio::join!(site.ask(one), site.ask(two));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let state = site.ask(Ask::new("GET", "/api/v1/setup")).await;
    assert_eq!(state.json(), json!({ "required": false }));
}

#[rstest]
#[tokio::test]
async fn a_wrong_code_is_a_403_and_leaves_setup_open(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::new(database).await;
    let body =
        json!({ "code": "WRONG", "username": "eve", "password": "seven red kettles sing" }).to_string();
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/setup").json(body)).await.status, 403);
    let missing = json!({ "username": "eve", "password": "seven red kettles sing" }).to_string();
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/setup").json(missing)).await.status, 422);
    assert_eq!(site.ask(site.setup_request()).await.status, 201);
}
