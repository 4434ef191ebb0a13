//! Stopped by a signal, out of room, or cut off from its database: a backup and a restore say what has become of it, and that is true.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use cb_core::Secret;
use cb_store::Store;
use cb_store::sea_orm::{self, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::Database::{Postgres, Sqlite};
use rstest::rstest;

use super::{Home, World, names, run_sql, text};

/// Waits until `there`, which must come before the process ends.
fn until(run: &mut Child, there: impl Fn() -> bool) {
    while !there() {
        assert!(run.try_wait().expect("asked").is_none(), "it has ended already");
        std::hint::spin_loop();
    }
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// Starts it and holds it at the moment that is `there`, which must come before it ends: what it is told, it hears once it is let go.
/// Whoever holds it waits for its id, because a process that had to be started first would come too late.
fn held(command: Command, there: impl Fn() -> bool) -> Child {
    let mut holder = Command::new("sh");
    let mut holder = holder
        .args(["-c", "read -r id && kill -s STOP \"$id\""])
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut run = start(command);
    until(&mut run, there);
    let id = format!("{}\n", run.id());
    holder.stdin.take().expect("piped").write_all(id.as_bytes()).expect("told");
    assert!(holder.wait().expect("gone").success());
    assert!(run.try_wait().expect("asked").is_none(), "it has ended already");
    run
}

/// Sends a signal to a process that is held, and lets it go.
fn let_go(run: Child, name: &str) -> Output {
    signal(&run, name);
    signal(&run, "CONT");
    run.wait_with_output().expect("ends")
}

pub fn signal(run: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &run.id().to_string()]).status().expect("runs");
    assert!(sent.success(), "{name}");
}

/// Why it failed.
fn failed(done: &Output) -> String {
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{why}");
    why
}

/// What a backup keeps in `folder` while it works.
fn scratch(folder: &Path) -> Vec<PathBuf> {
    names(folder)
        .iter()
        .filter(|name| name.starts_with(".cb-backup-"))
        .map(|name| folder.join(name))
        .collect()
}

fn begun(folder: &Path, name: &str) -> bool {
    scratch(folder).iter().any(|folder| folder.join(name).exists())
}

