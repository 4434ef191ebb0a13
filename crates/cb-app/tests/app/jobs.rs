//! The mechanism of jobs with kinds of the tests' own: who runs what and how often, what a worker's death costs, and how a job is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cb_app::jobs::dead::{self, JobOut, JobState};
use cb_app::jobs::{self, Access, Job, Kind, Limits, Verdict, Work};
use cb_app::scans::{self, ScanIn, Started};
use cb_app::{App, Ctx, List, tags};
use cb_core::audit::Action;
use cb_core::inventory::ScanStatus;
use cb_core::{Error, Permission, Principal, Result};
use cb_store::entities::{audit_entry, job, scan};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _,
};
use cb_store::{Audit, Enqueued, NewJob, Store, WriteTx};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::write_path::raw;

pub const NAME: &str = "counting";

type Does = Box<dyn Fn(App, Job) -> Work<'static, Verdict> + Send + Sync>;

/// Notes who runs.
pub struct Counting {
    pub limits: Limits,
    does: Does,
    /// The worker itself fails so often.
    pub panics: AtomicUsize,
    /// The end of a job cannot be told.
    pub untold: AtomicBool,
    pub order: Mutex<Vec<Uuid>>,
    begun: Mutex<BTreeMap<Uuid, Vec<i32>>>,
    now: Arc<AtomicUsize>,
    most: AtomicUsize,
    died: Mutex<Vec<(Uuid, String)>>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counting {
    pub fn new(
        at_once: usize,
        does: impl Fn(App, Job) -> Work<'static, Verdict> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::with(at_once, does))
    }

    pub fn with(
        at_once: usize,
        does: impl Fn(App, Job) -> Work<'static, Verdict> + Send + Sync + 'static,
    ) -> Self {
        let limits = Limits { at_once, lease: Duration::from_secs(3), attempts: 3, waiting: 100_000 };
        Self {
            limits,
            does: Box::new(does),
            panics: AtomicUsize::new(0),
            untold: AtomicBool::new(false),
            order: Mutex::default(),
            begun: Mutex::default(),
            now: Arc::default(),
            most: AtomicUsize::new(0),
            died: Mutex::default(),
        }
    }

    pub fn begun(&self) -> BTreeMap<Uuid, Vec<i32>> {
        self.begun.lock().expect("lock").clone()
    }

    pub fn died(&self) -> Vec<String> {
        self.died.lock().expect("lock").iter().map(|(_, reason)| reason.clone()).collect()
    }
}

impl Kind for Counting {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        let left = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "a fault of the worker");
        self.limits
    }

    fn access(&self) -> Access {
        Access { read: Permission::MetricsRead, write: Permission::SettingsWrite }
    }

    fn run(&self, app: App, job: Job) -> Work<'static, Verdict> {
        self.begun.lock().expect("lock").entry(job.id).or_default().push(job.attempt);
        self.order.lock().expect("lock").push(job.id);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let running = Running(self.now.clone());
        let work = (self.does)(app, job);
        Box::pin(async move {
            let _running = running;
            work.await
        })
    }

    fn died<'a>(&'a self, _: &'a App, job: &'a Job, reason: &'a str) -> Work<'a, Result<()>> {
        self.died.lock().expect("lock").push((job.id, reason.to_owned()));
        let untold = self.untold.load(Ordering::SeqCst);
        Box::pin(async move {
            if untold { Err(Error::Internal("a secret of the house".to_owned())) } else { Ok(()) }
        })
    }

    fn retried<'a>(&'a self, _: &'a mut WriteTx, _: Uuid) -> Work<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

pub async fn store(test: &TestApp) -> Store {
    match &test.config().db_url {
        Some(url) => Store::attach_postgres(url).await.expect("opens"),
        None => Store::attach_sqlite(test.data_dir()).await.expect("opens"),
    }
}

pub fn new(app: &App) -> NewJob {
    NewJob {
        id: app.new_id(),
        kind: NAME,
        place: None,
        key: None,
        payload: json!({}),
        priority: 0,
        after: TimeDelta::zero(),
        created_at: app.now(),
    }
}

/// Time passes for the servers. PostgreSQL's clock cannot be set: there the rows grow older.
pub async fn passes(test: &TestApp, seconds: i64) {
    if test.config().db_url.is_some() {
        let sql = format!(
            "UPDATE jobs SET lease_until = lease_until - interval '{seconds} s', not_before = CASE WHEN not_before > 'epoch' \
             THEN not_before - interval '{seconds} s' ELSE not_before END"
        );
        raw(test).await.execute_unprepared(&sql).await.expect("grown older");
    }
    test.clock.advance(TimeDelta::seconds(seconds));
}

