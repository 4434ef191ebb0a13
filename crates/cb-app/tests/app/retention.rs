//! The audit log forgets what has outlived its retention, and only that: what is left can be verified, whatever happens
//! meanwhile, and nobody but the server can make it forget.

use cb_app::audit::{self, CheckpointKey, Verification};
use cb_app::settings::{self, SettingsPatch};
use cb_app::{Ctx, List, tags};
use cb_core::audit::{Checkpoint, Claim, GENESIS};
use cb_core::clock::fixed_width;
use cb_core::{Error, Principal, Secret};
use cb_store::entities::{audit_anchor, audit_entry, session};
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;

use crate::audit::{Intruder, Row, hash};
use crate::write_path::{named, raw, reading};

async fn verify(ctx: &Ctx) -> Verification {
    audit::verify(ctx).await.expect("verifies")
}

async fn last(db: &DatabaseConnection) -> Row {
    let last = audit_entry::Entity::find().order_by_desc(audit_entry::Column::Seq).one(db).await;
    last.expect("reads").expect("an entry")
}

async fn first(db: &DatabaseConnection) -> i64 {
    let first = audit_entry::Entity::find().order_by_asc(audit_entry::Column::Seq).one(db).await;
    first.expect("reads").expect("an entry").seq
}

/// So many entries more, of this moment, faster than by writing that many things.
async fn write_entries(test: &TestApp, db: &DatabaseConnection, count: i64) {
    let mut before = last(db).await;
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut row = Row { seq: before.seq + 1, at: fixed_width(test.app.now()), ..before.clone() };
        row.prev_hash.clone_from(&before.hash);
        row.hash = hash(&row, &row.prev_hash);
        before = row.clone();
        rows.push(audit_entry::ActiveModel::from(row).reset_all());
    }
    for some in rows.chunks(500) {
        audit_entry::Entity::insert_many(some.to_vec()).exec(db).await.expect("written");
    }
    let sql = format!("UPDATE audit_head SET seq = {}, hash = '{}'", before.seq, before.hash);
    db.execute_unprepared(&sql).await.expect("moved");
}

async fn keep(test: &TestApp, ctx: &Ctx, days: i64) {
    let patch: SettingsPatch =
        serde_json::from_value(json!({ "audit_retention_days": days })).expect("a patch");
    settings::update(&proven(test, ctx), patch, None).await.expect("set");
}

/// The same user, who has just shown a password.
fn proven(test: &TestApp, ctx: &Ctx) -> Ctx {
    let Principal::User { id, username, role, session, .. } = ctx.principal().clone() else {
        panic!("a user")
    };
    let who = Principal::User { id, username, role, session, proved_at: Some(test.app.now()) };
    test.app.ctx(who, test.meta())
}

/// 5,000 entries of which the first 3,900 are a hundred days old, and a retention of thirty.
async fn grown_old(database: Database) -> (TestApp, Ctx, DatabaseConnection) {
    let (test, ctx) = TestApp::closed(database).await;
    let db = raw(&test).await;
    // Behind those of the first start, of setup and of its user.
    write_entries(&test, &db, 3_897).await;
    test.clock.advance(TimeDelta::days(100));
    // Somebody who has been here all the time.
    let now = test.app.now();
    session::Entity::update_many()
        .col_expr(session::Column::LastSeenAt, Expr::value(now))
        .col_expr(session::Column::ExpiresAt, Expr::value(now + TimeDelta::days(30)))
        .exec(&db)
        .await
        .expect("moved");
    write_entries(&test, &db, 1_099).await;
    keep(&test, &ctx, 30).await;
    assert_eq!(verify(&ctx).await.entries, 5_000);
    (test, ctx, db)
}

