//! The audit log under an intruder who has the database owner's rights: what they do is found, and named where it is.

use std::collections::BTreeMap;

use cb_app::audit::{self, Verification};
use cb_app::csv::Parts as _;
use cb_app::{Ctx, tags, users};
use cb_core::audit::{Entry, GENESIS};
use cb_core::{Error, Permission, Principal, Role, Secret};
use cb_store::entities::{audit_checkpoint, audit_entry, audit_head};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, DatabaseConnection, DbBackend, EntityTrait as _,
    QueryOrder as _, Statement,
};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;
use serde_json::json;

use crate::write_path::{named, raw, reading};

pub type Row = audit_entry::Model;

/// Somebody with the database owner's password. The guards are gone: whoever may do everything may remove them too.
pub struct Intruder(pub DatabaseConnection);

impl Intruder {
    pub async fn at(test: &TestApp) -> Self {
        let db = raw(test).await;
        if test.config().db_url.is_some() {
            for table in ["audit_log", "audit_head", "audit_checkpoints", "audit_anchor"] {
                let sql = format!("ALTER TABLE {table} DISABLE TRIGGER USER");
                db.execute_unprepared(&sql).await.expect("disarmed");
            }
        } else {
            let guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'";
            let guards = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, guards)).await;
            for guard in guards.expect("read") {
                let name: String = guard.try_get_by_index(0).expect("a name");
                db.execute_unprepared(&format!("DROP TRIGGER {name}")).await.expect("disarmed");
            }
        }
        Self(db)
    }

    pub async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    pub async fn rows(&self) -> Vec<Row> {
        let all = audit_entry::Entity::find().order_by_asc(audit_entry::Column::Seq).all(&self.0);
        all.await.expect("reads")
    }

    async fn head(&self) -> audit_head::Model {
        audit_head::Entity::find_by_id(1).one(&self.0).await.expect("reads").expect("a head")
    }

    /// The log becomes `rows`.
    pub async fn put(&self, rows: &[Row]) {
        self.run("DELETE FROM audit_log").await;
        for some in rows.chunks(500) {
            let some = some.iter().map(|r| audit_entry::ActiveModel::from(r.clone()).reset_all());
            audit_entry::Entity::insert_many(some).exec(&self.0).await.expect("put");
        }
    }

    pub async fn put_head(&self, seq: i64, hash: &str) {
        self.run(&format!("UPDATE audit_head SET seq = {seq}, hash = '{hash}'")).await;
    }
}

pub fn hash(row: &Row, previous: &str) -> String {
    let entry = Entry {
        action: &row.action,
        actor_id: row.actor_id.as_deref(),
        actor_kind: &row.actor_kind,
        actor_name: &row.actor_name,
        address: row.address.as_deref(),
        agent: row.agent.as_deref(),
        at: &row.at,
        detail: &row.detail,
        entity_id: row.entity_id.as_deref(),
        entity_kind: row.entity_kind.as_deref(),
        request_id: row.request_id.as_deref(),
        seq: row.seq,
    };
    entry.hash(previous)
}

/// Every hash anew, as somebody would who wants the chain to be whole in itself; answers the last.
fn rechain(rows: &mut [Row]) -> String {
    let mut previous = GENESIS.to_owned();
    for row in rows {
        row.prev_hash.clone_from(&previous);
        row.hash = hash(row, &previous);
        previous.clone_from(&row.hash);
    }
    previous
}

/// What two rows say changes places; their numbers stay.
fn swap(rows: &mut [Row], one: usize, two: usize) {
    rows.swap(one, two);
    let seq = rows[one].seq;
    rows[one].seq = rows[two].seq;
    rows[two].seq = seq;
}

async fn verify(ctx: &Ctx) -> Verification {
    audit::verify(ctx).await.expect("verifies")
}

/// Setup and tags up to the entry `last`.
async fn grow(ctx: &Ctx, last: i64) {
    for seq in verify(ctx).await.entries + 1..=last {
        tags::create(ctx, named(&format!("tag {seq}"))).await.expect("created");
    }
}

