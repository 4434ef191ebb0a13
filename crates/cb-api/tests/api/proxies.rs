//! What stands in front of the server: proxies that are trusted, that nobody has told us about, and that speak plain HTTP.

use cb_testkit::Database::Sqlite;
use serde_json::json;

use crate::site::{Ask, Site};

/// Where the tests' own requests come from.
const PEER: &str = "127.0.0.1";

#[tokio::test]
async fn a_proxy_that_nobody_named_is_told_with_the_setting_that_names_it() {
    let (site, admin) = Site::ready_with(Sqlite, &[("CB_TRUSTED_PROXIES", "10.0.0.2, 10.9.0.0/24")]).await;
    let told = async || site.get(&admin, "/api/v1/proxies").await.json();
    assert_eq!(
        told().await,
        json!({ "trusted": ["10.0.0.2/32", "10.9.0.0/24"], "unknown": [], "unreadable": [] })
    );
    for _ in 0..3 {
        site.ask(Ask::new("GET", "/").header("X-Forwarded-For", "198.51.100.7")).await;
    }
    let told = told().await;
    assert_eq!(told["unknown"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["unknown"][0]["address"], PEER);
    assert_eq!(told["unknown"][0]["setting"], format!("CB_TRUSTED_PROXIES=10.0.0.2,10.9.0.0/24,{PEER}"));
}

#[tokio::test]
async fn a_trusted_proxy_whose_chain_cannot_be_read_is_told() {
    let (site, admin) = Site::ready_with(Sqlite, &[("CB_TRUSTED_PROXIES", PEER)]).await;
    let told = async || site.get(&admin, "/api/v1/proxies").await.json()["unreadable"].clone();
    for chain in ["203.0.113.7:4711", "[2001:db8::1]:99", "unknown, 203.0.113.7"] {
        site.ask(Ask::new("GET", "/").header("X-Forwarded-For", chain)).await;
        assert_eq!(told().await, json!([]), "{chain}");
    }
    site.ask(Ask::new("GET", "/").header("X-Forwarded-For", "203.0.113.7, unknown")).await;
    let told = told().await;
    assert_eq!((&told[0]["address"], &told[0]["entry"]), (&json!(PEER), &json!("unknown")), "{told}");
}

#[tokio::test]
async fn a_proxy_that_sends_only_what_is_not_read_is_named_by_it() {
    let (site, admin) = Site::ready(Sqlite).await;
    let told = async || site.get(&admin, "/api/v1/proxies").await.json()["unknown"][0]["sends"].clone();
    site.ask(Ask::new("GET", "/").header("X-Real-IP", "198.51.100.7")).await;
    assert_eq!(told().await, "X-Real-IP");
    site.ask(Ask::new("GET", "/").header("X-Forwarded-For", "198.51.100.7")).await;
    assert_eq!(told().await, "X-Forwarded-For");
}

#[tokio::test]
async fn it_is_noticed_over_plain_http_too_and_a_named_one_is_not_told() {
    let (site, admin) = Site::ready(Sqlite).await;
    let ask = || Ask::new("GET", "/").header("Host", "localhost").header("X-Forwarded-For", "198.51.100.7");
    // Nobody has named it, so it is believed in nothing.
    assert_eq!(site.ask_plain(ask().header("X-Forwarded-Proto", "https")).await.status, 301);
    assert_eq!(site.get(&admin, "/api/v1/proxies").await.json()["unknown"][0]["address"], PEER);

    let (named, admin) = Site::ready_with(Sqlite, &[("CB_TRUSTED_PROXIES", PEER)]).await;
    named.ask(Ask::new("GET", "/").header("X-Forwarded-For", "198.51.100.7")).await;
    named.ask_plain(ask()).await;
    assert_eq!(named.get(&admin, "/api/v1/proxies").await.json()["unknown"], json!([]));
}

#[tokio::test]
async fn a_trusted_proxy_that_speaks_plain_http_gets_a_page_and_not_an_endless_redirect() {
    let site = Site::with(Sqlite, &[("CB_TRUSTED_PROXIES", PEER)]).await;
    let ask = |path: &str| Ask::new("GET", path).header("Host", "localhost");
    for (name, value) in [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Scheme", "https"),
        ("X-Forwarded-Ssl", "on"),
        ("Forwarded", "for=198.51.100.7;proto=https;by=203.0.113.43"),
        ("X-Forwarded-Proto", "https, http"),
        ("X-Forwarded-Proto", "https,https"),
    ] {
        let page = site.ask_plain(ask("/map").header(name, value)).await;
        assert_eq!(page.status, 421, "{name}: {page:?}");
        assert!(page.one("content-type").starts_with("text/html"), "{page:?}");
        assert!(page.all("location").is_empty() && page.all("strict-transport-security").is_empty());
        let policy = page.one("content-security-policy");
        let text = page.text();
        for part in [
            "nginx",
            "Nginx Proxy Manager",
            "Traefik",
            "Caddy",
            &format!("https://SERVER:{}", site.https.port()),
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let nonce = text.split("nonce=\"").nth(1).and_then(|t| t.split('"').next()).expect("a nonce");
        assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");
    }
    let api = site.ask_plain(ask("/api/v1/assets").header("X-Forwarded-Proto", "https")).await;
    assert_eq!((api.status, api.json()["type"].as_str()), (421, Some("/problems/plain_proxy")));
    // The health check is exempt, and a client that came over plain HTTP is sent to HTTPS.
    let health = site.ask_plain(ask("/api/v1/health").header("X-Forwarded-Proto", "https")).await;
    assert_eq!(health.status, 200);
    assert_eq!(site.ask_plain(ask("/map").header("X-Forwarded-Proto", "http")).await.status, 301);
}

#[tokio::test]
async fn a_stream_whose_upgrade_was_lost_on_the_way_says_how_to_pass_it() {
    let (site, admin) = Site::ready(Sqlite).await;
    let ask = Ask::new("GET", "/api/v1/topology/stream").by(&admin).header("Origin", site.origin());
    let answer = site.ask(ask).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (426, Some("/problems/websocket_needed")));
    assert!(answer.text().contains("proxy_set_header Upgrade $http_upgrade;"), "{}", answer.text());
}
