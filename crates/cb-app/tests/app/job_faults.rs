//! What faults cost a job: of the database, of clocks, of the worker and of whoever wants to know too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cb_app::jobs::Verdict;
use cb_app::jobs::dead;
use cb_app::record::record;
use cb_app::scans::{self, ScanIn, Started};
use cb_app::{App, Ctx, List, findings};
use cb_core::ids::ScanId;
use cb_core::inventory::ScanStatus;
use cb_core::{Clock as _, Error, Permission, Principal, Role};
use cb_store::entities::{asset, job, scan};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, DbBackend, EntityTrait as _, IntoActiveModel as _, Statement,
};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;

use crate::discovery::{host, scanner};
use crate::jobs::{Counting, dead as letters, enqueue, enqueue_at, left, passes, running, until, work};
use crate::write_path::raw;

/// Done when the flag is raised.
fn when(flag: &Arc<AtomicBool>) -> Arc<Counting> {
    let flag = flag.clone();
    Counting::new(2, move |_, _| {
        let flag = flag.clone();
        Box::pin(async move {
            while !flag.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Verdict::Done
        })
    })
}

#[test]
fn an_outage_is_no_attempt_and_a_fault_is_told_without_its_words() {
    for outage in [Error::Unavailable, Error::StorageFull, Error::OutcomeUnknown] {
        assert_eq!(Verdict::of(&outage("away".to_owned())), Verdict::GiveBack);
    }
    let Verdict::Retry { reason, .. } = Verdict::of(&Error::Internal("SELECT a secret".to_owned())) else {
        panic!("counts")
    };
    assert!(reason.contains("a fault of its own") && !reason.contains("secret"), "{reason}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_a_job_no_attempt_and_it_is_not_begun_at_once(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, _) = TestApp::ready(database).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let kind = Counting::new(1, move |_, _| {
        let well = is_well.load(Ordering::SeqCst);
        Box::pin(async move {
            if well { Verdict::Done } else { Verdict::of(&Error::Unavailable("away".to_owned())) }
        })
    });
    work(&test.app, &kind);
    for times in 1..=4 {
        until("begun", async || kind.begun().get(&id).map(Vec::len) == Some(times)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(kind.begun()[&id].len(), times, "not at once");
        // A wait that is written down later would begin at the clock that has moved.
        until("written down", async || running(&test).await == 0).await;
        well.store(times == 4, Ordering::SeqCst);
        passes(&test, 6).await;
    }
    until("done", async || left(&test).await == 0).await;
    assert_eq!(kind.begun()[&id], [1, 1, 1, 1, 1]);
}

