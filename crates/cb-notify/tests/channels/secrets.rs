//! A service that echoes everything it was asked puts no secret into the log of deliveries.

use cb_core::Severity;
use cb_notify::channels::Kind;
use serde_json::json;

use crate::server::{Heard, Server, reply};
use crate::{http, notice, public, secret, set_up, tell, tell_with};

type Echo = (&'static str, fn(&Heard) -> String);

/// Every way that a service could put a request into its answer.
fn echoes() -> [Echo; 5] {
    [
        ("as it came", |heard| heard.raw.clone()),
        ("address", |heard| format!("no route for {} {}", heard.method, heard.path)),
        ("headers", |heard| {
            let of = |name: &str| heard.header(name).to_owned();
            format!("unknown key {}{}", of("authorization"), of("x-gotify-key"))
        }),
        ("body", |heard| heard.body.clone()),
        ("in its words", |heard| {
            let all =
                format!("{} {} {:?}", heard.path, heard.body.get(..140).unwrap_or_default(), heard.headers);
            json!({
                "error": { "message": all }, "errorDescription": all, "message": all, "description": all, "ok": false,
                "errors": [all], "status": 0, "errcode": all,
            })
            .to_string()
        }),
    ]
}

#[tokio::test]
async fn no_secret_is_in_what_is_remembered_of_an_answer() {
    for kind in http() {
        for (how, echo) in echoes() {
            for status in [200, 400, 500] {
                let server = Server::start(move |heard| reply(status, echo(heard))).await;
                let answer =
                    tell(kind, &server, &notice(Severity::Info, "Scan finished", "3 new devices")).await;
                assert_eq!(server.heard().len(), 1);
                let said = format!("{:?} {:?}", answer.error, answer.excerpt);
                assert!(!said.to_lowercase().contains("geheim"), "{kind:?} {how} {status}: {said}");
                let (_, secrets) = set_up(kind, &server.base());
                for secret in secrets.values() {
                    assert!(!said.contains(secret.expose()), "{kind:?} {how} {status}: {said}");
                }
            }
        }
    }
}

/// A user name and a password are sent as one, which looks like neither.
#[tokio::test]
async fn a_password_that_was_encoded_is_known_again() {
    let server =
        Server::start(|heard| reply(401, format!("unknown: {}", heard.header("authorization")))).await;
    let fields = public(&[("server", &server.base()), ("topic", "attic"), ("user", "anna")]);
    let password = secret(&[("password", "geheim4711")]);
    let notice = notice(Severity::Info, "Scan finished", "");
    let answer = tell_with(Kind::Ntfy, &server, &fields, &password, None, &notice).await;
    assert_eq!(server.only().header("authorization"), "Basic YW5uYTpnZWhlaW00NzEx");
    assert!(!format!("{answer:?}").contains("YW5uYTpn"), "{answer:?}");
}

/// Nothing is left out for no reason.
#[tokio::test]
async fn an_answer_without_secrets_is_remembered() {
    let server = Server::start(|_| reply(400, r#"{"error":"topic is reserved"}"#)).await;
    let answer = tell(Kind::Ntfy, &server, &notice(Severity::Info, "Scan finished", "")).await;
    assert_eq!(answer.excerpt.as_deref(), Some(r#"{"error":"topic is reserved"}"#));
}
