//! The audit log as a file: whole, in order, and cut off when its reader may no longer read.

use std::net::SocketAddr;

use cb_app::assets::{self, AssetIn, AssetPatch};
use cb_app::{Ctx, tags};
use cb_core::Principal;
use cb_core::audit::{Entry, GENESIS};
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::site::{Ask, Login, Site};

const EXPORT: &str = "/api/v1/audit-log/export";

fn by_the_machine(site: &Site) -> Ctx {
    site.test.app.own_ctx(Principal::Cli)
}

/// The body of a chunked answer (RFC 9112, 7.1), as far as it came, and whether it came to its end.
pub fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..line]).ok().and_then(|n| usize::from_str_radix(n, 16).ok());
        let Some(length) = length else { break };
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = bytes.get(line + 2..line + 2 + length) else { break };
        body.extend_from_slice(chunk);
        bytes = bytes.get(line + 2 + length + 2..).unwrap_or_default();
    }
    (body, false)
}

async fn export(site: &Site, by: &Login, query: &str) -> (String, String, bool) {
    let mut stream = site.connect().await;
    let ask = Ask::new("GET", &format!("{EXPORT}{query}")).by(by).header("Host", site.host());
    stream.write_all(&ask.header("Connection", "close").bytes()).await.expect("sent");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let (body, whole) = unchunked(&all[end + 4..]);
    let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
    (head, String::from_utf8(body).expect("UTF-8"), whole)
}

/// RFC 4180.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'), "lines end with CRLF");
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !quoted, "the file ends with a line");
    rows
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_export_is_the_whole_log_in_order_and_its_chain_can_be_recomputed(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let ctx = by_the_machine(&site);
    for n in 2..=250 {
        let name = if n % 2 == 0 { format!("=cmd|' /C calc'!A{n}, \"x\"") } else { format!("tag {n}") };
        tags::create(&ctx, tags::TagIn { name, color: "#112233".to_owned() }).await.expect("created");
    }
    let (head, text, whole) = export(&site, &admin, "").await;
    assert!(whole && head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/csv; charset=utf-8\r\n"), "{head}");
    let name = "content-disposition: attachment; filename=\"audit-log-20260101t120000z.csv\"";
    assert!(head.contains(name), "{head}");
    let rows = parse(&text);
    assert_eq!(
        rows[0].join(" "),
        "seq at actor_kind actor_id actor_name action entity_kind entity_id detail request_id address agent prev_hash hash"
    );
    // With the header, the vault's first key, setup, its user, and the exceptions that a test has.
    assert_eq!(rows.len(), 254);
    let mut previous = GENESIS.to_owned();
    for (seq, row) in (1..).zip(&rows[1..]) {
        let given = |place: usize| Some(row[place].as_str()).filter(|t| !t.is_empty());
        let entry = Entry {
            seq,
            at: &row[1],
            actor_kind: &row[2],
            actor_id: given(3),
            actor_name: &row[4],
            action: &row[5],
            entity_kind: given(6),
            entity_id: given(7),
            detail: &row[8],
            request_id: given(9),
            address: given(10),
            agent: given(11),
        };
        assert_eq!((row[0].parse(), &row[12]), (Ok(seq), &previous));
        previous = entry.hash(&previous);
        assert_eq!(row[13], previous, "{row:?}");
    }

    let (_, text, _) = export(&site, &admin, "?action=setup_completed").await;
    assert_eq!(parse(&text).len(), 2);
    let (_, text, _) = export(&site, &admin, &format!("?entity_id={}", rows[5][7])).await;
    assert_eq!(parse(&text)[1], rows[5]);
    let (_, text, _) = export(&site, &admin, "?q=CALC%20cmd").await;
    assert_eq!(parse(&text).len(), 126, "the header, and every second tag");
    let (_, text, whole) = export(&site, &admin, "?action=hook_received").await;
    assert_eq!((parse(&text).len(), whole), (1, true));
    for (query, field) in [
        ("?limit=5", "limit"),
        ("?action=nothing", "action"),
        ("?entity_id=x", "entity_id"),
        ("?cursor=5", "cursor"),
    ] {
        let answer = site.get(&admin, &format!("{EXPORT}{query}")).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["field"].as_str()), (422, Some(field)));
    }
    let long = format!("{EXPORT}?q={}", "x".repeat(201));
    assert_eq!(site.get(&admin, &long).await.status, 422);
}

