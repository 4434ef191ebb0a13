//! Slack (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): blocks by an incoming webhook, whose
//! address is the secret. Mattermost and Rocket.Chat take the same request, on the user's own network too; they show its `text`
//! and no blocks.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;
use url::Url;

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, line, lines, quiet};
use super::{Http, Service, Stands, Telling, Way};
use crate::{Answer, End};

const HEADER_MOST: usize = 150;
const SECTION_MOST: usize = 3_000;
const LINK_MOST: usize = 2_000;

pub(super) const SERVICE: Service = Service {
    title: "Slack (or Mattermost, Rocket.Chat)",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![
            Field::line("url", "Webhook URL")
                .most(1024)
                .help("The URL of a Slack app with incoming webhooks (https://hooks.slack.com/services/…), or of an incoming webhook of Mattermost or Rocket.Chat."),
        ],
    )
}

/// Only what the user runs is reached without TLS.
fn judge(wrong: &mut Violations, _: &Public, secrets: &Secrets) {
    let url = secrets.get("url").and_then(|url| Url::parse(url.expose()).ok());
    let slacks = |host: &str| {
        let host = host.trim_end_matches('.');
        ["slack.com", "slack-gov.com"].iter().any(|own| {
            host.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    wrong.require(
        url.is_none_or(|url| url.scheme() == "https" || !url.host_str().is_some_and(slacks)),
        "secret.url",
        "Enter the whole address that Slack shows, including https://.",
    );
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
        let address = fitted(link, LINK_MOST, characters, address);
        context.push(json!({ "type": "mrkdwn", "text": format!("<{address}|Open>") }));
    }
    blocks.push(json!({ "type": "context", "elements": context }));
    // What a notification shows, and all that Mattermost and Rocket.Chat show.
    let mut whole = fitted(&quiet(&line(&notice.title)), HEADER_MOST, characters, escaped);
    let more = fitted(&quiet(&lines(&notice.text)), SECTION_MOST, characters, escaped);
    if !more.is_empty() {
        whole = format!("{whole}\n{more}");
    }
    if let Some(link) = telling.link.filter(|link| link.len() <= LINK_MOST) {
        whole = format!("{whole}\n<{}|Open>", fitted(link, LINK_MOST, characters, address));
    }
    let body = json!({ "text": whole, "blocks": blocks, "unfurl_links": false, "unfurl_media": false });
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
        let reason = if said.text.trim().is_empty() { "its answer is empty" } else { said.text };
        said.fails(answer, Some(reason));
    }
}
