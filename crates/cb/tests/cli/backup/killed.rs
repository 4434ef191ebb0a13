//! Killed anywhere, a backup leaves no file or a whole one, and a restore an empty place or a whole one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{Home, World, names, text};

const KILLS: u32 = 20;

/// Runs `args` and kills it after a while; says whether it had ended by itself.
fn killed(home: &Home, args: &[&str], after: Duration) -> bool {
    let mut run = home.cb(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    std::thread::sleep(after);
    let over = run.try_wait().expect("asked").is_some();
    run.kill().expect("killed");
    run.wait().expect("gone");
    over
}

fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("told");
}

#[rstest]
#[case(Sqlite)]
#[case(Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_backup(#[case] on: Database) {
    let world = World::new(on == Postgres);
    let home = world.home("old", on).await;
    let site = home.begin().await;
    for n in 0..20 {
        assert!(site.client.asset(&format!("asset {n}")).await);
    }
    let archive = world.path("archive");
    let began = Instant::now();
    home.says(&["backup", text(&archive)]);
    let whole = began.elapsed();
    std::fs::remove_file(&archive).expect("removed");
    let (mut absent, mut there) = (0, 0);
    for n in 0..KILLS {
        // In every other round an older one is there, which stays until it is replaced.
        if n % 2 == 0 {
            let _ = std::fs::remove_file(&archive);
        }
        let had = archive.exists();
        killed(&home, &["backup", text(&archive), "--force"], whole * (n + 1) / KILLS);
        if archive.exists() {
            there += 1;
            let copy = Home { data: world.path(&format!("copy{n}")), url: None };
            copy.says(&["restore", text(&archive)]);
        } else {
            absent += 1;
            assert!(!had, "the older one is gone");
        }
    }
    // Under another name: what the killed ones have left is removed all the same.
    home.says(&["backup", text(&world.path("another"))]);
    assert!(!names(world.dir.path()).iter().any(|name| name.starts_with(".cb-backup-")));
    site.stop();
    tell(&format!(
        "cb backup ({on:?}, {whole:?} undisturbed) killed {KILLS} times: {absent} times no file, {there} times a whole one\n"
    ));
    assert!(absent > 3, "{absent} {there}");
}

#[rstest]
#[case(Sqlite)]
#[case(Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_restore(#[case] on: Database) {
    let world = World::new(on == Postgres);
    let old = world.home("old", on).await;
    let site = old.begin().await;
    for n in 0..20 {
        assert!(site.client.asset(&format!("asset {n}")).await);
    }
    let archive = world.path("archive");
    old.says(&["backup", text(&archive)]);
    site.stop();
    let restore = ["restore", text(&archive)];
    let began = Instant::now();
    world.home("first", on).await.says(&restore);
    let whole = began.elapsed();
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    // On a machine that has become slow since, all kills may come too early: then again, and later.
    for kill in 0..KILLS * 3 {
        let (round, n) = (kill / KILLS, kill % KILLS);
        if n == 0 && found.len() > 1 {
            break;
        }
        let home = world.home(&format!("new{kill}"), on).await;
        killed(&home, &restore, whole * (n + 1) * 2_u32.pow(round) / KILLS);
        let state = state(&home);
        *found.entry(state).or_default() += 1;
        match state {
            WHOLE => {}
            // A server or a restore finishes it, if it is decided; a server that finds it undecided says what to do.
            READY if n % 2 == 0 && on == Sqlite => home.start().await.stop(),
            EMPTY | READY => _ = home.says(&restore),
            _ => {
                let why = home.does_not_start();
                assert!(why.contains("interrupted") && why.contains("cb restore"), "{why}");
                home.says(&restore);
            }
        }
        assert!(!home.data.join(".restoring").exists());
        assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"), "{state}");
        assert!(home.says(&["user", "list"]).contains("maria"), "{state}");
    }
    tell(&format!("cb restore ({on:?}, {whole:?} undisturbed) killed {KILLS} times: {found:?}\n"));
    assert!(found.len() > 1, "{found:?}");
}

const EMPTY: &str = "empty";
const BEGUN: &str = "empty, with the leftovers of the restore";
const READY: &str = "made ready";
const WHOLE: &str = "whole";

fn state(home: &Home) -> &'static str {
    let staging = home.data.join(".restoring");
    let others = |name: &str| home.data.join(name).exists();
    if staging.join("ready.json").exists() {
        return READY;
    }
    if staging.exists() {
        assert!(!others("circuit-breaker.db") && !others("vault-key") && !others("audit-key"));
        return BEGUN;
    }
    if others("audit-key") {
        assert!(others("vault-key") && others("tls/ca.pem") && others("audit-checkpoint.json"));
        return WHOLE;
    }
    EMPTY
}

/// The instant at which it is decided is short: it is waited for.
#[rstest]
#[case(Sqlite)]
#[case(Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_ready(#[case] on: Database) {
    const TRIES: u32 = 12;
    let world = World::new(on == Postgres);
    let (_, archive) = world.archived(on).await;
    let began = Instant::now();
    world.home("first", on).await.says(&["restore", text(&archive)]);
    let took = began.elapsed();
    let (mut hits, mut whole) = (0, 0);
    // On a machine with too much to do it may be over each time before it is killed: then again, for some minutes.
    let begun = Instant::now();
    for n in 0.. {
        if n >= TRIES && (hits > 0 || begun.elapsed() > Duration::from_mins(3)) {
            break;
        }
        let home = world.home(&format!("new{n}"), on).await;
        let mut run = home.cb(&["restore", text(&archive)]).stdout(Stdio::null()).spawn().expect("starts");
        let ready = home.data.join(".restoring/ready.json");
        while !ready.exists() && run.try_wait().expect("asked").is_none() {
            std::hint::spin_loop();
        }
        // With PostgreSQL some of the time before its commit, some behind it.
        if on == Postgres {
            std::thread::sleep(took * (n % TRIES) / TRIES);
        }
        run.kill().expect("killed");
        run.wait().expect("gone");
        let stopped_before = state(&home) == READY;
        if stopped_before {
            hits += 1;
        } else {
            whole += 1;
        }
        if on == Sqlite && n % 2 == 0 {
            home.start().await.stop();
        } else if stopped_before {
            home.says(&["restore", text(&archive)]);
        }
        assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
        assert!(home.says(&["user", "list"]).contains("maria"));
    }
    tell(&format!(
        "cb restore ({on:?}) killed when it was ready: {hits} times before it was moved, {whole} times behind\n"
    ));
    assert!(hits > 0, "{hits} {whole}");
}
