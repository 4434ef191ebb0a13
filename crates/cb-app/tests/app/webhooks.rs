//! Webhooks that arrive: what is sent, what it is signed with, and to whom a secret belongs.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_app::assets::{self, AssetIn, AssetOut};
use cb_app::notify::deliveries::{DeliveryOut, DeliveryState};
use cb_app::notify::webhooks::{self, WebhookIn, WebhookOut, WebhookPatch};
use cb_app::{Ctx, List, audit, metrics, vault};
use cb_core::config::Config;
use cb_core::ids::WebhookId;
use cb_core::{Error, NoticeKind, Principal, Role};
use cb_store::sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Received, Receiver, Reply, TestApp};
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::write_path::raw;

/// Who administers by a token of the machine's operator, which no clock ends.
pub async fn ready(database: Database) -> (TestApp, Ctx) {
    let (test, _) = TestApp::ready(database).await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    (test, ctx)
}

pub fn wanted(name: &str, url: &str) -> WebhookIn {
    serde_json::from_value(json!({ "name": name, "url": url })).expect("a webhook")
}

pub async fn hook(ctx: &Ctx, name: &str, url: String) -> WebhookOut {
    webhooks::create(ctx, wanted(name, &url)).await.expect("created")
}

/// Something happens.
pub async fn happens(ctx: &Ctx, name: &str) -> AssetOut {
    let input: AssetIn = serde_json::from_value(json!({ "name": name, "kind": "device" })).expect("an asset");
    assets::create(ctx, input).await.expect("created")
}

pub async fn log(ctx: &Ctx, id: WebhookId) -> Vec<DeliveryOut> {
    webhooks::deliveries(ctx, id, &List::default(), None).await.expect("reads").items
}

