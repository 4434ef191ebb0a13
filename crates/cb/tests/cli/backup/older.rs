//! A backup of an older version is brought to this one.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

use super::refused::forge_database;
use super::{World, text};

/// Undoes the migrations from `m0011_hooks` on, as their `down` does. A new migration is undone here too.
const BACK: &str = "ALTER TABLE scans DROP COLUMN site; ALTER TABLE jobs DROP COLUMN place; DROP TABLE schema_reach; DROP TABLE shared_secrets; DROP TABLE servers; DROP INDEX jobs_waiting; DROP INDEX jobs_oldest; DROP INDEX jobs_due; DROP INDEX jobs_running; DROP INDEX jobs_dead; ALTER TABLE jobs DROP COLUMN priority; ALTER TABLE jobs DROP COLUMN not_before; ALTER TABLE jobs DROP COLUMN fence; CREATE INDEX jobs_claim ON jobs (state, created_at); DROP TABLE periodic_work; DROP TABLE views; DROP INDEX findings_review; DROP INDEX addresses_key; ALTER TABLE assets DROP COLUMN status_since; ALTER TABLE addresses DROP COLUMN missed_at; ALTER TABLE addresses DROP COLUMN seen_by; ALTER TABLE findings DROP COLUMN missed_at; ALTER TABLE findings DROP COLUMN review; ALTER TABLE findings DROP COLUMN review_id; ALTER TABLE services DROP COLUMN scheme; DROP INDEX services_port; DROP INDEX addresses_first; DROP INDEX assets_created; DROP INDEX assets_role; DROP INDEX findings_seen; DROP INDEX findings_address; DROP INDEX findings_title; ALTER TABLE findings DROP COLUMN address_key; ALTER TABLE findings DROP COLUMN title_key; DROP INDEX assets_shown_status; CREATE INDEX assets_status ON assets (status, id); ALTER TABLE assets DROP COLUMN status_set; DROP TABLE kept_answers; DROP TABLE hook_events; DROP TABLE hooks; DELETE FROM seaql_migrations WHERE version >= 'm0011'";

#[rstest]
#[case(Sqlite)]
#[case(Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_schema_of_this_program_afterwards(#[case] on: Database) {
    let world = World::new(on == Postgres);
    let old = world.home("old", Sqlite).await;
    let site = old.begin().await;
    assert!(site.client.asset("of then").await);
    site.stop();
    let (archive, older) = (world.path("archive"), world.path("older"));
    old.says(&["backup", text(&archive)]);
    forge_database(&archive, &older, &world, BACK);
    let new = world.home("new", on).await;
    let said = new.says(&["restore", text(&older)]);
    assert!(said.contains("was upgraded"), "{said}");
    let site = new.start().await;
    assert!(site.client.assets().await.contains("of then"));
    assert_eq!(site.client.get("/hooks").await["items"], serde_json::json!([]));
    site.stop();
    assert!(new.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
}
