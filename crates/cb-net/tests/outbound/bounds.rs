//! Nothing that answers, or does not, holds a request longer or fills memory further than it may.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use cb_net::http::{Limits, OutboundError};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stub::{WebServer, get, limits, ok};

fn outbound() -> Outbound {
    let allow = ["127.0.0.1".parse().expect("an entry")];
    Outbound::new(allow.into(), Vec::new(), Resolver::fixed([]))
}

async fn ask(url: &str, limits: Limits) -> Result<http::Response<Vec<u8>>, OutboundError> {
    outbound().send(Policy::Lan, get(url), limits).await
}

/// A server that hears a request, says `first`, and says `again` after each pause for as long as it is listened to.
async fn endless(first: &'static str, again: impl Into<String>, pause: Duration) -> String {
    let again = again.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let mut said = stream.write_all(first.as_bytes()).await;
            while said.is_ok() {
                tokio::time::sleep(pause).await;
                said = stream.write_all(again.as_bytes()).await;
            }
        }
    });
    format!("http://{address}/")
}

fn gzipped(size: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'a'; size]).expect("packs");
    let body = encoder.finish().expect("packs");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}

#[tokio::test]
async fn a_body_is_bounded_by_what_it_unpacks_to() {
    let small = WebServer::start("127.0.0.1", |_| gzipped(1000)).await;
    let url = small.url("/");
    // As a task of its own: what `send` returns may move between threads.
    let answer =
        tokio::spawn(async move { ask(&url, limits()).await }).await.expect("joined").expect("small");
    assert_eq!(answer.body(), &vec![b'a'; 1000]);
    assert!(small.heard()[0].contains("accept-encoding: gzip"));

    // 50 MB in 50 kB.
    let bomb = gzipped(50_000_000);
    assert!(bomb.len() < 100_000);
    let bomb = WebServer::start("127.0.0.1", move |_| bomb.clone()).await;
    let error = ask(&bomb.url("/"), limits()).await.expect_err("a bomb");
    assert!(matches!(error, OutboundError::TooLarge(_)), "{error}");
}

#[tokio::test]
async fn a_body_is_bounded_with_and_without_its_length() {
    let exact = Limits { body: 10, ..limits() };
    let server = WebServer::start("127.0.0.1", |_| ok("0123456789")).await;
    assert_eq!(ask(&server.url("/"), exact).await.expect("fits").body(), b"0123456789");
    let server = WebServer::start("127.0.0.1", |_| ok("0123456789a")).await;
    assert!(matches!(ask(&server.url("/"), exact).await, Err(OutboundError::TooLarge(_))));

    // The length is believed when it is too much, and nothing is read.
    let claims =
        endless("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "", Duration::from_mins(1)).await;
    assert!(matches!(ask(&claims, limits()).await, Err(OutboundError::TooLarge(_))));
    for first in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
        let url = endless(first, "10\r\n0123456789abcdef\r\n", Duration::ZERO).await;
        let error = ask(&url, Limits { body: 1000, ..limits() }).await.expect_err("endless");
        assert!(matches!(error, OutboundError::TooLarge(_)), "{error}");
    }
}

#[tokio::test]
async fn header_fields_are_bounded_in_number_and_size() {
    // Many fields, and one that never ends.
    let (fields, field) = ("X-Filler: 0123456789\r\n".repeat(20), "x".repeat(5000));
    for again in [fields, field] {
        let url = endless("HTTP/1.1 200 OK\r\n", again, Duration::ZERO).await;
        let error = ask(&url, limits()).await.expect_err("endless");
        assert!(matches!(error, OutboundError::TooLarge(_)), "{error}");
    }
    // Few fields, and more bytes than are asked for.
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(40_000));
    let server = WebServer::start("127.0.0.1", move |_| large.clone().into_bytes()).await;
    let error = ask(&server.url("/"), limits()).await.expect_err("large");
    assert!(matches!(&error, OutboundError::TooLarge(why) if why.contains("32768")), "{error}");
    ask(&server.url("/"), Limits { headers: 50_000, ..limits() }).await.expect("asked for");
}

