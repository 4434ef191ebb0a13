//! What comes in from outside: only what proves itself, once, and in its own words.

use std::time::Instant;

use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_vault::webhook::{Key, sign};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Answer, Ask, Login, Site};

const BODY: &[u8] = br#"{"title":"Disk full","severity":"critical","text":"sda1"}"#;

/// A hook, and the secret that was shown once.
struct Hook {
    id: String,
    secret: String,
}

impl Site {
    async fn hook(&self, admin: &Login, format: &str) -> Hook {
        let input = json!({ "name": format!("The {format}"), "format": format });
        let made = self.post(admin, "/api/v1/hooks", input).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made = made.json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        assert_eq!(text("path"), format!("/api/v1/hooks/{}", text("id")));
        Hook { id: text("id"), secret: text("secret") }
    }

    fn seconds(&self) -> i64 {
        self.test.app.now().timestamp()
    }

    /// A signed message, as a library of Standard Webhooks makes it.
    async fn signed(&self, hook: &Hook, id: &str, at: i64, body: &[u8]) -> Answer {
        let key = Key::parse(&cb_core::Secret::new(hook.secret.clone())).expect("a key");
        let signature = sign(&[key], id, at, body);
        self.ask(message(&hook.id, id, &at.to_string(), &signature, body)).await
    }

    /// A message with a token.
    async fn shown(&self, hook: &str, authorization: impl AsRef<[u8]>, body: &[u8]) -> Answer {
        let ask = Ask::new("POST", &format!("/api/v1/hooks/{hook}"));
        self.ask(ask.header("Authorization", authorization).json(body)).await
    }

    async fn seen(&self, by: &Login, hook: &Hook) -> Value {
        self.get(by, &format!("/api/v1/hooks/{}", hook.id)).await.json()
    }

    async fn events(&self, by: &Login, hook: &Hook) -> Vec<Value> {
        let page = self.get(by, &format!("/api/v1/hooks/{}/events", hook.id)).await.json();
        page["items"].as_array().expect("a list").clone()
    }
}

