//! Files that are removed or moved while the server works with them.

use std::path::Path;

use cb_core::Error;
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _};

use super::{Bench, insert};
use crate::entities::asset;
use crate::{Storage, Store};

/// Of the log and its index.
fn remove(bench: &Bench, part: &str) {
    std::fs::remove_file(bench.dir.path().join(format!("circuit-breaker.db{part}"))).expect("removed");
}

/// Watches until this is told.
async fn told(bench: &Bench, state: Storage) {
    let mut storage = bench.store.storage();
    let seen = async {
        storage.wait_for(|storage| *storage == state).await.expect("watched");
    };
    tokio::select! {
        () = bench.store.watch_over() => {}
        seen = tokio::time::timeout(std::time::Duration::from_secs(20), seen) => seen.expect("told"),
    }
}

#[tokio::test]
async fn a_database_that_was_taken_away_is_not_written_to() {
    let bench = Bench::open(Sqlite).await;
    bench.add(1).await;
    let aside = bench.dir.path().join("aside");
    std::fs::create_dir(&aside).expect("made");
    let names = ["circuit-breaker.db", "circuit-breaker.db-wal", "circuit-breaker.db-shm"];
    let moved = |from: &Path, to: &Path| {
        for name in names {
            std::fs::rename(from.join(name), to.join(name)).expect("moved");
        }
    };
    moved(bench.dir.path(), &aside);
    let refused = bench.write(async |tx| insert(tx, 2).await).await;
    assert!(
        matches!(&refused, Err(Error::Unavailable(why)) if why.contains("removed or replaced")),
        "{refused:?}"
    );
    assert_eq!(*bench.store.storage().borrow(), Storage::Replaced);
    // Another file under the same name is no better.
    std::fs::copy(aside.join(names[0]), bench.dir.path().join(names[0])).expect("copied");
    assert!(bench.write(async |tx| insert(tx, 2).await).await.is_err());
    std::fs::remove_file(bench.dir.path().join(names[0])).expect("removed");
    moved(&aside, bench.dir.path());
    bench.add(2).await;
    // Taken away in the middle of a write, it has it when it comes back.
    let unknown = bench
        .write(async |tx| {
            insert(tx, 3).await?;
            moved(bench.dir.path(), &aside);
            Ok(())
        })
        .await;
    assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
    moved(&aside, bench.dir.path());
    bench.add(4).await;
    told(&bench, Storage::Serving).await;
    assert_eq!(bench.kept().await, (4, 4));
}

/// A log that was removed is still open: what it holds goes into the database.
#[rstest]
#[tokio::test]
async fn what_a_removed_log_holds_is_saved(#[values("-wal", "-shm")] part: &str) {
    let bench = Bench::open(Sqlite).await;
    bench.add(1).await;
    remove(&bench, part);
    told(&bench, Storage::LogRemoved { kept: true }).await;
    let refused = bench.write(async |tx| insert(tx, 2).await).await;
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("Restart")), "{refused:?}");
    // As after a kill -9: the file alone.
    let after = tempfile::tempdir().expect("a folder");
    let name = "circuit-breaker.db";
    std::fs::copy(bench.dir.path().join(name), after.path().join(name)).expect("copied");
    let store = Store::read_sqlite(after.path()).await.expect("opens");
    assert_eq!(asset::Entity::find().count(store.reader()).await.expect("counted"), 1);
    // Nothing is lost, so the stop is like any other.
    bench.store.clone().close().await.expect("closed");
    assert_eq!(bench.kept().await, (1, 1));
}

/// Another program keeps an older state in use, so the log cannot be written into the database yet; and whoever opens the database
/// makes a log of its own.
#[tokio::test]
async fn what_a_removed_log_holds_waits_for_those_who_read() {
    let bench = Bench::open(Sqlite).await;
    bench.add(1).await;
    let reader = bench.other().await;
    for sql in ["BEGIN", "SELECT * FROM assets"] {
        reader.execute_unprepared(sql).await.expect("reads");
    }
    bench.add(2).await;
    remove(&bench, "-wal");
    remove(&bench, "-shm");
    told(&bench, Storage::LogRemoved { kept: false }).await;
    reader.close().await.expect("closed");
    told(&bench, Storage::LogRemoved { kept: true }).await;
    let outside = bench.other().await;
    outside.execute_unprepared("SELECT * FROM assets").await.expect("reads");
    assert!(bench.write(async |tx| insert(tx, 3).await).await.is_err(), "refused");
    assert_eq!(*bench.store.storage().borrow(), Storage::LogRemoved { kept: true });
    outside.close().await.expect("closed");
    bench.store.clone().close().await.expect("closed");
    assert_eq!(bench.kept().await, (2, 2));
}

