//! The audit entry that no write can do without, and what the database refuses whoever asks.

use cb_app::tags::{self, TagIn};
use cb_app::{List, audit};
use cb_store::Store;
use cb_store::entities::{audit_entry, tag};
use cb_store::sea_orm::{self, ConnectionTrait as _, EntityTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;

fn named(name: &str) -> TagIn {
    TagIn { name: name.to_owned(), color: "#d97706".to_owned() }
}

/// A connection as an intruder, or a careless person with the database's password, would have it.
async fn raw(test: &TestApp) -> sea_orm::DatabaseConnection {
    let url = match &test.config().db_url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite://{}", test.data_dir().join("circuit-breaker.db").display()),
    };
    sea_orm::Database::connect(url).await.expect("connects")
}

async fn reading(test: &TestApp) -> Store {
    match &test.config().db_url {
        Some(url) => Store::read_postgres(url).await.expect("opens"),
        None => Store::read_sqlite(test.data_dir()).await.expect("opens"),
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_in_the_log_in_order_under_load(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let writes = (0..40).map(|i| {
        let ctx = ctx.clone();
        tokio::spawn(async move { tags::create(&ctx, named(&format!("tag {i}"))).await })
    });
    for one in writes.collect::<Vec<_>>() {
        one.await.expect("no panic").expect("created");
    }
    let verdict = audit::verify(&ctx).await.expect("verifies");
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!(verdict.entries, 41, "setup and forty tags");
    let page =
        audit::list(&ctx, &List { limit: Some(500), ..List::default() }, &audit::EntryFilter::default())
            .await
            .expect("lists");
    assert!(page.items.iter().rev().map(|e| e.seq).eq(1..=41));
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_leaves_nothing(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    tags::create(&ctx, named("prod")).await.expect("created");
    let entries = audit::verify(&ctx).await.expect("verifies").entries;
    // Case-folded, so this is the same name.
    assert!(matches!(tags::create(&ctx, named("PROD")).await, Err(cb_core::Error::Conflict(_))));
    let after = audit::verify(&ctx).await.expect("verifies");
    assert!(after.ok && after.entries == entries, "{after:?}");
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_refuses_to_forget(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    tags::create(&ctx, named("prod")).await.expect("created");
    for refused in [
        "UPDATE audit_log SET actor_name = 'eve'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_head",
        "UPDATE settings SET auth_enabled = FALSE",
        "DELETE FROM settings",
    ] {
        assert!(db.execute_unprepared(refused).await.is_err(), "{refused}");
    }
    db.close().await.expect("closes");
    assert!(audit::verify(&ctx).await.expect("verifies").ok);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cannot_write(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let tag = tags::create(&ctx, named("prod")).await.expect("created");
    let store = reading(&test).await;
    let refused = tag::Entity::delete_by_id(tag.id.0).exec(store.reader()).await;
    assert!(refused.is_err(), "the reading pool is read-only by the database's own rule");
    assert_eq!(tag::Entity::find().all(store.reader()).await.expect("reads").len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_tampered_with_is_found(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for i in 0..5 {
        tags::create(&ctx, named(&format!("tag {i}"))).await.expect("created");
    }
    let db = raw(&test).await;
    // With the rights of the owner the guards can be removed; the chain still tells.
    let disarm: &[&str] = if test.config().db_url.is_some() {
        &["DROP TRIGGER audit_log_no_change ON audit_log"]
    } else {
        &["DROP TRIGGER audit_log_no_update", "DROP TRIGGER audit_log_no_delete"]
    };
    for sql in disarm {
        db.execute_unprepared(sql).await.expect("disarmed");
    }
    let verdict = async || audit::verify(&ctx).await.expect("verifies");
    let rows = audit_entry::Entity::find().all(&db).await.expect("reads");
    let (name, detail) = (rows[2].actor_name.clone(), rows[3].detail.clone());
    db.execute_unprepared("UPDATE audit_log SET actor_name = 'eve' WHERE seq = 3").await.expect("altered");
    assert_eq!(verdict().await.broken_at, Some(3));
    db.execute_unprepared(&format!("UPDATE audit_log SET actor_name = '{name}' WHERE seq = 3"))
        .await
        .expect("restored");
    assert!(verdict().await.ok);
    db.execute_unprepared("UPDATE audit_log SET detail = '{}' WHERE seq = 4").await.expect("altered");
    assert_eq!(verdict().await.broken_at, Some(4));
    db.execute_unprepared(&format!("UPDATE audit_log SET detail = '{detail}' WHERE seq = 4"))
        .await
        .expect("restored");
    db.execute_unprepared("DELETE FROM audit_log WHERE seq = 6").await.expect("cut");
    assert_eq!(verdict().await.broken_at, Some(6), "the last entry is missing");
    db.execute_unprepared("DELETE FROM audit_log WHERE seq = 2").await.expect("cut");
    assert_eq!(verdict().await.broken_at, Some(2));
    db.close().await.expect("closes");
}

/// Whoever may write to the database can make a chain that is whole in itself; a checkpoint remembers the one that was.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_log_is_found_by_a_checkpoint(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for i in 0..5 {
        tags::create(&ctx, named(&format!("tag {i}"))).await.expect("created");
    }
    let kept = audit::checkpoints(&ctx).await.expect("signed");
    assert_eq!(kept.items.len(), 1);
    assert!(audit::verify(&ctx).await.expect("verifies").ok);
    let db = raw(&test).await;
    let postgres = test.config().db_url.is_some();
    let disarm: &[&str] = if postgres {
        &[
            "DROP TRIGGER audit_log_no_change ON audit_log",
            "DROP TRIGGER audit_checkpoints_no_change ON audit_checkpoints",
        ]
    } else {
        &[
            "DROP TRIGGER audit_log_no_update",
            "DROP TRIGGER audit_log_no_delete",
            "DROP TRIGGER audit_checkpoints_no_delete",
        ]
    };
    for sql in disarm {
        db.execute_unprepared(sql).await.expect("disarmed");
    }
    // Cut the end off and move the head: a whole chain, only shorter. The stored checkpoint goes too.
    for sql in [
        "DELETE FROM audit_log WHERE seq > 3",
        "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_log WHERE seq = 3)",
        "DELETE FROM audit_checkpoints",
    ] {
        db.execute_unprepared(sql).await.expect("rewritten");
    }
    let verdict = audit::verify(&ctx).await.expect("verifies");
    assert_eq!(verdict.broken_at, Some(4), "the copy in the data folder knows: {verdict:?}");
    // And grown again over other entries, with both of the server's copies gone: the one kept elsewhere knows.
    std::fs::remove_file(test.data_dir().join("audit-checkpoint.json")).expect("removed");
    for i in 0..5 {
        tags::create(&ctx, named(&format!("other {i}"))).await.expect("created");
    }
    assert!(audit::verify(&ctx).await.expect("verifies").ok, "nothing here knows any more");
    let key = cb_vault::checkpoint::PublicKey::parse(&kept.public_key).expect("a key");
    let (witnesses, bad) = audit::witnesses(&key, &kept.items);
    assert!(bad.is_none());
    let verdict = reading(&test).await.verify_audit(&witnesses).await.expect("verifies");
    assert_eq!(verdict.broken.map(|b| b.0), Some(kept.items[0].seq));
}
