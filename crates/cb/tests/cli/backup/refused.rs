//! An archive that is not whole, not ours or not of our time is refused in words, and nothing is left in the place.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use age::secrecy::ExposeSecret as _;
use cb_core::hex;
use cb_testkit::Database::{Postgres, Sqlite};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Home, World, run_sql, text};
use crate::site::cb;

fn add(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    // Past what the crate thinks of such a name.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// The archive `from` with other contents, and the right checksums.
pub fn forge(from: &Path, to: &Path, change: impl FnOnce(&mut Value, &mut Vec<(String, Vec<u8>)>)) {
    let bytes = std::fs::read(from).expect("reads");
    let mut files = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = text(&entry.path().expect("a name")).to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("reads");
        files.push((name, content));
    }
    files.pop();
    let mut manifest: Value = serde_json::from_slice(&files.remove(0).1).expect("JSON");
    change(&mut manifest, &mut files);
    let listed = files.iter().map(|(name, content)| {
        serde_json::json!({ "name": name, "size": content.len(), "sha256": hex(&Sha256::digest(content)) })
    });
    manifest["files"] = listed.collect();
    let mut out = Vec::new();
    add(&mut out, "manifest.json", manifest.to_string().as_bytes());
    for (name, content) in &files {
        add(&mut out, name, content);
    }
    let mut tail = Vec::new();
    let mut header = tar::Header::new_ustar();
    header.set_path("checksum.sha256").expect("short");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(65);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    tail.extend_from_slice(header.as_bytes());
    tail.extend_from_slice((hex(&Sha256::digest(&out)) + "\n").as_bytes());
    tail.resize(2048, 0);
    out.extend(tail);
    std::fs::write(to, out).expect("written");
}

/// The same, with a database that `sql` has changed.
pub fn forge_database(from: &Path, to: &Path, world: &World, sql: &str) {
    let file = world.path("circuit-breaker.db");
    forge(from, to, |_, files| {
        std::fs::write(&file, &files[0].1).expect("written");
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(tamper(&file, sql)));
        files[0].1 = std::fs::read(&file).expect("reads");
    });
}

