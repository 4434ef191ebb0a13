//! `cb vault rotate` and `cb vault rewrap` killed wherever they happen to be, while a server writes: every secret still opens,
//! for us and for the next process.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cb_app::auth::factors;
use cb_core::{Error, OsEntropy, Principal, Secret};
use cb_store::entities::{user, vault_key};
use cb_store::sea_orm::{ActiveModelTrait as _, DatabaseConnection, EntityTrait as _};
use cb_store::sealed::TOTP_SECRET;
use cb_store::{Store, sea_orm};
use cb_testkit::{Database, TestApp};
use cb_vault::fernet::Key;
use cb_vault::seal::{Ring, RootKey};
use rstest::rstest;

const ROWS: u32 = 1_500;
/// Kills at moments that are spread over a whole run.
const SPREAD: u32 = 24;
/// Kills at the instant that something is seen to have happened. A machine with too much to do sees it too late more often than not:
/// tried until there are as many, within this time.
const AT_ONCE: (u32, Duration) = (6, Duration::from_mins(5));

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

/// Who holds the vault: the key that seals, and the fingerprint of the root key that wraps it.
#[derive(Clone, PartialEq)]
struct Held {
    key: String,
    root: String,
}

async fn held(store: &Store) -> Held {
    let rows = vault_key::Entity::find().all(store.reader()).await.expect("reads");
    let current: Vec<_> = rows.into_iter().filter(|r| r.retired_at.is_none()).collect();
    assert_eq!(current.len(), 1, "one key seals");
    Held { key: current[0].id.to_string(), root: current[0].root_fingerprint.clone() }
}

/// Opens every secret there is with the key of `vault-key`; answers how many.
async fn all_open(test: &TestApp) -> u32 {
    let store = Store::read_sqlite(test.data_dir()).await.expect("opens");
    let moment = store.snapshot().await.expect("begins");
    let rows = vault_key::Entity::find().all(&moment).await.expect("reads");
    let kept = std::fs::read_to_string(test.data_dir().join("vault-key")).expect("a key");
    let root = RootKey::new(Key::parse(&Secret::new(kept)).expect("a key"));
    let current = rows.iter().find(|r| r.retired_at.is_none()).expect("a key that seals").id;
    let keys = rows.iter().map(|r| (&r.id, r.wrapped.as_str()));
    let ring = Ring::unwrap(&root, current, keys).expect("the current key opens");
    let (mut count, mut after) = (0, None);
    loop {
        let page = TOTP_SECRET.page(&moment, after).await.expect("reads");
        let Some((last, _)) = page.last() else { return count };
        after = Some(*last);
        for (row, sealed) in &page {
            ring.open(TOTP_SECRET.place(row), sealed).expect("opens");
            let newest = sealed.starts_with(&format!("v1:{current}:"));
            assert!(newest, "{row} was left under another key");
            count += 1;
        }
    }
}

fn cb(test: &TestApp, command: &str) -> Command {
    let mut cb = Command::new(env!("CARGO_BIN_EXE_cb"));
    cb.args(["vault", command]).env_clear().env("CB_DATA_DIR", test.data_dir());
    cb
}

fn start(test: &TestApp, command: &str) -> Child {
    cb(test, command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
}

/// SIGKILL; says whether it had ended by itself.
fn kill(mut run: Child) -> bool {
    let over = run.try_wait().expect("asked").is_some();
    run.kill().expect("killed");
    run.wait().expect("gone");
    over
}

/// When to kill.
#[derive(Clone, Copy)]
enum Moment {
    After(Duration),
    /// The new root key is written down, and not in use.
    Staged,
    Committed,
}

#[rstest]
#[case::rotate("rotate", &[Moment::Committed])]
#[case::rewrap("rewrap", &[Moment::Staged, Moment::Committed])]
#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_loses_nothing(#[case] command: &'static str, #[case] instants: &[Moment]) {
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
            match factors::begin(&proven).await {
                Ok(_) => written += 1,
                // What a command keeps waiting for too long is told to try again.
                Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        written
    });
    // Undisturbed, to know how long it takes.
    let began = Instant::now();
    assert!(cb(&test, command).output().expect("runs").status.success());
    let whole = began.elapsed();
    let mut found = BTreeMap::new();
    for n in 0..SPREAD {
        killed(&test, command, Moment::After(whole * n / (SPREAD - 4)), &mut found).await;
    }
    for moment in instants {
        let (wanted, patience) = AT_ONCE;
        let (mut hit, began) = (0, Instant::now());
        while hit < wanted {
            assert!(began.elapsed() < patience, "{hit} kills only: {found:?}");
            let step = killed(&test, command, *moment, &mut found).await;
            hit += u32::from(match moment {
                Moment::Staged => step == STAGED,
                _ => [COMMITTED, COMMITTED_NOT_MOVED].contains(&step),
            });
        }
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("every write went through");
    let mut told = vec![format!("cb vault {command} ({whole:?} undisturbed, {written} writes meanwhile)")];
    for (step, (kills, after)) in &found {
        told.push(format!("  killed {step}: {kills} times; a fresh process found {after}"));
    }
    let told = told.join("\n") + "\n";
    std::io::stderr().write_all(told.as_bytes()).expect("told");
    assert!(written > 0 && found.contains_key(UNTOUCHED), "{told}");
}

const UNTOUCHED: &str = "1 before the commit";
const STAGED: &str = "2 with the new root key written down, before the commit";
const COMMITTED_NOT_MOVED: &str = "3 behind the commit, before the file was moved";
const COMMITTED: &str = "4 behind the commit, before its end";
const ENDED: &str = "5 when it had ended by itself";

/// Kills one run, and looks at what it leaves: with a fresh process first, which may mend it, then ourselves.
async fn killed(
    test: &TestApp,
    command: &str,
    moment: Moment,
    found: &mut BTreeMap<&'static str, (u32, &'static str)>,
) -> &'static str {
    let store = Store::read_sqlite(test.data_dir()).await.expect("opens");
    let (before, staged) = (held(&store).await, test.data_dir().join("vault-key.new"));
    let mut run = start(test, command);
    match moment {
        Moment::After(delay) => tokio::time::sleep(delay).await,
        Moment::Staged => {
            while !staged.exists() && run.try_wait().expect("asked").is_none() {
                std::hint::spin_loop();
            }
        }
        Moment::Committed => {
            while held(&store).await == before && run.try_wait().expect("asked").is_none() {}
        }
    }
    let over = kill(run);
    let after = held(&store).await;
    let step = match (over, after == before, staged.exists()) {
        (true, ..) => ENDED,
        (false, true, false) => UNTOUCHED,
        (false, true, true) => STAGED,
        (false, false, true) => COMMITTED_NOT_MOVED,
        (false, false, false) => COMMITTED,
    };
    let status = cb(test, "status").output().expect("runs");
    let (said, why) = (String::from_utf8_lossy(&status.stdout), String::from_utf8_lossy(&status.stderr));
    assert!(status.status.success(), "{step}: {why}");
    assert!(said.contains(&after.key) && said.contains(&after.root), "{step}: {said}");
    assert!(!staged.exists(), "{step}: the key that is not needed is still there");
    assert_eq!(all_open(test).await, ROWS + 1, "{step}");
    let seen = found.entry(step).or_insert((
        0,
        if after == before { "all open, under the old key" } else { "all open, under the new key" },
    ));
    seen.0 += 1;
    step
}
