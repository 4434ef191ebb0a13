//! What a signal does to a running server.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use crate::first_hour::{said, until};
use crate::site::{Server, Site, cb, free_port, serve_on};

/// Less than what a server would wait for somebody who says nothing.
const SOON: Duration = Duration::from_secs(8);

/// A server that answers, on a folder that lives as long as the first of these.
async fn running(mut command: Command) -> (TempDir, Server, Site) {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    serve_on(&mut command, &data, port, &[]);
    let server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let site = Site::meet(&data, port).await;
    (dir, server, site)
}

#[rstest]
#[case("TERM")]
#[case("INT")]
#[case("HUP")]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_inside_is_answered(#[case] name: &str) {
    let (_dir, server, site) = running(cb()).await;
    site.set_up().await;
    let mut under_way = Vec::new();
    for n in 0..16 {
        let (mut line, body) = (site.connect().await, format!(r#"{{"name": "host {n}", "kind": "device"}}"#));
        line.begin("POST", "/assets", body.len()).await;
        under_way.push((line, body));
    }
    // So that each of them has been taken up.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal(name);
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (mut line, body) in under_way {
        assert_eq!(line.end(&body).await, 201, "{body}");
    }
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

/// Requests that lie on idle connections when the signal comes.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_is_answered() {
    let (_dir, server, site) = running(cb()).await;
    site.set_up().await;
    let mut lines = Vec::new();
    for _ in 0..32 {
        let mut line = site.connect().await;
        assert_eq!(line.ask("GET", "/assets", "").await, 200);
        lines.push(line);
    }
    server.signal("STOP");
    for line in &mut lines {
        line.begin("GET", "/assets", 0).await;
    }
    server.signal("TERM");
    server.signal("CONT");
    for mut line in lines {
        assert_eq!(line.end("").await, 200);
    }
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

/// `nohup cb serve`.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_that_is_ignored_stays_ignored() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" HUP; exec "$0" "$@""#, env!("CARGO_BIN_EXE_cb")]);
    let (_dir, server, site) = running(command).await;
    server.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(site.ask("GET", "/health", None).await.expect("answers").status(), 200);
    server.signal("TERM");
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn quit_ends_it_at_once() {
    let (_dir, server, _) = running(cb()).await;
    server.signal("QUIT");
    assert_eq!(server.ended(SOON).await.signal(), Some(3));
}

/// A PostgreSQL that takes nobody is waited for; a stop ends that in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_can_be_stopped() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("postgres://cb:none@127.0.0.1:{}/none", free_port());
    let mut command = cb();
    serve_on(&mut command, &dir.path().join("data"), free_port(), &[("CB_DB_URL", &url)]);
    let log = dir.path().join("log");
    let server = Server::start(command.stdout(Stdio::null()).stderr(File::create(&log).expect("made")));
    until("it says what it waits for", || said(&log).contains("the server waits up to")).await;
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_secs(15)).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a client that never says anything")]
async fn a_client_that_says_nothing_does_not_delay_the_end() {
    let (_dir, server, site) = running(cb()).await;
    let _silent = std::net::TcpStream::connect(("127.0.0.1", site.port)).expect("connects");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("TERM");
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}
