//! The end of a session or a token reaches what is open in its name within a second: at once where it is heard, by one look of the
//! server where it is not.

use std::time::{Duration, Instant};

use cb_app::auth::login::LoginIn;
use cb_app::auth::{self, Held, IDLE, Over, sessions};
use cb_app::users::{self, UserIn};
use cb_app::{App, Ctx, live};
use cb_core::ids::UserId;
use cb_core::{Event, Permission, Principal, Role, Secret};
use cb_store::Storage;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;

use crate::cluster::{connected, heard_entry, liar, until};

/// When the server looks at everything, whatever it has heard.
const WHOLE: Duration = Duration::from_secs(5);
const READ: Permission = Permission::InventoryRead;

/// Within a second. A machine with too much to do is late with some, and not with every other one.
#[expect(clippy::print_stderr, reason = "figures to be read")]
fn soon(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |q: usize| took[(took.len() - 1) * q / 100];
    eprintln!("{what}: median {:?}, worst {:?} of {}", at(50), at(100), took.len());
    assert!(at(50) < Duration::from_secs(1) && at(100) < WHOLE, "{what}: {took:?}");
}

async fn user(ctx: &Ctx, name: &str, role: Role) -> UserId {
    let input = UserIn {
        username: name.to_owned(),
        email: None,
        role,
        password: Secret::new(TestApp::PASSWORD.to_owned()),
    };
    users::create(ctx, input).await.expect("made").id
}

/// Signs in; answers the cookie and whom it stands for.
async fn sign_in(test: &TestApp, app: &App, name: &str) -> (Secret, Principal) {
    let input = LoginIn { username: name.to_owned(), password: Secret::new(TestApp::PASSWORD.to_owned()) };
    let admitted = auth::login(app, test.meta(), input).await.expect("signs in");
    let cookie = admitted.session().expect("a session").cookie;
    let who = app.by_session(cookie.expose()).await.expect("read").expect("alive").principal;
    (cookie, who)
}

async fn token(test: &TestApp, owner: Principal, scopes: &[&str], days: u32) -> Principal {
    let input = json!({ "name": "script", "scopes": scopes, "expires_in_days": days });
    let input = serde_json::from_value(input).expect("a token");
    let made = cb_app::tokens::create(&test.app.ctx(owner, test.meta()), input).await.expect("made");
    test.app.by_bearer(made.secret.as_bytes(), &test.meta()).await.expect("read").expect("known")
}

/// How long until it is over, and why.
async fn over(held: &mut Held) -> (Duration, Over) {
    let began = Instant::now();
    let over = tokio::time::timeout(Duration::from_secs(20), held.over()).await.expect("not in 20 s");
    (began.elapsed(), over)
}

