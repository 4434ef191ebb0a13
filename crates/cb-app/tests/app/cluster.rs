//! Two servers over one PostgreSQL, Redis and NATS: what one changes the other hears, and what one counts the other counts on.

use std::time::Duration;

use cb_app::auth::login::{LoginIn, login};
use cb_app::operations::{self, Code};
use cb_app::tags::{self, TagIn};
use cb_app::{App, Ctx, Heard, Listener, metrics};
use cb_core::{Error, Event, Principal, Secret};
use cb_testkit::TestApp;

/// Until the condition holds, or half a minute is over.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in half a minute: {what}");
}

async fn tag(ctx: &Ctx, name: &str) {
    tags::create(ctx, TagIn { name: name.to_owned(), color: "#d97706".to_owned() }).await.expect("made");
}

/// Whether an audit entry of another server was heard within a moment.
async fn heard_entry(listener: &mut Listener) -> bool {
    let hear = async {
        loop {
            if let Heard::Event(Event::EntryAppended { .. }) = listener.hear().await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_millis(300), hear).await.is_ok()
}

/// Makes tags here until the other server hears of one at once: from then on the way is open.
pub async fn connected(here: &Ctx, there: &App) {
    let mut listener = there.listen();
    until("the other server hears", async || {
        tag(here, &here.app().new_id().to_string()).await;
        heard_entry(&mut listener).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_server_is_heard_on_the_other_and_missed_is_said_while_nats_is_away() {
    let (mut test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    connected(&ctx, &second).await;
    let there = second.own_ctx(Principal::Cli);
    connected(&there, &test.app).await;
    test.engines().1.kill();
    let mut listener = second.listen();
    until("the other server says that it may have missed something", async || {
        let heard = tokio::time::timeout(Duration::from_millis(300), listener.hear()).await;
        matches!(heard, Ok(Heard::Missed(_)))
    })
    .await;
    tag(&ctx, "written without NATS").await;
    test.engines().1.start_again();
    connected(&ctx, &second).await;
    second.close().await.expect("closes");
}

/// Tries to sign in with a wrong password; answers whether it was let in to be wrong.
async fn guess(test: &TestApp, app: &App) -> bool {
    let input =
        LoginIn { username: "nobody".to_owned(), password: Secret::new("wrong wrong wrong".to_owned()) };
    match login(app, test.meta(), input).await {
        Err(Error::Unauthenticated(_)) => true,
        Err(Error::RateLimited { .. }) => false,
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_counted_together_and_without_redis_by_each_server() {
    let (mut test, _ctx) = TestApp::clustered().await;
    let second = test.second().await;
    until("both count in Redis", async || {
        test.app.fabric_state().degraded().is_empty() && second.fabric_state().degraded().is_empty()
    })
    .await;
    let mut let_in = 0;
    for app in [&test.app, &second, &test.app, &second, &test.app, &second, &test.app, &second] {
        let_in += usize::from(guess(&test, app).await);
    }
    assert_eq!(let_in, 5, "five guesses, wherever they are made");
    test.engines().0.kill();
    until("Redis is known to be away", async || !second.fabric_state().degraded().is_empty()).await;
    assert!(!guess(&test, &second).await, "what was counted together is not forgotten");
    second.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_degraded_and_the_server_stays_ready() {
    let (mut test, ctx) = TestApp::clustered().await;
    let codes = async |ctx: &Ctx| -> Vec<Code> {
        operations::get(ctx).await.expect("told").degraded.iter().map(|one| one.code).collect()
    };
    until("everything works", async || codes(&ctx).await.is_empty()).await;
    assert!(scraped(&ctx, "cb_fabric_up{link=\"redis\"} 1").await);
    assert!(scraped(&ctx, "cb_fabric_local_limits 0").await);
    test.engines().0.kill();
    test.engines().1.kill();
    until("both are degraded", async || codes(&ctx).await == [Code::Redis, Code::Nats]).await;
    for one in operations::get(&ctx).await.expect("told").degraded {
        assert!(one.since.is_some() && one.why.is_some_and(|why| why.ends_with('.')), "{:?}", one.code);
    }
    for line in
        ["cb_fabric_up{link=\"redis\"} 0", "cb_fabric_up{link=\"nats\"} 0", "cb_fabric_local_limits 1"]
    {
        assert!(scraped(&ctx, line).await, "{line}");
    }
    assert!(test.app.is_ready(), "requests are still answered here");
    test.engines().0.start_again();
    test.engines().1.start_again();
    until("everything works again", async || codes(&ctx).await.is_empty()).await;
}

async fn scraped(ctx: &Ctx, line: &str) -> bool {
    let page = metrics::page(ctx).await.expect("told").into_text();
    page.lines().any(|own| own == line)
}
