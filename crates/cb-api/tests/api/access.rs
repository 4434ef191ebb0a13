//! Who may come in, and what is a forgery.

use cb_testkit::Database::{self, Postgres, Sqlite};
use http::Method;
use rstest::rstest;
use serde_json::json;

use crate::site::{Ask, Login, Site};

/// The list as it was reviewed. Opening a route means changing this line too, with a reason.
#[test]
fn the_public_list_is_as_reviewed() {
    let list: Vec<String> = cb_api::auth::PUBLIC.iter().map(|(m, p)| format!("{m} {p}")).collect();
    assert_eq!(
        list,
        [
            "GET /api/v1/health",
            "GET /api/v1/ready",
            "GET /api/v1/setup",
            "POST /api/v1/setup",
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/mfa",
            "POST /api/v1/auth/mfa/passkey",
            "GET /api/v1/auth/methods",
            "POST /api/v1/auth/passkeys/challenge",
            "POST /api/v1/auth/passkeys/login",
            "GET /api/v1/auth/oidc/{slug}/start",
            "GET /api/v1/auth/oidc/{slug}/callback",
            "POST /api/v1/auth/forgot",
            // Asks with the secret that would use the link, and is slowed with the routes that use it.
            "POST /api/v1/auth/link",
            "POST /api/v1/auth/reset",
            "POST /api/v1/auth/invite",
            "POST /api/v1/hooks/{id}",
            "GET /ca.crt",
            "GET (page)",
        ]
    );
}

/// Every route is on the public list or has its row in the table, and neither names what is not there.
#[test]
fn every_route_has_its_row_and_every_row_its_route() {
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let ruled = cb_api::access::needs(&method, path).is_some();
            let public = cb_api::auth::is_public(&method, path);
            assert!(ruled != public, "{method} {path}: one row in cb_api::access, or one in PUBLIC");
            routes.push(format!("{method} {path}"));
        }
    }
    let outside = cb_api::access::OUTSIDE.iter().map(|(method, path, _)| format!("{method} {path}"));
    let inside = cb_api::access::TABLE.iter().map(|(method, path, _)| format!("{method} /api/v1{path}"));
    for row in inside.chain(outside) {
        assert!(routes.contains(&row), "{row} has no route");
    }
}

/// On the list, and asks for a proof of its own.
pub const PROVES_ITSELF: (&str, &str) = ("POST", "/api/v1/hooks/{id}");

/// Every operation that the document names, by a stranger.
#[rstest]
#[tokio::test]
async fn a_stranger_gets_401_from_every_route_that_is_not_on_the_list(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, _) = Site::ready(database).await;
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut walked = 0;
    for (path, item) in paths {
        for method in item.as_object().expect("operations").keys() {
            let Ok(verb) = method.to_uppercase().parse::<Method>() else { continue };
            let public = cb_api::auth::is_public(&verb, path);
            let at = path.replace("{id}", &uuid::Uuid::nil().to_string());
            let at = at.replace("{asset_id}", &uuid::Uuid::nil().to_string());
            for body in [None, Some("{}")] {
                let ask = Ask::new(verb.as_str(), &at);
                let answer = site
                    .ask(body.map_or(ask.header("X", "y"), |b| Ask::new(verb.as_str(), &at).json(b)))
                    .await;
                let proves_itself = (verb.as_str(), path.as_str()) == PROVES_ITSELF;
                assert_eq!(answer.status == 401, !public || proves_itself, "{verb} {path}: {answer:?}");
            }
            walked += 1;
        }
    }
    assert!(walked > 45, "{walked} operations");
    // What no route has is no hole either.
    for (method, path) in
        [("GET", "/api/v1/nothing"), ("GET", "/api"), ("POST", "/anything"), ("PUT", "/api/v1/health")]
    {
        let answer = site.ask(Ask::new(method, path).json("{}")).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

#[rstest]
#[tokio::test]
async fn before_setup_only_the_public_part_answers(#[values(Sqlite, Postgres)] database: Database) {
    let site = Site::new(database).await;
    let answer = site.ask(Ask::new("GET", "/api/v1/assets")).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("/problems/setup_required")));
    let login = json!({ "username": "x", "password": "y" }).to_string();
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/auth/login").json(login)).await.status, 503);
    for path in ["/", "/api/v1/health", "/api/v1/ready", "/api/v1/setup", "/ca.crt"] {
        assert_eq!(site.ask(Ask::new("GET", path)).await.status, 200, "{path}");
    }
}

