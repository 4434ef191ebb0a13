//! Setup, sign-in, sessions.

use std::sync::Arc;

use cb_app::App;
use cb_app::auth::login::LoginIn;
use cb_app::auth::password::{self, ResetIn};
use cb_app::auth::{self, IDLE, sessions};
use cb_app::setup::{self, SetupIn};
use cb_app::users::{self, UserIn, UserPatch};
use cb_core::{Error, OsEntropy, Principal, Role, Secret};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn login_as(username: &str, password: &str) -> LoginIn {
    LoginIn { username: username.to_owned(), password: secret(password) }
}

fn setup_with(code: Secret, username: &str) -> SetupIn {
    SetupIn { code, username: username.to_owned(), password: secret(TestApp::PASSWORD), email: None }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_setups_at_once_exactly_one_wins(#[values(Sqlite, Postgres)] database: Database) {
    let test = TestApp::new(database).await;
    let code = test.app.setup_code().expect("required").0;
    let tries = (0..8).map(|i| {
        let (app, meta, code) = (test.app.clone(), test.meta(), code.clone());
        tokio::spawn(async move { setup::complete(&app, meta, setup_with(code, &format!("user{i}"))).await })
    });
    let mut won = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(Error::Conflict(_) | Error::RateLimited { .. }) => {}
            Err(other) => panic!("{database:?}: {other:?}"),
        }
    }
    assert_eq!(won, 1, "{database:?}");
    assert!(!test.app.setup_required().await.expect("readable") && test.app.setup_code().is_none());
    assert!(!test.data_dir().join("setup-code").exists(), "the code is gone from the disk");
}

#[tokio::test]
async fn setup_by_one_server_is_setup_for_all() {
    let test = TestApp::new(Database::Postgres).await;
    let second = test.second().await;
    let (own_code, _) = second.setup_code().expect("required");
    assert!(matches!(second.after_setup().await, Err(Error::SetupRequired)));
    test.set_up().await;
    let late = setup::complete(&second, test.meta(), setup_with(own_code, "eve")).await;
    assert!(matches!(late, Err(Error::Conflict(_))));
    second.after_setup().await.expect("the other server has set it up");
    assert!(second.setup_code().is_none(), "no code opens anything any more");
    second.close().await.expect("closes");
}

#[rstest]
#[tokio::test]
async fn a_wrong_code_is_refused_and_guessing_is_slowed(#[values(Sqlite, Postgres)] database: Database) {
    let test = TestApp::new(database).await;
    let guess = || setup::complete(&test.app, test.meta(), setup_with(secret("AAAA-BBBB"), "eve"));
    for _ in 0..5 {
        assert!(matches!(guess().await, Err(Error::Denied(_))));
    }
    assert!(matches!(guess().await, Err(Error::RateLimited { .. })));
    test.clock.advance(TimeDelta::minutes(16));
    let code = test.app.setup_code().expect("required").0;
    setup::complete(&test.app, test.meta(), setup_with(code, "ada")).await.expect("the right code, later");
}

#[rstest]
#[tokio::test]
async fn the_code_and_the_sessions_survive_a_restart(#[values(Sqlite, Postgres)] database: Database) {
    let test = TestApp::new(database).await;
    let before = test.app.setup_code().expect("required").0;
    let test = test.restart().await;
    let after = test.app.setup_code().expect("still required").0;
    assert!(before.matches(after.expose().as_bytes()));
    let opened = setup::complete(&test.app, test.meta(), setup_with(after, "ada")).await.expect("set up");
    let test = test.restart().await;
    assert!(!test.app.setup_required().await.expect("readable"));
    assert!(test.app.by_session(opened.cookie.expose()).await.expect("readable").is_some());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_login_tells_nothing_and_a_session_ends(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _ctx) = TestApp::ready(database).await;
    let wrong = auth::login(&test.app, test.meta(), login_as(TestApp::USERNAME, "nope nope nope")).await;
    let unknown = auth::login(&test.app, test.meta(), login_as("nobody", "nope nope nope")).await;
    let said = |r: cb_core::Result<auth::Admission>| r.expect_err("refused").to_string();
    assert_eq!(said(wrong), said(unknown));

    let signed_in = auth::login(&test.app, test.meta(), login_as("MARIA", TestApp::PASSWORD)).await;
    let opened = signed_in.expect("signed in").session().expect("no second factor");
    let who = test.app.by_session(opened.cookie.expose()).await.expect("readable").expect("alive");
    assert!(test.app.csrf_matches(&who, opened.out.csrf_token.as_bytes()));
    let ctx = test.app.ctx(who.principal, test.meta());
    sessions::logout(&ctx).await.expect("signed out");
    assert!(test.app.by_session(opened.cookie.expose()).await.expect("readable").is_none());
    assert!(!test.app.still_alive(ctx.principal()).await.expect("readable"));

    let idle = auth::login(&test.app, test.meta(), login_as(TestApp::USERNAME, TestApp::PASSWORD))
        .await
        .expect("in")
        .session()
        .expect("no second factor");
    test.clock.advance(IDLE);
    assert!(test.app.by_session(idle.cookie.expose()).await.expect("readable").is_none(), "idle too long");
}