/// Refused with `words`, and the place is as it was.
fn refuses(home: &Home, args: &[&str], words: &str) {
    let why = home.complains(&[&["restore"], args].concat());
    assert!(why.contains(words), "{args:?}: {why}");
    assert!(home.is_empty(), "{args:?} has left something");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_or_not_ours() {
    let world = World::new(false);
    let old = world.home("old", Sqlite).await;
    old.begin().await.stop();
    let (plain, locked, sent) = (world.path("plain"), world.path("locked"), world.path("sent"));
    let (right, wrong) = (world.path("right"), world.path("wrong"));
    std::fs::write(&right, "correct horse battery staple").expect("written");
    std::fs::write(&wrong, "incorrect horse battery staple").expect("written");
    let own = age::x25519::Identity::generate();
    let other = world.path("other");
    std::fs::write(&other, age::x25519::Identity::generate().to_string().expose_secret()).expect("written");
    old.says(&["backup", text(&plain)]);
    old.says(&["backup", text(&locked), "--passphrase-file", text(&right)]);
    old.says(&["backup", text(&sent), "--recipient", &own.to_public().to_string()]);
    let new = world.home("new", Sqlite).await;

    let bytes = std::fs::read(&plain).expect("reads");
    let bad = world.path("bad");
    let size = bytes.len();
    for at in [1, 300, 511, 512, 1000, 1536, 70_000, size / 2, size - 2049, size - 2048, size - 600, size - 1]
    {
        std::fs::write(&bad, &bytes[..at]).expect("written");
        let why = new.complains(&["restore", text(&bad)]);
        assert!(why.contains("is damaged") || why.contains("not an archive"), "cut at {at}: {why}");
        assert!(new.is_empty(), "cut at {at}");
    }
    for at in [600, 2000, 5000, size / 3, size / 2, size - 5000, size - 1800, size - 3] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(&bad, flipped).expect("written");
        refuses(&new, &[text(&bad)], "is damaged");
    }
    for (other, words) in [
        (&b""[..], "The archive is an empty file"),
        (b"hello", "not an archive of cb backup"),
        (&[0; 4096], "not an archive of cb backup"),
        (b"SQLite format 3\0 and more of it, to be longer than a block of a tar archive", "not an archive"),
    ] {
        std::fs::write(&bad, other).expect("written");
        refuses(&new, &[text(&bad)], words);
    }
    let bytes = std::fs::read(&locked).expect("reads");
    for at in [30, 100, 300, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&bad, &bytes[..at]).expect("written");
        let why = new.complains(&["restore", text(&bad), "--passphrase-file", text(&right)]);
        assert!(why.contains("The archive"), "cut at {at}: {why}");
        assert!(new.is_empty());
    }
    let mut flipped = bytes.clone();
    flipped[size / 2] ^= 1;
    std::fs::write(&bad, flipped).expect("written");
    refuses(&new, &[text(&bad), "--passphrase-file", text(&right)], "is damaged");
    refuses(&new, &[text(&locked)], "CB_BACKUP_PASSPHRASE_FILE");
    refuses(&new, &[text(&locked), "--passphrase-file", text(&wrong)], "passphrase does not open");
    refuses(&new, &[text(&sent)], "--identity FILE");
    refuses(&new, &[text(&sent), "--identity", text(&other)], "another key");
    refuses(&new, &[text(&world.path("nowhere"))], "cannot be read");
    refuses(&new, &[text(world.dir.path())], "is a folder");

    forge(&plain, &bad, |manifest, _| manifest["format"] = 2.into());
    refuses(&new, &[text(&bad)], "format 2");
    forge(&plain, &bad, |manifest, _| manifest["head"]["seq"] = 9.into());
    refuses(&new, &[text(&bad)], "does not match its manifest");
    forge(&plain, &bad, |_, files| files.push(("../escape".to_owned(), b"x".to_vec())));
    refuses(&new, &[text(&bad)], "is damaged");
    forge(&plain, &bad, |_, files| files.retain(|(name, _)| name != "vault-key"));
    refuses(&new, &[text(&bad)], "does not contain the vault's root key");
    forge(&plain, &bad, |_, files| files.retain(|(name, _)| name != "circuit-breaker.db"));
    refuses(&new, &[text(&bad)], "The archive does not contain a database. Use another backup");
    forge(&plain, &bad, |_, files| {
        for (_, content) in files.iter_mut().filter(|(name, _)| name == "circuit-breaker.db") {
            *content = b"no database, but long enough to be looked at as one. ".repeat(100);
        }
    });
    refuses(&new, &[text(&bad)], "The database in the archive cannot be used");
    let key = "cG9saXNoZWQgYnJhc3MgbGFtcHMgaW4gdGhlIGF0dGM=\n";
    forge(&plain, &bad, |_, files| {
        for (_, content) in files.iter_mut().filter(|(name, _)| name == "vault-key") {
            key.as_bytes().clone_into(content);
        }
    });
    refuses(&new, &[text(&bad)], "needs the root key with the fingerprint");
    for (sql, words) in [
        (
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)",
            "newer than this program",
        ),
        (
            "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET actor_name = 'eve' WHERE seq = 2",
            "does not verify at entry 2",
        ),
        ("UPDATE credentials SET secret = 'v1:nothing'", "credentials.secret"),
    ] {
        forge_database(&plain, &bad, &world, sql);
        refuses(&new, &[text(&bad)], words);
    }
    // What was tampered with is restored only when somebody insists.
    assert!(new.says(&["restore", text(&bad), "--damaged"]).contains("although it could not be verified"));

    // A place that is not empty is not touched.
    let why = new.complains(&["restore", text(&plain)]);
    assert!(why.contains("is not empty") && why.contains("mv "), "{why}");
    assert!(old.complains(&["backup", text(&plain)]).contains("--force"));
    assert!(old.complains(&["backup", text(&world.path("no/such"))]).contains("does not exist"));
}

