//! Anything that takes JSON: what a webhook of ours sends, without its signature, and with a token if the other side wants one.
//! For what can verify a signature a webhook is better.

use cb_core::error::Violations;
use cb_core::form::{Field, Form, Public, Secrets};
use cb_net::judge::Policy;
use http::Method;

use super::request::{Outgoing, Said};
use super::{Http, Service, Stands, Telling, Way, require_token};
use crate::Answer;

pub(super) const SERVICE: Service = Service {
    title: "Webhook without signature",
    policy: Policy::Lan,
    form,
    judge,
    way: Way::Http(Http { stands: Stands::Secret("url"), request, judged, look: None }),
};

fn form() -> Form {
    Form::new(
        Vec::new(),
        vec![
            // For many receivers the address is all that proves who may write.
            Field::line("url", "URL")
                .most(2048)
                .help("The server sends a POST request with JSON to this URL."),
            Field::line("token", "Bearer token").most(8 << 10).optional(),
        ],
    )
}

fn judge(wrong: &mut Violations, _: &Public, secrets: &Secrets) {
    require_token(wrong, secrets, "token");
}

fn request(telling: &Telling<'_>) -> Outgoing {
    let body = crate::webhook::payload(telling.notice, telling.home);
    let outgoing = Outgoing::json(Method::POST, telling.url.clone(), &body);
    match telling.secret("token") {
        Some(token) => outgoing.bearer(token),
        None => outgoing,
    }
}

fn judged(_: &mut Answer, _: &Said<'_>) {}