#[rstest]
#[tokio::test]
async fn guessing_a_password_is_slowed_and_never_locks_for_ever(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, _) = TestApp::ready(database).await;
    let guess = || auth::login(&test.app, test.meta(), login_as(TestApp::USERNAME, "guess guess guess"));
    for _ in 0..5 {
        assert!(matches!(guess().await, Err(Error::Unauthenticated(_))));
    }
    assert!(matches!(guess().await, Err(Error::RateLimited { .. })));
    test.clock.advance(TimeDelta::minutes(16));
    auth::login(&test.app, test.meta(), login_as(TestApp::USERNAME, TestApp::PASSWORD))
        .await
        .expect("later, right");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_acts_beside_a_running_server(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let beside = App::beside(test.config(), test.clock.clone(), Arc::new(OsEntropy)).await.expect("attaches");
    let cli = beside.own_ctx(Principal::Cli);
    let user = users::by_name(&cli, "MARIA").await.expect("known");
    let link = users::reset_link(&cli, user.id).await.expect("a link");
    let token = link.path.strip_prefix("/reset#").expect("a fragment");
    let new = || secret("eleven red foxes nap");
    let input = ResetIn { token: secret(token), new_password: new() };
    password::reset(&test.app, test.meta(), input).await.expect("reset by the server");
    assert!(!test.app.still_alive(ctx.principal()).await.expect("readable"), "what was open has ended");
    let login = LoginIn { username: "maria".to_owned(), password: new() };
    auth::login(&test.app, test.meta(), login).await.expect("the new password");
    let disabled = UserPatch { disabled: Some(true), ..UserPatch::default() };
    assert!(
        matches!(users::update(&cli, user.id, disabled).await, Err(Error::Conflict(_))),
        "the last one stays"
    );
    beside.close().await.expect("closes");
    let verdict = cb_app::audit::verify(&test.app.own_ctx(Principal::Cli)).await.expect("readable");
    assert!(verdict.ok, "{verdict:?}");
}

/// The server may remember for a moment what it has read of a session; what another process ends must end all the same.
#[rstest]
#[tokio::test]
async fn what_another_process_ends_is_over_within_a_second(#[values(Sqlite, Postgres)] database: Database) {
    let (test, admin) = TestApp::ready(database).await;
    let grace = UserIn {
        username: "grace".to_owned(),
        email: None,
        role: Role::Viewer,
        password: secret(TestApp::PASSWORD),
    };
    users::create(&admin, grace).await.expect("made");
    let opened = auth::login(&test.app, test.meta(), login_as("grace", TestApp::PASSWORD)).await;
    let cookie = opened.and_then(auth::Admission::session).expect("signed in").cookie;
    let alive = async || test.app.by_session(cookie.expose()).await.expect("readable").is_some();
    let beside = App::beside(test.config(), test.clock.clone(), Arc::new(OsEntropy)).await.expect("attaches");
    let cli = beside.own_ctx(Principal::Cli);
    let grace = users::by_name(&cli, "grace").await.expect("there");
    // Asked all the time, as a busy page does.
    for _ in 0..3 {
        assert!(alive().await);
    }
    let disabled = UserPatch { disabled: Some(true), ..UserPatch::default() };
    users::update(&cli, grace.id, disabled).await.expect("disabled");
    let began = std::time::Instant::now();
    while alive().await {
        assert!(
            began.elapsed() < std::time::Duration::from_secs(10),
            "still there after {:?}",
            began.elapsed()
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    beside.close().await.expect("closes");
}
