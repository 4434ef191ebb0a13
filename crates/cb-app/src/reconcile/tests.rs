use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use cb_core::config::Config;
use cb_core::{Error, OsEntropy};
use cb_testkit::{Postgres, TestClock};
use chrono::{TimeDelta, TimeZone as _, Utc};
use tokio::time::Instant;

use super::{AGAIN, Done, Failed, LEASE, LOOK, Name, RENEW, SOON, WORKS, Who, Work, in_turn, loses, wait};
use crate::App;

/// How long a lease is held that is renewed as `renew` says, and why no longer. The time is made up.
async fn held<R: Future<Output = cb_core::Result<bool>>>(
    renew: impl Fn(u32) -> R,
) -> (Duration, &'static str) {
    let (began, asked) = (Instant::now(), AtomicU32::new(0));
    let renew = || renew(asked.fetch_add(1, SeqCst));
    let why = tokio::time::timeout(Duration::from_hours(1), loses(|| began.elapsed(), Duration::ZERO, renew));
    let why = why.await.unwrap_or("never");
    (began.elapsed(), why)
}

fn away() -> cb_core::Result<bool> {
    Err(Error::Unavailable("away".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_while_it_is_renewed_and_let_go_before_another_may_take_it() {
    assert_eq!(held(async move |_| Ok(true)).await.1, "never");
    // An outage that is shorter than the lease.
    assert_eq!(held(async move |n| if n % 4 == 3 { Ok(true) } else { away() }).await.1, "never");
    let (first, _) = held(async move |_| away()).await;
    assert!(first < LEASE && first > LEASE / 2, "{first:?}");
    let (hung, _) = held(async move |_| std::future::pending().await).await;
    assert!(hung < LEASE, "{hung:?}");
    let (later, _) = held(async move |n| if n < 10 { Ok(true) } else { away() }).await;
    assert!(later < RENEW * 10 + LEASE && later > RENEW * 10 + LEASE / 2, "{later:?}");
    assert_eq!(held(async move |n| Ok(n < 3)).await, (RENEW * 4, "Another server has taken the work over"));
}

static ENDLESS: Work = Work {
    name: Name::Notices,
    every: Duration::from_mins(10),
    who: Who::One,
    run: |_, _| Box::pin(std::future::pending()),
};

/// Killed in the middle of it: nobody ends the run.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_server_was_doing_is_another_servers_within_a_minute() {
    let (dir, postgres) = (tempfile::tempdir().expect("a folder"), Postgres::start());
    let vars = [("CB_DATA_DIR", dir.path().display().to_string()), ("CB_DB_URL", postgres.url().to_owned())];
    let vars = vars.map(|(name, value)| (name.to_owned(), value));
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("valid");
    let clock = Arc::new(TestClock::new());
    let app = App::open(&config, clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    // The server's own run of it comes first.
    let over = async || {
        let rows = app.store().works().await.expect("read");
        rows.iter().any(|row| row.name == Name::Notices.as_str() && row.ended_at.is_some())
    };
    while !over().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clock.advance(TimeDelta::days(1));
    let dies = tokio::time::timeout(RENEW * 2, in_turn(&app, &ENDLESS));
    dies.await.expect_err("it does not end");
    let rows = app.store().works().await.expect("read");
    let row = rows.iter().find(|row| row.name == Name::Notices.as_str()).expect("a row");
    let left = row.held_until.expect("held") - app.now();
    let most = TimeDelta::minutes(1) - TimeDelta::from_std(LOOK).expect("short");
    assert!(left > TimeDelta::zero() && left <= most, "{left}");
}

#[test]
fn names_are_unique_and_a_failure_is_tried_again_no_later_than_the_next_regular_time() {
    let names: BTreeSet<_> = WORKS.iter().map(|work| work.name.as_str()).collect();
    assert_eq!(names.len(), WORKS.len());
    for work in WORKS {
        assert_eq!(wait(work, None), work.every);
        let failed = wait(work, Some(&Failed::of("why")));
        assert!(failed <= work.every && failed <= AGAIN, "{:?}", work.name);
        let away = Failed { away: true, ..Failed::of("why") };
        assert!(wait(work, Some(&away)) <= SOON, "{:?}", work.name);
    }
}

#[test]
fn a_failure_is_news_once_and_so_is_its_end() {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a date");
    let done = Done::default();
    let mut news = Vec::new();
    for error in [None, Some("full"), Some("full"), Some("gone"), None, None] {
        done.begun(Name::Notices, now);
        news.push(done.ended(Name::Notices, now, now, error.map(str::to_owned)));
    }
    assert_eq!(news, [false, true, false, true, true, false]);
}
