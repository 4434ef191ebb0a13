//! What people see of a scan is what its job does, and stays when it is over.

use cb_core::Secret;
use cb_core::clock::Time;
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::Utc;
use rstest::rstest;
use sea_orm::{ActiveModelTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::Progress;
use crate::entities::{job, scan};
use crate::open::Store;
use crate::queue::{Hold, RUNNING, WAITING};

struct Bench {
    store: Store,
    now: Time,
    _home: (TempDir, Option<cb_testkit::Postgres>),
}

impl Bench {
    async fn open(database: Database) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
        let store = match &postgres {
            Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
            None => Store::open_sqlite(dir.path()).await,
        };
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let now = Utc::now();
        Self { store: store.expect("opens"), now, _home: (dir, postgres) }
    }
}

/// A scan and its job, both with this id.
async fn put(store: &Store, id: Uuid, status: &str, state: &str, now: Time) {
    let job = job::Model {
        id,
        kind: "scan".to_owned(),
        dedup_key: None,
        payload: json!({}),
        state: state.to_owned(),
        attempts: 1,
        lease_owner: (state == RUNNING).then(|| "a/1".to_owned()),
        lease_until: None,
        last_error: None,
        created_at: now,
        finished_at: None,
        priority: 0,
        not_before: now,
        fence: 7,
        place: None,
    };
    job.into_active_model().insert(store.writer()).await.expect("a job");
    let row = scan::Model {
        id,
        job_id: id,
        targets: json!([]),
        probes: json!([]),
        status: status.to_owned(),
        phase: Some("sweep".to_owned()),
        addresses_total: 0,
        addresses_done: 0,
        hosts_found: 0,
        findings_new: 0,
        assets_seen: 0,
        limitations: json!([]),
        error: None,
        requested_by: "test".to_owned(),
        cancel_requested: status == "cancelled",
        created_at: now,
        started_at: None,
        finished_at: None,
        site: None,
    };
    row.into_active_model().insert(store.writer()).await.expect("a scan");
}

async fn status(store: &Store, id: Uuid) -> (String, Option<String>) {
    let row = scan::Entity::find_by_id(id).one(store.reader()).await.expect("read").expect("there");
    (row.status, row.phase)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn only_a_scan_that_is_not_over_begins(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    let (store, now) = (&bench.store, bench.now);
    for (number, (status, begins)) in
        [("queued", true), ("running", true), ("cancelled", false), ("completed", false), ("failed", false)]
            .into_iter()
            .enumerate()
    {
        let id = Uuid::from_u128(number as u128 + 1);
        put(store, id, status, RUNNING, now).await;
        let hold = |owner: &str, fence| Hold { id, owner: owner.to_owned(), fence };
        for other in [hold("b/1", 7), hold("a/1", 6)] {
            assert!(!store.scan_started(&other, id, now).await.expect("told"), "not its worker");
        }
        assert_eq!(store.scan_started(&hold("a/1", 7), id, now).await.expect("told"), begins, "{status}");
        assert_eq!(self::status(store, id).await.0, if begins { "running" } else { status });
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_was_left_waits_until_a_worker_tells_of_it_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::open(database).await;
    let (store, now) = (&bench.store, bench.now);
    let [left, runs, over] = [1, 2, 3].map(Uuid::from_u128);
    put(store, left, "running", WAITING, now).await;
    put(store, runs, "running", RUNNING, now).await;
    put(store, over, "completed", RUNNING, now).await;
    assert_eq!(store.left_scans_wait().await.expect("told"), [left]);
    assert_eq!(status(store, left).await, ("queued".to_owned(), None));
    assert_eq!(status(store, runs).await.0, "running");

    let at_ports = Progress { phase: "ports".to_owned(), ..Progress::default() };
    for (id, told) in [(left, "queued"), (runs, "running"), (over, "completed")] {
        let hold = Hold { id, owner: "a/1".to_owned(), fence: 7 };
        store.scan_progress(&hold, id, &at_ports).await.expect("told");
        assert_eq!(status(store, id).await.0, told);
    }
    // Told as waiting by a server that was late: the next progress mends it.
    store.writer().execute_unprepared("UPDATE scans SET status = 'queued'").await.expect("changed");
    let hold = Hold { id: runs, owner: "a/1".to_owned(), fence: 7 };
    store.scan_progress(&hold, runs, &at_ports).await.expect("told");
    assert_eq!(status(store, runs).await, ("running".to_owned(), Some("ports".to_owned())));
}
