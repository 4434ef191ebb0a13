//! Matrix (https://spec.matrix.org/latest/client-server-api/): an event in a room. The notice's id is the transaction's, so that
//! a second try is no second message.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;

use super::request::{Outgoing, Said};
use super::text::{bytes, fitted, html, html_lines, line, lines, plain};
use super::{Http, Look, Service, Stands, Telling, Way, require_token};
use crate::{Answer, End};

/// An event has 65,536 bytes, with both bodies and all escapes.
const TITLE_MOST: usize = 500;
const TEXT_MOST: usize = 8_000;

pub(super) const SERVICE: Service = Service {
    title: "Matrix",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http {
        stands: Stands::Public("server"),
        request,
        judged,
        look: Some(Look { request: encryption, note: encrypted }),
    }),
};

fn form() -> Form {
    Form::new(
        vec![
            Field::line("server", "Homeserver")
                .most(500)
                .binding()
                .help("The address of its API, such as https://matrix-client.matrix.org."),
            Field::line("room", "Room ID").help("The ID begins with !. The account must have joined the room. The message is sent unencrypted, even in an encrypted room."),
        ],
        vec![Field::line("token", "Access token").most(4096).help("The token of an account that you use only for this.")],
    )
}

fn judge(wrong: &mut Violations, public: &Public, secrets: &Secrets) {
    wrong.require(
        public.get("room").is_none_or(|room| room.len() > 1 && room.starts_with('!') && !room.contains(' ')),
        "public.room",
        "Enter the room's ID, which begins with !, and not its name. You find it in the room's advanced settings.",
    );
    require_token(wrong, secrets, "token");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let (title, text) = (line(&notice.title), lines(&notice.text));
    let mut body = fitted(&title, TITLE_MOST, bytes, plain);
    let mut formatted = format!("<strong>{}</strong>", fitted(&title, TITLE_MOST, bytes, html));
    if !text.is_empty() {
        body = format!("{body}\n{}", fitted(&text, TEXT_MOST, bytes, plain));
        formatted = format!("{formatted}<br>{}", fitted(&text, TEXT_MOST, bytes, html_lines));
    }
    if let Some(link) = telling.link {
        body = format!("{body}\n{link}");
        formatted = format!("{formatted}<br><a href=\"{}\">Open</a>", fitted(link, 2_000, bytes, html));
    }
    let event = json!({
        "msgtype": "m.text",
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": formatted,
        // Given and empty: a device called @room wakes nobody.
        "m.mentions": {},
    });
    let room = telling.public("room").unwrap_or_default();
    let id = notice.id.to_string();
    let path = ["_matrix", "client", "v3", "rooms", room, "send", "m.room.message", &id];
    Outgoing::json(Method::PUT, telling.below(&path), &event)
        .bearer(telling.secret("token").unwrap_or_default())
}

/// Whether the room is encrypted; 404 when it is not.
fn encryption(telling: &Telling<'_>) -> Outgoing {
    let room = telling.public("room").unwrap_or_default();
    let path = ["_matrix", "client", "v3", "rooms", room, "state", "m.room.encryption"];
    Outgoing::get(telling.below(&path)).bearer(telling.secret("token").unwrap_or_default())
}

fn encrypted(said: &Said<'_>) -> Option<&'static str> {
    let encrypted = said.status.is_success() && said.json["algorithm"].is_string();
    encrypted.then_some(
        "This room is encrypted, but the message was sent unencrypted. The homeserver can read it, and clients mark it as unencrypted.",
    )
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    if let Some(millis) = said.json["retry_after_ms"].as_f64().filter(|_| answer.end == End::Retry) {
        answer.wait(millis / 1_000.0);
    }
    said.explains(answer, said.json["error"].as_str().or(said.json["errcode"].as_str()));
}