async fn tamper(file: &Path, sql: &str) {
    run_sql(&format!("sqlite://{}", file.display()), &[sql, "PRAGMA wal_checkpoint(TRUNCATE)"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_file_is_replaced() {
    let world = World::new(false);
    let (home, link) = (world.home("old", Sqlite).await, world.path("link"));
    home.begin().await.stop();
    std::os::unix::fs::symlink("/dev/null", &link).expect("linked");
    assert!(home.complains(&["backup", text(&link), "--force"]).contains("Choose another name"));
    assert!(link.is_symlink());
    let notes = world.path("notes");
    std::fs::write(&notes, "seven green kettles sing").expect("written");
    let why = home.complains(&["backup", "--force", "--passphrase-file", text(&notes), text(&notes)]);
    assert!(why.contains("is not a backup"), "{why}");
    std::fs::write(&notes, "").expect("written");
    home.says(&["backup", "--force", text(&notes)]);
    home.says(&["backup", "--force", text(&notes)]);
}

/// A passphrase is judged when it is to protect something, not when it opens what somebody else has encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_passphrase() {
    let world = World::new(false);
    let (_, plain) = world.archived(Sqlite).await;
    let (short, brief) = (world.path("short"), world.path("brief"));
    std::fs::write(&brief, "brief\n").expect("written");
    let encryptor =
        age::Encryptor::with_user_passphrase(age::secrecy::SecretString::from("brief".to_owned()));
    let mut out = encryptor.wrap_output(std::fs::File::create(&short).expect("made")).expect("begins");
    out.write_all(&std::fs::read(&plain).expect("reads")).expect("encrypts");
    out.finish().expect("ends");
    let new = world.home("new", Sqlite).await;
    new.says(&["restore", text(&short), "--passphrase-file", text(&brief)]);
    let why = new.complains(&["backup", text(&plain), "--force", "--passphrase-file", text(&brief)]);
    assert!(why.contains("at least 16"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_in_use_and_a_key_of_the_operators_own() {
    let world = World::new(true);
    let (old, archive) = world.archived(Postgres).await;
    let home = Home { data: world.path("new"), url: old.url.clone() };
    refuses(&home, &[text(&archive)], "already in use");
    let shut = Home { url: old.url.as_ref().map(|url| url.replace("://cb:", "://cb:not")), ..old.clone() };
    let why = shut.complains(&["backup", text(&world.path("none"))]);
    assert!(
        why.contains("password authentication failed for user \"cb\". ") && why.contains("CB_DB_PASSWORD"),
        "{why}"
    );

    // With CB_VAULT_KEY the archive does not hold the root key, and says so.
    let key = std::fs::read_to_string(old.data.join("vault-key")).expect("a key");
    std::fs::remove_file(old.data.join("vault-key")).expect("removed");
    let said = old
        .cb(&["backup", text(&archive), "--force"])
        .env("CB_VAULT_KEY", key.trim())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("the root key of CB_VAULT_KEY (fingerprint "), "{said}");
    let new = world.home("empty", Postgres).await;
    refuses(&new, &[text(&archive)], "Set CB_VAULT_KEY to the key with the fingerprint");
    let wrong = "cG9saXNoZWQgYnJhc3MgbGFtcHMgaW4gdGhlIGF0dGM=";
    let why = new.cb(&["restore", text(&archive)]).env("CB_VAULT_KEY", wrong).output().expect("runs");
    let why = String::from_utf8_lossy(&why.stderr).into_owned();
    assert_eq!(why.matches("fingerprint").count(), 2, "{why}");
    assert!(new.is_empty());
    let done = new.cb(&["restore", text(&archive)]).env("CB_VAULT_KEY", key.trim()).output().expect("runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The binary without the rights of root, who may read and write everything.
fn unprivileged() -> Command {
    let root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
    if !root {
        return cb();
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--", env!("CARGO_BIN_EXE_cb")]);
    command
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
}

/// A file that nobody sees holds what was saved last: a copy would be without it, and whoever opens the database would make another.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_log_was_removed_under_the_server() {
    let world = World::new(false);
    let home = world.home("old", Sqlite).await;
    let running = home.begin().await;
    let log = home.data.join("circuit-breaker.db-wal");
    std::fs::remove_file(&log).expect("removed");
    for args in [&["backup", text(&world.path("archive"))][..], &["user", "list"]] {
        let why = home.complains(args);
        assert!(why.contains("has no log") && why.contains("Stop that process first"), "{why}");
    }
    assert!(!log.exists(), "nobody has made another");
    // As other programs leave it.
    std::fs::write(&log, "").expect("written");
    assert!(home.complains(&["user", "list"]).contains("has no log"));
    running.stop();
    assert!(home.says(&["user", "list"]).contains("maria"));
    home.says(&["backup", text(&world.path("archive"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_user_may_not_read_or_write_and_what_is_lost() {
    let world = World::new(false);
    let home = world.home("old", Sqlite).await;
    home.begin().await.stop();
    let (file, key, archive) =
        (home.data.join("circuit-breaker.db"), home.data.join("vault-key"), world.path("archive"));
    let [backup, list, verify] =
        [&["backup", text(&archive)][..], &["user", "list"], &["audit-log", "verify"]];
    let refuses = |args: &[&str], all: &[&str]| {
        let done = home.set(unprivileged(), args).output().expect("runs");
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && all.iter().all(|words| why.contains(words)), "{args:?}: {why}");
    };
    assert_eq!(file.metadata().expect("there").mode() & 0o777, 0o600);
    mode(&file, 0o444);
    for args in [&["serve"], backup, list, verify] {
        refuses(args, &["circuit-breaker.db cannot be read and written (Permission denied)", "chmod u+rw"]);
    }
    // Nothing is left that the advice does not cure.
    mode(&file, 0o600);
    assert!(home.set(unprivileged(), list).output().expect("runs").status.success());
    if std::os::unix::fs::chown(&file, Some(65_534), None).is_ok() {
        refuses(list, &["circuit-breaker.db cannot be read and written", "sudo chown 0 "]);
        std::os::unix::fs::chown(&file, Some(0), None).expect("given back");
    }
    mode(&home.data, 0o000);
    for args in [backup, list, verify] {
        refuses(args, &["old cannot be read and written (Permission denied)", "sudo -u '#"]);
    }
    mode(&home.data, 0o700);
    mode(&key, 0o000);
    refuses(backup, &["vault-key: it cannot be opened (Permission denied"]);
    mode(&key, 0o600);
    let kept = std::fs::read(&key).expect("a key");
    std::fs::write(&key, "no key").expect("written");
    refuses(backup, &["vault-key: it is not 32 bytes"]);
    // A secret is sealed with it.
    std::fs::remove_file(&key).expect("removed");
    refuses(backup, &["there is no key. Put back the right key"]);
    refuses(&["serve"], &["and secrets are stored (1)", "tar -xf ARCHIVE vault-key", "cb restore ARCHIVE"]);
    std::fs::write(&key, kept).expect("written");
    for (bytes, words) in [(None, "There is no database at"), (Some(""), "circuit-breaker.db is empty")] {
        std::fs::remove_file(&file).expect("removed");
        if let Some(bytes) = bytes {
            std::fs::write(&file, bytes).expect("written");
        }
        for args in [backup, verify] {
            refuses(args, &[words, "the folder", "was already in use", "cb restore FILE"]);
        }
        std::fs::write(&file, "").expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_that_is_lost_before_it_has_sealed_anything() {
    let world = World::new(false);
    let home = world.home("old", Sqlite).await;
    let site = home.start().await;
    site.client.set_up().await;
    site.stop();
    let (key, archive) = (home.data.join("vault-key"), world.path("archive"));
    std::fs::remove_file(&key).expect("removed");
    let backup = ["backup", text(&archive)];
    for args in [&backup[..], &["vault", "rewrap"]] {
        let why = home.complains(args);
        assert!(why.contains("cb serve") && why.contains("creates a new"), "{why}");
    }
    // Never in the place of one that is given.
    let wrong = "cG9saXNoZWQgYnJhc3MgbGFtcHMgaW4gdGhlIGF0dGM=";
    let given = home.cb(&["serve"]).env("CB_VAULT_KEY", wrong).output().expect("runs");
    assert!(String::from_utf8_lossy(&given.stderr).contains("but the vault needs the root key"));
    assert!(!key.exists());
    let site = home.start().await;
    let log = site.client.get("/audit-log?action=vault_root_replaced").await;
    assert_eq!(log["items"][0]["detail"]["keys_removed"], 1, "{log}");
    site.stop();
    home.says(&backup);
    world.home("new", Sqlite).await.says(&["restore", text(&archive)]);
}
