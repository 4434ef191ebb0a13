//! What a server has answered for when a backup begins is in what is restored from it: on both databases, from each to the
//! other, plain and encrypted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::json;

use super::{World, names, text};
use crate::site::{PASSWORD, Site};

const WRITERS: u32 = 4;

#[derive(Clone, Copy)]
enum How {
    Plain,
    Passphrase,
    Recipient,
}

/// Adds assets until it is told to stop, and notes each that was answered for.
async fn write(client: Site, writer: u32, made: Arc<Mutex<BTreeSet<String>>>, stop: Arc<AtomicBool>) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("writer {writer} {n}");
        assert!(client.asset(&name).await, "{name}");
        made.lock().expect("ours").insert(name);
    }
}

#[rstest]
#[case(Sqlite, Sqlite, How::Plain)]
#[case(Postgres, Postgres, How::Passphrase)]
#[case(Sqlite, Postgres, How::Recipient)]
#[case(Postgres, Sqlite, How::Plain)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_for_comes_back(#[case] from: Database, #[case] to: Database, #[case] how: How) {
    let world = World::new(from == Postgres || to == Postgres);
    let (old, new) = (world.home("old", from).await, world.home("new", to).await);
    let site = old.begin().await;
    let (made, stop) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::<AtomicBool>::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(site.client.clone(), n, made.clone(), stop.clone())))
        .collect();
    while made.lock().expect("ours").len() < 40 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (archive, secret) = (world.path("archive"), world.path("secret"));
    let (mut lock, mut key) = (Vec::new(), Vec::new());
    match how {
        How::Plain => {}
        How::Passphrase => {
            std::fs::write(&secret, "correct horse battery staple\n").expect("written");
            lock = vec!["--passphrase-file".to_owned(), text(&secret).to_owned()];
            key.clone_from(&lock);
        }
        How::Recipient => {
            let identity = age::x25519::Identity::generate();
            std::fs::write(&secret, identity.to_string().expose_secret()).expect("written");
            lock = vec!["--recipient".to_owned(), identity.to_public().to_string()];
            key = vec!["--identity".to_owned(), text(&secret).to_owned()];
        }
    }
    let before = made.lock().expect("ours").clone();
    let mut backup = vec!["backup", text(&archive)];
    backup.extend(lock.iter().map(String::as_str));
    let (home, args) = (old.clone(), backup.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
    let said =
        tokio::task::spawn_blocking(move || home.says(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    let said = said.await.expect("a backup");
    let after = made.lock().expect("ours").len();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("every write was answered for");
    }
    assert!(after > before.len(), "nobody wrote meanwhile");
    assert!(said.contains("assets, audit log up to entry") && said.lines().count() == 1, "{said}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&archive.metadata().expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    for folder in [world.dir.path(), &old.data] {
        let left: Vec<_> = names(folder).into_iter().filter(|name| name.starts_with(".cb-backup-")).collect();
        assert!(left.is_empty(), "something half done is left: {left:?}");
    }
    site.stop();

    let mut restore = vec!["restore", text(&archive)];
    restore.extend(key.iter().map(String::as_str));
    let said = new.says(&restore);
    assert!(
        said.contains("Sessions ended: 1;") && said.contains("reports that later entries are missing"),
        "{said}"
    );
    assert!(new.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    // A secret that does not open would stop it.
    let status = new.says(&["vault", "rotate"]);
    assert!(status.contains("Encrypted secrets  1"), "{status}");
    let site = new.start().await;
    let there = site.client.assets().await;
    let lost: Vec<_> = before.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), before.len());
    let who = json!({ "username": "maria", "password": PASSWORD });
    assert_eq!(site.client.done("/auth/login", who).await["user"]["username"], "maria");
    assert!(site.client.asset("one more").await);
    let log = site.client.get("/audit-log?action=backup_restored").await;
    assert!(log["items"][0]["detail"]["head"]["seq"].is_u64(), "{log}");
    site.stop();
    assert!(new.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
}
