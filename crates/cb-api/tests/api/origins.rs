//! One server under several names: which pages are its own, whatever a proxy makes of `Host`.

use cb_testkit::Database::{Postgres, Sqlite};
use cb_testkit::{Database, TestApp};
use rstest::rstest;
use serde_json::json;

use crate::authenticator::Authenticator;
use crate::site::{Answer, Ask, Login, Site};

const PUBLIC: &str = "https://breaker.example.org:9443";
const SETTINGS: &[(&str, &str)] =
    &[("CB_PUBLIC_URL", PUBLIC), ("CB_NAMES", "breaker.lan, https://breaker.tail1.ts.net")];

/// What a browser sends from a page at `origin`, as it arrives with `host`.
fn from(ask: Ask, host: &str, origin: &str) -> Ask {
    ask.header("Host", host).header("Origin", origin).header("Sec-Fetch-Site", "same-origin")
}

async fn sign_in(site: &Site, host: &str, origin: &str) -> Answer {
    let body = json!({ "username": TestApp::USERNAME, "password": TestApp::PASSWORD }).to_string();
    site.ask_as_is(from(Ask::new("POST", "/api/v1/auth/login"), host, origin).json(body)).await
}

async fn stream(site: &Site, login: &Login, host: &str, origin: &str) -> u16 {
    let ask = Ask::new("GET", "/api/v1/topology/stream").by(login).header("Connection", "Upgrade");
    let ask = ask.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
    let ask = ask.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    site.ask_as_is(ask.header("Host", host).header("Origin", origin)).await.status
}

#[rstest]
#[tokio::test]
async fn a_page_at_a_configured_origin_signs_in_and_writes_whatever_host_the_proxy_sends(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, _) = Site::ready_with(database, SETTINGS).await;
    let port = site.https.port();
    let cases = [
        // Nginx Proxy Manager sends $host, which has no port.
        ("breaker.example.org".to_owned(), PUBLIC.to_owned()),
        ("breaker.example.org:9443".to_owned(), PUBLIC.to_owned()),
        // A proxy that sends the address it connects to.
        (format!("127.0.0.1:{port}"), PUBLIC.to_owned()),
        (format!("breaker.lan:{port}"), format!("https://breaker.lan:{port}")),
        ("breaker.lan".to_owned(), format!("https://breaker.lan:{port}")),
        ("breaker.lan".to_owned(), "https://breaker.lan".to_owned()),
        ("breaker.tail1.ts.net".to_owned(), "https://breaker.tail1.ts.net".to_owned()),
    ];
    for (n, (host, origin)) in cases.iter().enumerate() {
        let signed_in = sign_in(&site, host, origin).await;
        assert_eq!(signed_in.status, 200, "{host} {origin}: {}", signed_in.text());
        let login = Login::from_answer(&signed_in);
        let tag = json!({ "name": format!("tag {n}"), "color": "#112233" });
        let wrote = from(Ask::new("POST", "/api/v1/tags").write(&login, &tag), host, origin);
        assert_eq!(site.ask_as_is(wrote).await.status, 201, "{host} {origin}");
        assert_eq!(stream(&site, &login, host, origin).await, 101, "{host} {origin}");
    }
}

#[tokio::test]
async fn any_other_page_is_refused_with_what_came_what_was_expected_and_the_mend() {
    let (site, login) = Site::ready_with(Sqlite, SETTINGS).await;
    let port = site.https.port();
    for (host, origin) in [
        ("breaker.example.org", "https://breaker.example.org:9444"),
        ("breaker.example.org:9443", "https://breaker.example.org"),
        ("breaker.example.org:9443", "http://breaker.example.org:9443"),
        ("breaker.lan", "https://breaker.lan:9443"),
        ("breaker.tail1.ts.net", &format!("https://breaker.tail1.ts.net:{}", port.wrapping_add(1))),
        ("breaker.lan", "https://evil.example"),
        ("breaker.lan", "null"),
    ] {
        let answer = sign_in(&site, host, origin).await;
        assert_eq!(answer.status, 403, "{host} {origin}");
        let said = answer.json()["detail"].as_str().expect("a text").to_owned();
        for part in [origin, host, PUBLIC, "https://breaker.lan"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        if origin.starts_with("https://") {
            assert!(said.contains(&format!("CB_NAMES={origin}")), "{said}");
            assert!(said.contains("proxy_set_header Host $http_host;"), "{said}");
        }
        assert_eq!(stream(&site, &login, host, origin).await, 403, "{host} {origin}");
    }
    // Another site's page, whatever it says of itself.
    let body = json!({ "username": TestApp::USERNAME, "password": TestApp::PASSWORD }).to_string();
    let ask = Ask::new("POST", "/api/v1/auth/login").header("Host", "breaker.lan");
    let ask = ask.header("Origin", PUBLIC).header("Sec-Fetch-Site", "cross-site").json(body);
    let refused = site.ask_as_is(ask).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("Sec-Fetch-Site: cross-site"), "{}", refused.text());
}