/// Waits until the newest delivery is as wanted.
pub async fn newest(ctx: &Ctx, id: WebhookId, wanted: impl Fn(&DeliveryOut) -> bool) -> DeliveryOut {
    let mut last = None;
    for _ in 0..600 {
        last = log(ctx, id).await.into_iter().next();
        if let Some(found) = last.take_if(|d| wanted(d)) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to that: {last:?}");
}

/// By hand: no code of ours is in it.
fn signature(secret: &str, request: &Received) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(
        format!("{}.{}.", request.header("webhook-id"), request.header("webhook-timestamp")).as_bytes(),
    );
    mac.update(&request.body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn body(request: &Received) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

async fn count(test: &TestApp, sql: &str) -> i64 {
    let db = raw(test).await;
    let backend = if test.config().db_url.is_some() { DbBackend::Postgres } else { DbBackend::Sqlite };
    let row = db.query_one_raw(Statement::from_string(backend, sql)).await.expect("reads").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_once_and_signed(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(200).body("thank you"));
    let hook = hook(&ctx, "Home", inbox.url("/in?token=x")).await;
    let secret = hook.secret.expect("shown once");
    assert!(webhooks::get(&ctx, hook.id).await.expect("reads").secret.is_none());
    let asset = happens(&ctx, "nas").await;

    let request = inbox.wait_for(1).await.remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/in?token=x"));
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-signature"), signature(&secret, &request));
    assert_eq!(request.header("webhook-timestamp"), test.app.now().timestamp().to_string());
    let sent = body(&request);
    assert_eq!(
        (&sent["type"], &sent["timestamp"]),
        (&json!("asset.created"), &json!("2026-01-01T12:00:00Z"))
    );
    assert_eq!(sent["data"]["asset_id"], json!(asset.id));
    assert_eq!(
        (&sent["data"]["title"], &sent["data"]["severity"]),
        (&json!("nas was added"), &json!("info"))
    );

    let told = newest(&ctx, hook.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(told.notice_id.to_string(), request.header("webhook-id"));
    assert_eq!(told.payload, sent);
    assert_eq!((told.attempts.len(), told.attempts[0].status), (1, Some(200)));
    assert_eq!(told.attempts[0].excerpt.as_deref(), Some("thank you"));
    let now = webhooks::get(&ctx, hook.id).await.expect("reads");
    assert!(now.last_delivered_at.is_some() && now.failing_since.is_none());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(inbox.received().len(), 1, "once");
    let page = metrics::page(&ctx).await.expect("told").into_text();
    for line in ["outcome=\"delivered\"} 1\n", "cb_deliveries_waiting{to=\"webhook\"} 0\n"] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_what_they_do_not_want_or_what_did_not_happen(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    let mut input = wanted("Scans", &inbox.url("/"));
    input.events = vec![NoticeKind::ScanFinished];
    let scans = webhooks::create(&ctx, input).await.expect("created");
    let off = hook(&ctx, "Off", inbox.url("/off")).await;
    let patch = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    webhooks::update(&ctx, off.id, patch, None).await.expect("disabled");
    let asset = happens(&ctx, "nas").await;
    assert_eq!(count(&test, "SELECT COUNT(*) FROM notices").await, 0, "nobody wants it: nothing is kept");
    let all = hook(&ctx, "All", inbox.url("/all")).await;
    assets::delete(&ctx, asset.id, Some(77)).await.expect_err("another version");
    assert_eq!(count(&test, "SELECT COUNT(*) FROM notices").await, 0, "it did not happen");
    assets::delete(&ctx, asset.id, None).await.expect("removed");
    let heard = inbox.wait_for(1).await;
    assert_eq!((heard[0].path.as_str(), &body(&heard[0])["type"]), ("/all", &json!("asset.removed")));
    assert!(log(&ctx, scans.id).await.is_empty() && log(&ctx, off.id).await.is_empty());
    assert_eq!(log(&ctx, all.id).await.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn during_an_overlap_both_secrets_sign_and_then_one(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    let old = made.secret.expect("shown once");
    let turned = webhooks::rotate_secret(&ctx, made.id).await.expect("rotates");
    let new = turned.secret.expect("shown once");
    assert_ne!(old, new);
    assert_eq!(turned.previous_secret_until, Some(test.app.now() + TimeDelta::hours(24)));
    // A rotation of the vault takes both along.
    vault::rotate(&ctx).await.expect("rotates");
    happens(&ctx, "one").await;
    let first = inbox.wait_for_one(|request| body(request)["type"] == "asset.created").await;
    let both = format!("{} {}", signature(&new, &first), signature(&old, &first));
    assert_eq!(first.header("webhook-signature"), both, "the new one first");

    test.clock.advance(TimeDelta::hours(24));
    happens(&ctx, "two").await;
    let last = inbox.wait_for_one(|request| body(request)["data"]["name"] == "two").await;
    assert_eq!(last.header("webhook-signature"), signature(&new, &last));
    let now = webhooks::get(&ctx, made.id).await.expect("reads");
    assert!(!now.has_previous_secret && now.previous_secret_until.is_none());
    drop(ctx);
    let test = test.restart().await;
    for _ in 0..100 {
        if count(&test, "SELECT COUNT(*) FROM webhooks WHERE previous_secret IS NOT NULL").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the old secret is still kept");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_origin_is_never_shown_what_the_old_secret_signs(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (_test, ctx) = ready(database).await;
    let (home, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let made = hook(&ctx, "Home", home.url("/a")).await;
    let old = made.secret.expect("shown once");
    webhooks::rotate_secret(&ctx, made.id).await.expect("rotates");
    let to = |url: String| WebhookPatch { url: Some(url), ..WebhookPatch::default() };
    let same = webhooks::update(&ctx, made.id, to(home.url("/b")), None).await.expect("moves");
    assert!(same.secret.is_none() && same.has_previous_secret, "the same origin keeps its secrets");
    let moved = webhooks::update(&ctx, made.id, to(elsewhere.url("/b")), None).await.expect("moves");
    let new = moved.secret.expect("another origin has another secret");
    assert!(new != old && !moved.has_previous_secret);
    happens(&ctx, "nas").await;
    let request = elsewhere.wait_for(1).await.remove(0);
    assert_eq!(request.header("webhook-signature"), signature(&new, &request), "and no other");
    assert!(home.received().is_empty());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_sees_no_path_no_reason_and_no_answer(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(500).body("inner name: db7"));
    let made = hook(&ctx, "Home", inbox.url("/secret-path")).await;
    happens(&ctx, "nas").await;
    let seen = newest(&ctx, made.id, |d| !d.attempts.is_empty()).await;
    assert_eq!(
        (seen.attempts[0].status, seen.attempts[0].excerpt.as_deref()),
        (Some(500), Some("inner name: db7"))
    );

    let editor = Principal::User {
        id: test.app.new_id().into(),
        username: "ed".to_owned(),
        role: Role::Editor,
        session: test.app.new_id().into(),
        proved_at: None,
    };
    let editor = test.app.ctx(editor, test.meta());
    let shown = webhooks::get(&editor, made.id).await.expect("reads");
    assert_eq!(shown.url, format!("http://{}", inbox.address));
    let listed = webhooks::list(&editor, &List::default()).await.expect("reads").items;
    assert_eq!(listed[0].url, shown.url);
    let attempt = log(&editor, made.id).await.remove(0).attempts.remove(0);
    assert_eq!((attempt.status, attempt.excerpt, attempt.took_ms), (None, None, 0));
    assert_eq!(attempt.error.as_deref(), Some("It was not delivered. An administrator can see why."));
    for refused in [
        webhooks::test(&editor, made.id).await.err(),
        webhooks::rotate_secret(&editor, made.id).await.err(),
        webhooks::delete(&editor, made.id, None).await.err(),
    ] {
        assert!(matches!(refused, Some(Error::Denied(_))), "{refused:?}");
    }
    let entries = audit::list(&ctx, &List::default(), &audit::EntryFilter::default()).await.expect("reads");
    let told = serde_json::to_string(&entries.items).expect("JSON");
    assert!(!told.contains("secret-path") && !told.contains("whsec_"), "{told}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_ours_is_refused_with_the_reason(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::closed(database).await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    for url in [
        "http://127.0.0.1:9/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "ftp://10.0.0.5/",
        "http://user:word@10.0.0.5/",
        "http://0x7f.1/",
        "not a url",
        "",
    ] {
        let refused = webhooks::create(&ctx, wanted("Home", url)).await.err();
        let Some(Error::Invalid(fields)) = refused else { panic!("{url}: {refused:?}") };
        assert_eq!((fields.len(), fields[0].field.as_str()), (1, "url"), "{url}: {fields:?}");
    }
    // A name may be entered before the name server knows it. What it leads to is judged when something is sent.
    let later = hook(&ctx, "Later", "http://nas.invalid/in".to_owned()).await;
    let tested = webhooks::test(&ctx, later.id).await.expect("tried");
    assert!(!tested.delivered && tested.status.is_none(), "{tested:?}");
    assert!(tested.error.as_ref().is_some_and(|why| why.contains("nas.invalid")), "{tested:?}");
    let long = format!("http://10.0.0.5/{}", "x".repeat(2000));
    assert!(webhooks::create(&ctx, wanted("Home", &long)).await.is_err());
    let made = hook(&ctx, "Home", "http://10.0.0.5/in".to_owned()).await;
    let there = WebhookPatch { url: Some("http://127.0.0.1:9/".to_owned()), ..WebhookPatch::default() };
    assert!(matches!(webhooks::update(&ctx, made.id, there, None).await, Err(Error::Invalid(_))));
    let twice = webhooks::create(&ctx, wanted("HOME", "http://10.0.0.6/")).await.err();
    assert!(matches!(twice, Some(Error::Taken(_))), "{twice:?}");
}

/// What `CB_DB_URL` has on 127.0.0.1 may listen on every address of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn our_database_is_refused_at_every_address_of_this_machine() {
    let (test, _) = TestApp::ready(Postgres).await;
    let wide = |config: &mut Config| config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a range")];
    let test = test.restart_with(wide).await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    let url: Url = test.config().db_url.as_ref().expect("PostgreSQL").expose().parse().expect("a URL");
    let (host, port) = (url.host_str().expect("a host"), url.port().expect("a port"));
    assert_eq!(host, "127.0.0.1");
    for other in ["127.0.0.1", "127.0.0.2"] {
        let refused = webhooks::create(&ctx, wanted("Home", &format!("http://{other}:{port}/"))).await.err();
        let Some(Error::Invalid(fields)) = refused else { panic!("{other}: {refused:?}") };
        assert!(fields[0].reason.contains("own services"), "{other}: {fields:?}");
    }
    hook(&ctx, "Home", format!("http://127.0.0.2:{}/", port ^ 1)).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_at_once_and_leaves_no_delivery(#[values(Sqlite, Postgres)] database: Database) {
    let (_test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.then(Reply::status(200).body("ok"));
    inbox.then(Reply::status(404).body("who?"));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    let secret = made.secret.expect("shown once");
    let said = webhooks::test(&ctx, made.id).await.expect("sends");
    assert!(said.delivered && said.status == Some(200) && said.excerpt.as_deref() == Some("ok"), "{said:?}");
    let request = inbox.wait_for(1).await.remove(0);
    assert_eq!(body(&request)["type"], "test");
    assert_eq!(request.header("webhook-signature"), signature(&secret, &request));
    let said = webhooks::test(&ctx, made.id).await.expect("sends");
    assert!(!said.delivered && said.status == Some(404) && said.error.is_some(), "{said:?}");
    assert_eq!(said.note, None);
    inbox.then(Reply::status(202));
    let said = webhooks::test(&ctx, made.id).await.expect("sends");
    assert!(said.delivered && said.note.is_some_and(|note| note.contains("whether it arrived")));
    assert!(log(&ctx, made.id).await.is_empty());
    assert!(webhooks::get(&ctx, made.id).await.expect("reads").failing_since.is_none());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_slow_holds_up_itself_only(#[values(Sqlite, Postgres)] database: Database) {
    let (_test, ctx) = ready(database).await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.answers(Reply::status(200).after(Duration::from_secs(3)));
    let slow_hook = hook(&ctx, "Slow", slow.url("/")).await;
    hook(&ctx, "Quick", quick.url("/")).await;
    for n in 0..40 {
        happens(&ctx, &format!("host {n}")).await;
    }
    let began = std::time::Instant::now();
    let ids: BTreeSet<String> =
        quick.wait_for(40).await.iter().map(|r| r.header("webhook-id").to_owned()).collect();
    // Eight at a time behind those of the slow one would take fifteen.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(ids.len(), 40, "each once");
    slow.wait_for(9).await;
    assert!(slow.most_at_once() <= 8, "{}", slow.most_at_once());
    assert!(log(&ctx, slow_hook.id).await.iter().any(|d| d.state == DeliveryState::Waiting));
}

/// Longer than one wait for a lock, and than the pause after a fault: whoever forgets what was sent sends it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_while_the_database_is_busy_is_not_sent_again() {
    let (test, ctx) = ready(Postgres).await;
    let receiver = Receiver::start().await;
    receiver.answers(Reply::status(200).after(Duration::from_secs(1)));
    let made = hook(&ctx, "Home", receiver.url("/")).await;
    happens(&ctx, "nas").await;
    receiver.wait_for(1).await;
    let mut one =
        cb_store::sea_orm::ConnectOptions::new(test.config().db_url.as_ref().expect("one").expose());
    one.max_connections(1);
    let other = cb_store::sea_orm::Database::connect(one).await.expect("connects");
    for sql in ["BEGIN", "SELECT id FROM deliveries FOR UPDATE"] {
        other.execute_unprepared(sql).await.expect("locked");
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    other.execute_unprepared("ROLLBACK").await.expect("let go");
    let told = newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(told.attempts.len(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.received().len(), 1, "sent once");
    assert_eq!(webhooks::get(&ctx, made.id).await.expect("reads").failing_since, None);
}

/// PostgreSQL alone lets a worker write beside an audited write; the worker is played by hand, because the moment matters.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_it_is_sent_again_is_sent_again() {
    let (mut test, ctx) = ready(Postgres).await;
    let receiver = Receiver::start().await;
    receiver.answers(Reply::status(500));
    let made = hook(&ctx, "Home", receiver.url("/")).await;
    happens(&ctx, "nas").await;
    let waits = newest(&ctx, made.id, |d| d.attempts.len() == 1 && d.state == DeliveryState::Waiting).await;
    let ends = format!(
        "BEGIN; UPDATE deliveries SET state = 'delivered', next_at = NULL, finished_at = now() WHERE id = '{}'; SELECT pg_sleep(0.5); COMMIT",
        waits.id
    );
    let again = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        webhooks::redeliver(&ctx, made.id, waits.id).await
    });
    tokio::task::block_in_place(|| test.postgres().sql(&ends));
    assert_eq!(again.await.expect("no panic").expect("queued").state, DeliveryState::Waiting);
}