fn own_key(test: &TestApp) -> CheckpointKey {
    let kept = std::fs::read_to_string(test.data_dir().join("audit-key")).expect("a key");
    CheckpointKey::parse(&Secret::new(kept)).expect("a key")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_has_outlived_the_retention_goes_and_the_rest_verifies(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx, db) = grown_old(database).await;
    let elsewhere = audit::checkpoints(&ctx).await.expect("signed");
    assert_eq!(audit::prune(&test.app).await.expect("prunes"), 3_900);
    let found = verify(&ctx).await;
    assert!(found.ok, "{found:?}");
    // Two batches, an entry for each.
    assert_eq!((found.pruned_through, found.entries, first(&db).await), (Some(3_900), 1_102, 3_901));
    let filter = audit::EntryFilter { action: Some(audit::Action::AuditLogPruned), entity_id: None };
    let told = audit::list(&ctx, &List::default(), &filter).await.expect("listed").items;
    let details: Vec<_> = told.iter().map(|e| (&e.detail, e.actor.name.as_str())).collect();
    assert_eq!(
        details,
        [
            (&json!({ "through": 3_900, "entries": 1_900 }), "server"),
            (&json!({ "through": 2_000, "entries": 2_000 }), "server"),
        ]
    );
    assert_eq!(audit::prune(&test.app).await.expect("prunes"), 0, "once is enough");
    // The log goes on, over a restart too.
    tags::create(&ctx, named("prod")).await.expect("created");
    drop((db, ctx));
    let test = test.restart().await;
    let ctx = test.app.own_ctx(Principal::Cli);
    assert!(verify(&ctx).await.ok);
    // A checkpoint that was kept elsewhere from before still holds, for what is left.
    let key = own_key(&test).public();
    let found =
        audit::examine(&reading(&test).await, Some(&key), &elsewhere.items, None).await.expect("examined");
    assert!(found.ok && found.checkpoints >= 1 && found.pruned_through == Some(3_900), "{found:?}");
    // Without a key nobody can say who removed the rest.
    let found = audit::examine(&reading(&test).await, None, &[], None).await.expect("examined");
    assert_eq!((found.ok, found.broken_at), (false, Some(3_900)), "{found:?}");
    // However old they are, the newest thousand stay.
    test.clock.advance(TimeDelta::days(1_000));
    audit::prune(&test.app).await.expect("prunes");
    assert!(verify(&ctx).await.ok);
    let kept = async || {
        let other = audit_entry::Column::Action.ne(audit::Action::AuditLogPruned.as_str());
        audit_entry::Entity::find().filter(other).count(&raw(&test).await).await.expect("counted")
    };
    assert_eq!(kept().await, 1_000);
    // What was told about that puts out no other one.
    assert_eq!(audit::prune(&test.app).await.expect("prunes"), 0);
    assert_eq!(kept().await, 1_000);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_retention_nothing_is_forgotten(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx, db) = grown_old(database).await;
    let forever: SettingsPatch =
        serde_json::from_value(json!({ "audit_retention_days": null })).expect("a patch");
    let out = settings::update(&proven(&test, &ctx), forever, None).await.expect("set");
    assert_eq!(out.audit_retention_days, None);
    assert_eq!(audit::prune(&test.app).await.expect("runs"), 0);
    keep(&test, &ctx, 101).await;
    assert_eq!(audit::prune(&test.app).await.expect("runs"), 0, "nothing is that old");
    assert_eq!(first(&db).await, 1);
    for (days, field) in
        [(29, "audit_retention_days"), (3_651, "audit_retention_days"), (-1, "audit_retention_days")]
    {
        let patch = serde_json::from_value(json!({ "audit_retention_days": days })).expect("a patch");
        let refused = settings::update(&proven(&test, &ctx), patch, None).await;
        assert!(matches!(refused, Err(Error::Invalid(f)) if f[0].field == field), "{days}");
        let sql = format!("UPDATE settings SET audit_retention_days = {days}");
        assert!(db.execute_unprepared(&sql).await.is_err(), "{sql}");
    }
    let nothing = settings::update(&ctx, SettingsPatch::default(), None).await;
    assert!(matches!(nothing, Err(Error::Invalid(_))));
    // What makes the log forget wants a fresh proof; the name does not.
    let patch = |body| serde_json::from_value::<SettingsPatch>(body).expect("a patch");
    let refused = settings::update(&ctx, patch(json!({ "audit_retention_days": 30 })), None).await;
    assert!(matches!(refused, Err(Error::ProofRequired)));
    settings::update(&ctx, patch(json!({ "instance_name": "Attic" })), None).await.expect("renamed");
}

