//! Pushover (https://pushover.net/api): a message as a form, with the keys of an application and of a user.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_core::{Secret, Severity};
use cb_net::judge::Policy;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::request::{Outgoing, Said};
use super::text::{characters, fitted, line, lines, plain};
use super::{Http, Service, Stands, Telling, Way};
use crate::{Answer, End};

const TITLE_MOST: usize = 250;
const MESSAGE_MOST: usize = 1_024;
const URL_MOST: usize = 512;

pub(super) const SERVICE: Service = Service {
    title: "Pushover",
    policy: Policy::Public,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::At("https://api.pushover.net"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        vec![
            Field::line("device", "Device")
                .most(25)
                .optional()
                .help("Leave it empty to reach all of the user's devices."),
        ],
        vec![
            Field::line("token", "Application token").most(64),
            Field::line("user", "User or group key").most(64),
        ],
    )
}

fn judge(wrong: &mut Violations, public: &Public, secrets: &Secrets) {
    let key =
        |text: &Secret| text.expose().len() == 30 && text.expose().bytes().all(|b| b.is_ascii_alphanumeric());
    for name in ["token", "user"] {
        let whole = secrets.get(name).is_none_or(key);
        wrong.require(
            whole,
            &format!("secret.{name}"),
            "Enter the 30 letters and digits that Pushover shows.",
        );
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b',');
    let device = public.get("device").is_none_or(|name| name.bytes().all(word));
    wrong.require(device, "public.device", "Use only letters, digits, - and _.");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let title = fitted(&line(&notice.title), TITLE_MOST, characters, plain);
    let text = fitted(&lines(&notice.text), MESSAGE_MOST, characters, plain);
    // Without a sound, as always, and also at night.
    let priority = match notice.severity {
        Severity::Info => "-1",
        Severity::Warning => "0",
        Severity::Critical => "1",
    };
    let mut form = Serializer::new(String::new());
    form.append_pair("token", telling.secret("token").unwrap_or_default())
        .append_pair("user", telling.secret("user").unwrap_or_default())
        .append_pair("title", &title)
        .append_pair("message", if text.is_empty() { &title } else { &text })
        .append_pair("priority", priority)
        .append_pair("timestamp", &notice.at.timestamp().to_string());
    if let Some(device) = telling.public("device") {
        form.append_pair("device", device);
    }
    if let Some(link) = telling.link.filter(|link| characters(link) <= URL_MOST) {
        form.append_pair("url", link).append_pair("url_title", "Open");
    }
    Outgoing::form(telling.below(&["1", "messages.json"]), form.finish())
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    let errors = said.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let errors = errors.iter().filter_map(Value::as_str).take(5).collect::<Vec<_>>().join("; ");
    let errors = (!errors.is_empty()).then_some(errors.as_str());
    let status = said.json["status"].as_u64();
    if status.is_some_and(|status| status != 1) {
        said.fails(answer, errors.or(Some("it does not say why")));
    } else if status.is_none() && answer.end == End::Delivered {
        said.fails(answer, Some("it does not answer as Pushover does"));
    }
}
