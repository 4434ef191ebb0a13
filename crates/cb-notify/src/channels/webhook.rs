//! Anything that takes JSON: what a webhook of ours sends, without its signature, and with a token if the other side wants one.
//! For what can verify a signature a webhook is better.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;
use serde_json::{Value, json};

use super::request::{Outgoing, Said};
use super::{Http, Service, Stands, Telling, Way, require_token};
use crate::Answer;

pub(super) const SERVICE: Service = Service {
    title: "Webhook without signature",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![
            // For many receivers the address is all that proves who may write.
            Field::line("url", "URL").most(2048).help("Gets a POST with JSON"),
            Field::line("token", "Bearer token").most(8 << 10).optional(),
        ],
    )
}

fn judge(wrong: &mut Violations, _: &Public, secrets: &Secrets) {
    require_token(wrong, secrets, "token");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let notice = telling.notice;
    let mut data = match &notice.data {
        Value::Object(fields) => fields.clone(),
        _ => serde_json::Map::new(),
    };
    data.insert("title".to_owned(), json!(notice.title));
    data.insert("text".to_owned(), json!(notice.text));
    data.insert("severity".to_owned(), json!(notice.severity));
    data.insert("url".to_owned(), json!(telling.link));
    let body =
        json!({ "type": notice.kind, "timestamp": cb_core::clock::fixed_width(notice.at), "data": data });
    let outgoing = Outgoing::json(Method::POST, telling.url.clone(), &body);
    match telling.secret("token") {
        Some(token) => outgoing.bearer(token),
        None => outgoing,
    }
}

fn judged(_: &mut Answer, _: &Said<'_>) {}