pub async fn enqueue(test: &TestApp, count: usize) -> Vec<Uuid> {
    enqueue_at(test, count, 0).await
}

pub async fn enqueue_at(test: &TestApp, count: usize, priority: i32) -> Vec<Uuid> {
    let store = store(test).await;
    let audit = Audit {
        action: Action::SettingsUpdated,
        actor: &Principal::Server,
        at: test.app.now(),
        origin: None,
    };
    let (ids, _) = store
        .write(audit, async |tx| {
            let mut ids = Vec::new();
            for _ in 0..count {
                let new = NewJob { priority, ..new(&test.app) };
                ids.push(new.id);
                assert_eq!(tx.enqueue(new, 100_000).await?, Enqueued::New);
            }
            Ok(ids)
        })
        .await
        .expect("made");
    ids
}

pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within fifteen seconds: {what}");
}

pub async fn left(test: &TestApp) -> u64 {
    job::Entity::find().filter(job::Column::Kind.eq(NAME)).count(&raw(test).await).await.expect("counted")
}

pub async fn running(test: &TestApp) -> u64 {
    let running = job::Entity::find().filter(job::Column::State.eq("running"));
    running.count(&raw(test).await).await.expect("counted")
}

pub async fn dead(ctx: &Ctx) -> Vec<JobOut> {
    dead::list(ctx, &List::default(), JobState::Dead).await.expect("listed").items
}

pub fn work(app: &App, kind: &Arc<Counting>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(jobs::run(app.clone(), vec![kind.clone()]))
}

pub fn done(_: App, _: Job) -> Work<'static, Verdict> {
    Box::pin(async { Verdict::Done })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn three_workers_run_each_job_once(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let count = if database == Postgres { 3_000 } else { 500 };
    let ids = enqueue(&test, count).await;
    let kind = Counting::new(50, done);
    for _ in 0..3 {
        work(&test.app, &kind);
    }
    until("all are done", async || left(&test).await == 0).await;
    let begun = kind.begun();
    assert_eq!(begun.len(), ids.len());
    assert!(begun.values().all(|attempts| attempts.len() == 1), "none twice");
    assert!(kind.most.load(Ordering::SeqCst) <= 150);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn no_more_run_beside_each_other_than_may(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    enqueue(&test, 12).await;
    let kind = Counting::new(3, |_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Verdict::Done
        })
    });
    work(&test.app, &kind);
    until("all are done", async || left(&test).await == 0).await;
    assert_eq!(kind.most.load(Ordering::SeqCst), 3);
}

