//! Slack (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): blocks by an incoming webhook, whose
//! address is the secret.

use cb_core::form::{Field, Form};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, line, lines};
use super::{Http, Service, Stands, Telling, Way, no_rules};
use crate::{Answer, End};

const HEADER_MOST: usize = 150;
const SECTION_MOST: usize = 3_000;

pub(super) const SERVICE: Service = Service {
    title: "Slack",
    policy: Policy::Public,
    form,
    judge: no_rules,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![
            Field::line("url", "Webhook URL")
                .most(1024)
                .help("Of an app with incoming webhooks, https://hooks.slack.com/services/…"),
        ],
    )
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let title = fitted(&line(&notice.title), HEADER_MOST, characters, escaped);
    let text = fitted(&lines(&notice.text), SECTION_MOST, characters, escaped);
    let unformatted = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": unformatted(&title) })];
    if !text.is_empty() {
        blocks.push(json!({ "type": "section", "text": unformatted(&text) }));
    }
    let mut context = vec![unformatted(&format!("Circuit Breaker · {}", notice.severity.as_str()))];
    if let Some(link) = telling.link {
        let address = fitted(link, 2_000, characters, address);
        context.push(json!({ "type": "mrkdwn", "text": format!("<{address}|Open>") }));
    }
    blocks.push(json!({ "type": "context", "elements": context }));
    // The text is what a notification shows.
    let body = json!({ "text": title, "blocks": blocks, "unfurl_links": false, "unfurl_media": false });
    Outgoing::json(Method::POST, telling.url.clone(), &body)
}

/// The three characters that are Slack's own.
fn escaped(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn address(c: char, out: &mut String) {
    match c {
        '|' => out.push_str("%7C"),
        c => escaped(c, out),
    }
}

/// Slack says `ok`; whoever imitates it, an object that says so. Everything else is a reason.
fn judged(answer: &mut Answer, said: &Said<'_>) {
    if answer.end != End::Delivered {
        let short = !said.text.trim_start().starts_with(['<', '{']);
        return said.explains(answer, Some(said.text).filter(|_| short));
    }
    let agrees = ["ok", "success"].iter().any(|name| said.json[*name].as_bool() == Some(true));
    if said.text.trim() != "ok" && !agrees {
        let reason = if said.text.trim().is_empty() { "it answers nothing" } else { said.text };
        said.fails(answer, Some(reason));
    }
}