/// Makes the database refuse at one step of the second batch.
fn obstacle(step: &str, postgres: bool) -> (String, Vec<String>) {
    let (when, condition) = match step {
        "anchor" => ("UPDATE ON audit_anchor", "NEW.seq > 2000"),
        "removal" => ("DELETE ON audit_log", "OLD.seq = 3000"),
        _ => ("INSERT ON audit_log", "NEW.action = 'audit_log_pruned' AND NEW.detail LIKE '%3900%'"),
    };
    let table = when.rsplit(' ').next().unwrap_or_default();
    if postgres {
        let made = format!(
            "CREATE TRIGGER obstacle BEFORE {when} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION obstacle()"
        );
        (made, vec![format!("DROP TRIGGER obstacle ON {table}")])
    } else {
        let made = format!(
            "CREATE TRIGGER obstacle BEFORE {when} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
        );
        (made, vec!["DROP TRIGGER obstacle".to_owned()])
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_as_a_whole_or_not_at_all(
    #[values(Sqlite, Postgres)] database: Database,
    #[values("anchor", "removal", "entry")] step: &str,
) {
    let (test, ctx, db) = grown_old(database).await;
    if database == Postgres {
        let sql = "CREATE FUNCTION obstacle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$";
        db.execute_unprepared(sql).await.expect("made");
    }
    let (made, removed) = obstacle(step, database == Postgres);
    db.execute_unprepared(&made).await.expect("made");
    assert!(audit::prune(&test.app).await.is_err(), "{step}");
    let found = verify(&ctx).await;
    assert!(found.ok, "{step}: {found:?}");
    assert_eq!((found.pruned_through, first(&db).await), (Some(2_000), 2_001), "the first batch stands");
    for sql in removed {
        db.execute_unprepared(&sql).await.expect("removed");
    }
    assert_eq!(audit::prune(&test.app).await.expect("goes on"), 1_900);
    assert!(verify(&ctx).await.ok);
}

/// The work is cut off wherever it happens to be, as a power cut would.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_the_log_is_whole(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx, db) = grown_old(database).await;
    let mut cut = 0;
    for n in (0..400).step_by(20) {
        let app = test.app.clone();
        let work = tokio::spawn(async move { audit::prune(&app).await });
        tokio::time::sleep(std::time::Duration::from_millis(n)).await;
        work.abort();
        cut += usize::from(work.await.is_err());
        // A commit that was under way may come to its end between two looks.
        let (found, begins) = loop {
            let (before, begins, after) = (verify(&ctx).await, first(&db).await, verify(&ctx).await);
            assert!(before.ok && after.ok, "after {n} ms: {before:?} {after:?}");
            if before.pruned_through == after.pruned_through {
                break (after, begins);
            }
        };
        assert_eq!(begins, found.pruned_through.unwrap_or(0) + 1, "after {n} ms");
        if found.pruned_through == Some(3_900) {
            break;
        }
    }
    assert!(cut > 0, "it was never cut off");
    audit::prune(&test.app).await.expect("goes on");
    assert_eq!(verify(&ctx).await.pruned_through, Some(3_900));
}

impl Intruder {
    async fn put_anchor(&self, anchor: &Checkpoint) {
        self.run("DELETE FROM audit_anchor").await;
        let row = audit_anchor::Model {
            id: 1,
            seq: anchor.seq,
            hash: anchor.hash.clone(),
            at: anchor.at.clone(),
            key_id: anchor.key_id.clone(),
            signature: anchor.signature.clone(),
        };
        let row = audit_anchor::ActiveModel::from(row).reset_all();
        audit_anchor::Entity::insert(row).exec(&self.0).await.expect("put");
    }
}

/// Whoever has the database, and not the key, cannot make the log forget.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_the_server_did_not_sign_is_found(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx, db) = grown_old(database).await;
    let intruder = Intruder::at(&test).await;
    let rows = intruder.rows().await;
    let own = own_key(&test);
    let at = fixed_width(test.app.now());
    let stand = &rows[499];
    let checkpoint = own.sign(Claim::Checkpoint, stand.seq, &stand.hash, &at);
    let genuine = own.sign(Claim::Anchor, stand.seq, &stand.hash, &at);
    let other =
        CheckpointKey::parse(&Secret::new(CheckpointKey::generate(&cb_core::OsEntropy))).expect("a key");
    let by_another = other.sign(Claim::Anchor, stand.seq, &stand.hash, &at);
    intruder.run("DELETE FROM audit_log WHERE seq <= 500").await;
    let forged = [
        ("a checkpoint in an anchor's place", checkpoint),
        ("no signature", Checkpoint { signature: String::new(), ..genuine.clone() }),
        ("another key", by_another.clone()),
        ("another key under our name", Checkpoint { key_id: genuine.key_id.clone(), ..by_another }),
        ("another time", Checkpoint { at: "2026-01-01T00:00:00.000000Z".to_owned(), ..genuine.clone() }),
        ("another hash", Checkpoint { hash: GENESIS.to_owned(), ..genuine.clone() }),
    ];
    for (deed, anchor) in forged {
        intruder.put_anchor(&anchor).await;
        let found = verify(&ctx).await;
        assert_eq!((found.ok, found.broken_at), (false, Some(500)), "{deed}: {found:?}");
        assert!(audit::prune(&test.app).await.is_err(), "{deed}: nothing more goes");
    }
    intruder.put_anchor(&Checkpoint { seq: 400, ..genuine.clone() }).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(400), "moved");
    intruder.run("DELETE FROM audit_anchor").await;
    assert_eq!(verify(&ctx).await.broken_at, Some(1), "none at all");

    // The control: with the server's own signature the same log is whole.
    intruder.put_anchor(&genuine).await;
    let found = verify(&ctx).await;
    assert!(found.ok && found.pruned_through == Some(500), "{found:?}");
    // A signed checkpoint of that entry that says something else.
    let kept = [own.sign(Claim::Checkpoint, 500, GENESIS, &at)];
    let found =
        audit::examine(&reading(&test).await, Some(&own.public()), &kept, None).await.expect("examined");
    assert_eq!(found.broken_at, Some(500), "{found:?}");
    // Behind it the chain tells as ever; before it nothing may stand, or it would be shown and never verified.
    intruder.run("DELETE FROM audit_log WHERE seq IN (501, 502)").await;
    assert_eq!(verify(&ctx).await.broken_at, Some(501));
    intruder.put(&rows[500..]).await;
    assert!(verify(&ctx).await.ok);
    intruder.put(&[&rows[41..42], &rows[500..]].concat()).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(42));
    // An older anchor does not bring back what went since.
    intruder.put(&rows[600..]).await;
    assert_eq!(verify(&ctx).await.broken_at, Some(501));
    drop(db);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_not_removed(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx, _db) = grown_old(database).await;
    let intruder = Intruder::at(&test).await;
    intruder.run("UPDATE audit_log SET actor_name = 'eve' WHERE seq = 2100").await;
    let refused = audit::prune(&test.app).await;
    assert!(matches!(&refused, Err(Error::Conflict(why)) if why.contains("2100")), "{refused:?}");
    let found = verify(&ctx).await;
    assert_eq!((found.pruned_through, found.broken_at), (Some(2_000), Some(2_100)));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_lets_only_what_is_behind_the_anchor_go(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx, db) = grown_old(database).await;
    let hash_of = |seq: i64| format!("(SELECT hash FROM audit_log WHERE seq = {seq})");
    let put = |seq: i64, hash: &str| {
        format!(
            "INSERT INTO audit_anchor (id, seq, hash, at, key_id, signature) VALUES (1, {seq}, {hash}, '', '', '')"
        )
    };
    let refuse = async |statements: &[String]| {
        for sql in statements {
            assert!(db.execute_unprepared(sql).await.is_err(), "{sql}");
        }
    };
    refuse(&[
        "DELETE FROM audit_log WHERE seq = 1".to_owned(),
        "DELETE FROM audit_log".to_owned(),
        put(10, "'00'"),
        put(4_999, &hash_of(4_999)),
        put(4_001, &hash_of(4_001)),
    ])
    .await;
    audit::prune(&test.app).await.expect("prunes");
    let columns = "seq, at, actor_kind, actor_name, action, detail, prev_hash, hash";
    let insert = |verb: &str, seq: i64| {
        format!(
            "{verb} INTO audit_log ({columns}) VALUES ({seq}, '', 'user', 'eve', 'login', '{{}}', '', '')"
        )
    };
    let onward = format!("UPDATE audit_anchor SET seq = 3950, hash = {}", hash_of(3_950));
    refuse(&[
        "DELETE FROM audit_log WHERE seq = 3901".to_owned(),
        "DELETE FROM audit_log WHERE seq >= 3900".to_owned(),
        "DELETE FROM audit_anchor".to_owned(),
        "UPDATE audit_anchor SET seq = seq - 1".to_owned(),
        "UPDATE audit_anchor SET signature = 'x'".to_owned(),
        "UPDATE audit_anchor SET seq = seq + 10".to_owned(),
        format!("UPDATE audit_anchor SET seq = 4999, hash = {}", hash_of(4_999)),
        put(3_950, &hash_of(3_950)),
        insert("INSERT", 42),
        insert("INSERT", 0),
        insert("INSERT", 4_000),
    ])
    .await;
    if database == Sqlite {
        refuse(&[
            insert("INSERT OR REPLACE", 4_000),
            insert("REPLACE", 4_000),
            put(3_950, &hash_of(3_950)).replace("INSERT", "INSERT OR REPLACE"),
            "INSERT OR REPLACE INTO audit_head (id, seq, hash) VALUES (1, 0, '')".to_owned(),
        ])
        .await;
    } else {
        refuse(&["TRUNCATE audit_log".to_owned(), "TRUNCATE audit_anchor".to_owned()]).await;
    }
    let found = verify(&ctx).await;
    assert!(found.ok && found.pruned_through == Some(3_900), "{found:?}");
    // Forward, onto an old entry, is what they let through; without the server's signature it is found.
    db.execute_unprepared(&onward).await.expect("forward");
    refuse(&[format!("UPDATE audit_anchor SET seq = 3940, hash = {}", hash_of(3_940))]).await;
    db.execute_unprepared("DELETE FROM audit_log WHERE seq <= 3950").await.expect("behind the anchor");
    assert_eq!(verify(&ctx).await.broken_at, Some(3_950));
}