async fn more(ctx: &Ctx, what: &str, entries: u32) {
    for n in 0..entries {
        tags::create(ctx, named(&format!("{what} {n}"))).await.expect("created");
    }
}

type Deed = (&'static str, i64, fn(&mut Vec<Row>));

/// What the chain alone tells, and the entry that it names.
const FOUND_BY_THE_CHAIN: &[Deed] = &[
    ("the first deleted", 1, |rows| drop(rows.remove(0))),
    ("one deleted", 4, |rows| drop(rows.remove(3))),
    ("the last deleted", 8, |rows| drop(rows.pop())),
    ("the end cut off", 6, |rows| rows.truncate(5)),
    ("all deleted", 1, Vec::clear),
    ("all but the last deleted", 1, |rows| drop(rows.drain(..7))),
    ("two swapped, hashes and all", 4, |rows| swap(rows, 3, 4)),
    ("two swapped, the hashes left in place", 4, |rows| {
        swap(rows, 3, 4);
        let (prev, own) = (rows[3].prev_hash.clone(), rows[3].hash.clone());
        (rows[3].prev_hash, rows[3].hash) = (rows[4].prev_hash.clone(), rows[4].hash.clone());
        (rows[4].prev_hash, rows[4].hash) = (prev, own);
    }),
    ("the first and the last swapped", 1, |rows| swap(rows, 0, 7)),
    ("one altered and its own hash recomputed", 6, |rows| {
        "eve".clone_into(&mut rows[4].actor_name);
        rows[4].hash = hash(&rows[4], &rows[4].prev_hash);
    }),
    ("the whole rechained, the head left", 8, |rows| {
        "eve".clone_into(&mut rows[4].actor_name);
        rechain(rows);
    }),
    ("one put before the first", 0, |rows| rows.insert(0, Row { seq: 0, ..rows[0].clone() })),
    ("one put behind the last", 9, |rows| {
        let mut more = Row { seq: 9, ..rows[7].clone() };
        more.prev_hash.clone_from(&rows[7].hash);
        more.hash = hash(&more, &more.prev_hash);
        rows.push(more);
    }),
    ("when", 5, |rows| "2026-01-01T12:00:00.000001Z".clone_into(&mut rows[4].at)),
    ("kind of actor", 5, |rows| "system".clone_into(&mut rows[4].actor_kind)),
    ("actor", 5, |rows| rows[4].actor_id = None),
    ("actor's name", 5, |rows| "eve".clone_into(&mut rows[4].actor_name)),
    ("action", 5, |rows| "login".clone_into(&mut rows[4].action)),
    ("kind of thing", 5, |rows| rows[4].entity_kind = None),
    ("thing", 5, |rows| rows[4].entity_id = None),
    ("detail", 5, |rows| "{}".clone_into(&mut rows[4].detail)),
    ("request", 5, |rows| rows[4].request_id = None),
    ("address", 5, |rows| rows[4].address = Some("192.0.2.99".to_owned())),
    ("agent", 5, |rows| rows[4].agent = Some("curl".to_owned())),
    ("previous hash", 5, |rows| GENESIS.clone_into(&mut rows[4].prev_hash)),
    ("hash", 5, |rows| GENESIS.clone_into(&mut rows[4].hash)),
];

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_altered_reordered_or_cut_off_is_found_by_the_chain(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    grow(&ctx, 8).await;
    let intruder = Intruder::at(&test).await;
    let genuine = intruder.rows().await;
    assert_eq!(genuine.len(), 8);
    for (deed, entry, commit) in FOUND_BY_THE_CHAIN {
        let mut rows = genuine.clone();
        commit(&mut rows);
        intruder.put(&rows).await;
        let found = verify(&ctx).await;
        assert_eq!((found.ok, found.broken_at), (false, Some(*entry)), "{deed}: {found:?}");
        intruder.put(&genuine).await;
        assert!(verify(&ctx).await.ok, "{deed}: put right again");
    }
    let head = intruder.head().await;
    intruder.put_head(5, &genuine[4].hash).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(6), "a head moved back");
    intruder.put_head(8, GENESIS).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(8), "a head with another hash");
    intruder.put_head(9, &head.hash).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(9), "a head moved on");
    intruder.run("DELETE FROM audit_head").await;
    assert_eq!(verify(&ctx).await.broken_at, Some(0), "no head");
}

