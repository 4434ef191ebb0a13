//! A folder that has been in use does not start over a database that is lost, copied in half or older, and never offers
//! setup; one that was never set up starts whatever is left of it.

use std::path::Path;

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

use super::{Home, World, text};

const DATABASE: &str = "circuit-breaker.db";

/// An instance that has gone on since `older` was copied from it.
async fn rolled_back(world: &World, on: Database) -> (Home, Home) {
    let home = world.home("instance", on).await;
    home.begin().await.stop();
    let older = match &home.url {
        None => {
            std::fs::copy(home.data.join(DATABASE), world.path("older.db")).expect("copied");
            home.clone()
        }
        Some(url) => {
            world.sql("CREATE DATABASE older TEMPLATE instance").await;
            Home { url: Some(url.replace("/instance", "/older")), ..home.clone() }
        }
    };
    let site = home.start().await;
    for n in 0..5 {
        assert!(site.client.asset(&format!("later {n}")).await);
    }
    site.stop();
    if on == Sqlite {
        std::fs::rename(home.data.join(DATABASE), world.path("newer.db")).expect("moved");
        std::fs::copy(world.path("older.db"), home.data.join(DATABASE)).expect("copied");
    }
    (home, older)
}

#[rstest]
#[case(Sqlite)]
#[case(Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_older_database(#[case] on: Database) {
    let world = World::new(on == Postgres);
    let (home, older) = rolled_back(&world, on).await;
    let why = older.does_not_start();
    for words in [
        "is older than the folder",
        "its audit log ends at entry",
        "but the server signed entry",
        "cb restore FILE",
        "cb audit-log accept-restore",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert!(older.complains(&["user", "list"]).contains("is older than the folder"));

    let said = older.says(&["audit-log", "accept-restore"]);
    assert!(said.contains("Accepted: entry"), "{said}");
    assert!(older.complains(&["audit-log", "accept-restore"]).contains("no rollback to accept"));
    let site = older.start().await;
    let log = site.client.get("/audit-log?action=rollback_accepted").await;
    assert_eq!(log["items"][0]["actor"]["name"], "command line", "{log}");
    assert!(log["items"][0]["detail"]["signed"]["seq"].is_u64(), "{log}");
    for n in 0..9 {
        assert!(site.client.asset(&format!("another {n}")).await);
    }
    site.stop();
    assert!(older.says(&["audit-log", "verify"]).starts_with("The chain is intact"));

    // The newer one that was thought lost is found again: it is not the one of this folder any more.
    if on == Sqlite {
        std::fs::copy(world.path("newer.db"), home.data.join(DATABASE)).expect("copied");
    }
    let why = home.does_not_start();
    assert!(
        why.contains("is older than the folder") || why.contains("does not belong to the folder"),
        "{why}"
    );
}