/// Checkpoints of an entry that is there already change nothing, whichever way they come.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_not_replaced() {
    let (test, ctx) = TestApp::closed(Sqlite).await;
    audit::checkpoints(&ctx).await.expect("signed");
    let db = raw(&test).await;
    let sql = "INSERT OR REPLACE INTO audit_checkpoints (seq, at, hash, key_id, signature) VALUES (1, '', '', '', '')";
    db.execute_unprepared(sql).await.expect("ignored");
    std::fs::remove_file(test.data_dir().join("audit-checkpoint.json")).expect("the only other one");
    let found = verify(&ctx).await;
    assert!(found.ok && found.checkpoints == 1, "{found:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_for_a_while_empties_nothing(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    let db = raw(&test).await;
    write_entries(&test, &db, 1_500).await;
    keep(&test, &ctx, 30).await;
    let prunes = async || audit::prune(&test.app).await.expect("prunes");
    test.clock.set(TimeDelta::days(100));
    assert_eq!(prunes().await, 0);
    test.clock.advance(TimeDelta::minutes(59));
    assert_eq!(prunes().await, 0);
    test.clock.set(TimeDelta::days(-100));
    test.clock.advance(TimeDelta::minutes(2));
    assert_eq!(prunes().await, 0, "nothing is old");
    // Whoever has not set it right within an hour means it.
    test.clock.set(TimeDelta::days(100));
    assert_eq!(prunes().await, 0);
    test.clock.advance(TimeDelta::minutes(61));
    assert!(prunes().await > 400);
}
