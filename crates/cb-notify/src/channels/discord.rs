//! Discord (https://discord.com/developers/docs/resources/webhook#execute-webhook): a line with an embed by a webhook, whose address
//! is the secret. The line is what a phone shows, as it is; only the embed's text is escaped.

use cb_core::Severity;
use cb_core::clock::fixed_width;
use cb_core::form::{Field, Form};
use cb_net::judge::Policy;
use http::{Method, StatusCode};
use serde_json::json;

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, line, lines, plain, quiet};
use super::{Http, Service, Stands, Telling, Way, no_rules};
use crate::{Answer, End};

const TITLE_MOST: usize = 256;
const DESCRIPTION_MOST: usize = 4_096;
/// "Unknown Webhook": somebody deleted it.
const UNKNOWN_WEBHOOK: u64 = 10_015;

pub(super) const SERVICE: Service = Service {
    title: "Discord",
    policy: Policy::Public,
    form,
    judge: no_rules,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![Field::line("url", "Webhook URL").most(1024).help(
            "In Discord, open the channel settings, Integrations, Webhooks, and copy the webhook URL.",
        )],
    )
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let colour = match notice.severity {
        Severity::Info => 0x34_98_DB,
        Severity::Warning => 0xF1_C4_0F,
        Severity::Critical => 0xE7_4C_3C,
    };
    let mut embed = json!({
        "description": fitted(&quiet(&lines(&notice.text)), DESCRIPTION_MOST, characters, markdown),
        "color": colour,
        "timestamp": fixed_width(notice.at),
        "footer": { "text": format!("Circuit Breaker · {}", notice.severity.as_str()) },
    });
    if let Some(link) = telling.link {
        embed["title"] = json!("Open");
        embed["url"] = json!(link);
    }
    // A device called @everyone wakes nobody.
    let body = json!({
        "content": fitted(&quiet(&line(&notice.title)), TITLE_MOST, characters, plain),
        "embeds": [embed],
        "allowed_mentions": { "parse": [] },
    });
    let mut url = telling.url.clone();
    if !url.query_pairs().any(|(name, _)| name == "wait") {
        // Without it Discord answers before it has looked at the message.
        url.query_pairs_mut().append_pair("wait", "true");
    }
    Outgoing::json(Method::POST, url, &body)
}

/// What still formats a quiet text.
fn markdown(c: char, out: &mut String) {
    if matches!(c, '\\' | '*' | '_' | '~' | '|' | '`' | '<' | '[' | ']') {
        out.push('\\');
    }
    out.push(c);
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    if let Some(seconds) = said.json["retry_after"].as_f64().filter(|_| answer.end == End::Retry) {
        answer.wait(seconds);
    }
    if said.status == StatusCode::NOT_FOUND && said.json["code"].as_u64() == Some(UNKNOWN_WEBHOOK) {
        answer.end = End::Gone;
    }
    said.explains(answer, said.json["message"].as_str());
}
