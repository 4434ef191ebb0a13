//! Periodic work as the operations page shows it.

use std::time::Duration;

use cb_app::operations::{self, Code};
use cb_app::reconcile::{self, Name, Who, WorkOut};
use cb_app::{Ctx, metrics};
use cb_core::Principal;
use cb_store::sea_orm::ConnectionTrait as _;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;

use crate::write_path::raw;

/// All of it, once each server-wide work has ended after `began`.
async fn after(ctx: &Ctx, began: cb_core::clock::Time) -> Vec<WorkOut> {
    for _ in 0..1_000 {
        let works = reconcile::list(ctx).await.expect("told").items;
        let over = |work: &WorkOut| work.who != Who::One || work.ended_at.is_some_and(|ended| ended >= began);
        if works.iter().all(over) {
            return works;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", reconcile::list(ctx).await.expect("told").items);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn it_is_done_when_the_server_starts_and_the_list_says_how_it_went(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let works = after(&ctx, test.app.now() - TimeDelta::hours(1)).await;
    for work in works.iter().filter(|work| work.who == Who::One) {
        assert_eq!((work.running, work.error.as_deref()), (false, None), "{work:?}");
        let every = TimeDelta::seconds(work.every_seconds.try_into().expect("short"));
        assert_eq!(work.next_at, work.ended_at.map(|ended| ended + every), "{work:?}");
    }
    assert!(works.iter().any(|work| work.who == Who::Each && work.ended_at.is_some()));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shown_until_a_run_goes_well(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    after(&ctx, test.app.now() - TimeDelta::hours(1)).await;
    let base = raw(&test).await;
    base.execute_unprepared("ALTER TABLE spent_tickets RENAME TO hidden").await.expect("renamed");
    test.clock.advance(TimeDelta::days(1));
    drop(ctx);
    let test = test.restart().await;
    let ctx = test.app.own_ctx(Principal::Cli);
    let works = after(&ctx, test.app.now()).await;
    let failed: Vec<_> = works.iter().filter(|work| work.error.is_some()).map(|work| work.name).collect();
    assert_eq!(failed, [Name::Sessions]);
    let degraded = operations::get(&ctx).await.expect("told").degraded;
    assert_eq!(
        degraded.iter().map(|one| (one.code, one.work)).collect::<Vec<_>>(),
        [(Code::PeriodicWorkFailing, Some(Name::Sessions))]
    );
    let page = metrics::page(&ctx).await.expect("told").into_text();
    for line in
        ["cb_periodic_failing{work=\"sessions\"} 1\n", "cb_periodic_failures_total{work=\"sessions\"} 1\n"]
    {
        assert!(page.contains(line), "{line} in {page}");
    }
    base.execute_unprepared("ALTER TABLE hidden RENAME TO spent_tickets").await.expect("renamed");
    test.clock.advance(TimeDelta::days(1));
    drop(ctx);
    let test = test.restart().await;
    let ctx = test.app.own_ctx(Principal::Cli);
    let works = after(&ctx, test.app.now()).await;
    assert!(works.iter().all(|work| work.error.is_none()), "{works:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_one_does_what_is_due_and_both_show_it() {
    let (test, ctx) = TestApp::ready(Postgres).await;
    let before = after(&ctx, test.app.now() - TimeDelta::hours(1)).await;
    let second = test.second().await;
    let there = reconcile::list(&second.own_ctx(Principal::Cli)).await.expect("told").items;
    let signed = there.iter().find(|work| work.name == Name::AuditCheckpoint).expect("there");
    assert!(
        signed.ended_at.is_some() && signed.next_at.is_some(),
        "it signs the log at its start: {signed:?}"
    );
    for (here, there) in before.iter().zip(&there).filter(|(work, _)| work.who == Who::One) {
        assert_eq!((here.started_at, here.next_at), (there.started_at, there.next_at), "{:?}", here.name);
    }
    second.close().await.expect("closes");
}
