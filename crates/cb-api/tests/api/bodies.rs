//! What people and programs send: long, slow, broken and wrong.

use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::site::{Ask, Site, read_answer};

#[rstest]
#[tokio::test]
async fn what_is_wrong_with_an_input_is_named(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let cases: &[(&str, &str, &[u8], u16, &str)] = &[
        ("POST", "/api/v1/tags", b"nonsense", 400, ""),
        ("POST", "/api/v1/tags", b"\xff\xfe", 400, ""),
        ("POST", "/api/v1/tags", b"", 400, ""),
        ("POST", "/api/v1/tags", b"[]", 422, "body"),
        ("POST", "/api/v1/tags", br#"{"name":"a"}"#, 422, "color"),
        ("POST", "/api/v1/tags", br##"{"name":"a","color":"#112233","nmae":1}"##, 422, "nmae"),
        ("POST", "/api/v1/tags", br#"{"name":1,"color":"red"}"#, 422, "name"),
        ("POST", "/api/v1/tags", br#"{"name":"a","color":"red"}"#, 422, "color"),
        ("POST", "/api/v1/assets", br#"{"name":"a","kind":"toaster"}"#, 422, "kind"),
        ("PATCH", "/api/v1/settings", br#"{"instance_name":"x","auth_enabled":false}"#, 422, "auth_enabled"),
        ("PATCH", "/api/v1/settings", br#"{"auth_enabled":false}"#, 422, "auth_enabled"),
        ("PATCH", "/api/v1/settings", br#"{"auth_enabled":null}"#, 422, "auth_enabled"),
        ("PATCH", "/api/v1/settings", b"{}", 422, "body"),
        ("PATCH", "/api/v1/settings", br#"{"audit_retention_days":29}"#, 422, "audit_retention_days"),
        ("PATCH", "/api/v1/settings", br#"{"audit_retention_days":3651}"#, 422, "audit_retention_days"),
        ("PATCH", "/api/v1/settings", br#"{"audit_retention_days":"30"}"#, 422, "audit_retention_days"),
        ("PATCH", "/api/v1/settings", br#"{"audit_retention_days":30.5}"#, 422, "audit_retention_days"),
        (
            "PATCH",
            "/api/v1/settings",
            br#"{"audit_retention_days":99999999999}"#,
            422,
            "audit_retention_days",
        ),
        ("POST", "/api/v1/scans", br#"{"targets":["10.0.0.0/99"]}"#, 422, "targets"),
        ("POST", "/api/v1/scans", br#"{"targets":["0.0.0.0/0"]}"#, 422, "targets"),
    ];
    for (method, path, body, status, field) in cases {
        let ask = Ask::new(method, path).by(&login).header("X-CSRF-Token", &login.csrf).json(*body);
        let answer = site.ask(ask).await;
        let text = answer.text();
        assert_eq!(answer.status, *status, "{path} {}: {text}", String::from_utf8_lossy(body));
        if !field.is_empty() {
            let named = answer.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
            assert!(named.starts_with(field), "{text}");
        }
    }
    for (query, field) in [
        ("limit=abc", "limit"),
        ("limit=0", "limit"),
        ("nope=1", "nope"),
        ("kind=toaster", "kind"),
        ("sort=x", "sort"),
        ("cursor=x", "cursor"),
    ] {
        let answer = site.get(&login, &format!("/api/v1/assets?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
}

#[rstest]
#[tokio::test]
async fn ten_megabytes_are_a_413_with_and_without_a_length(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let write = || Ask::new("POST", "/api/v1/tags").by(&login).header("X-CSRF-Token", &login.csrf);
    let answer = site.ask(write().json(vec![b'x'; 10_000_000])).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (413, Some("/problems/too_large")));
    let mut chunked = Vec::new();
    for _ in 0..20 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&vec![b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let head = format!(
        "POST /api/v1/tags HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nX-CSRF-Token: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        site.host(),
        login.cookie,
        login.csrf
    );
    let answer = site.raw(&[head.as_bytes(), &chunked].concat()).await;
    assert_eq!(answer.status, 413);
}

/// One test, so that the waits run side by side.
#[rstest]
#[tokio::test]
async fn a_slow_client_is_not_waited_for_without_end(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let began = Instant::now();
    let silent = async {
        let mut stream = site.connect().await;
        read_answer(&mut stream, false).await
    };
    let half_a_head = async {
        let mut stream = site.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.expect("writes");
        stream.flush().await.expect("flushes");
        read_answer(&mut stream, false).await
    };
    let half_a_body = async {
        let mut stream = site.connect().await;
        let head = format!(
            "POST /api/v1/tags HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nX-CSRF-Token: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
            site.host(),
            login.cookie,
            login.csrf
        );
        stream.write_all(head.as_bytes()).await.expect("writes");
        stream.flush().await.expect("flushes");
        read_answer(&mut stream, false).await
    };
    let all = async { tokio::join!(silent, half_a_head, half_a_body) };
    let (silent, head, body) =
        tokio::time::timeout(Duration::from_secs(25), all).await.expect("nobody waits longer");
    assert!(silent.is_none() && head.is_none());
    assert_eq!(body.expect("an answer").status, 408);
    assert!(began.elapsed() >= Duration::from_secs(14));
}

#[rstest]
#[tokio::test]
async fn a_version_guards_against_lost_updates(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let tag = json!({ "name": "rack", "color": "#112233" });
    let made = site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await;
    let path = format!("/api/v1/tags/{}", made.json()["id"].as_str().expect("an id"));
    let read = site.get(&login, &path).await;
    assert_eq!(read.one("etag"), "\"1\"");
    let change_at = |version: &str| {
        let change = json!({ "name": "shelf" });
        site.ask(Ask::new("PATCH", &path).header("If-Match", version).write(&login, &change))
    };
    assert_eq!(change_at("\"1\"").await.status, 200);
    for stale in ["\"1\"", "\"x\"", "nonsense"] {
        assert_eq!(change_at(stale).await.status, 412, "{stale}");
    }
    assert_eq!(change_at("*").await.status, 200);
    let delete = |version: &str| {
        site.ask(Ask::new("DELETE", &path).header("If-Match", version).write(&login, &json!({})))
    };
    assert_eq!(delete("\"1\"").await.status, 412);
    assert_eq!(delete("\"3\"").await.status, 204);
    assert_eq!(site.get(&login, &path).await.status, 404);
}

/// What no route takes is told as that, whatever else may be wrong with the request.
#[rstest]
#[tokio::test]
async fn a_method_or_path_that_is_not_there_is_told_first(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    for (method, path) in [
        ("DELETE", "/api/v1/assets"),
        ("PUT", "/api/v1/tags"),
        ("POST", "/api/v1/health"),
        ("PATCH", "/api/v1/auth/login"),
    ] {
        let bare = Ask::new(method, path).by(&login);
        let form = Ask::new(method, path).by(&login).header("Content-Type", "text/plain").body("x");
        let token = Ask::new(method, path).header("Authorization", format!("Bearer {}", TestApp::API_TOKEN));
        for ask in [bare, form, token] {
            let answer = site.ask(ask).await;
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            assert!(
                answer.one("allow").contains("GET") || answer.one("allow").contains("POST"),
                "{method} {path}"
            );
        }
        assert_eq!(
            site.ask(Ask::new(method, path)).await.status,
            401,
            "{method} {path}: strangers learn nothing"
        );
    }
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/nothing").by(&login)).await.status, 404);
    // The control: what is there asks for everything.
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").by(&login).body("{}")).await.status, 415);
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").by(&login).json("{}")).await.status, 403);
    let stream = site.get(&login, "/api/v1/topology/stream").await;
    assert_eq!((stream.status, stream.one("upgrade")), (426, "websocket"), "{}", stream.text());
}
