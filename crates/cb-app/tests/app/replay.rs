//! What is kept of a request that may be sent again.

use cb_app::App;
use cb_app::auth::sessions::sweep_dead;
use cb_app::replay::{self, Answer, Asker, Turn};
use cb_core::Principal;
use cb_store::entities::kept_answer;
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::TimeDelta;
use rstest::rstest;
use tokio::task::JoinSet;

use crate::write_path::raw;

const ASKED: &[u8] = br#"/api/v1/users {"username":"ada","password":"correct horse 7 staple"}"#;

/// A request may hold a password. Whoever has the database alone tries none against what is kept, and after a day it is gone, whether
/// keys are used or not.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_that_a_password_can_be_tried_against(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (test, ctx) = TestApp::ready(database).await;
        let asker = Asker::of(ctx.principal()).expect("a user");
        replay::begin(&test.app, &asker, b"k", ASKED).await.expect("taken");
        let raw = raw(&test).await;
        let kept = async || kept_answer::Entity::find().all(&raw).await.expect("reads");
        let rows = kept().await;
        assert_eq!(rows.len(), 1);
        seen.push(rows[0].fingerprint.clone());
        test.clock.advance(TimeDelta::hours(23));
        sweep_dead(&test.app).await.expect("swept");
        assert_eq!(kept().await.len(), 1);
        test.clock.advance(TimeDelta::hours(2));
        sweep_dead(&test.app).await.expect("swept");
        assert!(kept().await.is_empty());
    }
    assert_ne!(seen[0], seen[1], "by a key of each server's own");
}

/// Several servers make room at the same time, and remove the same answers. None of them refuses a request for that.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn requests_beside_each_other_find_room(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for n in 0..1_000 {
        carry_out(test.app.clone(), ctx.principal().clone(), format!("before-{n}")).await;
    }
    for round in 0..20 {
        let mut beside = JoinSet::new();
        for n in 0..12 {
            beside.spawn(carry_out(test.app.clone(), ctx.principal().clone(), format!("{round}-{n}")));
        }
        beside.join_all().await;
    }
}

async fn carry_out(app: App, who: Principal, key: String) {
    let asker = Asker::of(&who).expect("a user");
    match replay::begin(&app, &asker, key.as_bytes(), ASKED).await {
        Ok(Turn::First(id)) => {
            let answer = Answer { status: 204, body: None, etag: None };
            replay::done(&app, id, answer).await.expect("kept");
        }
        other => panic!("{key}: {other:?}"),
    }
}

/// The oldest answers make room. A request whose end nobody knows keeps its place, and is not carried out twice.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_end_is_not_forgotten_for_newer_requests(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let asker = Asker::of(ctx.principal()).expect("a user");
    let begin = async |key: &str| replay::begin(&test.app, &asker, key.as_bytes(), ASKED).await;
    let first = async |key: &str| match begin(key).await.expect("taken") {
        Turn::First(id) => id,
        Turn::Again(_) => panic!("{key} was taken before"),
    };
    first("unknown").await;
    test.clock.advance(TimeDelta::seconds(1));
    for n in 0..1_000 {
        let id = first(&format!("done-{n}")).await;
        replay::done(&test.app, id, Answer { status: 204, body: None, etag: None }).await.expect("kept");
    }
    assert_eq!(kept_answer::Entity::find().count(&raw(&test).await).await.expect("reads"), 1_000);
    assert!(begin("unknown").await.is_err(), "it may have been done");
    // Whoever asks once more for the oldest that is kept gets its answer: asking makes no room.
    assert!(matches!(begin("done-1").await.expect("known"), Turn::Again(_)));
    assert!(matches!(begin("done-1").await.expect("known"), Turn::Again(_)));
}
