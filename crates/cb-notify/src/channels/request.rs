//! What a service's file hands out to be sent, and what it gets back to judge.

use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;
use url::Url;

use super::text;
use crate::{Answer, End};

/// A request, not yet looked at.
pub(super) struct Outgoing {
    method: Method,
    url: Url,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Outgoing {
    pub(super) fn json(method: Method, url: Url, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { method, url, content_type: "application/json", headers: Vec::new(), body }
    }

    pub(super) fn get(url: Url) -> Self {
        let content_type = "application/json";
        Self { method: Method::GET, url, content_type, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn form(url: Url, body: String) -> Self {
        let content_type = "application/x-www-form-urlencoded";
        Self { method: Method::POST, url, content_type, headers: Vec::new(), body: body.into_bytes() }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// What its headers prove, in the form that it is sent in.
    pub(super) fn proofs(&self) -> Vec<String> {
        let last = |value: &str| value.split(' ').next_back().unwrap_or_default().to_owned();
        self.headers.iter().map(|(_, value)| last(value)).collect()
    }

    /// None: a header has a character that no header may have.
    pub(super) fn into_request(self) -> Option<Request<Vec<u8>>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url.as_str())
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::ACCEPT, "application/json, text/plain;q=0.9, */*;q=0.1");
        for (name, value) in self.headers {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(self.body).ok()
    }
}

/// What a service answered.
pub(super) struct Said<'a> {
    pub(super) service: &'static str,
    pub(super) status: StatusCode,
    pub(super) text: &'a str,
    /// Null when it is none.
    pub(super) json: Value,
}

/// Characters of a service's own words.
const REASON_MOST: usize = 200;

impl<'a> Said<'a> {
    pub(super) fn of(service: &'static str, status: StatusCode, body: &'a [u8]) -> Self {
        let json = serde_json::from_slice(body).unwrap_or_default();
        Self { service, status, text: std::str::from_utf8(body).unwrap_or_default(), json }
    }

    /// It did not work, and these are the service's words for it, if it has any.
    pub(super) fn fails(&self, answer: &mut Answer, reason: Option<&str>) {
        let reason = reason
            .map(|reason| text::fitted(&text::line(reason), REASON_MOST, text::characters, text::plain));
        let Some(reason) = reason.filter(|reason| !reason.is_empty()) else { return };
        if answer.end == End::Delivered {
            // It says so in the body only.
            answer.end = End::Refused;
        }
        let verb =
            if answer.end == End::Retry { "cannot accept the message now" } else { "refuses the message" };
        answer.error = Some(format!("{} {verb}: {reason}", self.service));
    }

    /// The same for an answer whose status says already that it did not work.
    pub(super) fn explains(&self, answer: &mut Answer, reason: Option<&str>) {
        if answer.end != End::Delivered && !self.status.is_redirection() {
            self.fails(answer, reason);
        }
    }
}
