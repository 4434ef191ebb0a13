//! Redirects: off by default, judged like the first URL, and without what was meant for the first server.

use cb_net::http::{Limits, OutboundError};
use cb_net::judge::{Kind, Policy, Refused};
use cb_net::outbound::Outbound;
use http::{Method, Request, Response, StatusCode};

use crate::stub::{NameServer, WebServer, get, limits, ok, outbound, redirect};

fn following(redirects: u8) -> Limits {
    Limits { redirects, ..limits() }
}

async fn follow(outbound: &Outbound, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
    outbound.send(Policy::Lan, request, following(3)).await
}

#[tokio::test]
async fn a_redirect_is_the_answer_unless_following_is_asked_for() {
    let server = WebServer::start("127.0.0.1", |_| redirect(302, "/next")).await;
    let outbound = outbound("127.0.0.1", &NameServer::start(&[]).await);
    let answer = outbound.send(Policy::Lan, get(&server.url("/")), limits()).await.expect("an answer");
    assert_eq!(
        (answer.status(), &answer.headers()["location"]),
        (StatusCode::FOUND, &"/next".parse().expect("a value"))
    );
    assert_eq!(server.heard().len(), 1);

    let error = follow(&outbound, get(&server.url("/"))).await.expect_err("a loop");
    assert!(matches!(error, OutboundError::TooManyRedirects(3)), "{error}");
    assert_eq!(server.heard().len(), 1 + 4);
}

#[tokio::test]
async fn a_chain_into_the_inside_is_refused_however_it_is_written() {
    let inside = WebServer::start("127.0.0.3", |_| ok("the inside")).await;
    let port = inside.address.port();
    let dns = NameServer::start(&[("out.test", &["127.0.0.2"]), ("in.test", &["127.0.0.3"])]).await;
    let outbound = outbound("127.0.0.2", &dns);
    for (location, spelled) in [
        (format!("http://127.0.0.3:{port}/"), false),
        (format!("//127.0.0.3:{port}/"), false),
        (format!("HTTP://in.test:{port}/"), false),
        (format!("http://[::ffff:127.0.0.3]:{port}/"), false),
        (format!("http://2130706435:{port}/"), true),
        (format!("http://0x7f.3:{port}/"), true),
        (format!("http://out.test@127.0.0.3:{port}/"), true),
        (format!("http:/\\127.0.0.3:{port}/"), true),
        (format!("/\\127.0.0.3:{port}/"), true),
        (format!("http:127.0.0.3:{port}/"), true),
        (format!("http:///127.0.0.3:{port}/"), true),
        ("file:///etc/passwd".to_owned(), true),
        ("gopher://127.0.0.3/".to_owned(), true),
        (format!("http://localhost:{port}/"), true),
    ] {
        let first = WebServer::start("127.0.0.2", move |request| {
            if request.starts_with("GET /start") {
                redirect(301, "/second")
            } else {
                redirect(302, &location)
            }
        })
        .await;
        let start = format!("http://out.test:{}/start", first.address.port());
        let error = follow(&outbound, get(&start)).await.expect_err("refused");
        assert_eq!(first.heard().len(), 2, "{error}");
        match error {
            OutboundError::Refused(Refused::Address { kind, .. }) if !spelled => {
                assert!(matches!(kind, Kind::Loopback | Kind::Transition));
            }
            OutboundError::Refused(_) if spelled => {}
            error => panic!("{error}"),
        }
    }
    assert!(inside.heard().is_empty());
}

#[tokio::test]
async fn what_was_meant_for_one_server_does_not_reach_another() {
    let other = WebServer::start("127.0.0.3", |_| ok("elsewhere")).await;
    let there = other.url("/there");
    let first = WebServer::start("127.0.0.2", move |request| {
        if request.starts_with("GET /same") { redirect(307, "/away") } else { redirect(307, &there) }
    })
    .await;
    let outbound = outbound("127.0.0.0/8", &NameServer::start(&[]).await);
    let request = Request::get(first.url("/same"))
        .header("Authorization", "Bearer one")
        .header("Cookie", "two=2")
        .header("X-Api-Key", "three")
        .header("Accept", "application/json")
        .body(Vec::new())
        .expect("a request");
    assert_eq!(follow(&outbound, request).await.expect("an answer").body(), b"elsewhere");
    let kept = first.heard();
    assert!(kept.iter().all(|r| ["Bearer one", "two=2", "three"].iter().all(|s| r.contains(s))), "{kept:?}");
    let lost = other.heard().concat();
    assert!(lost.contains("application/json") && lost.contains("circuit-breaker/"), "{lost}");
    assert!(
        ["authorization", "Bearer", "cookie", "two", "three"].iter().all(|s| !lost.contains(s)),
        "{lost}"
    );

    // Nor does a body, which may hold a secret as well.
    let request = Request::post(first.url("/x")).body(b"client_secret=four".to_vec()).expect("a request");
    let error = follow(&outbound, request).await.expect_err("refused");
    assert!(matches!(error, OutboundError::Refused(Refused::BodyElsewhere(_))), "{error}");
    assert_eq!(other.heard().len(), 1);
}

#[tokio::test]
async fn methods_change_as_the_standard_says() {
    for (status, sent, then, body) in [
        (301, Method::POST, "GET", ""),
        (302, Method::POST, "GET", ""),
        (302, Method::PUT, "PUT", "data"),
        (303, Method::POST, "GET", ""),
        (303, Method::DELETE, "GET", ""),
        (303, Method::HEAD, "HEAD", ""),
        (307, Method::POST, "POST", "data"),
        (308, Method::PATCH, "PATCH", "data"),
    ] {
        let server = WebServer::start("127.0.0.1", move |request| {
            if request.contains(" /end ") { ok("") } else { redirect(status, "end") }
        })
        .await;
        let outbound = outbound("127.0.0.1", &NameServer::start(&[]).await);
        let bytes = if sent == Method::HEAD { Vec::new() } else { b"data".to_vec() };
        let request =
            Request::builder().method(sent.clone()).uri(server.url("/start")).body(bytes).expect("a request");
        follow(&outbound, request).await.expect("an answer");
        let last = server.heard().pop().expect("a request");
        assert!(last.starts_with(&format!("{then} /end ")), "{status} {sent}: {last}");
        assert!(last.ends_with(&format!("\r\n\r\n{body}")), "{status} {sent}: {last}");
    }
}