async fn stays(held: &mut Held, for_: Duration) -> bool {
    tokio::time::timeout(for_, held.over()).await.is_err()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_with_its_session_its_time_or_its_right(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let grace = user(&ctx, "grace", Role::Admin).await;
    let mut all = Vec::new();
    for end in ["logout", "sessions", "role", "disabled", "idle", "token", "token expiry"] {
        let (_, who) = sign_in(&test, &test.app, "grace").await;
        let script = token(&test, who.clone(), &["inventory:read", "audit:read"], 1).await;
        let mut session = test.app.hold(&who, READ);
        let mut reads = test.app.hold(&script, READ);
        let mut audits = test.app.hold(&script, Permission::AuditRead);
        assert!(stays(&mut session, Duration::from_millis(100)).await, "{end}");
        let patch = |patch| serde_json::from_value(patch).expect("a patch");
        // Which of the three end.
        let ends = match end {
            "logout" => {
                sessions::logout(&test.app.ctx(who, test.meta())).await.expect("signed out");
                [true, false, false]
            }
            "sessions" => {
                users::end_sessions(&ctx, grace).await.expect("ended");
                [true, false, false]
            }
            "role" => {
                users::update(&ctx, grace, patch(json!({ "role": "viewer" }))).await.expect("demoted");
                [true, false, true]
            }
            "disabled" => {
                users::update(&ctx, grace, patch(json!({ "disabled": true }))).await.expect("disabled");
                [true, true, true]
            }
            "idle" => {
                test.clock.advance(IDLE - TimeDelta::seconds(1));
                assert!(stays(&mut session, Duration::from_millis(1200)).await, "{end}: too early");
                test.clock.advance(TimeDelta::seconds(1));
                // The tokens were good for a day.
                [true, true, true]
            }
            "token" => {
                let Principal::Token { id, .. } = script else { panic!("a token") };
                cb_app::tokens::delete(&test.app.ctx(who, test.meta()), id).await.expect("deleted");
                [false, true, true]
            }
            _ => {
                // Seen just now, so that only the token's time is up.
                test.clock.advance(TimeDelta::hours(23));
                let (_, again) = sign_in(&test, &test.app, "grace").await;
                session = test.app.hold(&again, READ);
                test.clock.advance(TimeDelta::hours(1));
                [false, true, true]
            }
        };
        for (n, (held, ends)) in [&mut session, &mut reads, &mut audits].into_iter().zip(ends).enumerate() {
            if ends {
                let (took, why) = over(held).await;
                assert_eq!(why, Over::Ended, "{end} {n}");
                all.push(took);
            } else {
                assert!(stays(held, Duration::from_millis(700)).await, "{end} {n}");
            }
        }
        users::update(
            &ctx_of_now(&test, &ctx).await,
            grace,
            patch(json!({ "role": "admin", "disabled": false })),
        )
        .await
        .expect("as before");
    }
    soon("closed", all);
}

/// The administrator, who has just proved who they are.
async fn ctx_of_now(test: &TestApp, ctx: &Ctx) -> Ctx {
    let (_, who) = sign_in(test, ctx.app(), TestApp::USERNAME).await;
    test.app.ctx(who, test.meta())
}

/// What ended before it was registered, as when a request was let in a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_already_is_found_when_it_is_registered() {
    let (test, _ctx) = TestApp::ready(Sqlite).await;
    let (_, who) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    let (_, other) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    let mut open = test.app.hold(&other, READ);
    sessions::logout(&test.app.ctx(who.clone(), test.meta())).await.expect("signed out");
    // The server has looked since, and the log has not grown.
    assert!(stays(&mut open, Duration::from_millis(1_200)).await);
    let (took, why) = over(&mut test.app.hold(&who, READ)).await;
    // Long before the server looks at everything again.
    assert!(took < WHOLE / 2 && why == Over::Ended, "{took:?} {why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_share_one_look_and_none_cost_none() {
    let (test, _ctx) = TestApp::ready(Sqlite).await;
    let (_, who) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    // The server also does other things now and then.
    let cost = async || {
        let before = test.app.statements();
        tokio::time::sleep(Duration::from_secs(3)).await;
        test.app.statements() - before
    };
    let first = test.app.hold(&who, READ);
    let one = cost().await;
    let many: Vec<Held> = (0..300).map(|_| test.app.hold(&who, READ)).collect();
    let all = cost().await;
    assert!(all <= one + 8, "{one} {all}");
    drop((first, many));
    tokio::time::sleep(Duration::from_millis(600)).await;
    // Work that comes every ten seconds is not in both.
    let none = cost().await.min(cost().await);
    assert!(none + 3 <= one, "{one} {none}");
}

/// From the commit on one server until the other one refuses the request and closes what is open.
#[rstest]
#[case::together(true)]
#[case::without_redis_and_nats(false)]
#[tokio::test(flavor = "multi_thread")]
async fn revoked_on_one_server_is_revoked_on_the_other_within_a_second(#[case] engines: bool) {
    let (mut test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    connected(&ctx, &second).await;
    connected(&second.own_ctx(Principal::Cli), &test.app).await;
    if !engines {
        test.engines().0.kill();
        test.engines().1.kill();
        until("both are alone", async || {
            test.app.fabric_state().degraded().len() == 2 && second.fabric_state().degraded().len() == 2
        })
        .await;
    }
    let grace = user(&ctx, "grace", Role::Admin).await;
    let (mut closed, mut refused, mut pushed) = (Vec::new(), Vec::new(), 0);
    for n in 0..12 {
        let (cookie, who) = sign_in(&test, &second, "grace").await;
        let mut held = second.hold(&who, READ);
        assert!(stays(&mut held, Duration::from_millis(20 * n)).await, "{n}");
        // Read a moment ago, so that it is remembered.
        assert!(second.by_session(cookie.expose()).await.expect("read").is_some());
        let mut listener = second.listen();
        users::end_sessions(&ctx, grace).await.expect("ended");
        let began = Instant::now();
        let refuse = async {
            while second.by_session(cookie.expose()).await.expect("read").is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            began.elapsed()
        };
        // What a push takes on this machine now: the event comes here, and the database is asked once.
        let push = async {
            if engines {
                heard_entry(&mut listener, Duration::from_secs(20)).await;
                users::by_name(&second.own_ctx(Principal::Cli), "grace").await.expect("read");
            }
            began.elapsed()
        };
        let ((took, why), until_refused, push) = tokio::join!(over(&mut held), refuse, push);
        assert_eq!(why, Over::Ended);
        pushed += usize::from(took < push + Duration::from_millis(150));
        closed.push(took);
        refused.push(until_refused);
    }
    // Twice a second would find three of ten so soon.
    assert!(!engines || pushed >= 9, "{pushed}: {closed:?}");
    soon(&format!("closed on the other server, Redis and NATS {engines}"), closed);
    soon(&format!("refused on the other server, Redis and NATS {engines}"), refused);
    second.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_database_says_that_something_has_ended() {
    let (mut test, _ctx) = TestApp::clustered().await;
    let (cookie, who) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    let script = token(&test, who.clone(), &["inventory:read"], 1).await;
    let (mut session, mut reads) = (test.app.hold(&who, READ), test.app.hold(&script, READ));
    let liar = liar(&mut test).await;
    let Principal::User { id: owner, session: own, .. } = who else { panic!("a user") };
    let Principal::Token { id, .. } = script else { panic!("a token") };
    let lies =
        [Event::UserSessionsEnded { id: owner }, Event::SessionEnded { id: own }, Event::TokenEnded { id }];
    let mut listener = test.app.listen();
    let before = test.app.statements();
    for _ in 0..100 {
        liar.bus().publish(lies.clone());
    }
    liar.bus().publish([Event::EntryAppended { seq: 1 }]);
    assert!(heard_entry(&mut listener, Duration::from_secs(20)).await);
    assert!(stays(&mut session, Duration::from_millis(700)).await);
    assert!(stays(&mut reads, Duration::from_millis(100)).await);
    let cost = test.app.statements() - before;
    assert!(cost < 150, "a burst of 300 is a few looks: {cost}");
    assert!(test.app.by_session(cookie.expose()).await.expect("read").is_some());
}

/// Somebody deletes the row by hand, which no entry of the log tells of; and the table is gone, so that nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_by_hand_is_noticed_and_what_cannot_be_looked_at_closes() {
    let (mut test, _ctx) = TestApp::ready(Postgres).await;
    let (_, who) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    let (_, other) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    let (mut held, mut kept) = (test.app.hold(&who, READ), test.app.hold(&other, READ));
    assert!(stays(&mut held, Duration::from_millis(300)).await);
    let session = who.session().expect("a session");
    test.postgres().sql(&format!("DELETE FROM sessions WHERE id = '{session}'"));
    let (took, why) = over(&mut held).await;
    assert!(took < WHOLE * 2 && why == Over::Ended, "{took:?} {why:?}");
    assert!(stays(&mut kept, Duration::from_millis(100)).await);

    test.postgres().sql("ALTER TABLE audit_head RENAME TO hidden");
    let (took, why) = over(&mut kept).await;
    assert!(took < WHOLE && why == Over::Unknown, "{took:?} {why:?}");
    test.postgres().sql("ALTER TABLE hidden RENAME TO audit_head");
    let mut again = test.app.hold(&other, READ);
    assert!(stays(&mut again, Duration::from_millis(1_200)).await, "it works again");
}

/// The database accepts what it is asked and does not answer. What is open closes before the pool gives up waiting for a connection,
/// which takes two seconds; on a machine that stalls, at least once in five.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_silent_closes_what_is_open() {
    let (mut test, _ctx) = TestApp::ready(Postgres).await;
    let (_, who) = sign_in(&test, &test.app, TestApp::USERNAME).await;
    for _ in 0..5 {
        let mut held = test.app.hold(&who, READ);
        assert!(stays(&mut held, Duration::from_millis(300)).await);
        let paused = test.postgres().pause();
        let (took, why) = over(&mut held).await;
        drop(paused);
        assert_eq!(why, Over::Unknown, "{took:?}");
        if took < Duration::from_secs(2) {
            return;
        }
        until("the database answers", async || *test.app.storage().borrow() == Storage::Serving).await;
    }
    panic!("it waits as long as the pool");
}

/// Whoever holds the operator's token has no session that could end.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_stays() {
    let (test, _ctx) = TestApp::ready(Sqlite).await;
    let operator = test.app.own_ctx(Principal::Operator);
    let _line = live::tune_in(&operator, live::Topic::Audit).expect("permitted");
    assert!(stays(&mut test.app.hold(&Principal::Operator, READ), Duration::from_millis(700)).await);
}
