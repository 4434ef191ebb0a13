//! What attackers send, through a real TLS listener: it is refused with a reason, nothing breaks, and no secret is logged.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::site::{Ask, Login, Site, read_answer};
use crate::streams;

const READ: &str = "/api/v1/assets";

#[rstest]
#[tokio::test]
async fn oversized_cookies_are_refused_and_the_connection_ends_cleanly_or_serves_on(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, login) = Site::ready(database).await;
    let big = |bytes: usize| format!("{}; x={}", login.cookie, "x".repeat(bytes));
    let lines = |count: usize| {
        (0..count).fold(Ask::new("GET", READ), |ask, n| ask.header("Cookie", format!("c{n}=v")))
    };
    let one = |value: String| Ask::new("GET", READ).header("Cookie", value);
    let cases = [
        ("a long one within the bounds", 200, one(big(8_000))),
        ("a session of 8 KB", 401, one(format!("__Host-cb_session={}", "x".repeat(8_000)))),
        ("20 KB", 431, one(big(20_000))),
        ("200 KB", 431, one(big(200_000))),
        ("2 MB", 431, one(big(2_000_000))),
        ("60 lines and no session", 401, lines(60)),
        ("150 lines", 431, lines(150)),
        ("a thousand pairs", 401, one("a=b; ".repeat(1_000))),
        ("a thousand sessions", 431, one(format!("{}; ", login.cookie).repeat(1_000))),
        ("nothing but separators", 401, one(";".repeat(10_000))),
    ];
    for (what, status, ask) in cases {
        let mut stream = site.connect().await;
        // The server may have seen enough before all is sent.
        let _ = stream.write_all(&ask.header("Host", site.host()).bytes()).await;
        let answer = read_answer(&mut stream, false).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.status, status, "{what}");
        let next = Ask::new("GET", "/api/v1/health").header("Host", site.host()).bytes();
        let _ = stream.write_all(&next).await;
        if let Some(answer) = read_answer(&mut stream, false).await {
            assert_eq!(answer.status, 200, "{what}: the next request");
        }
        assert_eq!(site.get(&login, READ).await.status, 200, "{what}: and everybody else");
    }
}

