//! WebSockets: who may open one, what it says, when it is closed.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use http::Request;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::site::{Ask, Login, Site};

/// Of an end that must come within a second: a machine with too much to do is late with some. That most of them come in time,
/// `identity.rs` sees.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

pub async fn open(
    site: &Site,
    login: Option<&Login>,
    origin: Option<&str>,
    topic: &str,
) -> Result<Socket, u16> {
    let mut request = Request::get(format!("wss://{}/api/v1/{topic}/stream", site.host()))
        .header("Host", site.host())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    if let Some(login) = login {
        request = request.header("Cookie", &login.cookie);
    }
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    match client_async(request.body(()).expect("a request"), site.connect().await).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(3 * PATIENCE, async {
        loop {
            match socket.next().await.expect("a message").expect("readable") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    });
    message.await.expect("in time")
}

async fn next_json(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().expect("text")).expect("JSON")
}

pub async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.expect("a code").code.into();
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_stream_needs_a_session_and_our_own_origin(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let own = site.origin();
    for topic in ["audit-log", "discovery", "notifications", "topology"] {
        assert_eq!(open(&site, None, Some(&own), topic).await.err(), Some(401));
        assert_eq!(open(&site, Some(&login), Some("https://evil.example"), topic).await.err(), Some(403));
        assert_eq!(open(&site, Some(&login), None, topic).await.err(), Some(403));
        let mut socket = open(&site, Some(&login), Some(&own), topic).await.expect("opens");
        assert_eq!(next_json(&mut socket).await["type"], "hello");
    }
}

#[rstest]
#[tokio::test]
async fn a_change_is_told_and_the_end_of_the_session_closes_with_4401_within_a_second(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, login) = Site::ready(database).await;
    site.calm(&login).await;
    let mut socket = open(&site, Some(&login), Some(&site.origin()), "topology").await.expect("opens");
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    let asset = json!({ "name": "attic-nas", "kind": "storage" });
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/assets").write(&login, &asset)).await.status, 201);
    let message = next_json(&mut socket).await;
    assert_eq!(
        (message["type"].as_str(), message["data"]["name"].as_str()),
        (Some("node"), Some("attic-nas"))
    );
    assert!(message["at"].is_string());

    let out = site.ask(Ask::new("POST", "/api/v1/auth/logout").write(&login, &json!({}))).await;
    assert_eq!(out.status, 204);
    let began = Instant::now();
    assert_eq!(closed(&mut socket).await, 4401);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

