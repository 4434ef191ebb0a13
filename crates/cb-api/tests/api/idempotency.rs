//! A `POST` that is sent again is carried out once.

use std::time::Duration;

use cb_api::idempotency::shows_secrets;
use cb_store::entities::kept_answer;
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::site::{Answer, Ask, Held, Login, Site};

async fn send(site: &Site, by: &Login, key: &str, path: &str, body: &Value) -> Answer {
    let ask = Ask::new("POST", path).header("Idempotency-Key", key);
    site.ask(ask.write(by, body)).await
}

const TAGS: &str = "/api/v1/tags";

fn tag(name: &str) -> Value {
    json!({ "name": name, "color": "#112233" })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_is_answered_as_before(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let first = send(&site, &admin, "k-1", TAGS, &tag("rack")).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert!(first.all("idempotency-replayed").is_empty());
    for _ in 0..2 {
        let again = send(&site, &admin, "k-1", TAGS, &tag("rack")).await;
        assert_eq!(
            (again.status, again.text(), again.one("idempotency-replayed")),
            (201, first.text(), "true")
        );
        assert_eq!(again.all("etag"), first.all("etag"));
        assert_eq!(again.one("content-type"), first.one("content-type"));
    }
    let total = async || site.get(&admin, TAGS).await.json()["total"].clone();
    assert_eq!(total().await, 1);

    // Another request, another path, another person.
    let other = send(&site, &admin, "k-1", TAGS, &tag("shelf")).await;
    assert_eq!(other.status, 422, "{}", other.text());
    assert_eq!(other.json()["errors"][0]["field"], "Idempotency-Key");
    let elsewhere = send(&site, &admin, "k-1", "/api/v1/assets", &tag("rack")).await;
    assert_eq!(elsewhere.status, 422);
    site.user(&admin, "grace", "editor").await;
    let grace = site.signed_in("grace").await;
    assert_eq!(send(&site, &grace, "k-1", TAGS, &tag("hers")).await.status, 201);
    assert_eq!(total().await, 2);

    // What was refused can be mended under the same key.
    assert_eq!(send(&site, &admin, "k-2", TAGS, &tag("rack")).await.status, 409);
    assert_eq!(send(&site, &admin, "k-2", TAGS, &tag("drawer")).await.status, 201);

    for (key, why) in [("", "empty"), ("a b", "a space"), (&*"x".repeat(256), "long"), ("ä", "no ASCII")] {
        let refused = send(&site, &admin, key, TAGS, &tag("never")).await;
        assert_eq!(refused.status, 422, "{why}: {}", refused.text());
    }
    let twice = Ask::new("POST", TAGS).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(site.ask(twice.write(&admin, &tag("never"))).await.status, 400);

    // A day later it is a new request.
    site.test.clock.advance(TimeDelta::hours(25));
    let admin = Login::from_answer(&site.login(TestApp::USERNAME, TestApp::PASSWORD).await);
    assert_eq!(send(&site, &admin, "k-1", TAGS, &tag("later")).await.status, 201);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_equal_requests_at_once_one_is_carried_out(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let asset = json!({ "name": "one", "kind": "device" });
    let answers = join_all((0..12).map(|_| send(&site, &admin, "once", "/api/v1/assets", &asset))).await;
    assert!(answers.iter().all(|a| matches!(a.status, 201 | 409)), "{answers:?}");
    assert!(answers.iter().any(|a| a.status == 201));
    assert_eq!(site.get(&admin, "/api/v1/assets").await.json()["total"], 1);
    let again = send(&site, &admin, "once", "/api/v1/assets", &asset).await;
    assert_eq!((again.status, again.one("idempotency-replayed")), (201, "true"));
}

/// 503 says that nothing was saved and asks to send the request again: the same key must then do.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refused_can_be_sent_again_under_its_key() {
    let (site, admin) = Site::ready(Postgres).await;
    let held = Held::lock(&site, "tags").await;
    let refused = send(&site, &admin, "k", TAGS, &tag("rack")).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.one("retry-after").is_empty());
    held.release().await;
    let again = send(&site, &admin, "k", TAGS, &tag("rack")).await;
    assert_eq!(again.status, 201, "{}", again.text());
}

#[rstest]
#[tokio::test]
async fn a_secret_is_shown_once(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let body = json!({ "name": "script", "scopes": ["inventory:read"], "expires_in_days": 5 });
    let first = send(&site, &admin, "t", "/api/v1/tokens", &body).await;
    assert_eq!(first.status, 201);
    let again = send(&site, &admin, "t", "/api/v1/tokens", &body).await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert!(!again.text().contains("cb_pat_"));
    assert_eq!(site.get(&admin, "/api/v1/tokens").await.json().as_array().map(Vec::len), Some(1));
}

