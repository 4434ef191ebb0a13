//! The audit entry that no write can do without, and what the database refuses whoever asks.

use cb_app::tags::{self, TagIn};
use cb_app::{List, audit};
use cb_store::Store;
use cb_store::entities::tag;
use cb_store::sea_orm::{self, ConnectionTrait as _, EntityTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;

pub fn named(name: &str) -> TagIn {
    TagIn { name: name.to_owned(), color: "#d97706".to_owned() }
}

/// A connection as an intruder, or a careless person with the database's password, would have it.
pub async fn raw(test: &TestApp) -> sea_orm::DatabaseConnection {
    let url = match &test.config().db_url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite://{}", test.data_dir().join("circuit-breaker.db").display()),
    };
    sea_orm::Database::connect(url).await.expect("connects")
}

pub async fn reading(test: &TestApp) -> Store {
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
