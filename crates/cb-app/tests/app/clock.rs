//! Somebody sets the wall clock, back or forward: nobody is shut out, nothing that waits stands still, and nothing is removed that
//! the right time would have kept.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cb_app::auth::login::{LoginIn, login};
use cb_app::auth::sessions::{Opened, sweep_dead};
use cb_app::notify::deliveries::DeliveryState;
use cb_app::notify::{channels, hooks};
use cb_app::settings::{self, SettingsPatch};
use cb_app::{App, Ctx, jumps};
use cb_core::clock::{SKEW, Time};
use cb_core::config::Config;
use cb_core::{Clock, Error, OsEntropy, Secret};
use cb_store::entities::{auth_step, job, session, user};
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, Database as Connection, DatabaseConnection, DbBackend,
    EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, Statement,
};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Receiver, Reply, TestApp, TestClock};
use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::webhooks::{happens, hook, newest, ready};
use crate::write_path::raw;

async fn sign_in(test: &TestApp, password: &str) -> Result<Opened, Error> {
    let input =
        LoginIn { username: TestApp::USERNAME.to_owned(), password: Secret::new(password.to_owned()) };
    login(&test.app, test.meta(), input).await?.session()
}

/// Whom a cookie stands for now.
async fn who(test: &TestApp, opened: &Opened) -> Option<Ctx> {
    let who = test.app.by_session(opened.cookie.expose()).await.expect("reads")?;
    Some(test.app.ctx(who.principal, test.meta()))
}

/// Stands still, and notes which time it was told to follow.
#[derive(Default)]
struct Told {
    own: TestClock,
    followed: Mutex<Vec<Time>>,
}

impl Clock for Told {
    fn now(&self) -> Time {
        self.own.now()
    }

    fn steady(&self) -> Duration {
        self.own.steady()
    }

    fn follow(&self, shared: Time) {
        self.followed.lock().expect("nobody panics here").push(shared);
    }
}