/// Also what the worker does behind the answer: the delivery waits, is tried, and each is told.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_and_whoever_tells_is_named_as_it_changes(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, login) = Site::ready(database).await;
    site.calm(&login).await;
    let mut socket = open(&site, Some(&login), Some(&site.origin()), "notifications").await.expect("opens");
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    let post = async |path: &str, body: Value| {
        let answer = site.ask(Ask::new("POST", &format!("/api/v1{path}")).write(&login, &body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].clone()
    };
    let hook = post("/hooks", json!({ "name": "Alerts", "format": "generic" })).await;
    let message = next_json(&mut socket).await;
    assert_eq!((&message["type"], &message["data"]["id"]), (&json!("hook"), &hook));
    // Nothing listens there, so that it fails at once and is tried again.
    let webhook = post("/webhooks", json!({ "name": "Away", "url": "http://127.0.0.1:1/" })).await;
    let message = next_json(&mut socket).await;
    assert_eq!((&message["type"], &message["data"]["id"]), (&json!("subscriber"), &webhook));
    post("/assets", json!({ "name": "attic-nas", "kind": "storage" })).await;
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook.as_str().expect("an id"));
    loop {
        let message = next_json(&mut socket).await;
        assert_eq!((&message["type"], &message["data"]["id"]), (&json!("subscriber"), &webhook));
        let delivery = site.get(&login, &path).await.json()["items"][0].clone();
        if delivery["attempts"].as_array().is_some_and(|tries| !tries.is_empty()) {
            break;
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_session_that_expires_closes_its_stream_within_a_second(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, login) = Site::ready(database).await;
    let mut socket = open(&site, Some(&login), Some(&site.origin()), "discovery").await.expect("opens");
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    site.test.clock.advance(TimeDelta::days(31));
    let began = Instant::now();
    assert_eq!(closed(&mut socket).await, 4401);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

/// A scan of this machine's own address, which always answers. The first one may add the network; the second changes nothing but
/// when the asset was seen.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_scan_that_saw_an_asset_refreshes_the_map(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let own = cb_collect::local::own_addresses().into_iter().map(|address| address.to_string());
    let Some(own) = { own }.find(|address| cb_collect::Target::parse(address, &[]).is_ok()) else {
        // This machine has no address in a private network, so nothing here may be scanned.
        return;
    };
    let (site, login) = Site::ready(database).await;
    let asset =
        site.post(&login, "/api/v1/assets", json!({ "name": "self", "kind": "compute" })).await.json();
    let address = json!({ "asset_id": asset["id"], "ip": own });
    assert_eq!(site.post(&login, "/api/v1/addresses", address).await.status, 201);
    let scan = async || {
        let begun = site.post(&login, "/api/v1/scans", json!({ "targets": [own], "probes": ["arp"] })).await;
        assert_eq!(begun.status, 202, "{}", begun.text());
        let path = format!("/api/v1/scans/{}", begun.json()["id"].as_str().expect("an id"));
        for _ in 0..500 {
            let scan = site.get(&login, &path).await.json();
            if !["queued", "running"].contains(&scan["status"].as_str().expect("a status")) {
                return scan["assets_seen"].as_u64();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the scan does not end");
    };
    assert_eq!(scan().await, Some(1));
    site.calm(&login).await;
    let mut socket = open(&site, Some(&login), Some(&site.origin()), "topology").await.expect("opens");
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    assert_eq!(scan().await, Some(1));
    assert_eq!(next_json(&mut socket).await["type"], "resync");
}

#[rstest]
#[tokio::test]
async fn one_session_has_so_many_streams_and_no_more(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let servers = if database == Sqlite { 1 } else { 2 };
    let (mut sockets, mut busy, mut full) = (Vec::new(), 0, 0);
    // Each of the servers refuses in its turn, when it has its own.
    while full < servers {
        match open(&site, Some(&login), Some(&site.origin()), "discovery").await {
            Ok(socket) => {
                sockets.push(socket);
                full = 0;
            }
            // On a machine with too much to do the database may be busy.
            Err(503) => busy += 1,
            Err(status) => {
                assert_eq!(status, 429);
                full += 1;
            }
        }
        assert!(sockets.len() < 100 && busy < 30);
    }
    assert_eq!(sockets.len(), 16 * servers);
}

/// What a page has read before its stream was open may be older than a change that the stream does not tell.
#[rstest]
#[tokio::test]
async fn hello_says_for_how_long_nothing_has_changed(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let quiet = async || {
        let mut socket = open(&site, Some(&admin), Some(&site.origin()), "topology").await.expect("opens");
        next_json(&mut socket).await["quiet_ms"].as_u64().expect("a number")
    };
    // A server that does not hear the others yet knows of no quiet time.
    let patience = Instant::now() + PATIENCE;
    while quiet().await < 50 {
        assert!(Instant::now() < patience, "it never was quiet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    let tag = json!({ "name": "rack", "color": "#112233" });
    assert_eq!(site.post(&admin, "/api/v1/tags", tag).await.status, 201);
    // The other server hears of it a moment later, and its stream tells it then.
    let patience = Instant::now() + PATIENCE;
    loop {
        let quiet = quiet().await;
        if u128::from(quiet) <= began.elapsed().as_millis() {
            break;
        }
        assert!(Instant::now() < patience, "{quiet} ms");
    }
}

#[rstest]
#[tokio::test]
async fn every_entry_of_the_audit_log_is_told_to_those_who_may_read_it(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let editor = site.signed_in("grace").await;
    assert_eq!(open(&site, Some(&editor), Some(&site.origin()), "audit-log").await.err(), Some(403));
    site.calm(&admin).await;
    let mut socket = open(&site, Some(&admin), Some(&site.origin()), "audit-log").await.expect("opens");
    assert_eq!(next_json(&mut socket).await["type"], "hello");
    let newest =
        async || site.get(&admin, "/api/v1/audit-log?limit=1").await.json()["items"][0]["seq"].clone();
    for n in 0..3 {
        let tag = json!({ "name": format!("tag {n}"), "color": "#112233" });
        assert_eq!(site.post(&editor, "/api/v1/tags", tag).await.status, 201);
        let message = next_json(&mut socket).await;
        assert_eq!(
            (message["type"].as_str(), &message["data"]),
            (Some("entry"), &json!({ "seq": newest().await }))
        );
        assert!(message["at"].is_string());
    }
    // What failed was not written and is not told.
    let taken = json!({ "name": "tag 0", "color": "#112233" });
    assert_eq!(site.post(&editor, "/api/v1/tags", taken).await.status, 409);
    assert_eq!(site.login("grace", "not this one").await.status, 401);
    let message = next_json(&mut socket).await;
    assert_eq!(message["data"], json!({ "seq": newest().await }));
}

#[rstest]
#[tokio::test]
async fn the_audit_log_is_told_no_longer_than_its_reader_may_read_it(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    for (n, end) in ["logout", "disabled", "role", "sessions", "expiry"].into_iter().enumerate() {
        let name = format!("user{n}");
        let id = site.user(&admin, &name, "admin").await;
        let own = site.signed_in(&name).await;
        let token = site.token(&own, &["audit:read"]).await;
        let mut socket = open(&site, Some(&own), Some(&site.origin()), "audit-log").await.expect("opens");
        let mut by_token = crate::identity::token_stream(&site, &token, "audit-log").await;
        assert_eq!(next_json(&mut socket).await["type"], "hello");
        let user = format!("/api/v1/users/{id}");
        let began = Instant::now();
        let answer = match end {
            "logout" => site.post(&own, "/api/v1/auth/logout", json!({})).await,
            "disabled" => site.patch(&admin, &user, json!({ "disabled": true })).await,
            "role" => site.patch(&admin, &user, json!({ "role": "editor" })).await,
            "sessions" => site.delete(&admin, &format!("{user}/sessions")).await,
            _ => {
                site.test.clock.advance(TimeDelta::days(91));
                site.get(&own, "/api/v1/health").await
            }
        };
        assert!(answer.status < 300, "{end}: {answer:?}");
        assert_eq!(closed(&mut socket).await, 4401, "{end}");
        assert!(began.elapsed() < PATIENCE, "{end}: {:?}", began.elapsed());
        // The token lives on when only sessions end; with the role, or its owner, its right to read this goes.
        if matches!(end, "disabled" | "role" | "expiry") {
            assert_eq!(closed(&mut by_token).await, 4401, "{end}: the token's");
            assert!(began.elapsed() < PATIENCE, "{end}: the token's {:?}", began.elapsed());
        } else {
            let quiet = tokio::time::timeout(Duration::from_millis(700), closed(&mut by_token)).await;
            assert!(quiet.is_err(), "{end}: the token's stream was closed");
        }
    }
}
