//! The manual's words for Prometheus, run as they stand.

use std::process::{Command, Stdio};

use crate::site::{Server, Site, TOKEN, cb, free_port, serve_on};

const MANUAL: &str = include_str!("../../../../docs/operations.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_manuals_scrape_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    let mut command = cb();
    serve_on(&mut command, &data, port, &[]);
    let _server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    let (ca, token) = (data.join("tls/ca.pem"), dir.path().join("token"));
    std::fs::write(&token, format!("{TOKEN}\n")).expect("written");

    let section = MANUAL.split("## Metrics").nth(1).expect("the section");
    let recipe = section.split("```").find(|block| block.contains("curl -sS")).expect("the command");
    let recipe = recipe
        .replace("/etc/prometheus/circuit-breaker.token", &token.display().to_string())
        .replace("/etc/prometheus/circuit-breaker-ca.crt", &ca.display().to_string())
        .replace("cb.lan:8443", &format!("localhost:{port}"));
    let scrape = || Command::new("sh").args(["-c", &recipe]).output().expect("sh runs");
    let answer = scrape();
    let text = String::from_utf8_lossy(&answer.stdout);
    assert!(answer.status.success() && text.contains("\ncb_ready 1\n"), "{recipe}\n{answer:?}");
    std::fs::write(&token, "cb_pat_wrong\n").expect("written");
    assert!(!scrape().status.success(), "a wrong token is refused");
}