fn message(hook: &str, id: &str, at: &str, signature: &str, body: &[u8]) -> Ask {
    Ask::new("POST", &format!("/api/v1/hooks/{hook}"))
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature)
        .json(body)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_message_is_taken_once_and_told(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "generic").await;
    let subscriber =
        json!({ "name": "Everything", "url": "https://127.0.0.1:9/", "events": ["hook.received"] });
    let subscriber = site.post(&admin, "/api/v1/webhooks", subscriber).await.json();
    let now = site.seconds();
    let taken = site.signed(&hook, "msg_1", now, BODY).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["repeated"], false);
    let events = site.events(&admin, &hook).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["title"], &events[0]["severity"]), (&json!("Disk full"), &json!("critical")));
    assert_eq!((&events[0]["text"], &events[0]["address"]), (&json!("sda1"), &json!("127.0.0.1")));
    // Somebody's copy, to the second.
    let copy = site.signed(&hook, "msg_1", now, BODY).await;
    assert_eq!(copy.status, 409, "{copy:?}");
    // The sender itself, which has not heard our answer: signed anew, later.
    let retry = site.signed(&hook, "msg_1", now + 5, BODY).await;
    assert_eq!((retry.status, &retry.json()["repeated"]), (200, &json!(true)));
    assert_eq!(retry.json()["id"], taken.json()["id"]);
    assert_eq!(site.signed(&hook, "msg_1", now + 5, BODY).await.status, 409, "a copy of the retry");
    assert_eq!(site.signed(&hook, "msg_1", now + 4, BODY).await.status, 409, "an older one");
    assert_eq!(site.events(&admin, &hook).await.len(), 1);
    let seen = site.seen(&admin, &hook).await;
    assert_eq!((&seen["received"], &seen["refused"]), (&json!(1), &json!(3)));
    assert_eq!(seen["secret"], Value::Null, "never again");
    let deliveries = format!("/api/v1/webhooks/{}/deliveries", subscriber["id"].as_str().expect("an id"));
    let deliveries = site.get(&admin, &deliveries).await.json();
    assert_eq!(deliveries["items"].as_array().map(Vec::len), Some(1), "told once");
    assert_eq!(deliveries["items"][0]["kind"], "hook.received");
    assert_eq!(deliveries["items"][0]["payload"]["data"]["hook"]["id"], json!(hook.id));
    let log = site.get(&admin, "/api/v1/audit-log?action=hook_received").await.json();
    assert_eq!(log["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(log["items"][0]["actor"]["name"], "hook (The generic)");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_copies_at_once_one_is_told(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "generic").await;
    let now = site.seconds();
    let copies = (0..16).map(|_| site.signed(&hook, "msg_1", now, BODY));
    let answers = futures_util::future::join_all(copies).await;
    let taken = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(taken, 1, "{answers:?}");
    assert!(answers.iter().all(|a| matches!(a.status, 200 | 409)));
    assert_eq!(site.events(&admin, &hook).await.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_proves_nothing_hears_one_answer(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let (hook, other) = (site.hook(&admin, "generic").await, site.hook(&admin, "alertmanager").await);
    let off = site.hook(&admin, "proxmox").await;
    let path = format!("/api/v1/hooks/{}", off.id);
    assert_eq!(site.patch(&admin, &path, json!({ "enabled": false })).await.status, 200);
    let now = site.seconds();
    let at = now.to_string();
    let key = |secret: &str| Key::parse(&cb_core::Secret::new(secret.to_owned())).expect("a key");
    let right = sign(&[key(&hook.secret)], "msg_1", now, BODY);
    let nil = uuid::Uuid::nil().to_string();
    let ask = |id: &str| Ask::new("POST", &format!("/api/v1/hooks/{id}"));
    let altered = BODY.to_ascii_uppercase();
    let asks = [
        ("no such hook", message(&nil, "msg_1", &at, &right, BODY)),
        ("switched off", ask(&off.id).header("Authorization", format!("Bearer {}", off.secret)).json(BODY)),
        ("nothing shown", ask(&hook.id).json(BODY)),
        (
            "no signature",
            ask(&hook.id).header("webhook-id", "msg_1").header("webhook-timestamp", &at).json(BODY),
        ),
        ("another id", message(&hook.id, "msg_2", &at, &right, BODY)),
        ("another time", message(&hook.id, "msg_1", &(now + 1).to_string(), &right, BODY)),
        ("another body", message(&hook.id, "msg_1", &at, &right, &altered)),
        ("bytes", message(&hook.id, "msg_1", &at, "v1,\u{e4}\u{fffd}", BODY)),
        ("another key", {
            let wrong =
                sign(&[Key::parse(&Key::generate(&cb_core::OsEntropy)).expect("a key")], "msg_1", now, BODY);
            message(&hook.id, "msg_1", &at, &wrong, BODY)
        }),
        (
            "two signatures",
            message(&hook.id, "msg_1", &at, &right, BODY).header("Webhook-Signature", "v1,AAAA"),
        ),
        (
            "the secret itself",
            ask(&hook.id).header("Authorization", format!("Bearer {}", hook.secret)).json(BODY),
        ),
        ("a wrong token", ask(&other.id).header("Authorization", "Bearer cb_hook_x").json(BODY)),
        ("no token", ask(&other.id).header("Authorization", "Bearer ").json(BODY)),
        (
            "another scheme",
            ask(&other.id).header("Authorization", format!("Basic {}", other.secret)).json(BODY),
        ),
        (
            "another hook's",
            ask(&other.id).header("Authorization", format!("Bearer {}", off.secret)).json(BODY),
        ),
        ("the operator's", {
            let token = format!("Bearer {}", cb_testkit::TestApp::API_TOKEN);
            ask(&other.id).header("Authorization", token).json(BODY)
        }),
        ("no text", ask(&other.id).header("Authorization", b"Bearer \xff\xfe").json(BODY)),
    ];
    let mut said = Vec::new();
    for (what, ask) in asks {
        let answer = site.ask(ask).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let mut body = answer.json();
        body.as_object_mut().expect("a problem").remove("request_id");
        said.push(body);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(site.events(&admin, &hook).await.len() + site.events(&admin, &other).await.len(), 0);
    let seen = site.seen(&admin, &hook).await;
    assert_eq!(seen["refused"], 9);
    assert!(seen["last_refused_reason"].as_str().is_some_and(|r| r.contains("webhook-signature")), "{seen}");
    assert_eq!(site.seen(&admin, &off).await["refused"], 0, "one that is off counts nothing");
    // The control.
    assert_eq!(site.ask(message(&hook.id, "msg_1", &at, &right, BODY)).await.status, 200);
    // Why it failed is for who may change it.
    site.user(&admin, "grace", "editor").await;
    let editor = site.signed_in("grace").await;
    assert_eq!(site.seen(&editor, &hook).await["last_refused_reason"], Value::Null);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_of_these_five_minutes(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "generic").await;
    let now = site.seconds();
    for (off, status) in [(-301, 422), (-299, 200), (0, 200), (299, 200), (302, 422)] {
        let answer = site.signed(&hook, &format!("msg_{off}"), now + off, BODY).await;
        assert_eq!(answer.status, status, "{off}: {answer:?}");
        if status == 422 {
            assert_eq!(answer.json()["errors"][0]["field"], "webhook-timestamp");
        }
    }
    // What was signed in time is too old later, and is not taken for new once it is forgotten.
    site.test.clock.advance(TimeDelta::minutes(6));
    assert_eq!(site.signed(&hook, "msg_0", now, BODY).await.status, 422);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_enough_for_who_cannot_sign_and_the_same_words_are_told_once(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "uptime_kuma").await;
    assert!(hook.secret.starts_with("cb_hook_"));
    let bearer = format!("Bearer {}", hook.secret);
    let body = |msg: &str| json!({ "msg": msg, "heartbeat": null, "monitor": null }).to_string().into_bytes();
    for (msg, repeated) in [("one", false), ("one", true), ("two", false), ("one", true)] {
        let answer = site.shown(&hook.id, &bearer, &body(msg)).await;
        assert_eq!((answer.status, &answer.json()["repeated"]), (200, &json!(repeated)), "{msg}");
    }
    assert_eq!(site.shown(&hook.id, format!("bearer {}", hook.secret), &body("three")).await.status, 200);
    assert_eq!(site.events(&admin, &hook).await.len(), 3);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_later_are_news_and_a_test_always_is(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let subscriber =
        json!({ "name": "Everything", "url": "https://127.0.0.1:9/", "events": ["hook.received"] });
    let subscriber = site.post(&admin, "/api/v1/webhooks", subscriber).await.json();
    let (hook, kuma) = (site.hook(&admin, "alertmanager").await, site.hook(&admin, "uptime_kuma").await);
    let bearer = format!("Bearer {}", hook.secret);
    let alert = json!({
        "status": "firing", "groupLabels": null, "commonAnnotations": null,
        "alerts": [{ "status": "firing", "labels": { "alertname": "HostDown" }, "startsAt": "2026-01-01T00:00:00Z" }],
    })
    .to_string();
    // A retry; the other one of two Alertmanagers; and hours later its reminder.
    let mut told = 0;
    for (minutes, repeated) in [(0, false), (0, true), (4, true), (2, false), (1, true), (240, false)] {
        site.test.clock.advance(TimeDelta::minutes(minutes));
        let answer = site.shown(&hook.id, &bearer, alert.as_bytes()).await;
        assert_eq!((answer.status, &answer.json()["repeated"]), (200, &json!(repeated)), "{minutes}");
        told += usize::from(!repeated);
        assert_eq!(site.events(&admin, &hook).await.len(), told, "the hook's list shows each");
    }
    // Of many at once one is told.
    site.test.clock.advance(TimeDelta::hours(4));
    let copies = (0..8).map(|_| site.shown(&hook.id, &bearer, alert.as_bytes()));
    let answers = futures_util::future::join_all(copies).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let fresh = answers.iter().filter(|answer| answer.json()["repeated"] == json!(false)).count();
    told += 1;
    assert_eq!((fresh, site.events(&admin, &hook).await.len()), (1, told));
    let deliveries = format!("/api/v1/webhooks/{}/deliveries", subscriber["id"].as_str().expect("an id"));
    let deliveries = site.get(&admin, &deliveries).await.json();
    assert_eq!(deliveries["items"].as_array().map(Vec::len), Some(told), "each is told");

    let bearer = format!("Bearer {}", kuma.secret);
    for told in 1..=3 {
        let test = br#"{"heartbeat":null,"monitor":null,"msg":"Breaker Testing"}"#;
        let answer = site.shown(&kuma.id, &bearer, test).await;
        assert_eq!((answer.status, &answer.json()["repeated"]), (200, &json!(false)));
        assert_eq!(site.events(&admin, &kuma).await.len(), told);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_lets_the_old_one_live_for_a_day(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let mut hooks = Vec::new();
    for format in ["generic", "proxmox"] {
        let old = site.hook(&admin, format).await;
        let fresh = site.post(&admin, &format!("/api/v1/hooks/{}/secret", old.id), json!({})).await.json();
        assert!(fresh["previous_secret_until"].is_string(), "{fresh}");
        let fresh =
            Hook { id: old.id.clone(), secret: fresh["secret"].as_str().expect("a secret").to_owned() };
        hooks.push((format, old, fresh));
    }
    let works = async |format: &str, hook: &Hook, title: &str| {
        let body = json!({ "title": title }).to_string().into_bytes();
        let answer = if format == "generic" {
            site.signed(hook, title, site.seconds(), &body).await
        } else {
            site.shown(&hook.id, format!("Bearer {}", hook.secret), &body).await
        };
        answer.status == 200
    };
    for (format, old, fresh) in &hooks {
        assert!(works(format, old, "1").await && works(format, fresh, "2").await, "{format}: both");
    }
    site.test.clock.advance(TimeDelta::hours(24));
    for (format, old, fresh) in &hooks {
        assert!(!works(format, old, "3").await && works(format, fresh, "4").await, "{format}: one");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn sixty_a_minute_are_taken_and_what_proves_nothing_does_not_count(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "generic").await;
    let now = site.seconds();
    // Redis lets one more in each second of its own clock.
    let began = Instant::now();
    for n in 0..20 {
        let wrong = message(&hook.id, &format!("w{n}"), &now.to_string(), "v1,AAAA", BODY);
        assert_eq!(site.ask(wrong).await.status, 401);
    }
    let mut taken = 0;
    let refused = loop {
        let answer = site.signed(&hook, &format!("msg_{taken}"), now, BODY).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.one("retry-after").parse::<u32>().is_ok());
    let most = 60 + began.elapsed().as_secs() + 1;
    assert!((60..=most).contains(&taken), "{taken}, not {most}");
    // One address may not ask for ever, whatever it shows: two more each second, beyond 120.
    let mut asked = 20 + taken + 1;
    while site.ask(message(&hook.id, "w", "0", "v1,AAAA", BODY)).await.status == 401 {
        asked += 1;
        assert!(asked <= 120 + 2 * (began.elapsed().as_secs() + 1), "no end");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_its_format_says_where_and_can_be_sent_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "generic").await;
    let now = site.seconds();
    for (body, field) in [
        (&br#"{"title":7}"#[..], "title"),
        (br#"{"title":"a","severity":"purple"}"#, "severity"),
        (br#"{"title":"a","colour":"red"}"#, "colour"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"", "body"),
    ] {
        let answer = site.signed(&hook, "msg_1", now, body).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!(field)), "{answer:?}");
    }
    let seen = site.seen(&admin, &hook).await;
    assert!(
        seen["last_refused_reason"]
            .as_str()
            .is_some_and(|r| r.contains("does not have the format of this hook")),
        "{seen}"
    );
    assert_eq!(site.signed(&hook, "msg_1", now, BODY).await.status, 200, "mended, the same id");
    assert_eq!(site.signed(&hook, &"x".repeat(201), now, BODY).await.status, 422);
    assert_eq!(site.signed(&hook, "", now, BODY).await.status, 422);
    let large = vec![b' '; (1 << 20) + 1];
    let before = site.seen(&admin, &hook).await["refused"].as_i64().expect("a number");
    assert_eq!(site.signed(&hook, "msg_2", now, &large).await.status, 413);
    let seen = site.seen(&admin, &hook).await;
    assert_eq!(seen["refused"], before + 1);
    assert!(seen["last_refused_reason"].as_str().is_some_and(|r| r.contains("larger than 1 MiB")), "{seen}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_content_type_or_method_names_what_to_change_at_the_sender(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    for (format, change) in [
        ("alertmanager", "Grafana a contact point with the integration Webhook"),
        ("uptime_kuma", "Preset - application/json"),
        ("proxmox", "header Content-Type with the value application/json"),
    ] {
        let hook = site.hook(&admin, format).await;
        let bearer = format!("Bearer {}", hook.secret);
        let path = format!("/api/v1/hooks/{}", hook.id);
        for said in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"] {
            let ask = |authorization: &str| {
                let ask = Ask::new("POST", &path).header("Content-Type", said);
                ask.header("Authorization", authorization).body("title=a")
            };
            let answer = site.ask(ask(&bearer)).await;
            assert_eq!(answer.status, 415, "{format} {said}: {answer:?}");
            assert!(answer.json()["detail"].as_str().is_some_and(|d| d.contains(change)), "{answer:?}");
            // Who proves nothing hears nothing of its format.
            assert_eq!(site.ask(ask("Bearer cb_hook_x")).await.status, 401);
        }
        let seen = site.seen(&admin, &hook).await;
        assert!(seen["last_refused_reason"].as_str().is_some_and(|r| r.contains("Its token")), "{seen}");
        site.ask(Ask::new("POST", &path).header("Authorization", &bearer).body("title=a")).await;
        let seen = site.seen(&admin, &hook).await;
        assert!(seen["last_refused_reason"].as_str().is_some_and(|r| r.contains(change)), "{seen}");
        for (method, path) in
            [("PUT", path.as_str()), ("GET", &path), ("POST", "/api/v1/hooks"), ("PUT", "/")]
        {
            let ask = Ask::new(method, path).header("Authorization", &bearer).json(b"{}");
            let answer = site.ask(ask).await;
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.contains("set the method to POST") && detail.contains("Proxmox"), "{detail}");
        }
    }
    // A signature covers the body, so it is looked at first.
    let hook = site.hook(&admin, "generic").await;
    let now = site.seconds();
    let key = Key::parse(&cb_core::Secret::new(hook.secret.clone())).expect("a key");
    let signed = Ask::new("POST", &format!("/api/v1/hooks/{}", hook.id))
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", now.to_string())
        .header("webhook-signature", sign(&[key], "msg_1", now, b"title=a"))
        .header("Content-Type", "text/plain")
        .body("title=a");
    let answer = site.ask(signed).await;
    assert_eq!(answer.status, 415, "{answer:?}");
    assert_eq!(site.events(&admin, &hook).await.len(), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_cut_and_told(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "proxmox").await;
    let bearer = format!("Bearer {}", hook.secret);
    // The backups of 200 guests with their logs.
    let report = "INFO: Finished Backup of VM 100 (00:00:12)\n".repeat(60_000);
    let body = json!({ "title": "vzdump backup status", "message": report, "severity": "error" }).to_string();
    assert!(body.len() > 2 << 20);
    let answer = site.shown(&hook.id, &bearer, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Nobody who shows nothing has so much read.
    let stranger = site.shown(&hook.id, "Bearer cb_hook_x", body.as_bytes()).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
    let events = site.events(&admin, &hook).await;
    assert_eq!(
        (&events[0]["title"], &events[0]["severity"]),
        (&json!("vzdump backup status"), &json!("critical"))
    );
    let text = events[0]["text"].as_str().expect("a text");
    assert!(text.ends_with('…') && text.chars().count() <= 4_000, "{}", text.len());

    let larger = vec![b' '; (8 << 20) + 1];
    for repeated in [false, true] {
        let answer = site.shown(&hook.id, &bearer, &larger).await;
        assert_eq!((answer.status, &answer.json()["repeated"]), (200, &json!(repeated)), "{answer:?}");
    }
    let events = site.events(&admin, &hook).await;
    assert_eq!(events.len(), 2);
    let unread = |event: &&Value| event["title"].as_str().is_some_and(|title| title.contains("too large"));
    assert_eq!(events.iter().find(unread).expect("told")["severity"], "warning");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_made_changed_and_removed_by_who_may(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let hook = site.hook(&admin, "alertmanager").await;
    for (input, field) in [
        (json!({ "name": "", "format": "generic" }), "name"),
        (json!({ "name": "a", "format": "grafana" }), "format"),
        (json!({ "name": "a" }), "format"),
        (json!({ "name": "a", "format": "generic", "secret": "x" }), "secret"),
    ] {
        let answer = site.post(&admin, "/api/v1/hooks", input).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!(field)), "{answer:?}");
    }
    let taken = json!({ "name": "the ALERTMANAGER", "format": "generic" });
    assert_eq!(site.post(&admin, "/api/v1/hooks", taken).await.status, 409);
    let path = format!("/api/v1/hooks/{}", hook.id);
    assert_eq!(site.patch(&admin, &path, json!({ "name": "Prometheus" })).await.json()["name"], "Prometheus");
    assert_eq!(
        site.patch(&admin, &path, json!({ "format": "generic" })).await.status,
        422,
        "its secret would be of no use"
    );
    site.user(&admin, "grace", "editor").await;
    let editor = site.signed_in("grace").await;
    assert_eq!(site.get(&editor, "/api/v1/hooks").await.json()["items"][0]["name"], "Prometheus");
    for (method, path) in [("POST", "/api/v1/hooks"), ("PATCH", &path), ("DELETE", &path)] {
        assert_eq!(site.ask(Ask::new(method, path).write(&editor, &json!({}))).await.status, 403, "{method}");
    }
    assert_eq!(site.ask(Ask::new("DELETE", &path).write(&admin, &json!({}))).await.status, 204);
    assert_eq!(site.get(&admin, &path).await.status, 404);
    let late = site.shown(&hook.id, format!("Bearer {}", hook.secret), b"{}").await;
    assert_eq!(late.status, 401, "{late:?}");
}