/// What is found of one removal does not hold for the next.
#[tokio::test]
async fn a_log_that_came_back_can_be_removed_again() {
    let bench = Bench::open(Sqlite).await;
    let at = |name: &str| bench.dir.path().join(name);
    let (log, index) = (at("circuit-breaker.db-wal"), at("circuit-breaker.db-shm"));
    let away = || {
        [(&log, at("log")), (&index, at("index"))].map(|(from, to)| std::fs::rename(from, to).expect("moved"))
    };
    bench.add(1).await;
    away();
    told(&bench, Storage::LogRemoved { kept: true }).await;
    std::fs::rename(at("log"), &log).expect("moved back");
    std::fs::rename(at("index"), &index).expect("moved back");
    told(&bench, Storage::Serving).await;
    bench.add(2).await;
    away();
    // Another program's, so that nothing may be written into the database.
    std::fs::write(&log, "a log").expect("written");
    told(&bench, Storage::LogRemoved { kept: false }).await;
    std::fs::remove_file(&log).expect("removed");
    told(&bench, Storage::LogRemoved { kept: true }).await;
    assert_eq!(bench.kept().await, (2, 2));
}

/// SQLite makes the log beside what the link leads to.
#[tokio::test]
async fn a_database_behind_a_link() {
    let (dir, disk) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let name = "circuit-breaker.db";
    std::os::unix::fs::symlink(disk.path().join(name), dir.path().join(name)).expect("linked");
    Store::open_sqlite(disk.path()).await.expect("made").close().await.expect("closed");
    let store = Store::open_sqlite(dir.path()).await.expect("opens");
    let bench = Bench { store, dir, postgres: None };
    bench.add(1).await;
    assert_eq!(bench.kept().await, (1, 1));
    std::fs::remove_file(disk.path().join("circuit-breaker.db-wal")).expect("removed");
    told(&bench, Storage::LogRemoved { kept: true }).await;
}

/// A program that has written with a log of its own is not written over.
#[tokio::test]
async fn a_removed_log_does_not_undo_what_others_wrote() {
    let bench = Bench::open(Sqlite).await;
    bench.add(1).await;
    remove(&bench, "-wal");
    remove(&bench, "-shm");
    told(&bench, Storage::LogRemoved { kept: true }).await;
    let outside = bench.other().await;
    outside.execute_unprepared("UPDATE assets SET name = 'outside'").await.expect("written");
    assert!(!bench.store.file().expect("a file").may_fold());
    bench.store.save_lost_log().await;
    bench.store.clone().close().await.expect("closed");
    outside.close().await.expect("closed");
    let store = Store::read_sqlite(bench.dir.path()).await.expect("opens");
    let name = asset::Entity::find().one(store.reader()).await.expect("read").expect("there").name;
    assert_eq!(name, "outside");
}

/// A key without which nothing of what is written could be read; it may be replaced.
#[tokio::test]
async fn without_its_keys_nothing_is_written() {
    let bench = Bench::open(Sqlite).await;
    let key = |name: &str| bench.dir.path().join(name);
    std::fs::write(key("vault-key"), "old").expect("written");
    bench.store.stay_beside(bench.dir.path(), &["vault-key", "none"]);
    std::fs::write(key("vault-new"), "new").expect("written");
    std::fs::rename(key("vault-new"), key("vault-key")).expect("replaced");
    bench.add(1).await;
    std::fs::rename(key("vault-key"), key("aside")).expect("moved");
    assert!(bench.write(async |tx| insert(tx, 2).await).await.is_err(), "refused");
    assert_eq!(*bench.store.storage().borrow(), Storage::Replaced);
    std::fs::rename(key("aside"), key("vault-key")).expect("moved back");
    told(&bench, Storage::Serving).await;
    bench.add(2).await;
    std::fs::remove_file(key("vault-key")).expect("removed");
    let why = bench.store.clone().close().await.expect_err("told").to_string();
    assert!(why.contains("vault-key was removed"), "{why}");
    assert_eq!(bench.kept().await, (2, 2));
}

/// With PostgreSQL, too, the folder matters: it holds the keys.
#[rstest]
#[tokio::test]
async fn without_its_folder_nothing_is_written(#[values(Sqlite, Postgres)] database: Database) {
    let mut bench = Bench::open(database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (here, aside) = (folder.path().join("data"), folder.path().join("aside"));
    if database == Sqlite {
        bench.store.clone().close().await.expect("closed");
        std::fs::rename(bench.dir.path(), &here).expect("moved");
        bench.store = Store::open_sqlite(&here).await.expect("opens");
    } else {
        std::fs::create_dir(&here).expect("made");
    }
    bench.store.stay_beside(&here, &[]);
    bench.add(1).await;
    std::fs::rename(&here, &aside).expect("moved");
    let refused = bench.write(async |tx| insert(tx, 2).await).await;
    assert!(
        matches!(&refused, Err(Error::Unavailable(why)) if why.contains("removed or replaced")),
        "{refused:?}"
    );
    std::fs::rename(&aside, &here).expect("moved back");
    bench.add(2).await;
    std::fs::rename(&here, &aside).expect("moved");
    let stopped = bench.store.clone().close().await.expect_err("told").to_string();
    assert!(stopped.contains(&here.display().to_string()), "{stopped}");
}