/// By the fabric, long before the worker looks by itself, five seconds after it has looked for the last time. At least once in five
/// times on a machine that stalls.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_hears_of_a_job_at_once() {
    let (_test, ctx) = TestApp::ready(Sqlite).await;
    let mut took = Vec::new();
    // With the end of the first one it has just looked.
    for n in 0..6 {
        let began = std::time::Instant::now();
        let scan = start(&ctx).await;
        let status = async || scans::get(&ctx, scan).await.expect("read").status;
        until("it runs", async || status().await != ScanStatus::Queued).await;
        if n > 0 {
            took.push(began.elapsed());
            if began.elapsed() < Duration::from_secs(2) {
                return;
            }
        }
        until("over", async || status().await == ScanStatus::Completed).await;
    }
    panic!("it only looks by itself: {took:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_then_is_a_dead_letter(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let [retried, failed, panicked] = enqueue(&test, 3).await[..] else { panic!("three") };
    let well = Arc::new(AtomicBool::new(false));
    let now_well = well.clone();
    let kind = Counting::new(3, move |_, job| {
        let well = well.load(Ordering::SeqCst);
        Box::pin(async move {
            match job.id {
                _ if well => Verdict::Done,
                id if id == retried => {
                    Verdict::Retry { after: Duration::ZERO, reason: "It is busy".to_owned() }
                }
                id if id == failed => Verdict::Fail { reason: "It is wrong".to_owned() },
                _ => panic!("a fault of the kind"),
            }
        })
    });
    work(&test.app, &kind);
    // No attempt follows at once: the clock has to pass the wait.
    for attempts in 1..=3 {
        for job in [&retried, &panicked] {
            let tried = async || kind.begun().get(job).map_or(0, Vec::len);
            // The clock of PostgreSQL goes on: a slow test finds the next one begun.
            until("tried", async || tried().await >= attempts).await;
            assert!(database == Postgres || tried().await == attempts);
        }
        until("written down", async || running(&test).await == 0).await;
        passes(&test, 10).await;
    }
    until("dead", async || dead(&ctx).await.len() == 3).await;
    let mut reasons: Vec<_> = dead(&ctx).await.into_iter().map(|one| one.error.expect("a reason")).collect();
    reasons.sort();
    assert_eq!(reasons[..2], ["It is busy", "It is wrong"]);
    assert!(reasons[2].contains("a fault of its own"), "{reasons:?}");
    assert_eq!(kind.begun()[&failed], [1], "one that never goes better is tried once");
    assert_eq!(kind.begun()[&retried], [1, 2, 3]);
    assert_eq!(kind.died().len(), 3);
    let counts = jobs::counts(&test.app).await.expect("counted");
    let own = counts.iter().find(|one| one.kind == NAME).expect("this kind");
    assert_eq!((own.waiting, own.running, own.dead), (0, 0, 3));
    now_well.store(true, Ordering::SeqCst);
    // A kind that this server does not know stays where it is.
    assert!(matches!(dead::retry(&ctx, failed.into()).await, Err(Error::Conflict(_))));
    dead::remove(&ctx, failed.into()).await.expect("removed");
    assert_eq!(dead(&ctx).await.len(), 2);
    assert!(matches!(dead::remove(&ctx, failed.into()).await, Err(Error::NotFound)));
}

/// Each worker that takes it is killed: nobody ever says how it went.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let kind = Counting::new(1, |_, _| Box::pin(std::future::pending()));
    for attempt in 1..=3 {
        let worker = work(&test.app, &kind);
        until("begun", async || kind.begun().get(&id).map(Vec::len) == Some(attempt)).await;
        worker.abort();
        assert!(worker.await.expect_err("killed").is_cancelled());
        passes(&test, 4).await;
    }
    work(&test.app, &kind);
    until("given up", async || dead(&ctx).await.len() == 1).await;
    assert_eq!(kind.begun()[&id], [1, 2, 3], "not begun a fourth time");
    assert_eq!(
        kind.died(),
        ["The server stopped, or lost its database, 3 times while this was running, so it gave up"]
    );
}

/// A worker that always has something to do takes back what another one held that was killed.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_job_does_not_wait_for_a_backlog(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let [lost] = enqueue(&test, 1).await[..] else { panic!("one") };
    let killed = Counting::new(1, |_, _| Box::pin(std::future::pending()));
    let worker = work(&test.app, &killed);
    until("begun", async || killed.begun().len() == 1).await;
    worker.abort();
    assert!(worker.await.expect_err("killed").is_cancelled());

    let kind = Counting::new(1, |_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Verdict::Done
        })
    });
    // The age is that of the ids, to the millisecond.
    test.clock.advance(TimeDelta::seconds(1));
    enqueue(&test, 300).await;
    work(&test.app, &kind);
    until("busy", async || !kind.begun().is_empty()).await;
    passes(&test, 6).await;
    until("taken back", async || kind.begun().contains_key(&lost)).await;
    assert!(left(&test).await > 100, "it did not wait for the others");
}

/// A job that another worker took over is broken off, and writes nothing any more.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_broken_off(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let [id] = enqueue(&test, 1).await[..] else { panic!("one") };
    let kind = Counting::new(1, |_, job| {
        Box::pin(async move {
            if job.attempt == 1 {
                std::future::pending::<()>().await;
            }
            Verdict::Done
        })
    });
    work(&test.app, &kind);
    until("begun", async || kind.begun().len() == 1).await;
    raw(&test)
        .await
        .execute_unprepared("UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_until = NULL WHERE kind = 'counting'")
        .await
        .expect("taken away");
    // It notices when it renews.
    test.clock.advance(TimeDelta::seconds(2));
    until("done", async || left(&test).await == 0).await;
    assert_eq!(kind.begun()[&id], [1, 2]);
    assert_eq!(kind.most.load(Ordering::SeqCst), 1, "the first had ended when the second began");
}