/// A chain that is whole in itself, and the entry whose checkpoint says that it is not the one that was. There are
/// checkpoints of the entries 4, 6 and 9.
const FOUND_BY_A_CHECKPOINT: &[Deed] = &[
    ("one altered", 4, |rows| "eve".clone_into(&mut rows[1].actor_name)),
    ("two swapped", 6, |rows| swap(rows, 4, 5)),
    ("two swapped across a checkpoint", 4, |rows| swap(rows, 3, 4)),
    ("the last two swapped", 9, |rows| swap(rows, 7, 8)),
    ("one deleted and the rest moved up", 6, |rows| {
        rows.remove(4);
        (1..).zip(rows).for_each(|(seq, row)| row.seq = seq);
    }),
    ("the end cut off", 6, |rows| rows.truncate(5)),
    ("the last cut off", 9, |rows| rows.truncate(8)),
    ("everything gone", 1, Vec::clear),
];

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_made_anew_is_found_by_a_checkpoint(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for last in [4, 6, 9] {
        grow(&ctx, last).await;
        audit::checkpoints(&ctx).await.expect("signed");
    }
    let intruder = Intruder::at(&test).await;
    let genuine = intruder.rows().await;
    let head = intruder.head().await;
    let store = reading(&test).await;
    for (deed, entry, commit) in FOUND_BY_A_CHECKPOINT {
        let mut rows = genuine.clone();
        commit(&mut rows);
        let last = rechain(&mut rows);
        intruder.put(&rows).await;
        intruder.put_head(rows.last().map_or(0, |r| r.seq), &last).await;
        let alone = store.verify_audit(None, &BTreeMap::new()).await.expect("verifies");
        assert_eq!(alone.broken, None, "{deed}: the chain alone cannot tell");
        let found = verify(&ctx).await;
        assert_eq!((found.ok, found.broken_at), (false, Some(*entry)), "{deed}: {found:?}");
        intruder.put(&genuine).await;
        intruder.put_head(head.seq, &head.hash).await;
        let whole = verify(&ctx).await;
        assert!(whole.ok && whole.checkpoints == 3, "{deed}: put right again: {whole:?}");
    }
    // A checkpoint in the database that was made to fit is no help to them: they have no key.
    intruder.run("UPDATE audit_checkpoints SET hash = '00' WHERE seq = 6").await;
    let found = verify(&ctx).await;
    assert_eq!((found.ok, found.broken_at), (false, Some(6)), "{found:?}");
    audit_checkpoint::Entity::delete_by_id(6).exec(&intruder.0).await.expect("deleted");
    assert!(verify(&ctx).await.ok, "nobody can tell of a checkpoint that only the database held");
}

/// Whoever may write to the database can take the stored checkpoints along; the copies elsewhere remember.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_rewritten_with_its_checkpoints_is_found_by_one_kept_elsewhere(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    grow(&ctx, 6).await;
    let kept = audit::checkpoints(&ctx).await.expect("signed");
    assert_eq!(kept.items.len(), 2, "one of setup, and one of now");
    assert!(verify(&ctx).await.ok);
    let intruder = Intruder::at(&test).await;
    let rows = intruder.rows().await;
    intruder.put(&rows[..4]).await;
    intruder.put_head(4, &rows[3].hash).await;
    intruder.run("DELETE FROM audit_checkpoints").await;
    let found = verify(&ctx).await;
    assert_eq!(found.broken_at, Some(5), "the copy in the data folder knows: {found:?}");
    // And grown again over other entries, with both of the server's copies gone: the one kept elsewhere knows.
    std::fs::remove_file(test.data_dir().join("audit-checkpoint.json")).expect("removed");
    for i in 0..5 {
        tags::create(&ctx, named(&format!("other {i}"))).await.expect("created");
    }
    assert!(verify(&ctx).await.ok, "nothing here knows any more");
    let key = cb_vault::checkpoint::PublicKey::parse(&kept.public_key).expect("a key");
    let store = reading(&test).await;
    let found = audit::examine(&store, Some(&key), &kept.items, None).await.expect("examined");
    assert_eq!(found.broken_at, Some(kept.items[1].seq), "{found:?}");
}