#[rstest]
#[tokio::test]
async fn a_write_needs_our_own_page_the_csrf_token_and_json(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let (own, csrf, cookie) = (site.origin(), login.csrf.as_str(), login.cookie.as_str());
    let body = |n: u32| json!({ "name": format!("tag {n}"), "color": "#112233" }).to_string();
    let post = || Ask::new("POST", "/api/v1/tags").header("Cookie", cookie);
    let whole = || post().header("X-CSRF-Token", csrf);
    let wanted = [
        (201, whole().json(body(1))),
        (201, whole().header("Origin", &own).header("Sec-Fetch-Site", "same-origin").json(body(2))),
        (403, post().json(body(3))),
        (403, post().header("X-CSRF-Token", "wrong").json(body(3))),
        (403, post().header("X-CSRF-Token", b"\xff\xfe").json(body(3))),
        (403, whole().header("Origin", "https://evil.example").json(body(3))),
        (403, whole().header("Origin", "null").json(body(3))),
        (403, whole().header("Origin", own.replace("https", "http")).json(body(3))),
        (403, whole().header("Sec-Fetch-Site", "cross-site").json(body(3))),
        (403, whole().header("Sec-Fetch-Site", "same-site").json(body(3))),
        (415, whole().body(body(3))),
        (415, whole().header("Content-Type", "text/plain").body(body(3))),
        (415, whole().header("Content-Type", "application/x-www-form-urlencoded").body("name=x")),
        (401, Ask::new("POST", "/api/v1/tags").header("X-CSRF-Token", csrf).json(body(3))),
    ];
    for (i, (status, ask)) in wanted.into_iter().enumerate() {
        let answer = site.ask(ask).await;
        assert_eq!(answer.status, status, "case {i}: {answer:?}");
    }
    let login_body = json!({ "username": "maria", "password": "x" }).to_string();
    let cross =
        Ask::new("POST", "/api/v1/auth/login").header("Origin", "https://evil.example").json(login_body);
    assert_eq!(site.ask(cross).await.status, 403);
}

#[rstest]
#[tokio::test]
async fn credentials_of_any_bytes_are_a_401(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let asked = |ask: Ask| site.ask(ask);
    let get = || Ask::new("GET", "/api/v1/assets");
    assert_eq!(site.get(&login, "/api/v1/assets").await.status, 200);
    let refused = [
        get().header("Authorization", b"Bearer \xff\xfe"),
        get().header("Authorization", "Bearer "),
        get().header("Authorization", "Basic bWFyaWE6eA=="),
        get().header("Authorization", "Bearer x").by(&login),
        get().header("Cookie", b"__Host-cb_session=\xff\xfe"),
        get().header("Cookie", "__Host-cb_session="),
        get().header("Cookie", "__Host-cb_session=a.b.c"),
        get().header("Cookie", format!("{}; {}", login.cookie, login.cookie)),
    ];
    for (i, ask) in refused.into_iter().enumerate() {
        assert_eq!(asked(ask).await.status, 401, "case {i}");
    }
}

#[rstest]
#[tokio::test]
async fn a_session_lives_from_login_to_logout(#[values(Sqlite, Postgres)] database: Database) {
    let (site, _) = Site::ready(database).await;
    let body = json!({ "username": "maria", "password": cb_testkit::TestApp::PASSWORD }).to_string();
    let answer = site.ask(Ask::new("POST", "/api/v1/auth/login").json(body)).await;
    assert_eq!(answer.status, 200);
    let cookie = answer.all("set-cookie")[0];
    for part in ["__Host-cb_session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    let login = Login::from_answer(&answer);
    let me = site.get(&login, "/api/v1/auth/me").await;
    assert_eq!(me.json()["user"]["username"], "maria");
    assert_eq!(me.json()["csrf_token"], login.csrf.as_str());
    let out = site.ask(Ask::new("POST", "/api/v1/auth/logout").write(&login, &json!({}))).await;
    assert_eq!(out.status, 204);
    assert!(out.one("set-cookie").contains("Max-Age=0"));
    site.has_ended(&login, "a logout").await;
}
