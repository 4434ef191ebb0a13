//! A server that is killed again and again while things happen: whatever it has answered for is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cb_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::first_hour::until;
use crate::site::{Site, cb, free_port, kill, serve_on};

const KILLS: u32 = 16;
const MAKERS: u32 = 4;

fn start(data: &Path, port: u16, allow: &str) -> Child {
    let mut command = cb();
    serve_on(&mut command, data, port, &[("CB_OUTBOUND_ALLOW", allow)]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
}

/// Adds assets until the server is gone; answers those that it has answered for.
async fn make(site: Site, maker: String, count: Arc<AtomicU32>) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for n in 0.. {
        let name = format!("{maker}-{n}");
        match site.ask("POST", "/assets", Some(json!({ "name": name, "kind": "device" }))).await {
            Ok(answer) if answer.status() == 201 => made.insert(name),
            _ => return made,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
    made
}

/// The names that were told, with the ids that they came under.
fn told(inbox: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in inbox.received() {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["type"], "asset.created");
        let name = body["data"]["name"].as_str().expect("a name").to_owned();
        told.entry(name).or_default().insert(request.header("webhook-id").to_owned());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_tells_all_that_has_happened() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port, inbox) = (dir.path().join("data"), free_port(), Receiver::start().await);
    let allow = inbox.address.to_string();
    let mut server = start(&data, port, &allow);
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    let hook = json!({ "name": "Home", "url": inbox.url("/"), "events": ["asset.created"] });
    site.done("/webhooks", hook).await;
    let mut made = BTreeSet::new();
    for round in 0..KILLS {
        let site = Site::meet(&data, port).await;
        // Out of order for some rounds, slow in others: what is killed then waits, is under way, or is being written down.
        let reply = if round % 4 == 1 { Reply::status(503) } else { Reply::status(204) };
        inbox.answers(reply.after(Duration::from_millis(u64::from(round % 3) * 15)));
        let count = Arc::new(AtomicU32::new(0));
        let makers: Vec<_> = (0..MAKERS)
            .map(|n| tokio::spawn(make(site.clone(), format!("round {round} maker {n}"), count.clone())))
            .collect();
        // Each kill must have something to lose.
        until("two are answered for", || count.load(Ordering::Relaxed) >= 2).await;
        tokio::time::sleep(Duration::from_millis(40 + 37 * u64::from(round))).await;
        kill(server);
        for maker in makers {
            made.extend(maker.await.expect("no panic"));
        }
        server = start(&data, port, &allow);
    }
    inbox.answers(Reply::status(204));
    Site::meet(&data, port).await;
    for _ in 0..1200 {
        let told = told(&inbox);
        if made.iter().all(|name| told.contains_key(name)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kill(server);
    let told = told(&inbox);
    let lost: Vec<&String> = made.iter().filter(|name| !told.contains_key(*name)).collect();
    assert!(lost.is_empty(), "{} of {} were never told: {lost:?}", lost.len(), made.len());
    let renamed: Vec<_> = told.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(renamed.is_empty(), "told under more than one id: {renamed:?}");
    let said = format!(
        "cb serve killed {KILLS} times: {} assets answered for, all told; {} requests, {} of them again\n",
        made.len(),
        inbox.received().len(),
        inbox.received().len() - told.len(),
    );
    std::io::stderr().write_all(said.as_bytes()).expect("told");
}