/// The file beside the database is in one data folder. The other servers know what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_is_noticed_by_every_server() {
    let (test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    grow(&ctx, 9).await;
    audit::checkpoints(&ctx).await.expect("signed");
    let (there, intruder) = (second.own_ctx(Principal::Cli), Intruder::at(&test).await);
    let told =
        "SELECT count(*) FROM servers WHERE told::text LIKE '%\"seq\": 9%' OR told::text LIKE '%\"seq\":9%'";
    crate::cluster::until("the first server has told it", async || {
        let row = intruder.0.query_one_raw(Statement::from_string(DbBackend::Postgres, told)).await;
        row.expect("read").expect("a row").try_get_by_index::<i64>(0).expect("a number") > 0
    })
    .await;
    assert!(verify(&there).await.ok);
    let rows = intruder.rows().await;
    intruder.put(&rows[..6]).await;
    intruder.put_head(6, &rows[5].hash).await;
    intruder.run("DELETE FROM audit_checkpoints WHERE seq > 6").await;
    let _ = std::fs::remove_file(test.data_dir().with_file_name("second").join("audit-checkpoint.json"));
    let found = verify(&there).await;
    assert!(
        !found.ok && found.reason.as_ref().is_some_and(|why| why.contains("but another one does (on ")),
        "{found:?}"
    );
    assert_eq!(audit::standing(&there).await.expect("told").contradicted.map(|one| one.seq), Some(9));
    drop(there);
    second.close().await.expect("closes");
}

