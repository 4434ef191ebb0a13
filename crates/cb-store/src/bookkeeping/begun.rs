//! A scan that somebody has stopped between a worker's claim and its start stays what it is.

use cb_core::Secret;
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::Utc;
use rstest::rstest;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
use serde_json::json;
use uuid::Uuid;

use crate::entities::{job, scan};
use crate::open::Store;
use crate::queue::Hold;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn only_a_scan_that_is_not_over_begins(#[values(Sqlite, Postgres)] database: Database) {
    let dir = tempfile::tempdir().expect("a folder");
    let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
    let store = match &postgres {
        Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
        None => Store::open_sqlite(dir.path()).await,
    };
    let store = store.expect("opens");
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let now = Utc::now();
    for (number, (status, begins)) in
        [("queued", true), ("running", true), ("cancelled", false), ("completed", false), ("failed", false)]
            .into_iter()
            .enumerate()
    {
        let id = Uuid::from_u128(number as u128 + 1);
        let job = job::Model {
            id,
            kind: "scan".to_owned(),
            dedup_key: None,
            payload: json!({}),
            state: "running".to_owned(),
            attempts: 1,
            lease_owner: Some("a/1".to_owned()),
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
            phase: None,
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
        let hold = |owner: &str, fence| Hold { id, owner: owner.to_owned(), fence };
        for other in [hold("b/1", 7), hold("a/1", 6)] {
            assert!(!store.scan_started(&other, id, now).await.expect("told"), "not its worker");
        }
        assert_eq!(store.scan_started(&hold("a/1", 7), id, now).await.expect("told"), begins, "{status}");
        let row = scan::Entity::find_by_id(id).one(store.reader()).await.expect("read").expect("there");
        assert_eq!(row.status, if begins { "running" } else { status });
    }
}