/// A connection that is lost is what the header is for: what was asked is carried out once, and answered when it is asked again.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_asks_again_and_is_answered(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let kept = site.database().await;
    let tries = 12;
    for n in 0..tries {
        let (key, body) = (format!("cut-{n}"), tag(&format!("rack {n}")));
        let begun = kept_answer::Entity::find().count(&kept).await.expect("counted");
        // Of the even ones, the client hangs up once the request has taken its key. On PostgreSQL it cannot be over by then.
        let waits = n % 2 == 0;
        let held = if waits && database == Postgres { Some(Held::lock(&site, "tags").await) } else { None };
        let ask = Ask::new("POST", TAGS).header("Host", site.host()).header("Idempotency-Key", &key);
        let bytes = ask.write(&admin, &body).bytes();
        let mut stream = site.connect().await;
        stream.write_all(&bytes).await.expect("written");
        stream.flush().await.expect("written");
        tokio::time::sleep(Duration::from_millis(3 * n)).await;
        while waits && kept_answer::Entity::find().count(&kept).await.expect("counted") == begun {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(stream);
        if let Some(held) = held {
            held.release().await;
        }
        let mut last = send(&site, &admin, &key, TAGS, &body).await;
        for _ in 0..200 {
            if last.status != 409 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
            last = send(&site, &admin, &key, TAGS, &body).await;
        }
        assert_eq!(last.status, 201, "{n}: {}", last.text());
        let replayed = !last.all("idempotency-replayed").is_empty();
        assert!(replayed || !waits, "{n}: the request did not go on");
    }
    assert_eq!(site.get(&admin, TAGS).await.json()["total"], tries);
}

/// A session's answer is for sessions of the same user with the same role, a token's for that token with the same scopes.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_given_to_who_might_not_have_got_it(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    assert_eq!(send(&site, &admin, "mine", TAGS, &tag("rack")).await.status, 201);
    for (scopes, status) in
        [(json!(["inventory:read"]), 403), (json!(["inventory:read", "inventory:write"]), 409)]
    {
        let body = json!({ "name": format!("script {status}"), "scopes": scopes, "expires_in_days": 5 });
        let token = site.post(&admin, "/api/v1/tokens", body).await.json()["secret"].clone();
        let bearer = format!("Bearer {}", token.as_str().expect("a secret"));
        let ask = Ask::new("POST", TAGS).header("Idempotency-Key", "mine").header("Authorization", &bearer);
        let answer = site.ask(ask.json(tag("rack").to_string())).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }

    // An editor who is made a viewer does not get an editor's answer again.
    let grace = site.user(&admin, "grace", "editor").await;
    let hers = site.signed_in("grace").await;
    assert_eq!(send(&site, &hers, "hers", TAGS, &tag("shelf")).await.status, 201);
    let patched = site.patch(&admin, &format!("/api/v1/users/{grace}"), json!({ "role": "viewer" })).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let hers = site.signed_in("grace").await;
    let refused = send(&site, &hers, "hers", TAGS, &tag("shelf")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

/// A route whose answer shows something that looks like a secret, and which the list lacks, would keep it in the database.
#[test]
fn every_answer_with_a_secret_in_it_is_known() {
    const SECRETS: [&str; 9] = [
        "secret",
        "token",
        "url",
        "link",
        "codes",
        "csrf_token",
        "signing_secret",
        "registration_token",
        "uri",
    ];
    // An address that somebody typed, and where a delivery went.
    const SHOWN: [&str; 3] = ["WebhookOut", "DeliveryOut", "ChannelOut"];
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let mut known = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let answers = item["post"]["responses"].as_object().into_iter().flatten();
        for (_, answer) in answers {
            let schema = &answer["content"]["application/json"]["schema"];
            let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
            let fields =
                document["components"]["schemas"][name]["properties"].as_object().into_iter().flatten();
            let secret = fields.into_iter().any(|(field, _)| SECRETS.contains(&field.as_str()));
            let public = cb_api::auth::is_public(&http::Method::POST, path);
            if secret && !public && !SHOWN.contains(&name) {
                known += 1;
                assert!(shows_secrets(path), "{path} answers with {name}, which shows a secret");
            }
        }
    }
    assert!(known > 5, "{known}");
    for route in cb_api::idempotency::ONCE {
        assert!(!document["paths"][format!("/api/v1{route}")]["post"].is_null(), "{route} is no route");
    }
}
