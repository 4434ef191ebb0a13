//! Commands beside a server that starts, or without the keys that only a server makes.

use std::process::Stdio;
use std::time::Duration;

use cb_store::Store;
use cb_testkit::Database::{Postgres, Sqlite};

use super::{World, names};

/// A command makes no key: the server would make another.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_makes_no_secrets() {
    let world = World::new(false);
    let home = world.home("old", Sqlite).await;
    std::fs::create_dir(&home.data).expect("made");
    Store::open_sqlite(&home.data).await.expect("opens").close().await.expect("closed");
    for args in [&["user", "list"][..], &["vault", "status"]] {
        let why = home.complains(args);
        assert!(why.contains("audit-key") && why.contains("cb serve"), "{why}");
    }
    assert!(names(&home.data).iter().all(|name| name.starts_with("circuit-breaker.db")));
    home.begin().await.stop();
    for key in ["audit-key", "vault-key"] {
        let aside = world.path("aside");
        std::fs::rename(home.data.join(key), &aside).expect("moved");
        assert!(home.complains(&["user", "list"]).contains("Put"), "{key}");
        assert!(!home.data.join(key).exists(), "{key}");
        std::fs::rename(&aside, home.data.join(key)).expect("moved back");
    }
    for passing in ["jwt-secret", "server-id"] {
        std::fs::remove_file(home.data.join(passing)).expect("removed");
    }
    assert!(home.says(&["user", "list"]).contains("maria"));
    assert!(!names(&home.data).iter().any(|name| ["jwt-secret", "server-id"].contains(&name.as_str())));
}

#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_is_not_disturbed(#[values(Sqlite, Postgres)] on: cb_testkit::Database) {
    let world = World::new(on == Postgres);
    for round in 0..4 {
        let home = world.home(&format!("home_{round}"), on).await;
        let (beside, stop) = (home.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let stopped = stop.clone();
        let commands = std::thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let mut list = beside.cb(&["user", "list"]);
                list.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("runs");
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let site = home.begin().await;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        commands.join().expect("ended");
        site.stop();
        home.start().await.stop();
    }
}
