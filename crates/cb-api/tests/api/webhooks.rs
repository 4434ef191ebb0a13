//! Webhooks through the front door: what an answer shows, once, and what is refused with the field and the mend.

use std::time::Duration;

use cb_core::notice::NoticeKind;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::Receiver;
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Ask, Login, Site};

impl Site {
    /// The deliveries, once the newest has been written down: it was answered before.
    pub async fn delivered(&self, admin: &Login, path: &str) -> Value {
        for _ in 0..600 {
            let log = self.get(admin, &format!("{path}/deliveries")).await.json();
            if log["items"][0]["state"] == "delivered" {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it was never delivered");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_by_what_makes_it_and_never_again(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let (inbox, other) = (Receiver::start().await, Receiver::start().await);
    let kinds = site.get(&admin, "/api/v1/notice-kinds").await.json();
    assert_eq!(kinds.as_array().map(Vec::len), Some(NoticeKind::ALL.len()));

    let input =
        json!({ "name": "Home", "url": inbox.url("/in"), "events": ["asset.created", "asset.created"] });
    let made = site.post(&admin, "/api/v1/webhooks", input).await;
    assert_eq!((made.status, made.one("etag")), (201, "\"1\""));
    let made = made.json();
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert_eq!((&made["events"], &made["enabled"]), (&json!(["asset.created"]), &json!(true)));
    let path = format!("/api/v1/webhooks/{}", made["id"].as_str().expect("an id"));
    for shown in [
        site.get(&admin, &path).await,
        site.get(&admin, "/api/v1/webhooks?q=hom").await,
        site.patch(&admin, &path, json!({ "name": "Den", "url": inbox.url("/other-path") })).await,
        site.get(&admin, "/api/v1/audit-log").await,
    ] {
        assert_eq!(shown.status, 200);
        assert!(!shown.text().contains("whsec_"), "{}", shown.text());
    }
    let turned = site.post(&admin, &format!("{path}/secret"), json!({})).await.json();
    assert!(turned["secret"] != made["secret"] && turned["has_previous_secret"] == true, "{turned}");
    let moved = site.patch(&admin, &path, json!({ "url": other.url("/in") })).await.json();
    assert!(moved["secret"].is_string() && moved["secret"] != turned["secret"], "{moved}");
    assert_eq!(moved["has_previous_secret"], false);

    let stale = Ask::new("PATCH", &path).header("If-Match", "\"1\"").write(&admin, &json!({ "name": "x" }));
    assert_eq!(site.ask(stale).await.status, 412);
    let done = site.post(&admin, &format!("{path}/test"), json!({})).await.json();
    assert_eq!((&done["delivered"], &done["status"]), (&json!(true), &json!(204)));

    let asset = json!({ "name": "nas", "kind": "device" });
    assert_eq!(site.post(&admin, "/api/v1/assets", asset).await.status, 201);
    other.wait_for(2).await;
    let log = site.delivered(&admin, &path).await;
    let delivery = &log["items"][0];
    assert_eq!((&log["total"], &delivery["kind"]), (&json!(1), &json!("asset.created")));
    assert_eq!(delivery["payload"]["data"]["name"], "nas");
    let none = site.get(&admin, &format!("{path}/deliveries?state=dead")).await.json();
    assert_eq!(none["total"], 0);
    let again = format!("{path}/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    let again = site.post(&admin, &again, json!({})).await;
    assert_eq!((again.status, &again.json()["notice_id"]), (202, &delivery["notice_id"]));
    let heard = other.wait_for(3).await;
    assert_eq!(heard[1].header("webhook-id"), heard[2].header("webhook-id"));
    assert_eq!(site.ask(Ask::new("DELETE", &path).write(&admin, &json!({}))).await.status, 204);
    assert_eq!(site.get(&admin, &format!("{path}/deliveries")).await.status, 404);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_field(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let good = json!({ "name": "Home", "url": "http://10.0.0.5/in" });
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("name", json!("a\nb")),
        ("url", json!("http://169.254.169.254/")),
        ("url", json!("gopher://10.0.0.5/")),
        ("url", json!("http://10.0.0.5:99999/")),
        ("url", json!("//10.0.0.5/")),
        ("url", json!(format!("http://10.0.0.5/{}", "x".repeat(4000)))),
        ("url", json!(7)),
        ("events", json!(["test"])),
        ("events[0]", json!(["scan"])),
        ("certificate_sha256", json!("abc")),
        ("enabled", json!("yes")),
        ("secret", json!("whsec_AAAA")),
    ] {
        let mut input = good.clone();
        input[field.trim_end_matches("[0]")] = value.clone();
        let answer = site.post(&admin, "/api/v1/webhooks", input).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["errors"][0]["field"], field, "{value}: {problem}");
    }
    let made = site.post(&admin, "/api/v1/webhooks", good.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(site.post(&admin, "/api/v1/webhooks", good).await.status, 409);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let bad = site.get(&admin, &format!("/api/v1/webhooks/{id}/deliveries?state=lost")).await;
    assert_eq!((bad.status, &bad.json()["errors"][0]["field"]), (422, &json!("state")));
    for path in [
        format!("{id}/deliveries/x/redeliver"),
        format!("{id}/deliveries/{id}/redeliver"),
        "x/test".to_owned(),
    ] {
        assert_eq!(
            site.post(&admin, &format!("/api/v1/webhooks/{path}"), json!({})).await.status,
            404,
            "{path}"
        );
    }
    // A hundred, and no more.
    for n in 1..100 {
        let input = json!({ "name": format!("hook {n}"), "url": "http://10.0.0.5/in" });
        assert_eq!(site.post(&admin, "/api/v1/webhooks", input).await.status, 201, "{n}");
    }
    let input = json!({ "name": "one too many", "url": "http://10.0.0.5/in" });
    assert_eq!(site.post(&admin, "/api/v1/webhooks", input).await.status, 409);
}
