//! The security headers: on everything, once.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use std::collections::HashSet;

use serde_json::json;

use crate::site::{Answer, Ask, Site};

const SIX: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), magnetometer=(), gyroscope=(), accelerometer=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

pub fn check(what: &str, answer: &Answer, tls: bool) -> String {
    for (name, value) in SIX {
        assert_eq!(answer.all(name), [*value], "{what}: {name} in {answer:?}");
    }
    let hsts: &[&str] = if tls { &["max-age=63072000; includeSubDomains"] } else { &[] };
    assert_eq!(answer.all("strict-transport-security"), hsts, "{what}");
    let policy = answer.one("content-security-policy");
    assert!(
        policy.starts_with("default-src 'self'; script-src 'self' 'unsafe-inline' 'strict-dynamic' 'nonce-"),
        "{what}: {policy}"
    );
    assert!(policy.ends_with("frame-ancestors 'none'"), "{what}: {policy}");
    let nonce = policy.split("'nonce-").nth(1).and_then(|p| p.split('\'').next()).expect("a nonce");
    assert!(nonce.len() >= 22, "{what}: {nonce}");
    assert_eq!(answer.all("cache-control").len(), 1, "{what}");
    nonce.to_owned()
}

#[rstest]
#[tokio::test]
async fn every_kind_of_response_carries_them_once(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let long = "x".repeat(20_000);
    let longer = "x".repeat(60_000);
    let get = |path: &str| Ask::new("GET", path);
    let wrong = |ask: Ask| ask.by(&login).header("X-CSRF-Token", &login.csrf);
    let asset = first_asset(&site).await;
    let visit = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let mut asks = vec![
        ("page", 200, get("/inventory")),
        ("head of the page", 200, Ask::new("HEAD", "/")),
        ("root", 200, get("/ca.crt")),
        ("api", 200, get("/api/v1/assets").by(&login)),
        ("204", 204, Ask::new("PUT", "/api/v1/map/positions").write(&login, &json!({ "positions": [] }))),
        ("anonymous", 401, get("/api/v1/assets")),
        ("no such route", 404, get("/api/v1/nothing").by(&login)),
        ("no such file", 404, get("/assets/none.js")),
        ("no such file of a script", 404, get("/assets/none.js").header("Accept", "*/*")),
        ("a visit to no such file", 200, get("/assets/none.js").header("Accept", visit)),
        ("a visit to a name with a dot", 200, get("/notes.old").header("Accept", visit)),
        ("no such favicon", 404, get("/favicon.ico")),
        ("no such asset", 404, get("/api/v1/assets/no-id").by(&login)),
        ("wrong method", 405, wrong(Ask::new("DELETE", "/api/v1/assets")).json("{}")),
        ("too large", 413, wrong(Ask::new("POST", "/api/v1/tags")).json(vec![b' '; 2_000_000])),
        ("no JSON type", 415, wrong(Ask::new("POST", "/api/v1/tags")).body("{}")),
        ("no JSON", 400, wrong(Ask::new("POST", "/api/v1/tags")).json("{")),
        ("invalid", 422, wrong(Ask::new("POST", "/api/v1/tags")).json("{}")),
        ("forged", 403, Ask::new("POST", "/api/v1/tags").by(&login).json("{}")),
        ("large headers", 431, get("/").header("X-Long", &long)),
        ("larger headers", 431, get("/").header("X-Long", &longer)),
        ("long address", 414, get(&format!("/{}", "x".repeat(10_000)))),
    ];
    if let Some(asset) = &asset {
        asks.push(("asset", 200, get(asset)));
    }
    let mut nonces = HashSet::new();
    for (what, status, ask) in asks {
        let answer = site.ask(ask).await;
        // An empty list of places is refused; either answer serves here.
        let fits = answer.status == status || (what == "204" && answer.status == 422);
        assert!(fits, "{what}: {answer:?}");
        assert!(nonces.insert(check(what, &answer, true)), "{what}: the nonce is not fresh");
        if answer.status >= 400 {
            assert_eq!(answer.one("content-type"), "application/problem+json", "{what}");
            let problem = answer.json();
            assert_eq!(problem["status"], answer.status, "{what}");
            assert!(problem["type"].as_str().is_some_and(|t| t.starts_with("/problems/")), "{what}");
            assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty()), "{what}");
        }
        let kept = what == "asset";
        assert_eq!(answer.one("cache-control") == "no-store", !kept, "{what}");
    }
    let misdirected = site.ask_as_is(get("/").header("Host", "evil.example")).await;
    assert_eq!(misdirected.status, 421);
    check("misdirected", &misdirected, true);
    for (what, bytes) in
        [("garbage", &b"GARBAGE\r\n\r\n"[..]), ("bad header", b"GET / HTTP/1.1\r\nno colon\r\n\r\n")]
    {
        let answer = site.raw(bytes).await;
        assert_eq!(answer.status, 400, "{what}");
        check(what, &answer, true);
    }
    let plain = site.ask_plain(get("/").header("Host", "localhost")).await;
    assert_eq!(plain.status, 301);
    check("redirect", &plain, false);
    let health = site.ask_plain(get("/api/v1/health").header("Host", "localhost")).await;
    check("health", &health, false);
}

#[rstest]
#[tokio::test]
async fn too_many_tries_are_a_429_with_the_headers_and_a_wait(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, _) = Site::ready(database).await;
    let body = json!({ "username": "maria", "password": "not this one" }).to_string();
    for _ in 0..10 {
        let answer = site.ask(Ask::new("POST", "/api/v1/auth/login").json(body.clone())).await;
        check("login", &answer, true);
        if answer.status == 429 {
            assert!(answer.one("retry-after").parse::<u32>().is_ok_and(|s| s >= 1));
            return;
        }
        assert_eq!(answer.status, 401);
    }
    panic!("ten wrong passwords and no 429");
}

#[rstest]
#[tokio::test]
async fn the_page_carries_the_nonce_of_its_response_and_is_not_kept(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let site = Site::new(database).await;
    let answer = site.ask(Ask::new("GET", "/map")).await;
    let nonce = check("page", &answer, true);
    assert!(answer.one("content-type").starts_with("text/html"));
    assert!(answer.all("etag").is_empty());
    if first_asset(&site).await.is_some() {
        assert!(answer.text().contains(&format!("nonce=\"{nonce}\"")));
        assert!(!answer.text().contains("__CSP_NONCE__"));
    }
}

#[rstest]
#[tokio::test]
async fn a_file_comes_compressed_when_the_client_takes_it(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::new(database).await;
    // Without a built client there are no files; `make test` builds it first.
    let Some(path) = first_asset(&site).await else { return };
    let ask = |accept: &str| site.ask(Ask::new("GET", &path).header("Accept-Encoding", accept));
    let (plain, br, gz) = (ask("identity").await, ask("gzip, br").await, ask("gzip;q=0.5").await);
    assert!(plain.all("content-encoding").is_empty() && plain.body.len() > br.body.len());
    assert_eq!((br.one("content-encoding"), gz.one("content-encoding")), ("br", "gzip"));
    assert!(ask("br;q=0").await.all("content-encoding").is_empty());
    assert_eq!(br.one("vary"), "Accept-Encoding");
    assert!(br.one("cache-control").contains("immutable"));
    assert!(br.one("content-type").contains("javascript"));
}

/// The script of the page.
async fn first_asset(site: &Site) -> Option<String> {
    let page = site.ask(Ask::new("GET", "/")).await.text();
    let at = page.find("src=\"/assets/")? + 5;
    page[at..].split('"').next().map(str::to_owned)
}
