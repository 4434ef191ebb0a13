//! Every channel against servers on loopback: what it asks, and what it makes of the answer.

mod hostile;
mod mail;
mod notes;
mod postfix;
mod secrets;
mod server;
mod wire;

use cb_core::form::{Public, Secrets};
use cb_core::{Notice, NoticeKind, Secret, Severity};
use cb_net::http::Pin;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use cb_notify::Answer;
use cb_notify::channels::{Channel, Kind, Sender};
use chrono::{DateTime, Utc};
use serde_json::json;
use server::Server;
use url::Url;

const LINK: &str = "https://cb.lan/discovery?scan=1&x=%222%22";

fn home() -> Url {
    "https://cb.lan/".parse().expect("a URL")
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_636_800, 0).expect("a time")
}

fn notice(severity: Severity, title: &str, text: &str) -> Notice {
    Notice {
        id: "0190b3a0-0000-7000-8000-000000000001".parse().expect("an id"),
        kind: NoticeKind::ScanFinished,
        at: at(),
        severity,
        title: title.to_owned(),
        text: text.to_owned(),
        path: Some("/discovery?scan=1&x=\"2\"".to_owned()),
        data: json!({ "scan_id": "1" }),
    }
}

fn outbound() -> Outbound {
    let here = "127.0.0.1".parse().expect("an entry");
    Outbound::new(vec![here], Vec::new(), Resolver::fixed([]))
}

fn public(fields: &[(&str, &str)]) -> Public {
    fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn secret(fields: &[(&str, &str)]) -> Secrets {
    fields.iter().map(|(name, text)| ((*name).to_owned(), Secret::new((*text).to_owned()))).collect()
}

/// Each kind but mail, set up for a service at `base`.
fn set_up(kind: Kind, base: &str) -> (Public, Secrets) {
    let at = |path: &str| format!("{base}{path}");
    match kind {
        Kind::Ntfy => {
            (public(&[("server", base), ("topic", "attic")]), secret(&[("token", "tk_geheim_4711_abc")]))
        }
        Kind::Gotify => (public(&[("server", &at("/gotify"))]), secret(&[("token", "AgeheimXY4711zz")])),
        Kind::Discord => {
            (Public::new(), secret(&[("url", &at("/api/webhooks/1234567890/geheim-4711_Ab?thread_id=7"))]))
        }
        Kind::Slack => (Public::new(), secret(&[("url", &at("/services/T0/B0/geheim4711Ab"))])),
        Kind::Teams => (
            Public::new(),
            secret(&[("url", &at("/workflows/geheim4711/run?api-version=1&sig=Ge%2FheimAbc"))]),
        ),
        Kind::Telegram => (public(&[("chat_id", "-100123")]), secret(&[("token", "123456:geheim-4711_Ab")])),
        Kind::Matrix => (
            public(&[("server", base), ("room", "!ab/c:matrix.lan")]),
            secret(&[("token", "syt_geheim_4711")]),
        ),
        Kind::Pushover => (
            public(&[("device", "phone")]),
            secret(&[
                ("token", "a4711geheimAbcDefGhiJklMnoPqrs"),
                ("user", "u4711geheimAbcDefGhiJklMnoPqrs"),
            ]),
        ),
        Kind::Webhook => {
            (Public::new(), secret(&[("url", &at("/hook/geheim4711Abc")), ("token", "bearer/geheim+4711==")]))
        }
        Kind::Email => unreachable!("speaks no HTTP"),
    }
}

fn http() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| *kind != Kind::Email)
}

/// Tells `notice` by `kind`, whose service is `server`.
async fn tell(kind: Kind, server: &Server, notice: &Notice) -> Answer {
    let (public, secrets) = set_up(kind, &server.base());
    tell_with(kind, server, &public, &secrets, None, notice).await
}

async fn tell_with(
    kind: Kind,
    server: &Server,
    public: &Public,
    secrets: &Secrets,
    pin: Option<Pin>,
    notice: &Notice,
) -> Answer {
    let sender = Sender::with_hosted(outbound(), server.base().parse().expect("a URL"));
    sender.send(&Channel { kind, public, secrets, pin }, notice, Some(&home())).await
}
