//! Refusals over HTTP/2: the client gets to read them, and they carry the headers.

use std::future::poll_fn;
use std::time::Duration;

use axum::body::Bytes;
use cb_testkit::Database::Sqlite;
use cb_testkit::TestApp;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::headers::check;
use crate::site::{Answer, Site, read_answer};

const MB: usize = 1024 * 1024;

async fn client(site: &Site) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(site.connect_h2().await).await.expect("HTTP/2");
    tokio::spawn(connection);
    client.ready().await.expect("ready")
}

/// Sends so much more, as the other end takes it; false when it takes no more.
async fn send(body: &mut SendStream<Bytes>, mut left: usize) -> bool {
    while left > 0 {
        body.reserve_capacity(left.min(64 * 1024));
        let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else { return false };
        let piece = room.min(left);
        if body.send_data(Bytes::from(vec![b' '; piece]), false).is_err() {
            return false;
        }
        left -= piece;
    }
    true
}

async fn whole(response: Response<RecvStream>) -> Answer {
    let (head, mut stream) = response.into_parts();
    let headers =
        head.headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.expect("the answer is whole");
        body.extend_from_slice(&chunk);
        stream.flow_control().release_capacity(chunk.len()).expect("released");
    }
    Answer { status: head.status.as_u16(), headers, body }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap_or_else(|_| panic!("{what}: too slow"))
}

/// A browser that leaves a page resets what that page still loads, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_left_ends_no_connection() {
    // RFC 9113, 4.1 and 6; RFC 7541, 6: GET, https, `/` and the authority.
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const CANCEL: u32 = 8;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let (site, _) = Site::ready(Sqlite).await;
    let authority = site.https.to_string();
    let short = u8::try_from(authority.len()).expect("short");
    let head = [&[0x82, 0x87, 0x84, 0x41, short], authority.as_bytes()].concat();
    // END_STREAM and END_HEADERS.
    let ask = |stream: u32| frame(HEADERS, 0x5, stream, &head);
    let mut burst = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    for stream in (1..200).step_by(2) {
        burst.extend(ask(stream));
        burst.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    burst.extend(ask(201));
    let mut stream = site.connect_h2().await;
    stream.write_all(&burst).await.expect("sent");
    let answered = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("a frame");
            let [_, a, b, kind, _, id @ ..] = head.map(u32::from);
            let mut payload = vec![0; usize::try_from(a << 8 | b).expect("short")];
            stream.read_exact(&mut payload).await.expect("whole");
            let id = id.into_iter().fold(0, |id, byte| id << 8 | byte);
            assert!(kind != u32::from(GOAWAY), "the connection is ended: {payload:?}");
            if (kind, id) == (u32::from(HEADERS), 201) {
                return;
            }
        }
    };
    within("an answer", answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_answered_before_the_stream_ends_with_no_error() {
    let (site, _) = Site::ready(Sqlite).await;
    for length in [Some(20_000_000), None] {
        let mut client = client(&site).await;
        let mut request = Request::post(format!("{}/api/v1/tags", site.origin()))
            .header("authorization", format!("Bearer {}", TestApp::API_TOKEN))
            .header("content-type", "application/json");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let (response, mut body) =
            client.send_request(request.body(()).expect("a request"), false).expect("sent");
        // Without a length the server gets to know while it reads.
        assert!(within("the beginning", send(&mut body, 2 * MB)).await);
        let answer = whole(within("the answer", response).await.expect("an answer")).await;
        assert_eq!(answer.status, 413, "{answer:?}");
        check("413", &answer, true);
        assert_eq!(answer.json()["type"], "/problems/too_large");
        // Whoever still sends is not cut off behind the answer, and not listened to for ever.
        assert!(within("the rest", send(&mut body, 4 * MB)).await, "{length:?}: reset behind the answer");
        let sent = within("too much", send(&mut body, 64 * MB)).await;
        assert!(!sent);
        let reason = within("the reset", poll_fn(|cx| body.poll_reset(cx))).await.expect("a reset");
        assert_eq!(reason, Reason::NO_ERROR);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_gets_the_headers_and_the_connection_goes_on() {
    let (site, _) = Site::ready(Sqlite).await;
    let mut client = client(&site).await;
    let mut nonces = std::collections::HashSet::new();
    for (long, status) in [
        (0, 200),
        (20_000, 431),
        (60_000, 431),
        (0, 200),
        (66_000, 431),
        (100_000, 431),
        (200_000, 431),
        (0, 200),
        // More than the library reads; its answer is short.
        (300_000, 431),
        (0, 200),
    ] {
        let request =
            Request::get(format!("{}/api/v1/health", site.origin())).header("x-long", "x".repeat(long));
        let (response, _) = client.send_request(request.body(()).expect("a request"), true).expect("sent");
        let answer = whole(within("the answer", response).await.expect("an answer")).await;
        assert_eq!(answer.status, status, "{long}: {answer:?}");
        assert!(nonces.insert(check("431", &answer, true)), "{long}: the nonce is not fresh");
    }
}

/// The client sends all of it before it reads, as most do.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_far_too_large_is_read_over_http_1_too_so_that_the_answer_arrives() {
    let (site, _) = Site::ready(Sqlite).await;
    for long in [50_000, 70_000, 100_000, 1_000_000].repeat(5) {
        let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n\r\n", site.host(), "x".repeat(long));
        let mut stream = site.connect().await;
        stream.write_all(head.as_bytes()).await.expect("the server takes it");
        stream.flush().await.expect("the server takes it");
        let answer = within("the answer", read_answer(&mut stream, false)).await.expect("an answer");
        assert_eq!(answer.status, 431, "{long}: {answer:?}");
        check("431", &answer, true);
    }
}