/// It is held beyond its lease, which is renewed.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_runs_once(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    enqueue(&test, 1).await;
    let kind = Counting::new(1, |_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Verdict::Done
        })
    });
    for _ in 0..2 {
        work(&test.app, &kind);
    }
    until("begun", async || kind.begun().len() == 1).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        test.clock.advance(TimeDelta::milliseconds(500));
    }
    until("done", async || left(&test).await == 0).await;
    assert!(kind.begun().values().all(|attempts| attempts.len() == 1));
}

pub async fn start(ctx: &Ctx) -> cb_core::ids::ScanId {
    let input = ScanIn {
        targets: vec!["172.31.255.77".into()],
        probes: vec!["tcp_ping".into()],
        site: None,
        dry_run: false,
    };
    match scans::start(ctx, input).await {
        Ok(Started::Scan(scan)) => scan.id,
        other => panic!("{other:?}"),
    }
}

/// As a scan's writes do: through the job that they are for.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_job_writes_nothing_for_it(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    enqueue(&test, 1).await;
    let db = raw(&test).await;
    let (sender, mut told) = tokio::sync::mpsc::channel(2);
    let kind = Counting::new(1, move |app, job| {
        let (sender, db) = (sender.clone(), db.clone());
        Box::pin(async move {
            let ctx = job.ctx(&app, Principal::Operator);
            sender.send(tag(&ctx, "before").await).await.expect("heard");
            db.execute_unprepared("UPDATE jobs SET fence = fence + 1 WHERE kind = 'counting'")
                .await
                .expect("taken");
            sender.send(tag(&ctx, "after").await).await.expect("heard");
            std::future::pending().await
        })
    });
    work(&test.app, &kind);
    told.recv().await.expect("told").expect("it held the job");
    let refused = told.recv().await.expect("told");
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let names: Vec<_> = tags::list(&ctx, &List::default()).await.expect("listed").items;
    assert_eq!(names.len(), 1, "{names:?}");
}

pub async fn tag(ctx: &Ctx, name: &str) -> Result<()> {
    let input = serde_json::from_value(json!({ "name": name, "color": "#112233" })).expect("a tag");
    tags::create(ctx, input).await.map(drop)
}

/// Three stops of its server: the scan failed, and whoever retries its dead letter lets it wait again.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_was_given_up_waits_again_when_its_dead_letter_is_retried(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let id = start(&ctx).await;
    until("over", async || scans::get(&ctx, id).await.expect("read").status == ScanStatus::Completed).await;
    // As a server leaves it that was killed during its third attempt.
    let db = raw(&test).await;
    let row = scan::Entity::find_by_id(id.0).one(&db).await.expect("read").expect("there");
    let left = job::Model {
        id: row.job_id,
        kind: "scan".to_owned(),
        dedup_key: Some("scan 172.31.255.77".to_owned()),
        payload: json!({}),
        state: "running".to_owned(),
        attempts: 3,
        lease_owner: Some("another/1".to_owned()),
        lease_until: Some(test.app.now() - TimeDelta::seconds(1)),
        last_error: None,
        created_at: test.app.now(),
        finished_at: None,
        priority: 0,
        not_before: test.app.now(),
        fence: 3,
        place: None,
    };
    db.execute_unprepared("UPDATE scans SET status = 'running', finished_at = NULL").await.expect("left");
    left.into_active_model().reset_all().insert(&db).await.expect("left");
    until("given up", async || scans::get(&ctx, id).await.expect("read").status == ScanStatus::Failed).await;
    until("given up", async || dead(&ctx).await.len() == 1).await;
    let failed = scans::get(&ctx, id).await.expect("read");
    assert!(failed.error.expect("a reason").contains("3 times"));
    let [letter] = &dead(&ctx).await[..] else { panic!("one") };
    assert_eq!((letter.kind.as_str(), letter.id.0), ("scan", row.job_id));
    dead::retry(&ctx, letter.id).await.expect("retried");
    until("over", async || scans::get(&ctx, id).await.expect("read").status == ScanStatus::Completed).await;
    assert!(dead(&ctx).await.is_empty());
    assert_eq!(scans::get(&ctx, id).await.expect("read").error, None);
    until("its job is gone", async || {
        job::Entity::find().count(&raw(&test).await).await.expect("counted") == 0
    })
    .await;
    let told = audit_entry::Entity::find()
        .filter(audit_entry::Column::Action.eq("job_retried"))
        .count(&raw(&test).await)
        .await
        .expect("counted");
    assert_eq!(told, 1);
}