#[rstest]
#[tokio::test]
async fn an_entry_says_where_its_request_came_from_and_by_what(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let agent = format!("Mozilla/5.0 (attic)\t{}", "x".repeat(500));
    let ask = Ask::new("POST", "/api/v1/tags").header("User-Agent", agent);
    let made = site.ask(ask.write(&admin, &json!({ "name": "rack", "color": "#112233" }))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let log = site.get(&admin, "/api/v1/audit-log?q=attic").await.json();
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["address"]), (&json!("tag_created"), &json!("127.0.0.1")));
    let said = entry["agent"].as_str().expect("an agent");
    assert!(said.starts_with("Mozilla/5.0 (attic)x") && said.len() == 200, "{said}");
    assert_eq!(site.get(&admin, "/api/v1/audit-log/verify").await.json()["ok"], true);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client of the test's own, with a receive buffer that fills soon"
)]
async fn small_window(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a small window");
    socket.connect(to).await.expect("connects")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_session_ends_is_cut_off(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let ctx = by_the_machine(&site);
    let asset = serde_json::from_value::<AssetIn>(json!({ "name": "nas", "kind": "storage" }));
    let asset = assets::create(&ctx, asset.expect("an asset")).await.expect("created");
    // More than the buffers between here and there can hold.
    for n in 0..600 {
        let notes = format!("{n}").repeat(20_000 / format!("{n}").len());
        let patch = serde_json::from_value::<AssetPatch>(json!({ "notes": notes })).expect("a patch");
        assets::update(&ctx, asset.id, patch, None).await.expect("updated");
    }
    let mut stream = site.connect_over(small_window(site.https).await).await;
    let ask = Ask::new("GET", EXPORT).by(&admin).header("Host", site.host());
    stream.write_all(&ask.header("Connection", "close").bytes()).await.expect("sent");
    let mut all = vec![0; 4096];
    stream.read_exact(&mut all).await.expect("begun");
    assert!(all.starts_with(b"HTTP/1.1 200"));
    assert_eq!(site.post(&admin, "/api/v1/auth/logout", json!({})).await.status, 204);
    let _ = stream.read_to_end(&mut all).await;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let (body, whole) = unchunked(&all[end + 4..]);
    let lines = String::from_utf8_lossy(&body).matches("\r\n").count();
    assert!(!whole && lines < 602, "{lines} lines came after the session had ended");
}

#[rstest]
#[tokio::test]
async fn how_long_the_log_is_kept_is_set_by_a_person_who_has_just_proved_who_they_are(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let kept = async || site.get(&admin, "/api/v1/settings").await.json()["audit_retention_days"].clone();
    let keep = async |by: &Login, days: serde_json::Value| {
        site.patch(by, "/api/v1/settings", json!({ "audit_retention_days": days })).await
    };
    assert_eq!(kept().await, json!(null), "for ever, unless somebody says otherwise");
    for days in [json!(30), json!(3650), json!(null), json!(90)] {
        assert_eq!(keep(&admin, days.clone()).await.status, 200);
        assert_eq!(kept().await, days);
    }
    let log = site.get(&admin, "/api/v1/audit-log?action=settings_updated&limit=1").await.json();
    assert_eq!(log["items"][0]["detail"], json!({ "audit_retention_days": { "from": null, "to": 90 } }));
    // A token cannot prove who holds it, and a session that has not for a while is asked to.
    let token = site.token(&admin, &["settings:write"]).await;
    let ask = Ask::new("PATCH", "/api/v1/settings").header("Authorization", format!("Bearer {token}"));
    assert_eq!(site.ask(ask.json(r#"{"audit_retention_days":30}"#)).await.status, 403);
    site.user(&admin, "grace", "editor").await;
    assert_eq!(keep(&site.signed_in("grace").await, json!(30)).await.status, 403);
    site.test.clock.advance(chrono::TimeDelta::minutes(11));
    let refused = keep(&admin, json!(30)).await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (403, Some("/problems/proof_required")));
    assert_eq!(kept().await, json!(90));
    assert_eq!(site.get(&admin, "/api/v1/audit-log/verify").await.json()["pruned_through"], json!(null));
}

/// What an entry is about has its name, also when it is called otherwise today, and when it is gone.
#[rstest]
#[tokio::test]
async fn entries_name_what_they_are_about(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let made = site.post(&admin, "/api/v1/assets", json!({ "name": "nas", "kind": "storage" })).await.json();
    let asset = format!("/api/v1/assets/{}", made["id"].as_str().expect("an id"));
    assert_eq!(site.patch(&admin, &asset, json!({ "notes": "in the attic" })).await.status, 200);
    assert_eq!(site.patch(&admin, &asset, json!({ "name": "attic nas" })).await.status, 200);
    let names = async || {
        let path = format!("/api/v1/audit-log?entity_id={}&sort=seq", made["id"].as_str().expect("an id"));
        let log = site.get(&admin, &path).await.json();
        let items = log["items"].as_array().expect("a list").clone();
        items
            .into_iter()
            .map(|entry| (entry["action"].clone(), entry["entity_name"].clone()))
            .collect::<Vec<_>>()
    };
    let today = json!("attic nas");
    assert_eq!(
        names().await,
        [
            (json!("asset_created"), today.clone()),
            (json!("asset_updated"), today.clone()),
            (json!("asset_updated"), today.clone()),
        ]
    );
    assert_eq!(site.delete(&admin, &asset).await.status, 204);
    assert_eq!(
        names().await,
        [
            (json!("asset_created"), today.clone()),
            (json!("asset_updated"), today.clone()),
            (json!("asset_updated"), today.clone()),
            (json!("asset_deleted"), today),
        ]
    );
    // The first page of the oldest is followed by the next, and a word that is no action is refused by its name.
    let first = site.get(&admin, "/api/v1/audit-log?sort=seq&limit=2").await.json();
    assert_eq!((&first["items"][0]["seq"], &first["items"][1]["seq"]), (&json!(1), &json!(2)));
    let next =
        format!("/api/v1/audit-log?sort=seq&limit=2&cursor={}", first["next_cursor"].as_str().expect("more"));
    assert_eq!(site.get(&admin, &next).await.json()["items"][0]["seq"], json!(3));
    let refused = site.get(&admin, "/api/v1/audit-log?action=asset_painted").await;
    assert_eq!((refused.status, refused.json()["errors"][0]["field"].as_str()), (422, Some("action")));
}
