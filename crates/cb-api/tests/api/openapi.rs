//! The committed description is the true one.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::Value;

use crate::site::Site;

#[test]
fn docs_openapi_json_is_what_the_routes_say() {
    // From the package's folder, where tests run; a path of the build could be another clone's.
    let file = "../../docs/openapi.json";
    let committed: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("docs/openapi.json")).expect("JSON");
    let current = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    assert!(committed == current, "docs/openapi.json is out of date: run `make gen` and commit the result");
}

#[rstest]
#[tokio::test]
async fn the_server_describes_itself_to_those_who_are_signed_in(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, login) = Site::ready(database).await;
    let answer = site.get(&login, "/api/v1/openapi.json").await;
    assert!(answer.json()["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
}
