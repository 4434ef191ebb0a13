//! Channels over both databases: told by the same worker as webhooks, and a secret that goes where it was typed for only.

use std::collections::BTreeMap;

use cb_app::notify::channels::{self, ChannelIn, ChannelOut, ChannelPatch};
use cb_app::notify::deliveries::{DeliveryOut, DeliveryState};
use cb_app::{Ctx, List, audit, vault};
use cb_core::ids::ChannelId;
use cb_core::{Error, Patch, Principal, Role, Secret, Severity};
use cb_store::entities::channel;
use cb_store::sea_orm::{ConnectionTrait as _, EntityTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Receiver, Reply, TestApp};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use crate::webhooks::{happens, ready};
use crate::write_path::raw;

const PIN: &str =
    "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89";

fn wanted(input: &Value) -> ChannelIn {
    serde_json::from_value(input.clone()).expect("a channel")
}

async fn made(ctx: &Ctx, input: Value) -> ChannelOut {
    channels::create(ctx, wanted(&input)).await.expect("created")
}

async fn ntfy(ctx: &Ctx, server: &Receiver) -> ChannelOut {
    made(ctx, ntfy_at(&server.url("/"))).await
}

fn ntfy_at(server: &str) -> Value {
    json!({
        "name": "Phone", "kind": "ntfy", "public": { "server": server, "topic": "attic" },
        "secret": { "token": "tk_geheim" },
    })
}

async fn log(ctx: &Ctx, id: ChannelId) -> Vec<DeliveryOut> {
    channels::deliveries(ctx, id, &List::default(), None).await.expect("reads").items
}

