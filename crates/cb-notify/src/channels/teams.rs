//! Microsoft Teams (https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook): an adaptive card for a workflow that
//! waits for a webhook request; its address is the secret.

use cb_core::Severity;
use cb_core::form::{Field, Form};
use cb_net::judge::Policy;
use http::Method;
use serde_json::{Value, json};

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, line, lines, plain};
use super::{Http, Service, Stands, Telling, Way, no_rules};
use crate::Answer;

const TITLE_MOST: usize = 250;
/// Teams takes 28 KB; a character may have six bytes as JSON, and each line costs some more.
const TEXT_MOST: usize = 3_000;
const LINES_MOST: usize = 40;

pub(super) const SERVICE: Service = Service {
    title: "Microsoft Teams",
    policy: Policy::Public,
    form,
    judge: no_rules,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![
            Field::line("url", "Workflow URL")
                .most(2048)
                .help("The URL of the workflow “Send webhook alerts to a channel”."),
        ],
    )
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let colour = match notice.severity {
        Severity::Info => "default",
        Severity::Warning => "warning",
        Severity::Critical => "attention",
    };
    // A text run knows no markdown, as a text block would: nothing in it links or formats.
    let run = |text: &str, look: Value| {
        let mut run = json!({ "type": "TextRun", "text": text });
        for (name, value) in look.as_object().into_iter().flatten() {
            run[name] = value.clone();
        }
        json!({ "type": "RichTextBlock", "inlines": [run], "spacing": "small" })
    };
    let title = fitted(&line(&notice.title), TITLE_MOST, characters, plain);
    let mut blocks = vec![run(&title, json!({ "size": "large", "weight": "bolder", "color": colour }))];
    let text = fitted(&lines(&notice.text), TEXT_MOST, characters, plain);
    let mut said = text.lines().filter(|line| !line.trim().is_empty());
    blocks.extend(said.by_ref().take(LINES_MOST).map(|line| run(line, json!({}))));
    if said.next().is_some() {
        blocks.push(run("…", json!({})));
    }
    let severity = format!("Circuit Breaker · {}", notice.severity.as_str());
    blocks.push(run(&severity, json!({ "size": "small", "isSubtle": true })));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    });
    if let Some(link) = telling.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": link }]);
    }
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        }],
    });
    Outgoing::json(Method::POST, telling.url.clone(), &body)
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    said.explains(answer, said.json["error"]["message"].as_str());
}
