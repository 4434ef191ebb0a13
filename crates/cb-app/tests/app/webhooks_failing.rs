//! Webhooks that do not arrive: when they are tried again, by whom, and when there is an end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cb_app::notify::deliveries::DeliveryState;
use cb_app::notify::webhooks::{self, WebhookPatch};
use cb_app::{App, List, audit};
use cb_core::{OsEntropy, Principal};
use cb_store::entities::delivery;
use cb_store::sea_orm::{ConnectionTrait as _, EntityTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Receiver, Reply, TestApp};
use chrono::TimeDelta;
use rstest::rstest;

use crate::jobs::until;
use crate::webhooks::{happens, hook, log, newest, ready};
use crate::write_path::raw;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_ten_times_over_days_with_one_id_and_then_it_is_dead(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(503));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    let waits = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (tries, seconds) in (1..).zip(waits) {
        let waiting = newest(&ctx, made.id, |d| d.attempts.len() == tries).await;
        assert_eq!(waiting.state, DeliveryState::Waiting);
        let wait = (waiting.next_at.expect("a next try") - test.app.now()).as_seconds_f64();
        let span = f64::from(seconds) * 0.799..=f64::from(seconds) * 1.201;
        assert!(span.contains(&wait), "try {tries}: {wait}");
        test.clock.advance(TimeDelta::milliseconds(i64::from(seconds) * 1201));
    }
    let dead = newest(&ctx, made.id, |d| d.attempts.len() == 10).await;
    assert_eq!((dead.state, dead.next_at), (DeliveryState::Dead, None));
    let heard = inbox.received();
    let ids: BTreeSet<&str> = heard.iter().map(|r| r.header("webhook-id")).collect();
    let times: BTreeSet<&str> = heard.iter().map(|r| r.header("webhook-timestamp")).collect();
    assert_eq!((heard.len(), ids.len(), times.len()), (10, 1, 10), "one id, and each time of its own");
    assert!(webhooks::get(&ctx, made.id).await.expect("reads").failing_since.is_some());

    // A person may send it again, and it begins anew.
    inbox.answers(Reply::status(200));
    let again = webhooks::redeliver(&ctx, made.id, dead.id).await.expect("queued");
    assert_eq!((again.state, again.notice_id), (DeliveryState::Waiting, dead.notice_id));
    let done = newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(done.attempts.len(), 11);
    assert_eq!(
        inbox.received().last().map(|r| r.header("webhook-id").to_owned()),
        Some(dead.notice_id.to_string())
    );
    assert!(webhooks::get(&ctx, made.id).await.expect("reads").failing_since.is_none(), "it works again");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_left_alone_as_long_as_it_asks(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.then(Reply::status(429).header("retry-after", "120"));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    let waiting = newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    assert_eq!(waiting.next_at, Some(test.app.now() + TimeDelta::seconds(120)));
    test.clock.advance(TimeDelta::seconds(119));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(inbox.received().len(), 1);
    test.clock.advance(TimeDelta::seconds(1));
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_holds_is_left_to_it_until_its_lease_ends(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.then(Reply::status(503));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    let until = (test.app.now() + TimeDelta::seconds(60)).format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    let sql = format!("UPDATE deliveries SET lease_owner = 'another', lease_until = '{until}'");
    raw(&test).await.execute_unprepared(&sql).await.expect("written");
    test.clock.advance(TimeDelta::seconds(59));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(inbox.received().len(), 1, "due, and somebody else's");
    test.clock.advance(TimeDelta::seconds(2));
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(inbox.received().len(), 2);
}

/// Two servers over one PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_one_sends_each() {
    let (test, ctx) = ready(Postgres).await;
    let mut config = test.config().clone();
    let other_dir = tempfile::TempDir::with_prefix("cb-test-").expect("a folder");
    config.data_dir = other_dir.path().join("data");
    std::fs::create_dir(&config.data_dir).expect("a folder");
    for key in ["vault-key", "audit-key", "jwt-secret"] {
        std::fs::copy(test.data_dir().join(key), config.data_dir.join(key)).expect("copied");
    }
    let other = App::open(&config, test.clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    let other_ctx = other.ctx(Principal::Operator, test.meta());
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(200).after(Duration::from_millis(20)));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    for n in 0..100 {
        happens(&ctx, &format!("a {n}")).await;
        happens(&other_ctx, &format!("b {n}")).await;
    }
    let heard = inbox.wait_for(200).await;
    let ids: BTreeSet<&str> = heard.iter().map(|r| r.header("webhook-id")).collect();
    assert_eq!((heard.len(), ids.len()), (200, 200));
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(inbox.received().len(), 200);
    other.close().await.expect("closes");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_what_waited_is_sent(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(503));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    drop(ctx);
    let test = test.restart().await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    assert_eq!(log(&ctx, made.id).await[0].state, DeliveryState::Waiting);
    inbox.answers(Reply::status(200));
    test.clock.advance(TimeDelta::seconds(7));
    let done = newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(done.attempts.len(), 2);
    // A month later nobody asks for it any more.
    test.clock.advance(TimeDelta::days(31));
    drop(ctx);
    let test = test.restart().await;
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    for _ in 0..100 {
        if log(&ctx, made.id).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is still there");
}

/// What is under way when the server stops is noted, so that nobody gets it again.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_sends_nothing_twice(#[values(Sqlite, Postgres)] database: Database) {
    const MESSAGES: usize = 60;
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(200).after(Duration::from_secs(2)));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    for n in 0..MESSAGES {
        happens(&ctx, &format!("nas{n}")).await;
    }
    inbox.wait_for(4).await;
    drop(ctx);
    let test = test.restart().await;
    let before = inbox.received().len();
    assert!(before < MESSAGES, "it stopped between two");
    inbox.answers(Reply::status(200));
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    inbox.wait_for(MESSAGES).await;
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    let heard = inbox.received();
    let ids: BTreeSet<&str> = heard.iter().map(|r| r.header("webhook-id")).collect();
    assert_eq!((heard.len(), ids.len()), (MESSAGES, MESSAGES), "{before} before the stop");
}