#[rstest]
#[tokio::test]
async fn what_may_come_once_and_comes_twice_is_refused(#[values(Sqlite, Postgres)] database: Database) {
    let (site, one) = Site::ready(database).await;
    let two = Login::from_answer(&site.login(TestApp::USERNAME, TestApp::PASSWORD).await);
    let bearer = |token: &str| format!("Bearer {token}");
    let (good, bad) = (bearer(TestApp::API_TOKEN), bearer("cb_pat_wrong"));
    let get = || Ask::new("GET", READ).header("Host", site.host());
    let tag = json!({ "name": "twice", "color": "#112233" }).to_string();
    let post = || Ask::new("POST", "/api/v1/tags").by(&one).header("Host", site.host());
    let (origin, evil) = (site.origin(), "https://evil.example".to_owned());
    let csrf = one.csrf.as_str();
    let cases = [
        ("two sessions, two lines", 401, get().by(&one).by(&two)),
        ("two sessions, one line", 401, get().header("Cookie", format!("{}; {}", one.cookie, two.cookie))),
        ("one session, two lines", 401, get().by(&one).by(&one)),
        (
            "a good token and a bad one",
            400,
            get().header("Authorization", &good).header("Authorization", &bad),
        ),
        (
            "a bad token and a good one",
            400,
            get().header("Authorization", &bad).header("Authorization", &good),
        ),
        ("a good token twice", 400, get().header("Authorization", &good).header("authorization", &good)),
        ("a second host", 400, get().by(&one).header("Host", "evil.example")),
        ("our host twice", 400, get().by(&one).header("Host", site.host())),
        (
            "a good CSRF token and a bad one",
            400,
            post().header("X-CSRF-Token", csrf).header("X-CSRF-Token", "x").json(&*tag),
        ),
        (
            "a bad CSRF token and a good one",
            400,
            post().header("X-CSRF-Token", "x").header("X-CSRF-Token", csrf).json(&*tag),
        ),
        (
            "our origin and another",
            400,
            post().header("X-CSRF-Token", csrf).header("Origin", &origin).header("Origin", &evil).json(&*tag),
        ),
        (
            "another origin and ours",
            400,
            post().header("X-CSRF-Token", csrf).header("Origin", &evil).header("Origin", &origin).json(&*tag),
        ),
        (
            "two sites",
            400,
            post()
                .header("X-CSRF-Token", csrf)
                .header("Sec-Fetch-Site", "none")
                .header("Sec-Fetch-Site", "cross-site")
                .json(&*tag),
        ),
        (
            "two types",
            400,
            post().header("X-CSRF-Token", csrf).header("Content-Type", "text/plain").json(&*tag),
        ),
    ];
    for (what, status, ask) in cases {
        let answer = site.ask_as_is(ask).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        if status == 400 {
            assert_eq!(answer.json()["type"], "/problems/repeated_header", "{what}");
        }
    }
    // The control.
    let answer =
        site.ask_as_is(post().header("X-CSRF-Token", csrf).header("Origin", &origin).json(&*tag)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let tags = site.get(&one, "/api/v1/tags").await.json();
    assert_eq!(tags["total"], 1, "nothing else came through");
}

/// Everything that is logged, at the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread, so that the log of the test's thread is that of the server.
#[rstest]
#[tokio::test]
async fn a_token_in_an_address_is_refused_and_never_logged(#[values(Sqlite, Postgres)] database: Database) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (site, login) = Site::ready(database).await;
    let token = site.token(&login, &["inventory:read"]).await;
    assert_eq!(site.by_token("GET", READ, &token).await.status, 200, "the token is a good one");
    let session = login.cookie.split_once('=').expect("a pair").1;
    let mut asked = Vec::new();
    for name in [
        "access_token",
        "token",
        "api_key",
        "apikey",
        "authorization",
        "Access-Token",
        "%74oken",
        "x-api-key",
    ] {
        asked.push(format!("{READ}?{name}={token}"));
        asked.push(format!("{READ}?limit=5&{name}=Bearer%20{token}"));
    }
    asked.push(format!("{READ}?session={session}"));
    asked.push(format!("/map?token={token}"));
    asked.push(format!("/api/v1/health?token={token}"));
    asked.push(format!("/api/v1/topology/stream?access_token={token}"));
    asked.push(format!("/api/v1/nothing?password={token}"));
    for path in &asked {
        for ask in
            [Ask::new("GET", path), Ask::new("GET", path).by(&login), Ask::new("POST", path).json("{}")]
        {
            let answer = site.ask(ask).await;
            let shown = path.replace(&token, "…");
            assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
            assert_eq!(answer.json()["type"], "/problems/secret_in_address", "{shown}");
            assert!(answer.text().contains("Authorization: Bearer"), "{shown}: it says what to do");
            assert!(
                !answer.text().contains(&token) && !answer.text().contains(session),
                "{shown}: not repeated"
            );
        }
    }
    // Under a name that nobody knows it is no credential either.
    let answer = site.ask(Ask::new("GET", &format!("{READ}?key_of_mine={token}"))).await;
    assert_eq!(answer.status, 401);
    let logged = String::from_utf8_lossy(&log.0.lock().expect("written")).into_owned();
    assert!(
        logged.contains("/api/v1/topology/stream") && logged.contains("status=400"),
        "the log is captured"
    );
    for (what, secret) in [("token", token.as_str()), ("session", session), ("CSRF token", &login.csrf)] {
        if let Some(at) = logged.find(secret) {
            let line = logged[..at].rsplit('\n').next().unwrap_or_default();
            panic!("the {what} is in the log: {line}…");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_stream_is_opened_from_our_own_origin_alone(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let (host, port) = (site.host(), site.https.port());
    let foreign = [
        String::new(),
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("https://evil.example:{port}"),
        "https://localhost".to_owned(),
        "https://localhost:443".to_owned(),
        format!("https://localhost:{}", port.wrapping_add(1)),
        format!("https://localhost:0{port}"),
        format!("http://{host}"),
        format!("wss://{host}"),
        format!("//{host}"),
        host.clone(),
        format!("https://localhost.evil.test:{port}"),
        format!("https://evil.localhost:{port}"),
        format!("https://evil.test/{host}"),
        format!("https://localhost.:{port}"),
        format!("https://{host}/"),
        format!("https://{host}@evil.test"),
        format!("https://user@{host}"),
        format!("https://user:pw@{host}"),
        format!("https://127.0.0.1:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://xn--lcalhost-s7a:{port}"),
        format!("https://{host} https://evil.test"),
        format!("https://{host},https://evil.test"),
        format!("https://{host}#x"),
        format!("https://{host}%00"),
    ];
    for topic in ["audit-log", "discovery", "topology"] {
        assert_eq!(streams::open(&site, Some(&login), None, topic).await.err(), Some(403), "{topic}: none");
        for origin in &foreign {
            let refused = streams::open(&site, Some(&login), Some(origin), topic).await;
            assert_eq!(refused.err(), Some(403), "{topic}: {origin}");
        }
        // A browser writes it in lower case; the comparison need not rely on that.
        for own in [site.origin(), site.origin().to_uppercase()] {
            assert!(streams::open(&site, Some(&login), Some(&own), topic).await.is_ok(), "{topic}: {own}");
        }
    }
    // Letters that only look like ours are no letters of ours.
    for look_alike in ["lоcalhost", "ⅼocalhost", "localh\u{200b}ost", "ｌocalhost"] {
        let ask = Ask::new("GET", "/api/v1/topology/stream").by(&login).header("Host", &host);
        let ask = ask.header("Connection", "Upgrade").header("Upgrade", "websocket");
        let ask =
            ask.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = site.ask_as_is(ask.header("Origin", format!("https://{look_alike}:{port}"))).await;
        assert_eq!(answer.status, 403, "{look_alike}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_setups_at_once_one_makes_one_user(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::new(database).await;
    let code = site.test.app.setup_code().expect("setup is required").0;
    let answers = join_all((0..50).map(|n| {
        let body =
            json!({ "code": code.expose(), "username": format!("admin{n}"), "password": TestApp::PASSWORD });
        site.ask(Ask::new("POST", "/api/v1/setup").json(body.to_string()))
    }))
    .await;
    let made: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
    assert_eq!(made.len(), 1);
    assert!(answers.iter().all(|a| matches!(a.status, 201 | 403 | 409 | 429)), "{answers:?}");
    assert_eq!(answers.iter().filter(|a| !a.all("set-cookie").is_empty()).count(), 1, "one session");
    let admin = Login::from_answer(made[0]);
    let users = site.get(&admin, "/api/v1/users").await.json();
    assert_eq!(users["total"], 1, "{users}");
    let log = site.get(&admin, "/api/v1/audit-log?action=setup_completed").await.json();
    assert_eq!(log["total"], 1);
    let again = site.ask(Ask::new("POST", "/api/v1/setup").json(
        json!({ "code": code.expose(), "username": "eve", "password": TestApp::PASSWORD }).to_string(),
    ));
    assert_eq!(again.await.status, 409);
}

#[rstest]
#[tokio::test]
async fn no_two_user_names_look_alike(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let make = async |name: &str| {
        let body = json!({ "username": name, "role": "viewer", "password": "nine blue herons wade" });
        site.post(&admin, "/api/v1/users", body).await
    };
    for look_alike in [
        "mаria",
        "ｍaria",
        "marı\u{0301}a",
        "mari\u{0430}",
        "maria\u{200b}",
        "\u{feff}maria",
        "maria\u{00ad}",
        "mar\u{202e}ia",
        "m\u{0061}\u{0308}ria",
        "mаrıа",
        "𝗆aria",
        "maria\u{0000}",
        "mar ia",
        "maria\u{00a0}x",
    ] {
        let answer = make(look_alike).await;
        assert_eq!(answer.status, 422, "{look_alike:?}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], "username", "{look_alike:?}");
    }
    for same in ["MARIA", "Maria", "  maria  ", "maria\u{2003}"] {
        assert_eq!(make(same).await.status, 409, "{same:?} is maria");
    }
    assert_eq!(site.get(&admin, "/api/v1/users").await.json()["total"], 1);
}

/// PostgreSQL's text has no room for a NUL: it is refused at the door, in a body as in an address.
#[rstest]
#[tokio::test]
async fn a_nul_is_no_fault_of_the_servers(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    assert_eq!(site.login("a\0b", "x").await.status, 422);
    assert_eq!(site.ask(Ask::new("GET", "/api/v1/auth/oidc/%00/start")).await.status, 400);
    assert_eq!(
        site.ask(Ask::new("GET", "/api/v1/auth/oidc/a%00b/callback?code=x&state=y")).await.status,
        400
    );
    let step = json!({ "mfa_token": "a\0b", "code": "1\u{0}2" });
    assert_eq!(site.public("/api/v1/auth/mfa", step).await.status, 422);
    for path in [
        "audit-log?action=%00",
        "audit-log/export?action=a%00b",
        "assets?q=%00",
        "users?q=a%00b",
        "assets?kind=%00",
        "findings?state=%00",
        "audit-log?cursor=%00",
        "assets?cursor=%00",
        "assets?sort=%00",
        "networks?q=%00",
        "tags?q=%00",
    ] {
        let answer = site.get(&admin, &format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    for (path, body) in [
        ("assets", json!({ "name": "a\0b", "kind": "device", "notes": "a\0b" })),
        ("assets", json!({ "name": "a", "kind": "device", "vendor": "a\0b" })),
        ("tags", json!({ "name": "a\0b", "color": "#112233" })),
        ("tokens", json!({ "name": "a\0b", "scopes": ["inventory:read"] })),
        ("invites", json!({ "role": "viewer", "email": "a\0b@c" })),
        (
            "oidc-providers",
            json!({ "slug": "x", "name": "x", "issuer": "https://x", "client_id": "x", "role_groups": [{ "group": "a\0b", "role": "viewer" }] }),
        ),
        (
            "oidc-providers",
            json!({ "slug": "x", "name": "x", "issuer": "https://x", "client_id": "x", "scopes": ["openid", "\0"] }),
        ),
        ("scans", json!({ "targets": ["a\0b"] })),
    ] {
        let answer = site.post(&admin, &format!("/api/v1/{path}"), body).await;
        assert_eq!(answer.status, 422, "{path}: {answer:?}");
    }
}
