//! Gotify (https://gotify.net/docs/pushmsg): a message as JSON, with the token of an application.

use cb_core::Severity;
use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;

use super::request::{Outgoing, Said};
use super::text::{bytes, fitted, line, lines, plain};
use super::{Http, Service, Stands, Telling, Way, require_token};
use crate::Answer;

/// Gotify names no limit; a phone shows no more.
const MESSAGE_MOST: usize = 8_000;
const TITLE_MOST: usize = 250;

pub(super) const SERVICE: Service = Service {
    title: "Gotify",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::Public("server"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        vec![
            Field::line("server", "Server")
                .most(500)
                .binding()
                .help("Enter the address of your server, such as https://gotify.lan."),
        ],
        vec![
            Field::line("token", "Application token")
                .help("The token of an application that you create in Gotify."),
        ],
    )
}

fn judge(wrong: &mut Violations, _: &Public, secrets: &Secrets) {
    require_token(wrong, secrets, "token");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let title = fitted(&line(&notice.title), TITLE_MOST, bytes, plain);
    let text = fitted(&lines(&notice.text), MESSAGE_MOST, bytes, plain);
    // The app: up to 3 quietly, from 4 with a sound, from 8 loudly.
    let priority = match notice.severity {
        Severity::Info => 3,
        Severity::Warning => 5,
        Severity::Critical => 8,
    };
    // As markdown it would load pictures that a device names.
    let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
    if let Some(link) = telling.link {
        extras["client::notification"] = json!({ "click": { "url": link } });
    }
    let message = if text.is_empty() { &title } else { &text };
    let body = json!({ "title": title, "message": message, "priority": priority, "extras": extras });
    Outgoing::json(Method::POST, telling.below(&["message"]), &body)
        .with("x-gotify-key", telling.secret("token").unwrap_or_default().to_owned())
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    said.explains(answer, said.json["errorDescription"].as_str().or(said.json["error"].as_str()));
}