/// An instance whose database takes a while to be copied.
async fn large(world: &World) -> Home {
    let home = world.home("large", Sqlite).await;
    home.begin().await.stop();
    let ballast = "CREATE TABLE ballast AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
                   SELECT i, randomblob(1000000) AS bytes FROM n";
    let url = format!("sqlite://{}", home.data.join("circuit-breaker.db").display());
    run_sql(&url, &[ballast, "PRAGMA wal_checkpoint(TRUNCATE)"]).await;
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn while_files_are_written() {
    let world = World::new(false);
    let home = large(&world).await;
    let (archive, dir) = (world.path("archive"), world.dir.path());
    for name in ["TERM", "INT", "HUP"] {
        let run = held(home.cb(&["backup", text(&archive)]), || begun(dir, "archive"));
        let why = failed(&let_go(run, name));
        assert_eq!(why, format!("cb: stopped by SIG{name}: no archive was written\n"));
        assert!(!archive.exists() && scratch(dir).is_empty(), "{name}");
    }
    // As `nohup` does.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"trap "" HUP; exec "$0" "$@""#, env!("CARGO_BIN_EXE_cb")]);
    let run = held(home.set(shell, &["backup", text(&archive)]), || begun(dir, "archive"));
    assert!(let_go(run, "HUP").status.success());

    let new = world.home("new", Sqlite).await;
    for name in ["TERM", "HUP"] {
        let unpacks = || new.data.join(".restoring/circuit-breaker.db").exists();
        let run = held(new.cb(&["restore", text(&archive)]), unpacks);
        assert!(new.complains(&["restore", text(&archive)]).contains("another server or a restore is using"));
        let why = failed(&let_go(run, name));
        assert_eq!(why, format!("cb: stopped by SIG{name}: nothing was restored\n"));
        assert!(!new.data.exists(), "the place is as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_backup_leaves_is_removed() {
    let world = World::new(false);
    let home = large(&world).await;
    let (dir, secret) = (world.dir.path(), world.path("secret"));
    std::fs::write(&secret, "correct horse battery staple").expect("written");
    let locked =
        ["backup", text(&world.path("locked")), "--passphrase-file", text(&secret)].map(str::to_owned);
    let locked = locked.each_ref().map(String::as_str);
    // What is another program's stays.
    for name in ["archive.new", "locked.new.d", ".cb-backup-of-mine"] {
        std::fs::create_dir(world.path(name)).expect("made");
    }
    let mut run = start(home.cb(&["backup", text(&world.path("archive"))]));
    until(&mut run, || begun(dir, "circuit-breaker.db"));
    run.kill().expect("killed");
    run.wait().expect("gone");
    assert!(begun(dir, "circuit-breaker.db"));
    let mut run = held(home.cb(&locked), || begun(&home.data, "circuit-breaker.db"));
    assert!(!begun(dir, "circuit-breaker.db"), "the second has removed it, and keeps its own copy elsewhere");
    // One that lives is left alone by a server that starts.
    home.start().await.stop();
    assert!(begun(&home.data, "circuit-breaker.db"));
    run.kill().expect("killed");
    run.wait().expect("gone");
    home.start().await.stop();
    assert!(scratch(&home.data).is_empty());
    for name in ["archive.new", "locked.new.d", ".cb-backup-of-mine"] {
        assert!(world.path(name).is_dir(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room() {
    let world = World::new(false);
    let home = world.home("old", Sqlite).await;
    home.begin().await.stop();
    let archive = world.path("archive");
    std::fs::write(&archive, "manifest.json of an older one").expect("written");
    // The copy of the database fits into neither.
    for blocks in ["100", "700"] {
        let mut shell = Command::new("/bin/sh");
        let limited = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        shell.args(["-c", limited, blocks, env!("CARGO_BIN_EXE_cb")]);
        let run = home.set(shell, &["backup", text(&archive), "--force"]).output().expect("runs");
        let why = failed(&run);
        let place = format!("The database could not be copied into {}. ", text(world.dir.path()));
        assert!(why.contains(&place) && why.contains("does not allow a file of this size. Check "), "{why}");
        assert_eq!(std::fs::read_to_string(&archive).expect("there"), "manifest.json of an older one");
        assert!(scratch(world.dir.path()).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_nothing_leaves_the_place_empty() {
    let world = World::new(false);
    let (_, archive) = world.archived(Sqlite).await;
    let new = world.home("new", Sqlite).await;
    std::fs::create_dir(&new.data).expect("made");
    assert!(new.complains(&["backup", text(&world.path("none"))]).contains("There is no database"));
    assert!(new.is_empty());
    // What an earlier version of this program has left does not count either.
    std::fs::write(new.data.join("backup.lock"), "").expect("written");
    std::fs::create_dir(new.data.join(".cb-backup-0123456789abcdef")).expect("made");
    new.says(&["restore", text(&archive)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_judge_is_not_removed() {
    let world = World::new(false);
    let (_, archive) = world.archived(Sqlite).await;
    let new = world.home("new", Sqlite).await;
    let staging = new.data.join(".restoring");
    std::fs::create_dir_all(&staging).expect("made");
    for name in ["ready.json", "audit-key"] {
        std::fs::write(staging.join(name), "half").expect("written");
    }
    let why = new.complains(&["restore", text(&archive)]);
    assert!(why.contains("is damaged") && why.contains("keep it"), "{why}");
    assert!(new.does_not_start().contains("is damaged"));
    assert!(staging.join("audit-key").exists() && staging.join("ready.json").exists());
    // One for PostgreSQL, in a folder that is in use besides: nobody has asked that database.
    let ready = r#"{"head":{"seq":3,"hash":"ab"},"postgres":true}"#;
    std::fs::write(staging.join("ready.json"), ready).expect("written");
    assert!(new.complains(&["restore", text(&archive)]).contains("Set CB_DB_URL to that database"));
    // One for SQLite, while CB_DB_URL is set.
    std::fs::write(staging.join("ready.json"), ready.replace("true", "false")).expect("written");
    let with = Home { url: Some("postgres://cb:x@127.0.0.1:1/cb".to_owned()), ..new.clone() };
    assert!(with.complains(&["restore", text(&archive)]).contains("Run this command once without CB_DB_URL"));
    assert!(staging.join("audit-key").exists());
}

/// Makes the tables in a database that nobody has used, and then runs `all`.
async fn prepare(home: &Home, all: &[&str]) {
    let url = home.url.clone().expect("a PostgreSQL");
    Store::open_postgres(&Secret::new(url.clone())).await.expect("opens").close().await.expect("closed");
    run_sql(&url, all).await;
}

/// From here on PostgreSQL takes some seconds for the COMMIT of a restore, which turns triggers off and on.
const SLOW: &[&str] = &[
    "CREATE TABLE slow (at integer)",
    "CREATE FUNCTION mark() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO slow SELECT 1 WHERE NOT EXISTS (SELECT FROM slow); END $$",
    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
    "CREATE EVENT TRIGGER mark ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION mark()",
];
const FAST: &str = "DROP EVENT TRIGGER mark";

const IN_COMMIT: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND wait_event = 'PgSleep'";

/// The process of PostgreSQL that is in a COMMIT, once there is one.
async fn in_commit(home: &Home, wanted: bool) -> Option<i32> {
    let began = Instant::now();
    let db = sea_orm::Database::connect(home.url.as_ref().expect("a PostgreSQL")).await.expect("connects");
    loop {
        let asked = Statement::from_string(DbBackend::Postgres, IN_COMMIT);
        let row = db.query_one_raw(asked).await.expect("asked");
        if row.is_some() == wanted {
            return row.map(|row| row.try_get_by_index(0).expect("a number"));
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it was never so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that belongs to a database that may be there.
fn keeps(home: &Home, why: &str) {
    for name in ["ready.json", "audit-key", "vault-key", "jwt-secret", "audit-checkpoint.json"] {
        assert!(home.data.join(".restoring").join(name).exists(), "{name} is gone: {why}");
    }
    assert!(!why.to_lowercase().contains("remove"), "{why}");
}

#[rstest]
#[case::stopped(true)]
#[case::killed(false)]
#[tokio::test(flavor = "multi_thread")]
async fn in_the_commit_of_postgresql(#[case] politely: bool) {
    let world = World::new(true);
    let (_, archive) = world.archived(Sqlite).await;
    let restore = ["restore", text(&archive)];
    let home = world.home("new", Postgres).await;
    prepare(&home, SLOW).await;
    let mut run = start(home.cb(&restore));
    in_commit(&home, true).await;
    if politely {
        signal(&run, "TERM");
        let why = failed(&run.wait_with_output().expect("ends"));
        assert!(why.contains("stopped by SIGTERM. PostgreSQL did not confirm"), "{why}");
        assert!(why.contains("Run the same command again"), "{why}");
        keeps(&home, &why);
    } else {
        run.kill().expect("killed");
        run.wait().expect("gone");
    }
    // Without its client the COMMIT goes on: so long nobody knows.
    let why = home.complains(&restore);
    assert!(why.contains("whether the data was saved"), "{why}");
    keeps(&home, &why);
    in_commit(&home, false).await;
    let without = Home { url: None, ..home.clone() };
    let away = Home { url: Some("postgres://cb:x@127.0.0.1:1/cb".to_owned()), ..home.clone() };
    for (home, words) in [(&without, "Set CB_DB_URL"), (&away, "whether the data was saved")] {
        for why in [home.complains(&restore), home.does_not_start()] {
            assert!(why.contains(words) && why.contains("CB_DB_URL"), "{why}");
            keeps(home, &why);
        }
        keeps(home, &home.complains(&["user", "list"]));
    }
    run_sql(home.url.as_ref().expect("a PostgreSQL"), &[FAST]).await;
    if politely {
        let said = home.says(&restore);
        assert!(said.contains("Completed an earlier restore"), "{said}");
    } else {
        home.start().await.stop();
    }
    assert!(!home.data.join(".restoring").exists());
    assert!(!names(&home.data).iter().any(|name| name.starts_with("circuit-breaker.db")));
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    assert!(home.says(&["user", "list"]).contains("maria"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_and_one_that_is_refused() {
    let world = World::new(true);
    let (_, archive) = world.archived(Sqlite).await;
    let restore = ["restore", text(&archive)];
    let home = world.home("new", Postgres).await;
    prepare(&home, SLOW).await;
    let run = start(home.cb(&restore));
    let pid = in_commit(&home, true).await.expect("a process");
    let url = home.url.clone().expect("a PostgreSQL");
    run_sql(&url, &[&format!("SELECT pg_terminate_backend({pid})")]).await;
    let why = failed(&run.wait_with_output().expect("ends"));
    assert!(why.contains("PostgreSQL did not confirm"), "{why}");
    keeps(&home, &why);
    run_sql(&url, &[FAST]).await;
    let why = home.does_not_start();
    assert!(why.contains("cb restore FILE again"), "{why}");
    keeps(&home, &why);
    home.says(&restore);
    assert!(home.says(&["user", "list"]).contains("maria"));

    // An error that has certainly kept nothing.
    let other = world.home("other", Postgres).await;
    let never = "CREATE FUNCTION never() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$";
    let on =
        "CREATE EVENT TRIGGER never ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION never()";
    prepare(&other, &[never, on]).await;
    let why = other.complains(&restore);
    assert!(why.starts_with("cb: Nothing was restored.") && why.contains("never"), "{why}");
    assert!(!other.data.exists());
    // PostgreSQL ends in the middle.
    let gone = world.home("gone", Postgres).await;
    prepare(
        &gone,
        &[&never.replace("RAISE EXCEPTION 'never'", "PERFORM pg_terminate_backend(pg_backend_pid())"), on],
    )
    .await;
    let why = gone.complains(&restore);
    assert!(
        why.starts_with("cb: Nothing was restored into the database of CB_DB_URL")
            && why.contains("does not answer"),
        "{why}"
    );
    assert!(!gone.data.exists());
    run_sql(gone.url.as_ref().expect("a PostgreSQL"), &["DROP EVENT TRIGGER never"]).await;
    gone.says(&restore);
}