#[tokio::test]
async fn whoever_is_slow_is_not_waited_for() {
    let short = Limits { total: Duration::from_millis(400), ..limits() };
    let slow = [
        ("a body", endless("HTTP/1.1 200 OK\r\n\r\n", "x", Duration::from_millis(20)).await),
        ("a header", endless("HTTP/1.1 200 OK\r\nX: ", "x", Duration::from_millis(20)).await),
        ("no answer", endless("", "", Duration::from_millis(20)).await),
        ("on and on", endless("", "HTTP/1.1 100 Continue\r\n\r\n", Duration::from_millis(20)).await),
    ];
    for (what, url) in slow {
        let begun = Instant::now();
        let error = ask(&url, short).await.expect_err(what);
        assert!(matches!(error, OutboundError::TimedOut), "{what}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{what}");
    }

    // A handshake that nobody answers has its own bound.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("https://{}/", silent.local_addr().expect("bound"));
    let begun = Instant::now();
    let error =
        ask(&url, Limits { connect: Duration::from_millis(200), ..limits() }).await.expect_err("silence");
    assert!(matches!(error, OutboundError::TimedOut), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));

    // So has a name server that says nothing.
    let mute = crate::stub::mute_name_server().await;
    let outbound =
        Outbound::new(Vec::new(), Vec::new(), Resolver::Servers(vec![mute.local_addr().expect("bound")]));
    let error = outbound.send(Policy::Lan, get("http://app.test/"), short).await.expect_err("silence");
    assert!(matches!(error, OutboundError::TimedOut), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_says_so() {
    let closed: SocketAddr = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        listener.local_addr().expect("bound")
    };
    let error = ask(&format!("http://{closed}/"), limits()).await.expect_err("closed");
    assert!(
        matches!(&error, OutboundError::Connect(why) if why.contains("nothing accepts connections")),
        "{error}"
    );

    for answer in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"] {
        let server = WebServer::start("127.0.0.1", |_| answer.as_bytes().to_vec()).await;
        let error = ask(&server.url("/secret-path"), limits()).await.expect_err("no answer");
        assert!(matches!(error, OutboundError::BadResponse(_)), "{answer}: {error:?}");
        assert!(!error.to_string().contains("secret-path"), "{error}");
    }
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let server = WebServer::start("127.0.0.1", |_| switching.as_bytes().to_vec()).await;
    let error = ask(&server.url("/"), limits()).await.expect_err("no answer");
    assert!(matches!(error, OutboundError::BadResponse(_)), "{error:?}");
}

#[tokio::test]
async fn what_the_connection_decides_is_not_the_callers() {
    let server = WebServer::start("127.0.0.1", |_| ok("")).await;
    let mut requests = vec![Request::builder().method(Method::TRACE).uri(server.url("/"))];
    for (name, value) in
        [("Host", "inside"), ("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("Upgrade", "x")]
    {
        requests.push(Request::get(server.url("/")).header(name, value));
    }
    for request in requests {
        let request = request.body(Vec::new()).expect("a request");
        let error = outbound().send(Policy::Lan, request, limits()).await.expect_err("refused");
        assert!(matches!(error, OutboundError::BadRequest(_)), "{error}");
    }
    assert!(server.heard().is_empty());
}

/// Names the server that the child is to ask; without it the test is the parent.
const CHILD: &str = "CB_TEST_CHILD_ASKS";

/// A process that has the proxies in its environment is needed: changing one's own is not safe with threads.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent of this test speaks to it by the environment")]
async fn the_environments_proxies_are_ignored() {
    if let Ok(url) = std::env::var(CHILD) {
        assert_eq!(ask(&url, limits()).await.expect("an answer").body(), b"direct");
        return;
    }
    let server = WebServer::start("127.0.0.1", |_| ok("direct")).await;
    let proxy = WebServer::start("127.0.0.1", |_| ok("by the proxy")).await;
    let mut child = Command::new(std::env::current_exe().expect("a path"));
    child.args(["--exact", "bounds::the_environments_proxies_are_ignored"]).env(CHILD, server.url("/"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, proxy.url("")).env(name.to_lowercase(), proxy.url(""));
    }
    let done = tokio::task::spawn_blocking(move || child.output()).await.expect("joined").expect("runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!((server.heard().len(), proxy.heard().len()), (1, 0));
}
