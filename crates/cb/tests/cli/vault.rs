//! `cb vault rotate` killed wherever it happens to be, while a server writes: every secret still opens.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cb_app::auth::factors;
use cb_core::{OsEntropy, Principal, Secret};
use cb_store::entities::{user, vault_key};
use cb_store::sea_orm::{ActiveModelTrait as _, DatabaseConnection, EntityTrait as _};
use cb_store::sealed::TOTP_SECRET;
use cb_store::{Store, sea_orm};
use cb_testkit::{Database, TestApp};
use cb_vault::fernet::Key;
use cb_vault::seal::{Ring, RootKey};

const ROWS: u32 = 1_500;
const RUNS: u64 = 40;

async fn ring(test: &TestApp, db: &DatabaseConnection) -> Ring {
    let kept = std::fs::read_to_string(test.data_dir().join("vault-key")).expect("a key");
    let root = RootKey::new(Key::parse(&Secret::new(kept)).expect("a key"));
    let rows = vault_key::Entity::find().all(db).await.expect("reads");
    let current: Vec<_> = rows.iter().filter(|r| r.retired_at.is_none()).map(|r| r.id).collect();
    assert_eq!(current.len(), 1, "one key seals");
    Ring::unwrap(&root, current[0], rows.iter().map(|r| (&r.id, r.wrapped.as_str()))).expect("opens")
}

async fn crowd(test: &TestApp, db: &DatabaseConnection) {
    let (ring, now) = (ring(test, db).await, test.app.now());
    let maria = user::Entity::find().one(db).await.expect("reads").expect("the administrator");
    let rows = (0..ROWS).map(|n| {
        let id = test.app.new_id();
        let sealed = ring.seal(TOTP_SECRET.place(&id), &Secret::new(n.to_string()), now, &OsEntropy);
        let name = format!("crowd{n}");
        let row = user::Model { id, username: name.clone(), username_key: name, ..maria.clone() };
        user::ActiveModel::from(user::Model { totp_secret: Some(sealed.expect("seals")), ..row }).reset_all()
    });
    for some in rows.collect::<Vec<_>>().chunks(500) {
        user::Entity::insert_many(some.to_vec()).exec(db).await.expect("inserted");
    }
}

/// Opens every secret there is; answers how many, and the key that seals.
async fn all_open(test: &TestApp) -> (u32, String) {
    let store = Store::read_sqlite(test.data_dir()).await.expect("opens");
    let moment = store.snapshot().await.expect("begins");
    let rows = vault_key::Entity::find().all(&moment).await.expect("reads");
    let kept = std::fs::read_to_string(test.data_dir().join("vault-key")).expect("a key");
    let root = RootKey::new(Key::parse(&Secret::new(kept)).expect("a key"));
    let current: Vec<_> = rows.iter().filter(|r| r.retired_at.is_none()).map(|r| r.id).collect();
    assert_eq!(current.len(), 1, "one key seals");
    let keys = rows.iter().map(|r| (&r.id, r.wrapped.as_str()));
    let ring = Ring::unwrap(&root, current[0], keys).expect("the current key opens");
    let (mut count, mut after) = (0, None);
    loop {
        let page = TOTP_SECRET.page(&moment, after).await.expect("reads");
        let Some((last, _)) = page.last() else { return (count, current[0].to_string()) };
        after = Some(*last);
        for (row, sealed) in &page {
            ring.open(TOTP_SECRET.place(row), sealed).expect("opens");
            let newest = sealed.starts_with(&format!("v1:{}:", current[0]));
            assert!(newest, "{row} was left under another key");
            count += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_anywhere_loses_nothing() {
    let (test, ctx) = TestApp::ready(Database::Sqlite).await;
    let url = format!("sqlite://{}", test.data_dir().join("circuit-breaker.db").display());
    let db = sea_orm::Database::connect(url).await.expect("connects");
    crowd(&test, &db).await;
    let Principal::User { id, username, role, session, .. } = ctx.principal().clone() else {
        panic!("a user")
    };
    let who = Principal::User { id, username, role, session, proved_at: Some(test.app.now()) };
    let (proven, stop) = (test.app.ctx(who, test.meta()), Arc::new(AtomicBool::new(false)));
    factors::begin(&proven).await.expect("written");
    let stopped = stop.clone();
    let writer = tokio::spawn(async move {
        let mut written = 0u32;
        while !stopped.load(Ordering::Relaxed) {
            factors::begin(&proven).await.expect("written");
            written += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        written
    });
    let (_, mut before) = all_open(&test).await;
    let (mut undone, mut done, mut ended) = (0, 0, 0);
    for run in 0..RUNS {
        let mut rotation = Command::new(env!("CARGO_BIN_EXE_cb"))
            .args(["vault", "rotate"])
            .env_clear()
            .env("CB_DATA_DIR", test.data_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        tokio::time::sleep(Duration::from_millis(run * 12)).await;
        let over = rotation.try_wait().expect("asked").is_some();
        // SIGKILL.
        rotation.kill().expect("killed");
        rotation.wait().expect("gone");
        let (count, current) = all_open(&test).await;
        assert_eq!(count, ROWS + 1, "after {} ms", run * 12);
        match (over, current == before) {
            (true, _) => ended += 1,
            (false, true) => undone += 1,
            (false, false) => done += 1,
        }
        before = current;
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("every write went through");
    assert!(
        undone > 0 && done + ended > 0 && written > 0,
        "undone {undone}, done {done}, ended {ended}, written {written}"
    );
}