/// What cannot be written down is tried now and then, and forgotten when the lease is over: then another attempt begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_writes_makes_no_worker_spin() {
    let (test, _) = TestApp::ready(Postgres).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let well = Arc::new(AtomicBool::new(false));
    let kind = when(&well);
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    let db = raw(&test).await;
    // A sequence does not go back with its transaction.
    db.execute_unprepared(
        "CREATE SEQUENCE tries; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'no'; END $$; \
         CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    )
    .await
    .expect("refuses");
    well.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    test.clock.advance(TimeDelta::seconds(4));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tries = Statement::from_string(DbBackend::Postgres, "SELECT last_value FROM tries");
    let row = db.query_one_raw(tries).await.expect("read").expect("a row");
    let tries: i64 = row.try_get_by_index(0).expect("a number");
    assert!((2..=12).contains(&tries), "{tries} tries");
    db.execute_unprepared("DROP TRIGGER refuse ON jobs").await.expect("well");
    passes(&test, 4).await;
    until("done", async || left(&test).await == 0).await;
    assert_eq!(kind.begun()[&id], [1, 2], "another attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_survives_an_outage_of_its_database() {
    let (mut test, _) = TestApp::ready(Postgres).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let well = Arc::new(AtomicBool::new(false));
    let kind = when(&well);
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    test.postgres().stop();
    well.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    test.postgres().start_again();
    let began = Instant::now();
    until("done", async || left(&test).await == 0).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(kind.begun()[&id], [1], "it was held all the time");
}

/// The wall clock is set forward beyond the lease: a worker does not take from itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_makes_no_worker_take_its_own() {
    let (test, _) = TestApp::ready(Sqlite).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let well = Arc::new(AtomicBool::new(false));
    let kind = when(&well);
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    test.clock.set(TimeDelta::minutes(2));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(kind.begun()[&id], [1]);
    let row = job::Entity::find_by_id(id).one(&raw(&test).await).await.expect("read").expect("there");
    assert!(row.lease_until.expect("held") > test.clock.now(), "and it was renewed");
    well.store(true, Ordering::SeqCst);
    until("done", async || left(&test).await == 0).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_job_has_time_to_end(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    enqueue(&test, 1).await;
    let ended = Arc::new(AtomicBool::new(false));
    let flag = ended.clone();
    let kind = Counting::new(1, move |_, job| {
        let ended = flag.clone();
        Box::pin(async move {
            if job.attempt == 1 {
                job.lost().cancelled().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                ended.store(true, Ordering::SeqCst);
            }
            Verdict::Done
        })
    });
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    let taken =
        "UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_until = NULL WHERE kind = 'counting'";
    raw(&test).await.execute_unprepared(taken).await.expect("taken away");
    test.clock.advance(TimeDelta::seconds(2));
    until("done", async || left(&test).await == 0).await;
    assert!(ended.load(Ordering::SeqCst));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cannot_be_told_keeps_its_reason(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let mut kind =
        Counting::with(1, |_, _| Box::pin(async { Verdict::Fail { reason: "It is wrong".to_owned() } }));
    kind.limits.attempts = 1;
    kind.untold.store(true, Ordering::SeqCst);
    let kind = Arc::new(kind);
    work(&test.app, &kind);
    for times in 1..=6 {
        // The clock of PostgreSQL goes on: a slow test finds the next one told.
        until("told", async || kind.died().len() >= times).await;
        assert!(database == Postgres || kind.died().len() == times);
        until("written down", async || running(&test).await == 0).await;
        passes(&test, 70).await;
    }
    until("dead", async || letters(&ctx).await.len() == 1).await;
    assert_eq!(letters(&ctx).await[0].error.as_deref(), Some("It is wrong"));
    assert_eq!(kind.died(), ["It is wrong"; 6]);
    assert_eq!(kind.begun()[&id], [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_is_started_again() {
    let (test, _) = TestApp::ready(Sqlite).await;
    enqueue(&test, 1).await;
    let kind = Counting::new(1, |_, _| Box::pin(async { Verdict::Done }));
    kind.panics.store(2, Ordering::SeqCst);
    work(&test.app, &kind);
    until("done", async || left(&test).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_waits_for_ever_behind_those_of_a_higher_priority() {
    let (test, _) = TestApp::ready(Sqlite).await;
    let [low] = enqueue(&test, 1).await[..] else { panic!("one") };
    // The age is that of the ids, to the millisecond.
    test.clock.advance(TimeDelta::seconds(1));
    enqueue_at(&test, 20, 9).await;
    let kind = Counting::new(1, |_, _| Box::pin(async { Verdict::Done }));
    work(&test.app, &kind);
    until("done", async || left(&test).await == 0).await;
    let place = kind.order.lock().expect("lock").iter().position(|id| *id == low).expect("run");
    assert!((1..4).contains(&place), "{place}");
}

/// What ends in time is done, the rest waits again, and that attempt does not count.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_waits_and_then_gives_back(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let [short, long] = enqueue(&test, 2).await[..] else { panic!("two") };
    let kind = Counting::new(2, move |_, job| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(if job.id == short { 2 } else { 600 })).await;
            Verdict::Done
        })
    });
    let worker = work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 2).await;
    let began = Instant::now();
    test.app.stopping().cancel();
    worker.await.expect("ends");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let db = raw(&test).await;
    assert!(job::Entity::find_by_id(short).one(&db).await.expect("read").is_none(), "it was waited for");
    let row = job::Entity::find_by_id(long).one(&db).await.expect("read").expect("there");
    assert_eq!((row.state.as_str(), row.attempts, row.lease_owner), ("queued", 0, None));
}

async fn last_seen(test: &TestApp) -> cb_core::clock::Time {
    let row = asset::Entity::find().one(&raw(test).await).await.expect("read").expect("an asset");
    row.last_seen_at.expect("seen")
}

/// Bookkeeping too is kept only as long as the job is held, and never goes back in time.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_job_sees_nothing_and_nobody_sees_backwards(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let report = host(&test, "10.0.0.5", Some("00:11:32:00:00:05"), &[22]);
    record(&scan_ctx, scan, std::slice::from_ref(&report)).await.expect("recorded");
    let counted = async || {
        scan::Entity::find_by_id(scan.0)
            .one(&raw(&test).await)
            .await
            .expect("read")
            .expect("there")
            .findings_new
    };
    assert_eq!(counted().await, 1);
    record(&scan_ctx, scan, std::slice::from_ref(&report)).await.expect("recorded");
    assert_eq!(counted().await, 1, "each once, also by a scan that begins again");
    let open =
        findings::list(&ctx, &List::default(), &findings::FindingFilter::default()).await.expect("lists");
    let ids = Some(open.items.into_iter().map(|one| one.id).collect());
    let input = findings::FindingsIn { ids, ..findings::FindingsIn::default() };
    findings::accept_many(&ctx, input).await.expect("accepted");

    enqueue(&test, 1).await;
    let (sender, mut told) = tokio::sync::mpsc::channel(1);
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let kind = Counting::new(1, move |app: App, job| {
        let (sender, go, report) = (sender.clone(), wait.clone(), report.clone());
        Box::pin(async move {
            let ctx = job.ctx(&app, Principal::Scanner { scan });
            loop {
                go.notified().await;
                record(&ctx, scan, std::slice::from_ref(&report)).await.expect("recorded");
                sender.send(()).await.expect("heard");
            }
        })
    });
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    let mut looks = async || {
        go.notify_one();
        told.recv().await.expect("looked");
        last_seen(&test).await
    };
    test.clock.set(TimeDelta::seconds(60));
    let first = looks().await;
    assert_eq!(first, test.clock.now(), "it holds the job");
    test.clock.set(TimeDelta::seconds(-30));
    assert_eq!(looks().await, first, "not back");
    test.clock.set(TimeDelta::seconds(90));
    raw(&test)
        .await
        .execute_unprepared("UPDATE jobs SET fence = fence + 1 WHERE kind = 'counting'")
        .await
        .expect("taken");
    assert_eq!(looks().await, first, "another worker's");
}

