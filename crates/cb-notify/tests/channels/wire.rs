//! The shape of each request, as the service's documentation has it, and the meaning of each answer.

use std::time::Duration;

use cb_core::Severity;
use cb_core::form::Secrets;
use cb_notify::End;
use cb_notify::channels::{Channel, Kind, Sender};
use serde_json::json;

use crate::server::{Heard, Reply, Server, reply};
use crate::{LINK, http, notice, outbound, public, secret, set_up, tell, tell_with};

/// What a service says when it took the message.
fn taken(kind: Kind) -> Reply {
    match kind {
        Kind::Slack => reply(200, "ok"),
        Kind::Telegram => reply(200, r#"{"ok":true,"result":{"message_id":1}}"#),
        Kind::Pushover => reply(200, r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#),
        Kind::Teams => reply(202, ""),
        _ => reply(200, "{}"),
    }
}

async fn asked(kind: Kind, severity: Severity) -> Heard {
    let server = Server::start(move |_| taken(kind)).await;
    let answer = tell(kind, &server, &notice(severity, "Scan finished", "3 new devices\n1 gone")).await;
    assert_eq!((answer.end, answer.error), (End::Delivered, None), "{kind:?}");
    let heard = server.only();
    assert_eq!(heard.method, if kind == Kind::Matrix { "PUT" } else { "POST" }, "{kind:?}");
    assert!(heard.header("user-agent").starts_with("circuit-breaker/"), "{heard:?}");
    let form = kind == Kind::Pushover;
    let content = if form { "application/x-www-form-urlencoded" } else { "application/json" };
    assert_eq!(heard.header("content-type"), content, "{kind:?}");
    heard
}

#[tokio::test]
async fn ntfy() {
    let heard = asked(Kind::Ntfy, Severity::Warning).await;
    assert_eq!(heard.path, "/");
    assert_eq!(heard.header("authorization"), "Bearer tk_geheim_4711_abc");
    assert_eq!(
        heard.json(),
        json!({
            "topic": "attic", "title": "Scan finished", "message": "3 new devices\n1 gone",
            "priority": 4, "tags": ["warning"], "click": LINK,
        })
    );
    let server = Server::start(|_| taken(Kind::Ntfy)).await;
    let fields = public(&[("server", &server.base()), ("topic", "attic"), ("user", "maria")]);
    let short = notice(Severity::Critical, "Only a title", "");
    tell_with(Kind::Ntfy, &server, &fields, &secret(&[("password", "pä:ss")]), None, &short).await;
    let heard = server.only();
    assert_eq!(heard.header("authorization"), "Basic bWFyaWE6cMOkOnNz");
    let body = heard.json();
    assert_eq!(
        (&body["message"], &body["title"], &body["priority"]),
        (&json!("Only a title"), &json!(null), &json!(5))
    );
    let server = Server::start(|_| taken(Kind::Ntfy)).await;
    let fields = public(&[("server", &server.base()), ("topic", "attic")]);
    tell_with(Kind::Ntfy, &server, &fields, &Secrets::new(), None, &short).await;
    assert_eq!(server.only().header("authorization"), "");
}

#[tokio::test]
async fn gotify() {
    let heard = asked(Kind::Gotify, Severity::Critical).await;
    assert_eq!(heard.path, "/gotify/message");
    assert_eq!(heard.header("x-gotify-key"), "AgeheimXY4711zz");
    assert_eq!(
        heard.json(),
        json!({
            "title": "Scan finished", "message": "3 new devices\n1 gone", "priority": 8,
            "extras": {
                "client::display": { "contentType": "text/plain" },
                "client::notification": { "click": { "url": LINK } },
            },
        })
    );
}

#[tokio::test]
async fn discord() {
    let heard = asked(Kind::Discord, Severity::Warning).await;
    assert_eq!(heard.path, "/api/webhooks/1234567890/geheim-4711_Ab?thread_id=7&wait=true");
    assert_eq!(
        heard.json(),
        json!({
            "content": "Scan finished",
            "embeds": [{
                "title": "Open", "description": "3 new devices\n1 gone", "color": 0xF1_C4_0F, "url": LINK,
                "timestamp": "2026-11-25T20:00:00.000000Z", "footer": { "text": "Circuit Breaker · warning" },
            }],
            "allowed_mentions": { "parse": [] },
        })
    );
}

#[tokio::test]
async fn slack() {
    let heard = asked(Kind::Slack, Severity::Info).await;
    assert_eq!(heard.path, "/services/T0/B0/geheim4711Ab");
    let text = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let link = json!({ "type": "mrkdwn", "text": "<https://cb.lan/discovery?scan=1&amp;x=%222%22|Open>" });
    assert_eq!(
        heard.json(),
        json!({
            "text": format!("Scan finished\n3 new devices\n1 gone\n{}", link["text"].as_str().expect("a link")),
            "blocks": [
                { "type": "header", "text": text("Scan finished") },
                { "type": "section", "text": text("3 new devices\n1 gone") },
                { "type": "context", "elements": [text("Circuit Breaker · info"), link] },
            ],
            "unfurl_links": false, "unfurl_media": false,
        })
    );
}

#[tokio::test]
async fn teams() {
    let heard = asked(Kind::Teams, Severity::Critical).await;
    assert_eq!(heard.path, "/workflows/geheim4711/run?api-version=1&sig=Ge%2FheimAbc");
    let body = heard.json();
    assert_eq!(body["type"], "message");
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    let runs: Vec<_> =
        card["body"].as_array().expect("blocks").iter().map(|b| b["inlines"][0].clone()).collect();
    assert_eq!(
        runs[0],
        json!({ "type": "TextRun", "text": "Scan finished", "size": "large", "weight": "bolder", "color": "attention" })
    );
    assert_eq!((&runs[1]["text"], &runs[2]["text"]), (&json!("3 new devices"), &json!("1 gone")));
    assert_eq!(card["actions"], json!([{ "type": "Action.OpenUrl", "title": "Open", "url": LINK }]));
}

#[tokio::test]
async fn telegram() {
    let heard = asked(Kind::Telegram, Severity::Info).await;
    assert_eq!(heard.path, "/bot123456:geheim-4711_Ab/sendMessage");
    let link = "<a href=\"https://cb.lan/discovery?scan=1&amp;x=%222%22\">Open</a>";
    assert_eq!(
        heard.json(),
        json!({
            "chat_id": "-100123", "parse_mode": "HTML", "link_preview_options": { "is_disabled": true },
            "text": format!("<b>Scan finished</b>\n3 new devices\n1 gone\n{link}"),
        })
    );
}

#[tokio::test]
async fn matrix() {
    let heard = asked(Kind::Matrix, Severity::Info).await;
    assert_eq!(
        heard.path,
        "/_matrix/client/v3/rooms/!ab%2Fc:matrix.lan/send/m.room.message/0190b3a0-0000-7000-8000-000000000001"
    );
    assert_eq!(heard.header("authorization"), "Bearer syt_geheim_4711");
    let link = "<a href=\"https://cb.lan/discovery?scan=1&amp;x=%222%22\">Open</a>";
    assert_eq!(
        heard.json(),
        json!({
            "msgtype": "m.text", "body": format!("Scan finished\n3 new devices\n1 gone\n{LINK}"),
            "format": "org.matrix.custom.html",
            "formatted_body": format!("<strong>Scan finished</strong><br>3 new devices<br>1 gone<br>{link}"),
            "m.mentions": {},
        })
    );
}

#[tokio::test]
async fn pushover() {
    let heard = asked(Kind::Pushover, Severity::Critical).await;
    assert_eq!(heard.path, "/1/messages.json");
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(heard.body.as_bytes()).into_owned().collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("token", "a4711geheimAbcDefGhiJklMnoPqrs"),
            ("user", "u4711geheimAbcDefGhiJklMnoPqrs"),
            ("title", "Scan finished"),
            ("message", "3 new devices\n1 gone"),
            ("priority", "1"),
            ("timestamp", "1795636800"),
            ("device", "phone"),
            ("url", LINK),
            ("url_title", "Open"),
        ]
    );
}

