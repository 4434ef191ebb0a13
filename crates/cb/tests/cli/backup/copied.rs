//! `cb store copy`: from SQLite into PostgreSQL and back, refused, killed, and stopped.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cb_core::{Entropy, OsEntropy};
use cb_store::Store;
use cb_store::backup::look_postgres;
use cb_store::sea_orm::{self, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::Database::{Postgres, Sqlite};
use cb_testkit::{Nats, Redis};
use serde_json::json;

use super::stopped::signal;
use super::{Home, World, names, run_sql, text};
use crate::site::{PASSWORD, free_port};

/// The URL of a home without its password, and the password.
fn apart(home: &Home) -> (String, String) {
    let url = home.url.as_ref().expect("PostgreSQL");
    let (head, rest) = url.split_once("://cb:").expect("with a user");
    let (password, place) = rest.split_once('@').expect("with a password");
    (format!("{head}://cb@{place}"), password.to_owned())
}

/// `cb store copy` of `from` into the database of `to`.
fn copy(from: &Home, to: &Home) -> Command {
    if to.url.is_none() {
        return from.cb(&["store", "copy", "--to", "sqlite"]);
    }
    let (url, password) = apart(to);
    let mut copy = from.cb(&["store", "copy", "--to", &url]);
    copy.env("CB_DB_PASSWORD_NEW", password);
    copy
}

fn copied(from: &Home, to: &Home) -> String {
    let done = copy(from, to).output().expect("runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// One line that says why not.
fn refused(mut copy: Command) -> String {
    let done = copy.output().expect("runs");
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{} {why}", String::from_utf8_lossy(&done.stdout));
    assert!(
        why.starts_with("cb: ") && why.trim_end().lines().count() == 1 && !why.contains("panicked"),
        "{why}"
    );
    assert!(done.stdout.is_empty(), "{}", String::from_utf8_lossy(&done.stdout));
    why
}

/// Signs in by user name and password, finds what was there, and adds something.
async fn used(home: &Home, adds: &str, finds: &[&str]) {
    let site = home.start().await;
    let who = json!({ "username": "maria", "password": PASSWORD });
    let session = site.client.done("/auth/login", who).await;
    assert_eq!(session["user"]["username"], "maria", "{session}");
    let there = site.client.assets().await;
    assert!(finds.iter().all(|name| there.contains(*name)), "{there:?}");
    assert_eq!(site.client.get("/credentials").await["items"].as_array().map(Vec::len), Some(1));
    assert!(site.client.asset(adds).await);
    let log = site.client.get("/audit-log?action=store_copied").await;
    assert_eq!(log["items"].as_array().map(Vec::len), Some(finds.len().saturating_sub(1)), "{log}");
    site.stop();
    assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    // Opens and seals everything anew.
    assert!(home.says(&["vault", "rotate"]).contains("fingerprint"));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back() {
    let world = World::new(true);
    let lite = world.home("old", Sqlite).await;
    let postgres = Home { data: lite.data.clone(), ..world.home("new", Postgres).await };
    let site = lite.begin().await;
    for n in 0..40 {
        assert!(site.client.asset(&format!("asset {n}")).await);
    }
    for (path, body) in [
        ("/tags", json!({ "name": "shelf", "color": "#4c8bf5" })),
        ("/networks", json!({ "name": "home", "cidr": "192.168.7.0/24" })),
        (
            "/webhooks",
            json!({ "name": "elsewhere", "url": "https://10.0.0.9/x", "events": ["vault.rotated"] }),
        ),
        ("/hooks", json!({ "name": "alerts", "format": "generic" })),
    ] {
        site.client.done(path, body).await;
    }
    site.stop();
    used(&lite, "of SQLite", &["asset 39"]).await;
    let file = lite.data.join("circuit-breaker.db");
    let before = (std::fs::read(&file).expect("reads"), names(&lite.data).len());

    let said = copied(&lite, &postgres);
    let told =
        said.contains("Each table has the same content") && !said.contains("stored secrets decrypted: 0");
    assert!(
        told && said.contains("CB_DB_URL=postgres://cb@") && said.contains("Keep the data folder"),
        "{said}"
    );
    assert!(!said.contains(&apart(&postgres).1), "{said}");
    assert!(
        before == (std::fs::read(&file).expect("reads"), names(&lite.data).len()),
        "the source is as it was"
    );
    let why = refused(copy(&lite, &postgres));
    assert!(why.contains("already in use"), "{why}");
    used(&postgres, "of PostgreSQL", &["asset 39", "of SQLite"]).await;

    assert!(lite.does_not_start().contains("is older than the folder"), "it would lose what was done since");
    let why = refused(copy(&postgres, &lite));
    assert!(why.contains("circuit-breaker.db already exists"), "{why}");
    let aside = world.path("aside");
    std::fs::create_dir(&aside).expect("made");
    for name in names(&lite.data).iter().filter(|name| name.starts_with("circuit-breaker.db")) {
        std::fs::rename(lite.data.join(name), aside.join(name)).expect("moved");
    }
    let standing =
        async || look_postgres(&cb_core::Secret::new(postgres.url.clone().expect("a URL")), 1).await;
    let before = standing().await.expect("looked");
    let said = copied(&postgres, &lite);
    assert!(said.contains("without CB_DB_URL"), "{said}");
    assert_eq!(before, standing().await.expect("looked"), "the source is as it was");
    used(&lite, "of SQLite again", &["asset 39", "of SQLite", "of PostgreSQL"]).await;
}

/// What tells the servers of this database from those of its copies in Redis and NATS.
async fn installation(home: &Home) -> String {
    let db = sea_orm::Database::connect(home.url.as_ref().expect("PostgreSQL")).await.expect("connects");
    let sql = "SELECT fingerprint FROM shared_secrets WHERE name = 'installation'";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.expect("reads");
    let made = row.expect("a server has made it").try_get("", "fingerprint").expect("a text");
    db.close().await.expect("closed");
    made
}

/// The servers of a cluster have put the audit key into the database; it travels as a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_cluster() {
    let world = World::new(true);
    let (redis, nats) = (Redis::start(), Nats::start());
    let home = world.home("cluster", Postgres).await;
    let clustered = async |home: &Home| {
        let port = free_port();
        let mut serve = home.serve(port);
        serve.env("CB_REDIS_URL", redis.url()).env("CB_NATS_URL", nats.url());
        home.meet(port, serve).await
    };
    let site = clustered(&home).await;
    site.client.set_up().await;
    assert!(site.client.asset("of the cluster").await);
    site.stop();
    let mut installations = BTreeSet::from([installation(&home).await]);

    // Another key is refused by whatever reads it, in the words of a server.
    let key = home.data.join("audit-key");
    let right = std::fs::read(&key).expect("reads");
    std::fs::write(&key, (&OsEntropy as &dyn Entropy).token()).expect("written");
    let archive = world.path("archive");
    for args in [
        &["backup", text(&archive)][..],
        &["audit-log", "verify"],
        &["user", "list"],
        &["store", "copy", "--to", "sqlite"],
    ] {
        let why = home.complains(args);
        assert!(why.contains("audit-key: it is not the audit key of this database"), "{args:?}: {why}");
    }
    std::fs::write(&key, right).expect("written");

    home.says(&["backup", text(&archive)]);
    let verified =
        |home: &Home| assert!(home.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
    let lite = Home { data: home.data.clone(), url: None };
    copied(&home, &lite);
    verified(&lite);
    let back = Home { data: home.data.clone(), ..world.home("back", Postgres).await };
    copied(&lite, &back);
    verified(&back);
    for database in [Sqlite, Postgres] {
        let restored = world.home(if database == Sqlite { "lite" } else { "restored" }, database).await;
        restored.says(&["restore", text(&archive)]);
        verified(&restored);
        let site = if database == Sqlite { restored.start().await } else { clustered(&restored).await };
        assert!(site.client.assets().await.contains("of the cluster"));
        site.stop();
        if database == Postgres {
            assert!(
                installations.insert(installation(&restored).await),
                "a restored database is another one"
            );
        }
    }
    let site = clustered(&back).await;
    assert!(site.client.assets().await.contains("of the cluster"));
    site.stop();
    assert!(installations.insert(installation(&back).await), "a copied database is another one");
    verified(&back);
}

/// A server behind a pooler or a slow network is seen by the row that it renews, and one that was killed for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_seen_by_its_row() {
    let world = World::new(true);
    let home = world.home("cluster", Postgres).await;
    home.begin().await.stop();
    let url = home.url.clone().expect("a URL");
    let seen = "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
        VALUES ('x', 'x/1', 'all', '0', 'm0022_sites', 'far', now(), now() - interval '20 seconds')
        ON CONFLICT (id) DO UPDATE SET seen_at = now()";
    run_sql(&url, &[seen]).await;
    let asked = cb_core::Secret::new(url.clone());
    let began = Instant::now();
    assert!(!Store::has_servers(&asked).await.expect("asked"), "it was killed");
    assert!(began.elapsed() > Duration::from_secs(5), "it might have come back");
    run_sql(&url, &[seen]).await;
    let renewed = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        run_sql(&url, &[seen]).await;
    };
    let (there, ()) = tokio::join!(Store::has_servers(&asked), renewed);
    assert!(there.expect("asked"), "it renews its row");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_in_one_line() {
    let world = World::new(true);
    let lite = world.home("old", Sqlite).await;
    let postgres = Home { data: lite.data.clone(), ..world.home("new", Postgres).await };
    let site = lite.begin().await;
    let why = refused(copy(&lite, &postgres));
    assert!(why.contains("another server or a restore is using"), "{why}");
    site.stop();
    let (url, password) = apart(&postgres);
    let secret = password.clone();
    let to = |url: &str, password: &str| {
        let mut copy = lite.cb(&["store", "copy", "--to", url]);
        copy.env("CB_DB_PASSWORD_NEW", password);
        copy
    };
    for (url, password, told) in [
        ("mysql://cb@localhost/x", "", "does not support 'mysql'"),
        ("somewhere", "", "it is not a URL"),
        (postgres.url.as_deref().expect("a URL"), "", "it contains a password"),
        (&format!("{url}?password=secret"), "", "it contains a password"),
        (&url, "wrong", "the password in CB_DB_PASSWORD_NEW"),
        (&url.replace("/new", "/missing"), &password, "Create the database that --to names"),
        ("postgres://cb@127.0.0.1:9/new", "x", "The database of --to cannot be used"),
        ("sqlite", "", "already SQLite"),
    ] {
        let why = refused(to(url, password));
        assert!(why.contains(told) && !why.contains(&secret) && !why.contains("secret"), "{why}");
    }
    let full = postgres.url.clone().expect("a URL");
    run_sql(&full, &["ALTER DATABASE new SET default_transaction_read_only = on"]).await;
    let why = refused(copy(&lite, &postgres));
    assert!(why.contains("read-only"), "{why}");
    world.sql("ALTER DATABASE new RESET default_transaction_read_only").await;
    let url = cb_core::Secret::new(full.clone());
    assert_eq!(look_postgres(&url, 0).await.expect("looked"), None, "nothing was made there");

    // Of another version.
    let forged = format!("sqlite://{}", lite.data.join("circuit-breaker.db").display());
    for (change, back) in [
        (
            "INSERT INTO seaql_migrations VALUES ('m9999_later', 0)",
            "DELETE FROM seaql_migrations WHERE version = 'm9999_later'",
        ),
        (
            "UPDATE seaql_migrations SET version = 'm0000' WHERE version LIKE 'm0019%'",
            "UPDATE seaql_migrations SET version = 'm0019_periodic_work' WHERE version = 'm0000'",
        ),
    ] {
        run_sql(&forged, &[change]).await;
        let why = refused(copy(&lite, &postgres));
        assert!(why.contains("older or newer than this program"), "{why}");
        run_sql(&forged, &[back]).await;
    }
    run_sql(&forged, &["UPDATE credentials SET secret = replace(secret, 'A', 'B')"]).await;
    let why = refused(copy(&lite, &postgres));
    assert!(why.contains("credentials.secret") && why.contains("cannot be decrypted"), "{why}");
    assert_eq!(look_postgres(&url, 0).await.expect("looked"), None, "nothing was made there");
    run_sql(&forged, &["DELETE FROM credentials"]).await;

    copied(&lite, &postgres);
    let aside = lite.data.join("circuit-breaker.db");
    std::fs::rename(&aside, world.path("aside")).expect("moved");
    let site = postgres.start().await;
    // Another server, with a folder of its own.
    let other = Home { data: world.path("other"), ..postgres.clone() };
    std::fs::create_dir(&other.data).expect("made");
    for name in ["audit-key", "vault-key", "jwt-secret"] {
        std::fs::copy(lite.data.join(name), other.data.join(name)).expect("copied");
    }
    let why = refused(copy(&other, &Home { data: other.data.clone(), url: None }));
    assert!(why.contains("is connected to the database of CB_DB_URL"), "{why}");
    site.stop();
    assert!(!other.data.join("circuit-breaker.db").exists());
    copied(&other, &Home { data: other.data.clone(), url: None });
}

/// Killed anywhere, it leaves an empty destination or a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    const KILLS: u32 = 16;
    let world = World::new(true);
    let lite = world.home("old", Sqlite).await;
    let site = lite.begin().await;
    for n in 0..60 {
        assert!(site.client.asset(&format!("asset {n}")).await);
    }
    site.stop();
    let at = |data: &Home, on: &Home| Home { data: data.data.clone(), url: on.url.clone() };
    let began = Instant::now();
    let full = at(&lite, &world.home("first", Postgres).await);
    copied(&lite, &full);
    let mut took = began.elapsed();
    // What ends before it is killed took less than the one that was measured: the machine is not always as busy.
    let kill = |mut copy: Command, n: u32, took: &mut Duration| {
        let mut run = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(*took * (n + 1) / KILLS);
        if run.try_wait().expect("asked").is_some() {
            *took = *took * 3 / 4;
        }
        run.kill().expect("killed");
        run.wait().expect("gone");
    };
    let (mut empty, mut whole) = (0, 0);
    for n in 0..KILLS {
        let there = at(&lite, &world.home(&format!("new{n}"), Postgres).await);
        kill(copy(&lite, &there), n, &mut took);
        let url = cb_core::Secret::new(there.url.clone().expect("a URL"));
        if look_postgres(&url, 0).await.expect("looked").is_none_or(|standing| standing.head == 0) {
            empty += 1;
            copied(&lite, &there);
        } else {
            whole += 1;
        }
        assert!(there.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
        assert!(there.says(&["vault", "status"]).contains("fingerprint"));
    }
    assert!(empty > 2, "{empty} {whole}");

    let file = lite.data.join("circuit-breaker.db");
    let clear = || {
        for name in names(&lite.data).iter().filter(|name| name.starts_with("circuit-breaker.db")) {
            std::fs::remove_file(lite.data.join(name)).expect("removed");
        }
    };
    // With the log that the last copy has left, if it was killed behind its commit.
    clear();
    let began = Instant::now();
    copied(&full, &lite);
    took = began.elapsed();
    clear();
    let (mut absent, mut there) = (0, 0);
    for n in 0..KILLS {
        kill(copy(&full, &lite), n, &mut took);
        if file.exists() {
            there += 1;
        } else {
            absent += 1;
            copied(&full, &lite);
        }
        assert!(!names(&lite.data).iter().any(|name| name.starts_with("circuit-breaker.db-")), "one file");
        assert!(lite.says(&["audit-log", "verify"]).starts_with("The chain is intact"));
        assert!(lite.says(&["user", "list"]).contains("maria"));
        clear();
    }
    assert!(absent > 2, "{absent} {there}");
    copied(&full, &lite);
    assert!(!names(&lite.data).iter().any(|name| name.starts_with(".cb-backup-")), "{}", text(&lite.data));
    Store::read_sqlite(&lite.data).await.expect("opens").close().await.expect("closed");
}

/// Stopped by a signal, it says what there is: nothing, something to delete, or the copy.
#[tokio::test(flavor = "multi_thread")]
async fn stopped() {
    const STOPS: u32 = 16;
    let world = World::new(true);
    let lite = world.home("old", Sqlite).await;
    let site = lite.begin().await;
    for n in 0..60 {
        assert!(site.client.asset(&format!("asset {n}")).await);
    }
    site.stop();
    let at = |data: &Home, on: &Home| Home { data: data.data.clone(), url: on.url.clone() };
    let began = Instant::now();
    copied(&lite, &at(&lite, &world.home("first", Postgres).await));
    let took = began.elapsed();
    let mut nothing = 0;
    for n in 0..STOPS {
        let there = at(&lite, &world.home(&format!("new{n}"), Postgres).await);
        let mut copy = copy(&lite, &there);
        let run = copy.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        std::thread::sleep(took * (n + 1) / STOPS);
        signal(&run, "INT");
        let done = run.wait_with_output().expect("ends");
        let said = String::from_utf8(done.stderr).expect("text");
        let url = cb_core::Secret::new(there.url.clone().expect("a URL"));
        let standing = look_postgres(&url, 0).await.expect("looked");
        let is_empty = standing.is_none_or(|standing| standing.head == 0);
        match done.status.success() {
            true => assert!(!is_empty, "{said}"),
            // Before it listened for signals.
            false if said.is_empty() => assert!(is_empty),
            false if said.contains("nothing was copied") => {
                assert!(is_empty, "{said}");
                nothing += 1;
            }
            false => assert!(!is_empty && said.contains("Do not use the database of --to"), "{said}"),
        }
    }
    assert!(nothing > 0);
}