async fn entries(test: &TestApp, action: audit::Action) -> Vec<serde_json::Value> {
    let ctx = test.app.ctx(Principal::Operator, test.meta());
    let filter = audit::EntryFilter { action: Some(action), ..audit::EntryFilter::default() };
    let page = audit::list(&ctx, &List::default(), &filter).await.expect("reads");
    page.items.iter().map(|entry| serde_json::to_value(entry).expect("JSON")).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn after_five_days_of_failure_it_is_disabled_and_others_are_told(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let (away, witness) = (Receiver::start().await, Receiver::start().await);
    away.answers(Reply::status(500));
    let made = hook(&ctx, "Away", away.url("/")).await;
    hook(&ctx, "Witness", witness.url("/")).await;
    for name in ["one", "two", "three"] {
        happens(&ctx, name).await;
    }
    // 9 tries in four days: neither is enough.
    for tries in [3, 6, 9] {
        away.wait_for(tries).await;
        for _ in 0..100 {
            if log(&ctx, made.id).await.iter().all(|d| d.attempts.len() * 3 >= tries) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if tries < 9 {
            test.clock.advance(TimeDelta::days(2));
        }
    }
    let before = webhooks::get(&ctx, made.id).await.expect("reads");
    assert!(before.enabled && before.failing_since.is_some() && before.disabled_at.is_none());
    test.clock.advance(TimeDelta::days(1) + TimeDelta::minutes(1));
    for _ in 0..600 {
        if !webhooks::get(&ctx, made.id).await.expect("reads").enabled {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = webhooks::get(&ctx, made.id).await.expect("reads");
    assert!(!after.enabled && after.disabled_at == Some(test.app.now()), "{:?}", after.disabled_at);
    assert_eq!(after.disabled_reason.as_deref(), Some("every attempt of the last 5 days failed"));
    assert!(log(&ctx, made.id).await.iter().all(|d| d.state == DeliveryState::Dropped));
    let entries = entries(&test, audit::Action::WebhookDisabled).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["actor"]["kind"], "system");
    let told = witness.wait_for(4).await;
    let last: serde_json::Value = serde_json::from_slice(&told[3].body).expect("JSON");
    assert_eq!(
        (last["type"].as_str(), last["data"]["name"].as_str()),
        (Some("subscriber.disabled"), Some("Away"))
    );
    // Nobody tells it anything now, until a person enables it.
    let tried = away.received().len();
    happens(&ctx, "four").await;
    witness.wait_for(5).await;
    assert_eq!(away.received().len(), tried);
    away.answers(Reply::status(200));
    let patch = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    let again = webhooks::update(&ctx, made.id, patch, None).await.expect("enabled");
    assert!(again.disabled_at.is_none() && again.failing_since.is_none());
    happens(&ctx, "five").await;
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
}

/// A worker that is killed keeps what it has taken for a minute; one that lives, for as long as it sends.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_is_held_for_a_minute_and_again(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(200).after(Duration::from_secs(14)));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    let (base, app) = (raw(&test).await, test.app.clone());
    let held_for = async || {
        let row = delivery::Entity::find().one(&base).await.expect("read").expect("one");
        row.lease_until.map(|until| until - app.now())
    };
    until("it is being sent", async || held_for().await.is_some()).await;
    let first = held_for().await.expect("held");
    assert!((TimeDelta::seconds(50)..=TimeDelta::minutes(1)).contains(&first), "{first}");
    test.clock.advance(TimeDelta::seconds(25));
    until("it is held again", async || held_for().await.is_some_and(|left| left > TimeDelta::seconds(50)))
        .await;
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    assert_eq!(inbox.received().len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_disabled_at_once(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.answers(Reply::status(410));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    let dead = newest(&ctx, made.id, |d| d.state == DeliveryState::Dead).await;
    assert_eq!(dead.attempts[0].status, Some(410));
    for _ in 0..100 {
        if !webhooks::get(&ctx, made.id).await.expect("reads").enabled {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = webhooks::get(&ctx, made.id).await.expect("reads");
    assert!(!after.enabled && after.disabled_reason.is_some_and(|reason| reason.contains("410")));
    assert_eq!(entries(&test, audit::Action::WebhookDisabled).await.len(), 1);
    assert!(webhooks::redeliver(&ctx, made.id, dead.id).await.is_err(), "enable it first");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_into_the_house_is_not_followed(
    #[values(Sqlite, Postgres)] database: Database,
    #[values(301, 303, 307, 308)] status: u16,
) {
    let (_test, ctx) = ready(database).await;
    let (inbox, inside) = (Receiver::start().await, Receiver::start().await);
    inbox.answers(Reply::status(status).header("location", inside.url("/admin")));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    let waiting = newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    assert_eq!((waiting.state, waiting.attempts[0].status), (DeliveryState::Waiting, Some(status)));
    let said = webhooks::test(&ctx, made.id).await.expect("sends");
    assert!(!said.delivered && said.error.is_some_and(|error| error.contains("redirect")));
    assert!(inside.received().is_empty());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_much_waiting_gets_no_more_and_others_do(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let (inbox, other) = (Receiver::start().await, Receiver::start().await);
    let full = hook(&ctx, "Full", inbox.url("/")).await;
    let free = hook(&ctx, "Free", other.url("/")).await;
    let id = match database {
        Sqlite => format!("X'{}'", full.id.0.simple()),
        Postgres => format!("'{}'::uuid", full.id),
    };
    let (make, series) = match database {
        Sqlite => (
            "randomblob(16)",
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 10000)",
        ),
        Postgres => ("gen_random_uuid()", "WITH s AS (SELECT generate_series(1, 10000) AS n)"),
    };
    let (now, later) = ("2026-01-01T12:00:00.000000+00:00", "2026-01-02T12:00:00.000000+00:00");
    let db = raw(&test).await;
    for sql in [
        format!(
            "{series} INSERT INTO notices (id, kind, at, severity, title, text, data) SELECT {make}, 'asset.created', '{now}', 'info', 'x', '', '{{}}' FROM s"
        ),
        format!(
            "INSERT INTO deliveries (id, notice_id, webhook_id, state, tries, next_at, attempts, created_at) SELECT {make}, id, {id}, 'waiting', 1, '{later}', '[]', '{now}' FROM notices"
        ),
    ] {
        // PostgreSQL takes a text for a time only where it is written as one.
        let sql = if database == Postgres {
            sql.replace(&format!("'{now}'"), &format!("'{now}'::timestamptz"))
                .replace(&format!("'{later}'"), &format!("'{later}'::timestamptz"))
        } else {
            sql
        };
        db.execute_unprepared(&sql).await.expect("written");
    }
    test.clock.advance(TimeDelta::seconds(1));
    happens(&ctx, "one too many").await;
    other.wait_for(1).await;
    assert_eq!(log(&ctx, full.id).await[0].state, DeliveryState::Dropped);
    newest(&ctx, free.id, |d| d.state == DeliveryState::Delivered).await;
    assert!(inbox.received().is_empty());
    db.execute_unprepared("DELETE FROM deliveries WHERE state = 'waiting' AND id IN (SELECT id FROM deliveries WHERE state = 'waiting' LIMIT 1)")
        .await
        .expect("one less");
    test.clock.advance(TimeDelta::seconds(1));
    happens(&ctx, "there is room").await;
    inbox.wait_for(1).await;
}
