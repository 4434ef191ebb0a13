//! How the servers do: who they are, and what is degraded.

use std::time::{Duration, Instant};

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Ask, Login, Site};

impl Site {
    async fn operations(&self, login: &Login) -> Value {
        let answer = self.get(login, "/api/v1/operations").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

#[rstest]
#[tokio::test]
async fn a_server_tells_who_it_is_and_that_everything_works(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    // A link may be lost for a moment on a machine with too much to do.
    let began = Instant::now();
    let all = loop {
        let all = site.operations(&login).await;
        if all["degraded"] == json!([]) {
            break all;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{all}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let servers = all["servers"].as_array().expect("a list");
    assert_eq!(servers.len(), if database == Sqlite { 1 } else { 2 });
    assert!(servers.iter().any(|server| server["id"] == all["server"]));
    for server in servers {
        assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
        assert!(server["host"].as_str().is_some_and(|host| !host.is_empty()));
        assert!(server["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000));
    }
    let kind = if database == Sqlite { "sqlite" } else { "postgres" };
    assert_eq!(all["database"]["kind"], kind);
    assert_eq!(all["database"]["storage"]["state"], "serving");
    let pool = &all["database"]["pools"][0];
    assert!(
        pool["idle"].as_u64() <= pool["open"].as_u64() && pool["open"].as_u64() <= pool["most"].as_u64(),
        "{pool}"
    );
    let fabric = &all["fabric"];
    if database == Sqlite {
        assert_eq!(*fabric, json!({ "mode": "embedded", "redis": null, "nats": null }));
    } else {
        assert_eq!(
            (&fabric["mode"], &fabric["redis"]["up"], &fabric["nats"]["up"]),
            (&json!("cluster"), &json!(true), &json!(true)),
            "{fabric}"
        );
    }
}

#[tokio::test]
async fn what_is_degraded_is_told_with_what_to_do() {
    let (site, login) = Site::ready(Sqlite).await;
    let here = site.test.data_dir().join("circuit-breaker.db");
    std::fs::rename(&here, here.with_extension("away")).expect("moved");
    let tag = json!({ "name": "blue", "color": "#112233" });
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await.status, 503);
    let mut all = site.operations(&login).await;
    for _ in 0..100 {
        if all["database"]["storage"]["state"] != "serving" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        all = site.operations(&login).await;
    }
    let one = &all["degraded"][0];
    assert_eq!(one["code"], "storage", "{all}");
    for part in ["what", "means", "fix"] {
        assert!(one[part].as_str().is_some_and(|text| text.ends_with('.')), "{part} in {one}");
    }
    assert_eq!(one["why"], all["database"]["storage"]["trouble"]);
}