/// Waits until the newest delivery is as wanted.
async fn newest(ctx: &Ctx, id: ChannelId, wanted: impl Fn(&DeliveryOut) -> bool) -> DeliveryOut {
    let mut last = None;
    for _ in 0..600 {
        last = log(ctx, id).await.into_iter().next();
        if let Some(found) = last.take_if(|d| wanted(d)) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never came to that: {last:?}");
}

fn fields(of: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(of.clone()).expect("fields")
}

fn secrets(of: &Value) -> BTreeMap<String, Secret> {
    fields(of).into_iter().map(|(name, text)| (name, Secret::new(text))).collect()
}

/// The fields that a refusal names.
fn named(refused: Result<ChannelOut, Error>) -> Vec<String> {
    match refused {
        Err(Error::Invalid(all)) => all.into_iter().map(|e| e.field).collect(),
        other => panic!("{:?}", other.map(|channel| channel.public)),
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_told_what_it_wants_by_the_worker_of_the_webhooks(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let server = Receiver::start().await;
    server.answers(Reply::status(200).body("{}"));
    let phone = ntfy(&ctx, &server).await;
    assert_eq!((phone.to.clone(), phone.has_secret), (Some(format!("http://{}", server.address)), true));
    let mut input = ntfy_at(&server.url("/"));
    input["name"] = json!("Only what is bad");
    input["min_severity"] = json!("warning");
    let bad = made(&ctx, input.clone()).await;
    input["name"] = json!("Scans");
    input["min_severity"] = json!("info");
    input["events"] = json!(["scan.finished"]);
    let scans = made(&ctx, input).await;
    assert_eq!(bad.min_severity, Severity::Warning);
    happens(&ctx, "nas").await;

    let request = server.wait_for(1).await.remove(0);
    assert_eq!(request.header("authorization"), "Bearer tk_geheim");
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((&body["topic"], &body["title"]), (&json!("attic"), &json!("nas was added")));
    let told = newest(&ctx, phone.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!((told.attempts.len(), told.attempts[0].status), (1, Some(200)));
    assert!(log(&ctx, bad.id).await.is_empty() && log(&ctx, scans.id).await.is_empty());
    let now = channels::get(&ctx, phone.id).await.expect("reads");
    assert!(now.last_delivered_at.is_some() && now.failing_since.is_none());

    let again = channels::redeliver(&ctx, phone.id, told.id).await.expect("sent again");
    assert_eq!((again.state, again.notice_id), (DeliveryState::Waiting, told.notice_id));
    server.wait_for(2).await;
    let patch = ChannelPatch { enabled: Some(false), ..ChannelPatch::default() };
    channels::update(&ctx, phone.id, patch, None).await.expect("disabled");
    let refused = channels::redeliver(&ctx, phone.id, told.id).await.err();
    assert!(matches!(refused, Some(Error::Conflict(_))), "{refused:?}");
    happens(&ctx, "printer").await;
    // Of another subscriber: no delivery of this one.
    assert!(matches!(channels::redeliver(&ctx, bad.id, told.id).await, Err(Error::NotFound)));
    drop(test);
    assert_eq!(server.received().len(), 2);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_left_alone_as_long_as_it_asks_and_given_up_when_it_is_gone(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let server = Receiver::start().await;
    server.then(Reply::status(429).body(r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1800000}"#));
    let matrix = json!({
        "name": "Room", "kind": "matrix", "public": { "server": server.url(""), "room": "!a:matrix.lan" },
        "secret": { "token": "syt_x" },
    });
    let room = made(&ctx, matrix).await;
    happens(&ctx, "nas").await;
    let told = newest(&ctx, room.id, |d| !d.attempts.is_empty()).await;
    assert_eq!(told.state, DeliveryState::Waiting);
    assert!(told.next_at.expect("again") >= test.app.now() + TimeDelta::minutes(30), "{told:?}");
    assert_eq!(
        told.attempts[0].error.as_deref(),
        Some("Matrix cannot accept the message now: M_LIMIT_EXCEEDED")
    );
    assert!(channels::get(&ctx, room.id).await.expect("reads").failing_since.is_some());
    server.answers(Reply::status(200).body("{}"));
    test.clock.advance(TimeDelta::minutes(45));
    newest(&ctx, room.id, |d| d.state == DeliveryState::Delivered).await;
    let txn = |n: usize| server.received()[n].path.clone();
    assert_eq!(txn(0), txn(1), "the same transaction: no second message");

    let gone = Receiver::start().await;
    gone.answers(Reply::status(410));
    let url = gone.url("/hook/geheim");
    let hook = json!({ "name": "Hook", "kind": "webhook", "secret": { "url": url } });
    let hook = made(&ctx, hook).await;
    happens(&ctx, "printer").await;
    gone.wait_for(1).await;
    for _ in 0..200 {
        let now = channels::get(&ctx, hook.id).await.expect("reads");
        if let Some(reason) = now.disabled_reason {
            assert!(reason.contains("no longer exists") && !now.enabled, "{reason}");
            let entries = audit::list(&ctx, &List::default(), &audit::EntryFilter::default()).await;
            let told = serde_json::to_string(&entries.expect("reads").items).expect("JSON");
            assert!(told.contains("channel_disabled") && !told.contains("geheim"), "{told}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is not given up");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_where_a_secret_goes_gives_it_again(#[values(Sqlite, Postgres)] database: Database) {
    let (_test, ctx) = ready(database).await;
    let (home, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let phone = ntfy(&ctx, &home).await;
    let at = |server: String, topic: &str| json!({ "server": server, "topic": topic });
    let public = |of: Value| ChannelPatch { public: Some(fields(&of)), ..ChannelPatch::default() };
    // Another topic of the same server is no other place.
    let same =
        channels::update(&ctx, phone.id, public(at(home.url("/"), "den")), None).await.expect("changes");
    assert_eq!((same.public["topic"].as_str(), same.has_secret), ("den", true));

    let moved = public(at(elsewhere.url("/"), "den"));
    assert_eq!(named(channels::update(&ctx, phone.id, moved, None).await), ["secret"]);
    let pinned = ChannelPatch { certificate_sha256: Patch::Set(PIN.to_owned()), ..ChannelPatch::default() };
    assert_eq!(named(channels::update(&ctx, phone.id, pinned, None).await), ["secret"]);
    let user = json!({ "server": home.url("/"), "topic": "den", "user": "maria" });
    let told = named(channels::update(&ctx, phone.id, public(user), None).await);
    assert!(told.contains(&"secret".to_owned()), "{told:?}");
    let still = channels::get(&ctx, phone.id).await.expect("reads");
    assert_eq!(still.to, Some(format!("http://{}", home.address)));

    // Whoever knows it may.
    let mut moved = public(at(elsewhere.url("/"), "den"));
    moved.secret = Some(secrets(&json!({ "token": "tk_of_elsewhere" })));
    channels::update(&ctx, phone.id, moved, None).await.expect("moves");
    assert!(channels::test(&ctx, phone.id).await.expect("sends").delivered);
    assert_eq!(elsewhere.received()[0].header("authorization"), "Bearer tk_of_elsewhere");
    assert!(home.received().is_empty());

    // Without a secret there is nothing to lose.
    let open = json!({ "name": "Open", "kind": "ntfy", "public": at(home.url("/"), "open") });
    let open = made(&ctx, open).await;
    let moved = channels::update(&ctx, open.id, public(at(elsewhere.url("/"), "open")), None).await;
    assert_eq!(moved.expect("moves").to, Some(format!("http://{}", elsewhere.address)));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_follows_a_rotation_and_is_told_to_nobody(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let server = Receiver::start().await;
    server.answers(Reply::status(500).body("no tk_geheim here"));
    let phone = ntfy(&ctx, &server).await;
    let url = server.url("/hook/geheim");
    made(&ctx, json!({ "name": "Hook", "kind": "webhook", "secret": { "url": url } })).await;
    vault::rotate(&ctx).await.expect("rotates");
    happens(&ctx, "nas").await;
    let request = server.wait_for_one(|request| request.path == "/").await;
    assert_eq!(request.header("authorization"), "Bearer tk_geheim");
    let told = newest(&ctx, phone.id, |d| !d.attempts.is_empty()).await;
    let attempt = &told.attempts[0];
    assert_eq!(attempt.excerpt.as_deref(), Some("(not shown, because it contains a secret of the channel)"));

    let rows = channel::Entity::find().all(&raw(&test).await).await.expect("reads");
    assert_eq!(rows.len(), 2);
    assert!(!format!("{rows:?}").contains("geheim"));
    assert!(
        rows.iter().all(|row| row.secret.as_deref().is_some_and(|text| text.starts_with("v1:"))),
        "{rows:?}"
    );
    let shown = channels::list(&ctx, &List::default(), None).await.expect("reads").items;
    let entries =
        audit::list(&ctx, &List::default(), &audit::EntryFilter::default()).await.expect("reads").items;
    let seen = serde_json::to_string(&(&shown, &entries, log(&ctx, phone.id).await)).expect("JSON");
    assert!(seen.contains("channel_created") && !seen.contains("geheim"), "{seen}");
    assert!(shown.iter().all(|channel| channel.to == Some(format!("http://{}", server.address))));

    // What cannot be opened can still be seen and removed.
    let db = raw(&test).await;
    db.execute_unprepared("UPDATE channels SET secret = 'v1:broken' WHERE kind = 'webhook'")
        .await
        .expect("breaks");
    let shown = channels::list(&ctx, &List::default(), None).await.expect("reads").items;
    let broken = shown.iter().find(|channel| channel.name == "Hook").expect("there");
    assert_eq!((&broken.to, broken.has_secret), (&None, true));
    channels::delete(&ctx, broken.id, None).await.expect("removes");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_sees_no_reason_and_changes_nothing(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let server = Receiver::start().await;
    server.answers(Reply::status(500).body("inner name: db7"));
    let phone = ntfy(&ctx, &server).await;
    happens(&ctx, "nas").await;
    newest(&ctx, phone.id, |d| !d.attempts.is_empty()).await;
    let editor = Principal::User {
        id: test.app.new_id().into(),
        username: "ed".to_owned(),
        role: Role::Editor,
        session: test.app.new_id().into(),
        proved_at: None,
    };
    let editor = test.app.ctx(editor, test.meta());
    assert_eq!(channels::get(&editor, phone.id).await.expect("reads").name, "Phone");
    let attempt = log(&editor, phone.id).await.remove(0).attempts.remove(0);
    assert_eq!((attempt.status, attempt.excerpt, attempt.took_ms), (None, None, 0));
    for refused in [
        channels::test(&editor, phone.id).await.err(),
        channels::delete(&editor, phone.id, None).await.err(),
        channels::update(&editor, phone.id, ChannelPatch::default(), None).await.err(),
        channels::create(&editor, wanted(&ntfy_at(&server.url("/")))).await.err(),
    ] {
        assert!(matches!(refused, Some(Error::Denied(_))), "{refused:?}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_may_not_be_sent_to_is_refused_at_its_field(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, _) = TestApp::closed(database).await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    let mail = json!({ "host": "127.0.0.1", "from": "cb@attic.lan", "to": "maria@attic.lan" });
    for (input, field) in [
        (ntfy_at("http://127.0.0.1:9/"), "public.server"),
        (ntfy_at("http://169.254.169.254/"), "public.server"),
        (json!({ "name": "x", "kind": "email", "public": mail }), "public.host"),
        (
            json!({ "name": "x", "kind": "webhook", "secret": { "url": "http://127.0.0.1:9/geheim" } }),
            "secret.url",
        ),
        (
            json!({ "name": "x", "kind": "discord", "secret": { "url": "https://10.0.0.5/geheim" } }),
            "secret.url",
        ),
    ] {
        let refused = channels::create(&ctx, wanted(&input)).await;
        let Err(Error::Invalid(fields)) = &refused else { panic!("{input}") };
        assert!(!format!("{fields:?}").contains("geheim"), "{fields:?}");
        assert_eq!(named(refused), [field], "{input}");
    }
    let mail = json!({ "host": "mail.invalid", "from": "cb@attic.lan", "to": "maria@attic.lan" });
    let mut later = json!({ "name": "Later", "kind": "email", "public": mail });
    channels::create(&ctx, wanted(&later)).await.expect("a name that is not known yet");
    later["public"]["host"] = json!("http://mail.lan/");
    later["name"] = json!("Not a host");
    let Err(Error::Invalid(said)) = channels::create(&ctx, wanted(&later)).await else { panic!("{later}") };
    assert_eq!(said[0].reason, "Enter a hostname or an IP address, without a port or a path.");
    let made = made(&ctx, ntfy_at("http://10.0.0.5/")).await;
    let there = ChannelPatch {
        public: Some(fields(&json!({ "server": "http://127.0.0.1:9/", "topic": "x" }))),
        secret: Some(secrets(&json!({ "token": "x" }))),
        ..ChannelPatch::default()
    };
    assert_eq!(named(channels::update(&ctx, made.id, there, None).await), ["public.server"]);
}
