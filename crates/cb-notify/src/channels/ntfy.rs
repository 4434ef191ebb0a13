//! ntfy (https://docs.ntfy.sh/publish/): a message as JSON, posted to the server itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::Severity;
use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::json;
use url::Url;

use super::request::{Outgoing, Said};
use super::text::{bytes, fitted, line, lines, plain};
use super::{Http, Service, Stands, Telling, Way, require_token};
use crate::Answer;

/// A longer message becomes an attachment, which a server may not take.
const MESSAGE_MOST: usize = 4_000;
const TITLE_MOST: usize = 250;

pub(super) const SERVICE: Service = Service {
    title: "ntfy",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::Public("server"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        vec![
            Field::line("server", "Server").most(500).binding().help("Enter https://ntfy.sh or the address of your own server."),
            Field::line("topic", "Topic")
                .most(64)
                .help("On a public server, anyone who knows the topic can read it. Choose a topic that is hard to guess."),
            Field::line("user", "Username").optional().binding().help("Enter it together with a password, not with a token."),
        ],
        vec![
            Field::line("token", "Access token").most(1024).optional(),
            Field::line("password", "Password").most(1024).optional(),
        ],
    )
}

fn judge(wrong: &mut Violations, public: &Public, secrets: &Secrets) {
    let topic = public.get("topic").is_none_or(|topic| {
        topic.len() <= 64 && topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    });
    wrong.require(topic, "public.topic", "Use only letters, digits, - and _.");
    // Below a path ntfy takes the JSON for the text itself.
    let below = |url: &String| Url::parse(url).is_ok_and(|url| url.path() != "/");
    wrong.require(
        !public.get("server").is_some_and(below),
        "public.server",
        "Enter nothing after the host. The topic has its own field.",
    );
    let user = public.get("user");
    wrong.require(
        user.is_none_or(|user| !user.contains(':')),
        "public.user",
        "Enter a username without a colon.",
    );
    let has = |name: &str| secrets.contains_key(name);
    wrong.require(
        user.is_none() || has("password"),
        "secret.password",
        "Enter the password for this username.",
    );
    // A username that was refused is not missing.
    wrong.require(
        user.is_some() || !has("password") || wrong.names("public.user"),
        "public.user",
        "Enter the username for this password.",
    );
    wrong.require(
        user.is_none() || !has("token"),
        "secret.token",
        "Enter either an access token or a username, but not both.",
    );
    require_token(wrong, secrets, "token");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let title = fitted(&line(&notice.title), TITLE_MOST, bytes, plain);
    let text = fitted(&lines(&notice.text), MESSAGE_MOST, bytes, plain);
    let (priority, tag) = match notice.severity {
        Severity::Info => (3, "information_source"),
        Severity::Warning => (4, "warning"),
        Severity::Critical => (5, "rotating_light"),
    };
    let mut body = json!({
        "topic": telling.public("topic").unwrap_or_default(), "priority": priority, "tags": [tag],
    });
    if text.is_empty() {
        // ntfy puts a word of its own in place of a message that is not there.
        body["message"] = json!(title);
    } else {
        body["title"] = json!(title);
        body["message"] = json!(text);
    }
    if let Some(link) = telling.link {
        body["click"] = json!(link);
    }
    let outgoing = Outgoing::json(Method::POST, telling.url.clone(), &body);
    match (telling.public("user"), telling.secret("password"), telling.secret("token")) {
        (Some(user), Some(password), _) => {
            let basic = STANDARD.encode(format!("{user}:{password}"));
            outgoing.with("authorization", format!("Basic {basic}"))
        }
        (_, _, Some(token)) => outgoing.bearer(token),
        _ => outgoing,
    }
}

fn judged(answer: &mut Answer, said: &Said<'_>) {
    said.explains(answer, said.json["error"].as_str());
}
