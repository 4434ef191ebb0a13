//! Telegram (https://core.telegram.org/bots/api#sendmessage): a message by a bot, whose token is a part of the address.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, html, line, lines};
use super::{Http, Service, Stands, Telling, Way};
use crate::{Answer, End};

/// A message has 4,096 characters when its entities are read; escapes are counted here as they are written, so it has fewer.
const TITLE_MOST: usize = 400;
const TEXT_MOST: usize = 3_500;

pub(super) const SERVICE: Service = Service {
    title: "Telegram",
    policy: Policy::Public,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::At("https://api.telegram.org"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        vec![
            Field::line("chat_id", "Chat")
                .most(64)
                .help("The number of the chat, with its minus sign if it has one, or the @name of a public channel."),
            Field::line("thread_id", "Topic").most(20).optional().help("The number of a topic in a group."),
        ],
        vec![Field::line("token", "Bot token").help("As @BotFather shows it, such as 123456:ABC…")],
    )
}

fn judge(wrong: &mut Violations, public: &Public, secrets: &Secrets) {
    let number = |text: &str| text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
    let name = |text: &str| {
        let name = text.strip_prefix('@').unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    wrong.require(
        public.get("chat_id").is_none_or(|id| number(id) || name(id)),
        "public.chat_id",
        "Enter a number such as -1001234567890, or the @name of a public channel.",
    );
    wrong.require(
        public.get("thread_id").is_none_or(|id| number(id) && !id.starts_with('-')),
        "public.thread_id",
        "Enter a number.",
    );
    let whole = secrets.get("token").is_none_or(|token| {
        token.expose().split_once(':').is_some_and(|(bot, key)| {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            !bot.is_empty()
                && bot.bytes().all(|b| b.is_ascii_digit())
                && !key.is_empty()
                && key.bytes().all(word)
        })
    });
    wrong.require(
        whole,
        "secret.token",
        "Enter the token in the form 123456789:AAF…, as @BotFather shows it.",
    );
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let mut text = format!("<b>{}</b>", fitted(&line(&notice.title), TITLE_MOST, characters, html));
    let more = fitted(&lines(&notice.text), TEXT_MOST, characters, html);
    if !more.is_empty() {
        text = format!("{text}\n{more}");
    }
    if let Some(link) = telling.link {
        text = format!("{text}\n<a href=\"{}\">Open</a>", fitted(link, 2_000, characters, html));
    }
    let mut body = json!({
        "chat_id": telling.public("chat_id").unwrap_or_default(),
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
    });
    if let Some(thread) = telling.public("thread_id").and_then(|id| id.parse::<i64>().ok()) {
        body["message_thread_id"] = json!(thread);
    }
    let bot = format!("bot{}", telling.secret("token").unwrap_or_default());
    Outgoing::json(Method::POST, telling.below(&[&bot, "sendMessage"]), &body)
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    let parameters = &said.json["parameters"];
    if said.json["error_code"].as_u64() == Some(429) {
        // Whatever the status is.
        answer.end = End::Retry;
    }
    if let Some(seconds) = parameters["retry_after"].as_f64().filter(|_| answer.end == End::Retry) {
        answer.wait(seconds);
    }
    let description = said.json["description"].as_str();
    if let Some(moved) = parameters["migrate_to_chat_id"].as_i64() {
        return said.fails(answer, Some(&format!("the group has a new number; enter {moved} as the chat")));
    }
    let agrees = said.json["ok"].as_bool();
    if agrees == Some(false) {
        said.fails(answer, description.or(Some("it does not say why")));
    } else if agrees.is_none() && answer.end == End::Delivered {
        said.fails(answer, Some("it does not answer as Telegram does"));
    }
}
