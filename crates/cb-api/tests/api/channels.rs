//! Channels through the front door: a form for every kind, nothing secret in any answer, and what is refused with the field and
//! the mend.

use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Receiver, Reply};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Ask, Site};

fn phone(server: &str) -> Value {
    json!({
        "name": "Phone", "kind": "gotify", "public": { "server": server }, "secret": { "token": "Ageheim" },
    })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_set_up_tried_and_sent_again(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let server = Receiver::start().await;
    server.answers(Reply::status(200).body("{}"));
    let made = site.post(&admin, "/api/v1/channels", phone(&server.url("/gotify"))).await;
    assert_eq!((made.status, made.one("etag")), (201, "\"1\""), "{}", made.text());
    let made = made.json();
    assert_eq!(
        (&made["to"], &made["has_secret"], &made["min_severity"], &made["events"], &made["enabled"]),
        (
            &json!(format!("http://{}", server.address)),
            &json!(true),
            &json!("info"),
            &json!([]),
            &json!(true)
        )
    );
    let path = format!("/api/v1/channels/{}", made["id"].as_str().expect("an id"));
    let done = site.post(&admin, &format!("{path}/test"), json!({})).await.json();
    assert_eq!((&done["delivered"], &done["status"]), (&json!(true), &json!(200)), "{done}");
    assert_eq!(server.received()[0].path, "/gotify/message");

    let asset = json!({ "name": "nas", "kind": "device" });
    assert_eq!(site.post(&admin, "/api/v1/assets", asset).await.status, 201);
    server.wait_for(2).await;
    let log = site.delivered(&admin, &path).await;
    let delivery = &log["items"][0];
    assert_eq!((&log["total"], &delivery["kind"]), (&json!(1), &json!("asset.created")));
    let again = format!("{path}/deliveries/{}/redeliver", delivery["id"].as_str().expect("an id"));
    let again = site.post(&admin, &again, json!({})).await;
    assert_eq!((again.status, &again.json()["notice_id"]), (202, &delivery["notice_id"]));
    server.wait_for(3).await;

    let patch = json!({ "name": "Den", "min_severity": "critical", "events": ["scan.finished"] });
    let changed = site.patch(&admin, &path, patch).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let stale = Ask::new("PATCH", &path).header("If-Match", "\"1\"").write(&admin, &json!({ "name": "x" }));
    assert_eq!(site.ask(stale).await.status, 412);
    let moved = json!({ "public": { "server": server.url("/elsewhere") } });
    let moved = site.patch(&admin, &path, moved).await;
    assert_eq!((moved.status, &moved.json()["errors"][0]["field"]), (422, &json!("secret")));
    for shown in [
        site.get(&admin, &path).await,
        site.get(&admin, "/api/v1/channels?q=den&kind=gotify&sort=-created_at").await,
        site.get(&admin, "/api/v1/audit-log").await,
        site.get(&admin, &format!("{path}/deliveries")).await,
    ] {
        assert_eq!(shown.status, 200);
        assert!(!shown.text().contains("geheim"), "{}", shown.text());
    }
    let none = site.get(&admin, "/api/v1/channels?kind=email").await.json();
    assert_eq!(none["total"], 0);
    assert_eq!(site.ask(Ask::new("DELETE", &path).write(&admin, &json!({}))).await.status, 204);
    assert_eq!(site.get(&admin, &format!("{path}/deliveries")).await.status, 404);
}

/// The page builds its forms of nothing else.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_describes_its_fields(#[values(Sqlite)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let kinds = site.get(&admin, "/api/v1/channel-kinds").await.json();
    let kinds = kinds.as_array().expect("a list");
    assert_eq!(kinds.len(), 10);
    for kind in kinds {
        for part in ["public", "secret"] {
            let schema = &kind[part];
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
            let order = schema["x-order"].as_array().expect("an order");
            assert_eq!(order.len(), schema["properties"].as_object().expect("fields").len(), "{kind}");
            for field in schema["properties"].as_object().expect("fields").values() {
                assert!(field["title"].is_string() && field["maxLength"].is_u64(), "{kind}");
                assert_eq!(field["writeOnly"] == true, part == "secret", "{kind}");
            }
        }
        let hosted = ["discord", "teams", "telegram", "pushover"];
        let hosted = hosted.iter().any(|name| kind["kind"] == *name);
        assert_eq!(kind["pin"].is_null(), hosted, "{kind}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_field(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let good = phone("http://10.0.0.5/");
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\nb")),
        ("name", json!("x".repeat(101))),
        ("kind", json!("pigeon")),
        ("kind", json!(7)),
        ("events", json!(["test"])),
        ("events[0]", json!(["scan"])),
        ("min_severity", json!("urgent")),
        ("public.server", json!({})),
        ("public.server", json!({ "server": "gotify.lan" })),
        ("public.server", json!({ "server": "http://127.0.0.1.nip.io:99999/" })),
        ("public.server", json!({ "server": "x".repeat(100_000) })),
        ("public", json!({ "server": "http://10.0.0.5/", "token": "geheim" })),
        ("public", json!("http://10.0.0.5/")),
        ("secret.token", json!({})),
        ("secret.token", json!({ "token": "" })),
        ("secret.token", json!({ "token": "geheim geheim" })),
        ("secret.token", json!({ "token": "geheim\r\nX: y" })),
        ("secret", json!({ "token": "x", "geheim": "y" })),
        ("secret", json!("geheim, expected")),
        ("secret.token", json!({ "token": ["geheim"] })),
        ("certificate_sha256", json!("abc")),
        ("enabled", json!("yes")),
        ("to", json!("http://10.0.0.5")),
    ] {
        let mut input = good.clone();
        let part = field.split(['.', '[']).next().unwrap_or_default();
        input[part] = value.clone();
        let answer = site.post(&admin, "/api/v1/channels", input).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["errors"][0]["field"], field, "{value}: {problem}");
        assert!(!answer.text().contains("geheim"), "{}", answer.text());
    }
    let pinned = json!({
        "name": "Room", "kind": "telegram", "public": { "chat_id": "1" }, "secret": { "token": "1:a" },
        "certificate_sha256": "AB".repeat(32),
    });
    let pinned = site.post(&admin, "/api/v1/channels", pinned).await;
    assert_eq!((pinned.status, &pinned.json()["errors"][0]["field"]), (422, &json!("certificate_sha256")));

    let made = site.post(&admin, "/api/v1/channels", good.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(site.post(&admin, "/api/v1/channels", good).await.status, 409);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let kind = site.patch(&admin, &format!("/api/v1/channels/{id}"), json!({ "kind": "ntfy" })).await;
    assert_eq!((kind.status, &kind.json()["errors"][0]["field"]), (422, &json!("kind")));
    let cleared = site.patch(&admin, &format!("/api/v1/channels/{id}"), json!({ "secret": {} })).await;
    assert_eq!((cleared.status, &cleared.json()["errors"][0]["field"]), (422, &json!("secret.token")));
    let bad = site.get(&admin, "/api/v1/channels?kind=pigeon").await;
    assert_eq!((bad.status, &bad.json()["errors"][0]["field"]), (422, &json!("kind")));
    for path in [format!("{id}/deliveries/{id}/redeliver"), "x/test".to_owned()] {
        let answer = site.post(&admin, &format!("/api/v1/channels/{path}"), json!({})).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    // A hundred, and no more.
    for n in 1..100 {
        let mut input = phone("http://10.0.0.5/");
        input["name"] = json!(format!("channel {n}"));
        assert_eq!(site.post(&admin, "/api/v1/channels", input).await.status, 201, "{n}");
    }
    let mut input = phone("http://10.0.0.5/");
    input["name"] = json!("one too many");
    assert_eq!(site.post(&admin, "/api/v1/channels", input).await.status, 409);
}

/// A secret, and where it goes, are changed by whoever has just proved who they are.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_and_its_place_want_a_fresh_proof(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let made = site.post(&admin, "/api/v1/channels", phone("http://10.0.0.5/")).await.json();
    let path = format!("/api/v1/channels/{}", made["id"].as_str().expect("an id"));
    site.test.clock.advance(TimeDelta::minutes(30));
    let mut another = phone("http://10.0.0.6/");
    another["name"] = json!("Another");
    for answer in [
        site.post(&admin, "/api/v1/channels", another).await,
        site.patch(&admin, &path, json!({ "secret": { "token": "Ax" } })).await,
        site.patch(
            &admin,
            &path,
            json!({ "public": { "server": "http://10.0.0.6/" }, "secret": { "token": "Ax" } }),
        )
        .await,
    ] {
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert_eq!(site.patch(&admin, &path, json!({ "name": "Den" })).await.status, 200);
    let same = json!({ "public": { "server": "http://10.0.0.5/" }, "certificate_sha256": null });
    assert_eq!(site.patch(&admin, &path, same).await.status, 200, "nothing moves");
}