#[tokio::test]
async fn webhook() {
    let heard = asked(Kind::Webhook, Severity::Info).await;
    assert_eq!(heard.path, "/hook/geheim4711Abc");
    assert_eq!(heard.header("authorization"), "Bearer bearer/geheim+4711==");
    assert_eq!(
        heard.json(),
        json!({
            "type": "scan.finished", "timestamp": "2026-11-25T20:00:00Z",
            "data": {
                "scan_id": "1", "title": "Scan finished", "text": "3 new devices\n1 gone",
                "severity": "info", "url": LINK,
            },
        })
    );
}

/// What a service says, and what becomes of it: the end, words of the error, seconds to wait.
type Case = (Kind, u16, &'static str, End, &'static str, Option<u64>);

const CASES: &[Case] = &[
    (
        Kind::Ntfy,
        401,
        r#"{"code":40101,"http":401,"error":"unauthorized"}"#,
        End::Refused,
        "ntfy refuses the message: unauthorized",
        None,
    ),
    (
        Kind::Ntfy,
        429,
        r#"{"code":42901,"http":429,"error":"limit reached"}"#,
        End::Retry,
        "ntfy cannot accept the message now: limit reached",
        None,
    ),
    (
        Kind::Gotify,
        401,
        r#"{"error":"Unauthorized","errorDescription":"you need to provide a valid token"}"#,
        End::Refused,
        "Gotify refuses the message: you need to provide a valid token",
        None,
    ),
    (
        Kind::Discord,
        400,
        r#"{"message":"Cannot send an empty message","code":50006}"#,
        End::Refused,
        "Discord refuses the message: Cannot send an empty message",
        None,
    ),
    (
        Kind::Discord,
        404,
        r#"{"message":"Unknown Webhook","code":10015}"#,
        End::Gone,
        "Discord refuses the message: Unknown Webhook",
        None,
    ),
    (
        Kind::Discord,
        429,
        r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
        End::Retry,
        "Discord cannot accept the message now: You are being rate limited.",
        Some(65),
    ),
    (
        Kind::Slack,
        403,
        "invalid_token",
        End::Refused,
        "Rocket.Chat) refuses the message: invalid_token",
        None,
    ),
    (Kind::Slack, 200, "no_text", End::Refused, "Rocket.Chat) refuses the message: no_text", None),
    (Kind::Slack, 200, "", End::Refused, "Rocket.Chat) refuses the message: its answer is empty", None),
    (Kind::Slack, 200, r#"{"success":true}"#, End::Delivered, "", None),
    (Kind::Slack, 200, r#"{"success":false}"#, End::Refused, "refuses the message", None),
    (
        Kind::Slack,
        410,
        "channel_is_archived",
        End::Gone,
        "Rocket.Chat) refuses the message: channel_is_archived",
        None,
    ),
    (Kind::Slack, 502, "<html>Bad gateway</html>", End::Retry, "the receiver has an internal error", None),
    (
        Kind::Teams,
        400,
        r#"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The workflow is disabled."}}"#,
        End::Refused,
        "Microsoft Teams refuses the message: The workflow is disabled.",
        None,
    ),
    (
        Kind::Telegram,
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
        End::Refused,
        "Telegram refuses the message: Bad Request: chat not found",
        None,
    ),
    (
        Kind::Telegram,
        200,
        r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked"}"#,
        End::Refused,
        "Telegram refuses the message: Forbidden: bot was blocked",
        None,
    ),
    (
        Kind::Telegram,
        429,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":33}}"#,
        End::Retry,
        "Telegram cannot accept the message now: Too Many Requests",
        Some(33),
    ),
    (
        Kind::Telegram,
        200,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":33}}"#,
        End::Retry,
        "Telegram cannot accept the message now: Too Many Requests",
        Some(33),
    ),
    (
        Kind::Telegram,
        400,
        r#"{"ok":false,"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1007}}"#,
        End::Refused,
        "the group has a new number; enter -1007 as the chat",
        None,
    ),
    (
        Kind::Telegram,
        200,
        "<html>a captive portal</html>",
        End::Refused,
        "does not answer as Telegram does",
        None,
    ),
    (
        Kind::Matrix,
        403,
        r#"{"errcode":"M_FORBIDDEN","error":"User not in room"}"#,
        End::Refused,
        "Matrix refuses the message: User not in room",
        None,
    ),
    (
        Kind::Matrix,
        429,
        r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":2001}"#,
        End::Retry,
        "Matrix cannot accept the message now: Too many requests",
        Some(3),
    ),
    (
        Kind::Pushover,
        400,
        r#"{"user":"invalid","errors":["user identifier is invalid"],"status":0}"#,
        End::Refused,
        "Pushover refuses the message: user identifier is invalid",
        None,
    ),
    (
        Kind::Pushover,
        200,
        r#"{"errors":["application token is invalid"],"status":0}"#,
        End::Refused,
        "Pushover refuses the message: application token is invalid",
        None,
    ),
    (
        Kind::Pushover,
        200,
        "<html>a captive portal</html>",
        End::Refused,
        "does not answer as Pushover does",
        None,
    ),
    (Kind::Webhook, 404, "nothing here", End::Refused, "the receiver refuses the message", None),
    (Kind::Webhook, 410, "", End::Gone, "does not accept any more messages", None),
];

#[tokio::test]
async fn an_answer_means_what_the_service_means_by_it() {
    for (kind, status, body, end, error, wait) in CASES {
        let server = Server::start(move |_| reply(*status, *body)).await;
        let answer = tell(*kind, &server, &notice(Severity::Info, "Scan finished", "")).await;
        let said = answer.error.clone().unwrap_or_default();
        assert_eq!(answer.end, *end, "{kind:?} {status} {body}: {said}");
        assert_eq!(answer.status, Some(*status), "{kind:?} {body}");
        assert!(said.contains(error), "{kind:?} {status} {body}: {said}");
        assert_eq!(answer.retry_after, wait.map(Duration::from_secs), "{kind:?} {status} {body}");
    }
}

#[tokio::test]
async fn every_service_may_ask_to_be_left_alone_and_may_be_in_trouble() {
    for kind in http() {
        let server =
            Server::start(|_| Reply { headers: vec![("retry-after", "42".to_owned())], ..reply(429, "{}") })
                .await;
        let answer = tell(kind, &server, &notice(Severity::Info, "Scan finished", "")).await;
        assert_eq!((answer.end, answer.retry_after), (End::Retry, Some(Duration::from_secs(42))), "{kind:?}");
        let server = Server::start(|_| reply(503, "down")).await;
        let answer = tell(kind, &server, &notice(Severity::Info, "Scan finished", "")).await;
        assert_eq!((answer.end, answer.status), (End::Retry, Some(503)), "{kind:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_and_a_redirect_not_followed() {
    for kind in http() {
        let server = Server::start(|_| reply(200, "x".repeat(100 << 10))).await;
        let answer = tell(kind, &server, &notice(Severity::Info, "Scan finished", "")).await;
        let said = answer.error.clone().unwrap_or_default();
        assert!(answer.end == End::Retry && said.contains("too large"), "{kind:?}: {answer:?}");
        let elsewhere = Server::start(|_| reply(200, "ok")).await;
        let to = format!("{}/", elsewhere.base());
        let server =
            Server::start(move |_| Reply { headers: vec![("location", to.clone())], ..reply(307, "") }).await;
        let answer = tell(kind, &server, &notice(Severity::Info, "Scan finished", "")).await;
        assert!(answer.end == End::Refused && elsewhere.heard().is_empty(), "{kind:?}: {answer:?}");
        assert!(answer.error.unwrap_or_default().contains("redirects"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_trusted_by_its_fingerprint_only() {
    let server = Server::sealed(|_| reply(200, "{}")).await;
    let (public, secrets) = set_up(Kind::Gotify, &server.base());
    let notice = notice(Severity::Info, "Scan finished", "");
    let answer = tell_with(Kind::Gotify, &server, &public, &secrets, None, &notice).await;
    assert!(answer.end == End::Retry && server.heard().is_empty(), "{answer:?}");
    let answer = tell_with(Kind::Gotify, &server, &public, &secrets, server.pin, &notice).await;
    assert_eq!((answer.end, answer.error), (End::Delivered, None));
}

#[tokio::test]
async fn where_a_channel_may_not_lead_is_told_at_its_field() {
    let sender = Sender::new(outbound());
    let check = async |kind: Kind, base: &str| {
        let (public, secrets) = set_up(kind, base);
        sender.check(&Channel { kind, public: &public, secrets: &secrets, pin: None }).await
    };
    for kind in http() {
        let told = check(kind, "http://169.254.169.254").await;
        match kind {
            Kind::Telegram | Kind::Pushover => assert_eq!(told, Ok(())),
            Kind::Ntfy | Kind::Gotify | Kind::Matrix => {
                assert_eq!(told.expect_err("metadata").0, "public.server");
            }
            _ => {
                let (field, reason) = told.expect_err("metadata");
                assert_eq!(field, "secret.url", "{kind:?}");
                assert!(!reason.contains("geheim"), "{reason}");
            }
        }
    }
    // On the user's network only what the user runs there.
    for kind in [Kind::Ntfy, Kind::Gotify, Kind::Matrix, Kind::Slack, Kind::Webhook] {
        assert_eq!(check(kind, "http://10.0.0.5").await, Ok(()), "{kind:?}");
    }
    for kind in [Kind::Discord, Kind::Teams] {
        let reason = check(kind, "https://10.0.0.5").await.expect_err("private").1;
        assert!(reason.contains("only to addresses on the Internet"), "{kind:?}: {reason}");
    }
    let mail = public(&[("host", "169.254.169.254"), ("from", "a@b.c"), ("to", "a@b.c")]);
    let channel = Channel { kind: Kind::Email, public: &mail, secrets: &Secrets::new(), pin: None };
    assert_eq!(sender.check(&channel).await.expect_err("metadata").0, "public.host");
}
