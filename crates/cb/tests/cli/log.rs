//! A log that cannot be written, and one that nobody reads: the server starts, answers and stops as ever.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::site::{Server, Site, cb, free_port, serve, serve_on};

/// Everything but a wait for a reader fits into it.
const SOON: Duration = Duration::from_secs(8);

/// Why it cannot be written.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Closed,
    Full,
    ReaderGone,
    NobodyReads,
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("opens").into()
}

fn reader_gone() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

/// A pipe that takes nothing any more, until somebody reads.
fn stuck() -> (PipeReader, Stdio) {
    const CAPACITY: usize = 64 * 1024;
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&b"\n".repeat(CAPACITY)).expect("fits");
    (reader, writer.into())
}

#[rstest]
#[case(Broken::Closed)]
#[case(Broken::Full)]
#[case(Broken::ReaderGone)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_breaks_no_request(#[case] broken: Broken) {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    let mut command = match broken {
        Broken::Closed => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", r#"exec "$0" "$@" >&- 2>&-"#, env!("CARGO_BIN_EXE_cb")]);
            shell
        }
        _ => cb(),
    };
    serve_on(&mut command, &data, port, &[("CB_LOG", "debug")]);
    match broken {
        Broken::Full => _ = command.stdout(full()).stderr(full()),
        Broken::ReaderGone => _ = command.stdout(reader_gone()).stderr(reader_gone()),
        Broken::Closed | Broken::NobodyReads => {}
    }
    let server = Server::start(&mut command);
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    let mut line = site.connect().await;
    for n in 0..60 {
        let asset = format!(r#"{{"name": "host {n}", "kind": "device"}}"#);
        assert_eq!(line.ask("POST", "/assets", &asset).await, 201, "{n}");
        assert_eq!(line.ask("GET", "/assets", "").await, 200, "{n}");
    }
    drop(line);
    server.signal("TERM");
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

/// So many requests over each of eight connections that stay.
async fn ask_much(site: &Site, each: u32) {
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move {
                let mut line = site.connect().await;
                for n in 0..each {
                    assert_eq!(line.ask("GET", "/tags", "").await, 200, "{n}");
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.expect("answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    let ((_out, stdout), (_err, stderr)) = (stuck(), stuck());
    let mut command = cb();
    serve_on(&mut command, &data, port, &[("CB_LOG", "trace")]);
    let server = Server::start(command.stdout(stdout).stderr(stderr));
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    ask_much(&site, 260).await;
    server.signal("TERM");
    assert_eq!(server.ended(SOON).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_is_told_what_it_missed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    let (reader, stderr) = stuck();
    let mut command = cb();
    serve_on(&mut command, &data, port, &[("CB_LOG", "trace")]);
    let server = Server::start(command.stdout(Stdio::null()).stderr(stderr));
    drop(command);
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    ask_much(&site, 800).await;
    let (tell, told) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let (mut lines, mut dropped, mut last) = (0_u64, 0, Value::Null);
        for line in BufReader::new(reader).lines() {
            let line = line.expect("text");
            if line.is_empty() {
                continue;
            }
            let said: Value = serde_json::from_str(&line).expect("a whole line");
            lines += 1;
            if let Some(count) = said["fields"]["dropped"].as_u64() {
                dropped += count;
                let message = said["fields"]["message"].as_str().expect("words");
                assert!(
                    message.ends_with("because standard error was read too slowly, or not at all"),
                    "{message}"
                );
                let _ = tell.send(dropped);
            }
            last = said;
        }
        (lines, dropped, last)
    });
    told.recv_timeout(Duration::from_secs(20)).expect("the log says how many lines are missing");
    server.signal("TERM");
    assert_eq!(server.ended(SOON).await.code(), Some(0));
    let (lines, dropped, last) = reading.join().expect("whole lines");
    assert!(dropped > 100 && lines > 1_000, "{lines} lines and {dropped} dropped");
    // What is said at the end is not lost either.
    assert!(last["timestamp"].is_string(), "{last}");
    let said = format!(
        "cb serve at CB_LOG=trace, unread for 6400 requests: {lines} lines read, {dropped} dropped\n"
    );
    std::io::stderr().write_all(said.as_bytes()).expect("told");
}

/// Whether somebody hears why or not.
#[rstest]
#[case::full(Broken::Full)]
#[case::reader_gone(Broken::ReaderGone)]
#[case::nobody_reads(Broken::NobodyReads)]
#[tokio::test]
async fn a_start_that_fails_ends(#[case] broken: Broken) {
    let dir = tempfile::tempdir().expect("a folder");
    for (setting, value) in [("CB_HTTP_ADDR", "nowhere"), ("CB_LOG", "a=b=c"), ("CB_TLS_CERT", "/nowhere")] {
        let (_reader, stuck) = stuck();
        let stderr = match broken {
            Broken::Full => full(),
            Broken::NobodyReads => stuck,
            Broken::Closed | Broken::ReaderGone => reader_gone(),
        };
        let mut command = cb();
        serve(&mut command, dir.path(), &[(setting, value)]);
        let server = Server::start(command.stdout(Stdio::null()).stderr(stderr));
        assert_eq!(server.ended(SOON).await.code(), Some(1), "{setting}");
    }
}