/// Before it writes a time, and again whenever it tells the others that it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_by_the_clock_of_postgresql() {
    let (postgres, dir) = (cb_testkit::Postgres::start(), tempfile::tempdir().expect("a folder"));
    let vars = [
        ("CB_DATA_DIR".to_owned(), dir.path().join("data").display().to_string()),
        ("CB_DB_URL".to_owned(), postgres.url().to_owned()),
    ];
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("a valid configuration");
    let clock = Arc::new(Told::default());
    let app = Box::pin(App::open(&config, clock.clone(), Arc::new(OsEntropy))).await.expect("it opens");
    let base = Connection::connect(postgres.url()).await.expect("connects");
    let theirs: Time = {
        let row = base.query_one_raw(Statement::from_string(DbBackend::Postgres, "SELECT now()")).await;
        row.expect("asked").expect("a row").try_get_by_index(0).expect("a time")
    };
    let told = || clock.followed.lock().expect("nobody panics here").clone();
    let first = *told().first().expect("at the start");
    assert!((theirs - first).abs() < TimeDelta::minutes(2), "{first}");
    for _ in 0..300 {
        if told().len() > 1 {
            app.close().await.expect("closes");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("once only");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_waits_no_longer_and_no_shorter(#[values(-400, -1, 1, 400)] days: i64) {
    let (test, _) = TestApp::ready(Sqlite).await;
    for _ in 0..5 {
        assert!(matches!(sign_in(&test, "a wrong one").await, Err(Error::Unauthenticated(_))));
    }
    test.clock.set(TimeDelta::days(days));
    match sign_in(&test, TestApp::PASSWORD).await {
        Err(Error::RateLimited { retry_after }) => assert_eq!(retry_after.as_secs(), 2),
        other => panic!("let in: {}", other.is_ok()),
    }
    test.clock.advance(TimeDelta::seconds(2));
    sign_in(&test, TestApp::PASSWORD).await.expect("signed in");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_a_clock_that_was_wrong(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let opened = sign_in(&test, TestApp::PASSWORD).await.expect("signed in");
    let proves = async || {
        let ctx = who(&test, &opened).await.expect("a session");
        let patch: SettingsPatch =
            serde_json::from_value(json!({ "audit_retention_days": 400 })).expect("a patch");
        settings::update(&ctx, patch, None).await.map(drop)
    };
    proves().await.expect("a fresh proof");
    // Back: nobody is signed out, but a proof is not fresh for two days.
    test.clock.set(TimeDelta::days(-2));
    assert!(matches!(proves().await, Err(Error::ProofRequired)));
    // Forward: the session is over by that clock, but what the clock has done can be undone.
    test.clock.set(TimeDelta::days(40));
    assert!(who(&test, &opened).await.is_none());
    sweep_dead(&test.app).await.expect("swept");
    test.clock.set(TimeDelta::days(-40));
    assert!(who(&test, &opened).await.is_some());
    // Time that has really passed ends it for good.
    test.clock.advance(TimeDelta::days(40));
    sweep_dead(&test.app).await.expect("swept");
    assert_eq!(session::Entity::find().count(&db).await.expect("counts"), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_told_is_told(
    #[values(Sqlite, Postgres)] database: Database,
    #[values(-1, 1)] days: i64,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.then(Reply::status(503));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    test.clock.set(TimeDelta::days(days));
    jumps::look(&test.app).await.expect("looks");
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
    // And what happens from now on.
    happens(&ctx, "printer").await;
    for _ in 0..200 {
        if inbox.received().len() == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("told {} times", inbox.received().len());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_from_before_the_clock_was_set_back_is_over(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    inbox.then(Reply::status(503));
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    happens(&ctx, "nas").await;
    newest(&ctx, made.id, |d| d.attempts.len() == 1).await;
    let hold = async |until: TimeDelta| {
        let mut update = Query::update();
        update
            .table("deliveries")
            .value("lease_owner", "another")
            .value("lease_until", test.app.now() + until);
        raw(&test).await.execute(&update).await.expect("written");
    };
    // As another server may hold it whose clock is ahead by as much as clocks are.
    hold(TimeDelta::minutes(8)).await;
    test.clock.advance(TimeDelta::minutes(6));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(inbox.received().len(), 1, "due, and somebody else's");
    hold(TimeDelta::days(1)).await;
    newest(&ctx, made.id, |d| d.state == DeliveryState::Delivered).await;
}

/// A column that something waits for: where, which rows, and how far ahead it can lie at most.
type Waits = (&'static str, &'static str, Option<(&'static str, &'static str)>, TimeDelta);

const WAITS: [Waits; 10] = [
    ("sessions", "last_seen_at", None, TimeDelta::zero()),
    ("sessions", "expires_at", None, TimeDelta::days(30)),
    ("webhooks", "previous_secret_until", None, TimeDelta::hours(24)),
    ("hooks", "previous_until", None, TimeDelta::hours(24)),
    ("webhooks", "failing_since", None, TimeDelta::zero()),
    ("channels", "failing_since", None, TimeDelta::zero()),
    ("auth_steps", "expires_at", Some(("purpose", "mfa")), TimeDelta::minutes(5)),
    ("auth_steps", "expires_at", Some(("purpose", "reset")), TimeDelta::hours(24)),
    ("auth_steps", "expires_at", Some(("purpose", "invite")), TimeDelta::days(7)),
    ("jobs", "not_before", Some(("state", "queued")), TimeDelta::days(7)),
];

async fn put(db: &DatabaseConnection, (table, column, which, _): Waits, time: Time) {
    let mut update = Query::update();
    update.table(table).value(column, time);
    if column.starts_with("previous_") {
        update.value("previous_secret", "sealed");
    }
    if let Some((column, value)) = which {
        update.and_where(Expr::col(column).eq(value));
    }
    let changed = db.execute(&update).await.expect("written").rows_affected();
    assert!(changed > 0, "{table} has such a row");
}

async fn got(db: &DatabaseConnection, (table, column, which, _): Waits) -> Time {
    let mut select = Query::select();
    select.column(column).from(table);
    if let Some((column, value)) = which {
        select.and_where(Expr::col(column).eq(value));
    }
    let row = db.query_one(&select).await.expect("reads").expect("a row");
    row.try_get_by_index::<DateTime<Utc>>(0).expect("a time")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_time_that_lies_too_far_ahead_is_brought_back(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let db = raw(&test).await;
    hook(&ctx, "Home", "https://1.1.1.1/".to_owned()).await;
    let input = serde_json::from_value(json!({ "name": "In", "format": "generic" })).expect("a hook");
    hooks::create(&ctx, input).await.expect("created");
    let channel = json!({
        "name": "Phone", "kind": "ntfy", "public": { "server": "https://1.1.1.1/", "topic": "attic" },
        "secret": { "token": "tk_geheim" },
    });
    let channel = serde_json::from_value(channel).expect("a channel");
    channels::create(&ctx, channel).await.expect("created");
    let maria = user::Entity::find().one(&db).await.expect("reads").expect("the administrator");
    let now = test.app.now();
    for purpose in ["mfa", "reset", "invite"] {
        let id: Uuid = test.app.new_id();
        let row = auth_step::Model {
            id,
            purpose: purpose.to_owned(),
            token_hash: id.to_string(),
            user_id: Some(maria.id),
            auth_epoch: Some(maria.auth_epoch),
            payload: json!({}),
            attempts: 0,
            created_at: now,
            expires_at: now,
        };
        row.into_active_model().reset_all().insert(&db).await.expect("inserted");
    }
    let row = job::Model {
        id: test.app.new_id(),
        kind: "none of ours".to_owned(),
        dedup_key: None,
        payload: json!({}),
        state: "queued".to_owned(),
        attempts: 0,
        lease_owner: None,
        lease_until: None,
        last_error: None,
        created_at: now,
        finished_at: None,
        priority: 0,
        not_before: now,
        fence: 0,
        place: None,
    };
    row.into_active_model().reset_all().insert(&db).await.expect("inserted");
    for waits in WAITS {
        let furthest = now + waits.3;
        for (time, then) in [
            (furthest - TimeDelta::seconds(1), furthest - TimeDelta::seconds(1)),
            (furthest + SKEW, furthest + SKEW),
            (furthest + SKEW + TimeDelta::seconds(1), furthest),
            (furthest + TimeDelta::days(36_500), furthest),
        ] {
            put(&db, waits, time).await;
            jumps::look(&test.app).await.expect("looks");
            assert_eq!(got(&db, waits).await, then, "{waits:?}");
        }
    }
}