#[tokio::test]
async fn every_configured_name_is_answered_certified_and_redirected_to() {
    let site = Site::with(Sqlite, SETTINGS).await;
    let port = site.https.port();
    for name in ["breaker.example.org", "breaker.lan", "breaker.tail1.ts.net"] {
        let stream = cb_net::dial::local(site.https).await.expect("connects");
        site.connect_to(name, stream).await;
        assert_eq!(site.ask_as_is(Ask::new("GET", "/").header("Host", name)).await.status, 200, "{name}");
    }
    for (host, origin) in [
        ("breaker.lan", format!("https://breaker.lan:{port}")),
        ("breaker.tail1.ts.net", "https://breaker.tail1.ts.net".to_owned()),
        ("breaker.example.org", PUBLIC.to_owned()),
        ("localhost", PUBLIC.to_owned()),
        ("evil.example", PUBLIC.to_owned()),
    ] {
        let answer = site.ask_plain(Ask::new("GET", "/map").header("Host", host)).await;
        assert_eq!((answer.status, answer.one("location")), (301, &*format!("{origin}/map")), "{host}");
    }
    let foreign = site.ask_as_is(Ask::new("GET", "/").header("Host", "breaker.other")).await;
    assert_eq!(foreign.status, 421);
    for part in ["“breaker.other”", "CB_NAMES=breaker.other", "proxy_set_header Host $http_host;"] {
        assert!(foreign.text().contains(part), "{part}: {}", foreign.text());
    }
}

#[tokio::test]
async fn a_passkey_is_bound_to_a_configured_origin_and_never_to_what_host_says() {
    let (site, mut login) = Site::ready_with(Sqlite, SETTINGS).await;
    let port = site.https.port();
    let ask = async |login: &Login, path: &str, body: &serde_json::Value, host: &str, origin: &str| {
        site.ask_as_is(from(Ask::new("POST", path).write(login, body), host, origin)).await
    };
    // Behind a proxy that leaves the port out, and by another of its names.
    for (seed, host, origin, rp) in [
        (1, "breaker.example.org", PUBLIC.to_owned(), "breaker.example.org"),
        (2, "breaker.lan", format!("https://breaker.lan:{port}"), "breaker.lan"),
    ] {
        let begun = ask(&login, "/api/v1/auth/passkeys/registration", &json!({}), host, &origin).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
        let begun = begun.json();
        let mut key = Authenticator::new(&origin, seed);
        let body = json!({
            "registration_token": begun["registration_token"], "name": "Laptop", "credential": key.create(&begun["options"]),
        });
        let added = ask(&login, "/api/v1/auth/passkeys", &body, host, &origin).await;
        assert_eq!(added.status, 201, "{}", added.text());
        assert_eq!(added.json()["passkey"]["rp_id"], rp);
        login = Login::from_answer(&added);
        let asked = ask(&login, "/api/v1/auth/passkeys/challenge", &json!({}), host, &origin).await.json();
        let body =
            json!({ "passkey_token": asked["passkey_token"], "credential": key.get(&asked["options"]) });
        assert_eq!(ask(&login, "/api/v1/auth/passkeys/login", &body, host, &origin).await.status, 200);
        another_port_is_refused(&site, &mut key, host, &origin).await;
    }
    // The port is mapped on the way and nobody has told the server: the session works, passkeys say what to do.
    let (host, origin) = ("localhost:9999", "https://localhost:9999");
    let begun = ask(&login, "/api/v1/auth/passkeys/registration", &json!({}), host, origin).await;
    assert_eq!(begun.status, 409, "{}", begun.text());
    assert!(begun.text().contains("CB_NAMES=https://localhost:9999"), "{}", begun.text());
    let methods = site.ask_as_is(Ask::new("GET", "/api/v1/auth/methods").header("Host", host)).await;
    assert_eq!(methods.json()["passkeys"], false);
}

/// The same key, asked by a page on another port of the same host.
async fn another_port_is_refused(site: &Site, key: &mut Authenticator, host: &str, origin: &str) {
    let ask = async |path: &str, body: serde_json::Value| {
        site.ask_as_is(from(Ask::new("POST", path), host, origin).json(body.to_string())).await
    };
    let asked = ask("/api/v1/auth/passkeys/challenge", json!({})).await.json();
    key.origin = format!("https://{host}:1");
    let body = json!({ "passkey_token": asked["passkey_token"], "credential": key.get(&asked["options"]) });
    assert_eq!(ask("/api/v1/auth/passkeys/login", body).await.status, 401, "{host}");
}