/// Otherwise a server could start again with the database from which everything was copied, or with a backup of it.
#[tokio::test(flavor = "multi_thread")]
async fn every_folder_knows_how_far_the_log_has_come() {
    let (test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    let folder = test.data_dir().with_file_name("second");
    let file = folder.join("audit-checkpoint.json");
    let knows = || {
        let kept = std::fs::read(&file).expect("kept");
        serde_json::from_slice::<serde_json::Value>(&kept).expect("JSON")["seq"].as_i64().expect("a number")
    };
    let older = std::fs::read(&file).expect("written at the start");
    grow(&ctx, 9).await;
    // Both sign the same entry, one after the other.
    for server in [&ctx, &second.own_ctx(Principal::Cli)] {
        audit::checkpoints(server).await.expect("signed");
    }
    assert_eq!(knows(), 9);
    second.close().await.expect("closes");
    // As after a kill.
    std::fs::write(&file, older).expect("put back");
    let second = test.second().await;
    assert!(knows() >= 9, "{}", knows());
    second.close().await.expect("closes");
}

/// The database is put back under the running server, which goes on and signs what it finds.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_never_moves_backwards(
    #[values(Sqlite, Postgres)] database: Database,
    #[values(false, true)] grown_past_it: bool,
) {
    let (test, ctx) = TestApp::ready(database).await;
    grow(&ctx, 9).await;
    audit::checkpoints(&ctx).await.expect("signed");
    assert!(audit::standing(&ctx).await.expect("told").contradicted.is_none());
    let intruder = Intruder::at(&test).await;
    let rows = intruder.rows().await;
    intruder.put(&rows[..6]).await;
    intruder.put_head(6, &rows[5].hash).await;
    intruder.run("DELETE FROM audit_checkpoints WHERE seq > 6").await;
    if grown_past_it {
        more(&ctx, "since", 6).await;
    }
    // Told before the next checkpoint, too.
    let held = audit::standing(&ctx).await.expect("told").contradicted.expect("one");
    assert_eq!(held.seq, 9);
    for round in ["one", "two", "three"] {
        audit::checkpoints(&ctx).await.expect("signed");
        let found = verify(&ctx).await;
        assert!(!found.ok && found.broken_at.is_some_and(|seq| (7..=9).contains(&seq)), "{found:?}");
        let reason = found.reason.expect("a reason");
        assert!(
            reason.contains("audit-checkpoint.contradicted.json in the data folder contains entry 9"),
            "{reason}"
        );
        assert!(reason.contains("cb audit-log accept-restore"), "{reason}");
        let held = audit::standing(&ctx).await.expect("told").contradicted.expect("one");
        assert_eq!(held.seq, 9);
        more(&ctx, round, 4).await;
    }
    let told: Vec<_> =
        intruder.rows().await.into_iter().filter(|row| row.action == "checkpoint_contradicted").collect();
    assert_eq!(told.len(), 1, "once");
    assert!(told[0].detail.contains(r#""log_ended_at":"#) && told[0].detail.contains(r#""seq":9"#));

    // The database is put back once more. What was set aside first stays, and stays the one that is told.
    let all = intruder.rows().await;
    intruder.put(&all[..7]).await;
    intruder.put_head(7, &all[6].hash).await;
    intruder.run("DELETE FROM audit_checkpoints WHERE seq > 7").await;
    audit::checkpoints(&ctx).await.expect("signed");
    let held = audit::standing(&ctx).await.expect("told").contradicted.expect("one");
    assert_eq!(held.seq, 9, "{held:?}");
    let of = |name: &str| {
        let text = std::fs::read_to_string(test.data_dir().join(name)).expect("kept");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["seq"].as_i64().expect("a number")
    };
    assert_eq!(of("audit-checkpoint.contradicted-1.json"), 9);
    assert!(of("audit-checkpoint.contradicted.json") > 9);
    assert!(!verify(&ctx).await.ok);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_beside_the_database_is_not_taken_for_a_missing_one(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    grow(&ctx, 4).await;
    audit::checkpoints(&ctx).await.expect("signed");
    let file = test.data_dir().join("audit-checkpoint.json");
    let good = std::fs::read_to_string(&file).expect("written");
    let other_key =
        good.replace(&audit::checkpoints(&ctx).await.expect("read").items[0].key_id, "0123456789abcdef");
    for (damage, text) in [
        ("empty", ""),
        ("cut off", &good[..good.len() / 2]),
        ("no JSON", "x"),
        ("of another shape", "{}"),
        ("two of them", &format!("{good}{good}")),
        ("another key's", &other_key),
    ] {
        std::fs::write(&file, text).expect("written");
        let found = verify(&ctx).await;
        assert_eq!((found.ok, found.broken_at), (false, None), "{damage}: {found:?}");
        let reason = found.reason.expect("a reason");
        assert!(reason.contains("audit-checkpoint.json"), "{damage}: {reason}");
    }
    // An altered one is a checkpoint of its entry, with a bad signature.
    std::fs::write(&file, good.replace("\"seq\":4", "\"seq\":2")).expect("written");
    assert_eq!(verify(&ctx).await.broken_at, Some(2));
    // The next checkpoint does not write over the evidence, and does not make it forgotten.
    let aside = test.data_dir().join("audit-checkpoint.damaged");
    let altered = good.replace("\"seq\":4", "\"seq\":2");
    for (round, evidence) in [("x", "x"), ("altered", &altered), ("another key's", &other_key)] {
        std::fs::write(&file, evidence).expect("written");
        for n in 0..3 {
            audit::checkpoints(&ctx).await.expect("signed");
            let found = verify(&ctx).await;
            assert!(!found.ok && found.broken_at.is_none(), "{round}: {found:?}");
            let reason = found.reason.expect("a reason");
            assert!(reason.contains("audit-checkpoint.damaged in the data folder"), "{round}: {reason}");
            assert!(reason.contains("cb audit-log accept-restore"), "{round}: {reason}");
            more(&ctx, &format!("{round} {n}"), 1).await;
        }
        assert_eq!(std::fs::read_to_string(&aside).expect("set aside"), evidence, "{round}");
    }
    // One that cannot be set aside stays where it is, and is not told again each time.
    std::fs::remove_file(&aside).expect("removed");
    std::fs::create_dir(&aside).expect("made");
    let earlier = |n: usize| test.data_dir().join(format!("audit-checkpoint.damaged-{n}"));
    assert!(earlier(2).exists() && !earlier(3).exists(), "the first two rounds' evidence");
    for n in 3..=50 {
        std::fs::write(earlier(n), "").expect("written");
    }
    std::fs::write(&file, "y").expect("written");
    for _ in 0..3 {
        assert!(audit::checkpoints(&ctx).await.is_err());
        assert_eq!(std::fs::read(&file).expect("reads"), b"y");
    }
    std::fs::remove_dir(&aside).expect("removed");
    audit::checkpoints(&ctx).await.expect("signed");
    let told = Intruder(raw(&test).await).rows().await;
    let told = told.iter().filter(|row| row.action == "checkpoint_damaged").count();
    assert_eq!(told, 4, "once for each");
    std::fs::remove_file(&aside).expect("removed");
    for n in 1..=50 {
        std::fs::remove_file(earlier(n)).expect("removed");
    }
    std::fs::remove_file(&file).expect("removed");
    assert!(verify(&ctx).await.ok, "a missing one is no damage: a restored backup has none");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_an_end_is_no_formula_and_stops_when_its_reader_may_not(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    grow(&ctx, 150).await;
    let begin =
        async |ctx: &Ctx| audit::export(ctx, None, &audit::EntryFilter::default()).await.expect("begins");
    // What is written while it runs is not in it: it would never end.
    let mut export = begin(&ctx).await;
    let mut text = String::new();
    while let Some(part) = export.next().await.expect("reads") {
        text.push_str(&part);
        grow(&ctx, verify(&ctx).await.entries + 1).await;
    }
    assert_eq!(text.lines().count(), 151);
    // A name that a spreadsheet would run.
    let intruder = Intruder::at(&test).await;
    intruder.run("UPDATE audit_log SET actor_name = '=1+1' WHERE seq = 2").await;
    let first = begin(&ctx).await.next().await.expect("reads").expect("a part");
    assert!(first.contains(",\"'=1+1\",") && !first.contains("\"=1+1\""), "{first}");

    // A token of an administrator who becomes an editor stays alive, and reads no further.
    let admin = users::UserIn {
        username: "grace".to_owned(),
        email: None,
        role: Role::Admin,
        password: Secret::new("nine blue herons wade".to_owned()),
    };
    let grace = users::create(&ctx, admin).await.expect("made").id;
    let Principal::User { session, .. } = ctx.principal().clone() else { panic!("a user") };
    let as_grace = Principal::User {
        id: grace,
        username: "grace".to_owned(),
        role: Role::Admin,
        session,
        proved_at: Some(test.app.now()),
    };
    let token =
        serde_json::from_value(json!({ "name": "script", "scopes": ["audit:read", "inventory:read"] }));
    let token = cb_app::tokens::create(&test.app.ctx(as_grace, test.meta()), token.expect("a token")).await;
    let secret = token.expect("made").secret;
    let caller = test.app.by_bearer(secret.as_bytes(), &test.meta()).await.expect("read").expect("known");
    let by_token = test.app.ctx(caller, test.meta());
    let mut export = begin(&by_token).await;
    assert!(export.next().await.expect("reads").is_some());
    let demote = serde_json::from_value(json!({ "role": "editor" })).expect("a patch");
    users::update(&ctx, grace, demote).await.expect("demoted");
    assert!(matches!(export.next().await, Err(Error::Unauthenticated(_))));
    assert!(test.app.still_may(by_token.principal(), Permission::InventoryRead).await.expect("read"));
    // And a session that ends.
    let mut export = begin(&ctx).await;
    assert!(export.next().await.expect("reads").is_some());
    cb_app::auth::sessions::logout(&ctx).await.expect("signed out");
    assert!(matches!(export.next().await, Err(Error::Unauthenticated(_))));
}
