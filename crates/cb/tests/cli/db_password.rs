//! PostgreSQL refuses the password of the server: from the start on, or while it works.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use cb_store::sea_orm::{self, ConnectOptions, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::Postgres;
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::site::{Server, Site, cb, free_port, serve, serve_on};

/// The URL without the password, and the password.
fn parts(postgres: &Postgres) -> (String, String) {
    let (user, rest) =
        postgres.url().strip_prefix("postgres://").and_then(|u| u.split_once(':')).expect("a user");
    let (password, place) = rest.split_once('@').expect("a password");
    (format!("postgres://{user}@{place}"), password.to_owned())
}

#[rstest]
#[case::another(&[("CB_DB_PASSWORD", "not-the-right-one")])]
#[case::none(&[])]
fn a_server_does_not_start_and_names_the_setting(#[case] given: &[(&str, &str)]) {
    let (postgres, dir) = (Postgres::start(), TempDir::new().expect("a folder"));
    let (url, password) = parts(&postgres);
    let settings = [&[("CB_DB_URL", url.as_str())], given].concat();
    let (data, began) = (dir.path().join("data"), Instant::now());
    let said = serve(&mut cb(), &data, &settings).output().expect("runs");
    let text = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(
        text.contains("CB_DB_PASSWORD") && !text.contains('\n'),
        "one line that names the setting: {text}"
    );
    assert!(!text.contains(&password) && !text.contains("not-the-right-one"), "{text}");
    assert!(!data.join("audit-key").exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_keep_every_text_is_refused() {
    let (postgres, dir) = (Postgres::start(), TempDir::new().expect("a folder"));
    let admin = sea_orm::Database::connect(postgres.url()).await.expect("connects");
    let make = "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    admin.execute_unprepared(make).await.expect("made");
    let url = postgres.url().rsplit_once('/').map(|(server, _)| format!("{server}/latin")).expect("a path");
    let said = serve(&mut cb(), &dir.path().join("data"), &[("CB_DB_URL", &url)]).output().expect("runs");
    let text = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.contains("its encoding is LATIN1") && text.contains("--encoding UTF8"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

fn log(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).expect("the log")).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_while_a_server_works_is_told_and_it_goes_on_when_it_is_back() {
    let (postgres, dir) = (Postgres::start(), TempDir::new().expect("a folder"));
    let (url, password) = parts(&postgres);
    let (file, data, port) = (dir.path().join("log"), dir.path().join("data"), free_port());
    let settings = [("CB_DB_URL", url.as_str()), ("CB_DB_PASSWORD", &password)];
    let mut command = cb();
    serve_on(&mut command, &data, port, &settings).stderr(File::create(&file).expect("made"));
    let server = Server::start(&mut command);
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    assert!(site.asset("before").await);

    let mut one = ConnectOptions::new(postgres.url());
    one.max_connections(1);
    let admin = sea_orm::Database::connect(one).await.expect("connects");
    let run = async |sql: &str| admin.execute_unprepared(sql).await.expect("done");
    run("ALTER ROLE cb PASSWORD 'of-somebody-else'").await;
    // Again until there is none: one that was being opened has proved the old password, and appears after the first time.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'circuit-breaker'";
    let left = async || {
        let row = admin.query_one_raw(Statement::from_string(DbBackend::Postgres, end)).await.expect("asked");
        row.expect("a row").try_get_by_index::<i64>(0).expect("a number")
    };
    let asked = Instant::now();
    let mut none = 0;
    while none < 10 {
        none = if left().await > 0 { 0 } else { none + 1 };
        assert!(asked.elapsed() < Duration::from_mins(1), "they do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for at in 0..20 {
        let asked = Instant::now();
        let asset = json!({ "name": format!("meanwhile {at}"), "kind": "device" });
        let refused = site.ask("POST", "/assets", Some(asset)).await.expect("an answer");
        let text = String::from_utf8_lossy(refused.body()).into_owned();
        assert_eq!(refused.status(), 503, "{text}");
        assert!(refused.headers().contains_key("retry-after"), "{text}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(site.ask("GET", "/ready", None).await.expect("an answer").status(), 503);
    assert_eq!(site.get("/operations").await["degraded"][0]["code"], "storage");
    let said = log(&file);
    assert_eq!(said.matches("CB_DB_PASSWORD").count(), 1, "the log names the setting, once: {said}");
    assert!(!said.contains(&password), "{said}");

    run(&format!("ALTER ROLE cb PASSWORD '{password}'")).await;
    let back = Instant::now();
    while !site.asset("after").await {
        assert!(back.elapsed() < Duration::from_secs(10), "{}", log(&file));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(site.assets().await.is_superset(&["before".to_owned(), "after".to_owned()].into()));
    let until = Instant::now();
    // Periodic work that has failed is degraded until its next run.
    while site.get("/operations").await["degraded"] != json!([]) {
        assert!(until.elapsed() < Duration::from_mins(1), "{}", log(&file));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(server.ended_at_term(Duration::from_secs(15)).await.success());
}