/// As the administrator of a PostgreSQL puts a dump back while the server runs: it goes on over the older state, and signs that.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_under_the_running_server() {
    let world = World::new(true);
    let home = world.home("instance", Postgres).await;
    home.begin().await.stop();
    world.sql("CREATE DATABASE older TEMPLATE instance").await;
    let site = home.start().await;
    for n in 0..5 {
        assert!(site.client.asset(&format!("later {n}")).await);
    }
    let signed = site.client.get("/audit-log/checkpoints").await;
    let signed = signed["items"].as_array().and_then(|all| all.last()).expect("one")["seq"].clone();
    for sql in [
        "ALTER DATABASE instance ALLOW_CONNECTIONS false",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'instance'",
        "ALTER DATABASE instance RENAME TO newer",
        "ALTER DATABASE older RENAME TO instance",
    ] {
        world.sql(sql).await;
    }
    let mut answers = false;
    for _ in 0..200 {
        let answer = site.client.ask("GET", "/audit-log/checkpoints", None).await;
        answers = answer.is_ok_and(|answer| answer.status().is_success());
        if answers {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(answers, "it goes on over the older one");
    assert_eq!(site.client.get("/audit-log/standing").await["contradicted"]["seq"], signed);
    for n in 0..9 {
        assert!(site.client.asset(&format!("another {n}")).await);
    }
    let verdict = site.client.get("/audit-log/verify").await;
    assert_eq!((&verdict["ok"], &verdict["broken_at"]), (&false.into(), &signed), "{verdict}");
    site.stop();

    // Held against it however often the server has signed since, and whoever looks.
    let verdict = home.run(&["audit-log", "verify"]);
    assert_eq!(verdict.status.code(), Some(1));
    assert!(home.does_not_start().contains("run: cb audit-log accept-restore"));
    let why = home.complains(&["backup", text(&world.path("archive"))]);
    assert!(why.contains("the audit log does not verify at entry"), "{why}");
    let said = home.says(&["audit-log", "accept-restore"]);
    assert!(said.contains(&format!("records that entry {signed}")), "{said}");
    assert!(said.contains(&format!("kept as audit-checkpoint.{signed}.json")), "{said}");
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    let site = home.start().await;
    assert!(site.client.get("/audit-log/standing").await["contradicted"].is_null());
    for action in ["checkpoint_contradicted", "rollback_accepted"] {
        let log = site.client.get(&format!("/audit-log?action={action}")).await;
        assert_eq!(log["items"].as_array().map(Vec::len), Some(1), "{action}: {log}");
    }
    site.stop();
}

/// A kill loses the checkpoint of the last entries and no more; a file that was put back meanwhile is found at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_and_a_file_that_was_put_back() {
    let world = World::new(false);
    let home = world.home("instance", Sqlite).await;
    home.begin().await.stop();
    let file = home.data.join(DATABASE);
    std::fs::copy(&file, world.path("older.db")).expect("copied");
    let site = home.start().await;
    for n in 0..5 {
        assert!(site.client.asset(&format!("unsigned {n}")).await);
    }
    drop(site);
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    let site = home.start().await;
    assert!(site.client.get("/audit-log/standing").await["contradicted"].is_null());
    let signed = site.client.get("/audit-log/checkpoints").await;
    let signed = signed["items"].as_array().and_then(|all| all.last()).expect("one")["seq"].clone();
    std::fs::copy(world.path("older.db"), world.path("put back.db")).expect("copied");
    std::fs::rename(world.path("put back.db"), &file).expect("renamed");
    drop(site);
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(home.data.join(format!("{DATABASE}{ending}")));
    }
    let why = home.does_not_start();
    assert!(why.contains(&format!("but the server signed entry {signed} on")), "{why}");
    let verdict = home.run(&["audit-log", "verify"]);
    let verdict = String::from_utf8_lossy(&verdict.stdout).into_owned();
    assert!(
        verdict.contains(&format!("audit-checkpoint.json in the data folder contains entry {signed}")),
        "{verdict}"
    );
    assert!(verdict.contains("run: cb audit-log accept-restore"), "{verdict}");
    assert!(home.says(&["audit-log", "accept-restore"]).contains(&format!("records that entry {signed}")));
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    home.start().await.stop();
}