fn token(test: &TestApp, ctx: &Ctx, scopes: &[Permission]) -> Ctx {
    let Principal::User { id: owner, username, .. } = ctx.principal().clone() else { panic!("a user") };
    test.app.own_ctx(Principal::Token {
        id: owner.0.into(),
        name: "some".to_owned(),
        owner,
        username,
        role: Role::Admin,
        scopes: scopes.to_vec(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_needs_what_its_kind_needs() {
    let (test, ctx) = TestApp::ready(Sqlite).await;
    let id = test.app.new_id();
    let row = job::Model {
        id,
        kind: "scan".to_owned(),
        dedup_key: Some("scan 10.0.0.0/24".to_owned()),
        payload: json!({}),
        state: "failed".to_owned(),
        attempts: 3,
        lease_owner: None,
        lease_until: None,
        last_error: Some("10.0.0.1 is odd".to_owned()),
        created_at: test.app.now(),
        finished_at: Some(test.app.now()),
        priority: 0,
        not_before: test.app.now(),
        fence: 3,
        place: None,
    };
    row.into_active_model().reset_all().insert(&raw(&test).await).await.expect("left");
    let [letter] = &letters(&token(&test, &ctx, &[Permission::MetricsRead])).await[..] else { panic!("one") };
    assert_eq!((&letter.key, &letter.error), (&None, &None), "a reader of metrics learns no address");
    let both = token(&test, &ctx, &[Permission::MetricsRead, Permission::DiscoveryRead]);
    let [letter] = &letters(&both).await[..] else { panic!("one") };
    assert_eq!(letter.error.as_deref(), Some("10.0.0.1 is odd"));
    assert!(letter.key.is_some());
    // Whether its token still stands is asked later than whether it may.
    let settings = token(&test, &ctx, &[Permission::SettingsWrite]);
    for refused in [dead::retry(&settings, id.into()).await, dead::remove(&settings, id.into()).await] {
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(letters(&ctx).await.len(), 1);
    dead::remove(&ctx, id.into()).await.expect("removed");
}

/// It goes on where it was; its worker held the job all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_survives_a_short_outage() {
    let (mut test, ctx) = TestApp::ready(Postgres).await;
    let input = ScanIn {
        targets: vec!["172.31.255.0/26".into()],
        probes: vec!["tcp_ping".into()],
        site: None,
        dry_run: false,
    };
    let Ok(Started::Scan(started)) = scans::start(&ctx, input).await else { panic!("started") };
    let id: ScanId = started.id;
    until("runs", async || scans::get(&ctx, id).await.is_ok_and(|one| one.status == ScanStatus::Running))
        .await;
    let began = scans::get(&ctx, id).await.expect("read").started_at;
    test.clock.advance(TimeDelta::seconds(1));
    test.postgres().stop();
    tokio::time::sleep(Duration::from_secs(2)).await;
    test.postgres().start_again();
    until("over", async || scans::get(&ctx, id).await.is_ok_and(|one| one.status == ScanStatus::Completed))
        .await;
    let over = scans::get(&ctx, id).await.expect("read");
    assert_eq!((over.started_at, over.error), (began, None), "begun once");
}
