//! Long answers are compressed; answers with secrets never are.

use std::io::Read as _;

use cb_api::compression::may_be_compressed;
use cb_testkit::Database::{self, Postgres, Sqlite};
use flate2::read::GzDecoder;
use http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::audit::unchunked;
use crate::site::{Ask, Login, Site};

/// The head, in lower case, and the body as it came over the wire.
async fn get(site: &Site, by: &Login, path: &str, accepted: &str) -> (String, Vec<u8>) {
    let mut stream = site.connect().await;
    let ask = Ask::new("GET", path).by(by).header("Host", site.host()).header("Accept-Encoding", accepted);
    stream.write_all(&ask.header("Connection", "close").bytes()).await.expect("sent");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
    let body = &all[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body).0 } else { body.to_vec() };
    (head, body)
}

fn plain(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    text
}

#[rstest]
#[tokio::test]
async fn a_long_answer_is_compressed_for_who_can_read_it(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    for n in 0..40 {
        let asset = json!({ "name": format!("device {n}"), "kind": "device" });
        assert_eq!(site.post(&admin, "/api/v1/assets", asset).await.status, 201);
    }
    for path in ["/api/v1/assets?limit=500", "/api/v1/map", "/api/v1/assets/export", "/api/v1/audit-log"] {
        let (head, as_is) = get(&site, &admin, path, "identity").await;
        assert!(!head.contains("content-encoding"), "{path}: {head}");
        assert!(head.contains("vary: accept-encoding"), "{path}: {head}");
        let (head, packed) = get(&site, &admin, path, "gzip, deflate, br").await;
        assert!(head.contains("content-encoding: gzip\r\n"), "{path}: {head}");
        assert!(packed.len() * 3 < as_is.len(), "{path}: {} of {}", packed.len(), as_is.len());
        assert_eq!(plain(&packed), String::from_utf8_lossy(&as_is), "{path}");
    }
    // Short ones, those with an ETag, problems, and those that may show a secret are sent as they are.
    let long = "x".repeat(5_000);
    let made = site
        .post(&admin, "/api/v1/assets", json!({ "name": "long", "kind": "device", "notes": long }))
        .await
        .json();
    let one = format!("/api/v1/assets/{}", made["id"].as_str().expect("an id"));
    for path in [one.as_str(), "/api/v1/health", "/api/v1/auth/me", "/api/v1/audit-log?action=nothing"] {
        let (head, _) = get(&site, &admin, path, "gzip").await;
        assert!(!head.contains("content-encoding"), "{path}: {head}");
    }
}

/// A new route whose answer shows a secret must be one that is not compressed.
#[test]
fn no_answer_that_shows_a_secret_is_compressed() {
    const SECRETS: [&str; 8] = [
        "secret",
        "token",
        "codes",
        "csrf_token",
        "signing_secret",
        "registration_token",
        "mfa_token",
        "password",
    ];
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let (mut harmless, mut secret) = (0, 0);
    for (path, item) in document["paths"].as_object().expect("paths") {
        let found = fields(&document, &item["get"]["responses"], 0);
        if item["get"].is_null() {
            continue;
        }
        let shows = found.iter().any(|field| SECRETS.contains(&field.as_str()));
        secret += u32::from(shows);
        harmless += u32::from(!shows);
        assert!(!shows || !may_be_compressed(&Method::GET, path), "GET {path} shows {found:?}");
        assert!(!may_be_compressed(&Method::POST, path), "POST {path}");
    }
    assert!(secret > 0 && harmless > 20, "{secret} {harmless}");
}

/// The names of all fields of an answer, at any depth. A yes or no is no secret, and the fields of an object are looked at themselves.
fn fields(document: &Value, at: &Value, depth: u32) -> Vec<String> {
    assert!(depth < 40, "a schema that has itself in it");
    match at {
        Value::Object(all) => all
            .iter()
            .flat_map(|(key, value)| {
                let mut found = if key == "properties" {
                    value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter(|(_, of)| of["type"] != "boolean" && of["type"] != "object")
                        .map(|(name, _)| name.clone())
                        .collect()
                } else {
                    Vec::new()
                };
                let target = value.as_str().filter(|_| key == "$ref").and_then(|r| r.rsplit('/').next());
                found.extend(match target {
                    Some(name) => fields(document, &document["components"]["schemas"][name], depth + 1),
                    None => fields(document, value, depth + 1),
                });
                found
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(|one| fields(document, one, depth + 1)).collect(),
        _ => Vec::new(),
    }
}