/// Held against the chain however often the server signs, until an operator gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint() {
    let world = World::new(false);
    let home = world.home("instance", Sqlite).await;
    home.begin().await.stop();
    let file = home.data.join("audit-checkpoint.json");
    std::fs::write(&file, "x").expect("written");
    for _ in 0..2 {
        let site = home.start().await;
        assert!(site.client.asset("another").await);
        site.stop();
        let verdict = home.run(&["audit-log", "verify"]);
        assert_eq!(verdict.status.code(), Some(1));
        let verdict = String::from_utf8_lossy(&verdict.stdout).into_owned();
        assert!(verdict.contains("audit-checkpoint.damaged in the data folder"), "{verdict}");
    }
    let why = home.complains(&["backup", text(&world.path("archive"))]);
    assert!(why.contains("audit-checkpoint.damaged in the data folder"), "{why}");
    let said = home.says(&["audit-log", "accept-restore"]);
    assert!(said.contains("a checkpoint in the data folder could not be used"), "{said}");
    assert!(said.contains("are kept as audit-checkpoint.damaged."), "{said}");
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    let site = home.start().await;
    for action in ["checkpoint_damaged", "rollback_accepted"] {
        let log = site.client.get(&format!("/audit-log?action={action}")).await;
        assert_eq!(log["items"].as_array().map(Vec::len), Some(1), "{action}: {log}");
    }
    site.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_lost_or_copied_in_half() {
    let world = World::new(false);
    let home = world.home("instance", Sqlite).await;
    drop(home.begin().await);
    let file = home.data.join(DATABASE);
    for name in [DATABASE, "circuit-breaker.db-wal", "circuit-breaker.db-shm"] {
        let _ = std::fs::remove_file(home.data.join(name));
    }
    let refuses = |words: &str| {
        let why = home.does_not_start();
        assert!(why.contains(words) && why.contains("cb restore FILE"), "{why}");
        assert!(why.contains("start with an empty instance"), "{why}");
    };
    refuses("is missing or empty, but the folder");
    assert!(!file.exists(), "none is made");
    std::fs::write(&file, "").expect("written");
    refuses("is missing or empty, but the folder");
    // An empty database, and one of another instance that was never set up.
    let fresh = world.home("fresh", Sqlite).await;
    fresh.start().await.stop();
    std::fs::copy(fresh.data.join(DATABASE), &file).expect("copied");
    refuses("setup was not completed in it");
    let why = home.complains(&["audit-log", "accept-restore"]);
    assert!(why.contains("setup was not completed in it"), "{why}");
    // As the documented backup was, until now: the keys without the checkpoint.
    std::fs::remove_file(home.data.join("audit-checkpoint.json")).expect("removed");
    std::fs::write(&file, "").expect("written");
    refuses("is missing or empty, but the folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_is_empty_or_another() {
    let world = World::new(true);
    let home = world.home("instance", Postgres).await;
    drop(home.begin().await);
    let url = |name: &str| home.url.as_ref().map(|url| url.replace("/instance", &format!("/{name}")));
    world.sql("CREATE DATABASE empty").await;
    let empty = Home { url: url("empty"), ..home.clone() };
    let why = empty.does_not_start();
    assert!(why.contains("is missing or empty, but the folder") && why.contains("cb restore FILE"), "{why}");
    let fresh = world.home("fresh", Postgres).await;
    fresh.start().await.stop();
    let why = Home { url: fresh.url.clone(), ..home.clone() }.does_not_start();
    assert!(why.contains("setup was not completed in it"), "{why}");
    // A second server of the same database has a folder of its own.
    let second = Home { data: world.path("second"), ..home.clone() };
    std::fs::create_dir(&second.data).expect("made");
    for name in ["vault-key", "audit-key", "jwt-secret"] {
        std::fs::copy(home.data.join(name), second.data.join(name)).expect("copied");
    }
    second.start().await.stop();
    home.start().await.stop();
}

/// Every half of the files that a first start leaves.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_never_set_up_starts_again() {
    const FILES: [&str; 4] = [DATABASE, "jwt-secret", "audit-key", "tls"];
    let world = World::new(false);
    for gone in 0..1_u32 << FILES.len() {
        let home = world.home(&format!("never{gone}"), Sqlite).await;
        let port = crate::site::free_port();
        let mut serve = home.serve(port);
        serve.env_remove("CB_SETUP_CODE");
        let site = home.meet(port, serve).await;
        site.stop();
        assert!(!home.data.join("audit-checkpoint.json").exists());
        for (n, name) in FILES.iter().enumerate().filter(|(n, _)| gone & (1 << n) != 0) {
            remove(&home.data.join(name), n);
        }
        let site = home.start().await;
        assert_eq!(site.client.get("/setup").await["required"], true);
        site.stop();
    }
}

fn remove(path: &Path, n: usize) {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
        .unwrap_or_else(|e| panic!("{n}: {e}"));
}
