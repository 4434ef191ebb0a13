//! A webhook: one request with the notice as JSON, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.

use std::time::Duration;

use cb_core::clock::Time;
use cb_core::notice::Notice;
use cb_net::http::{Limits, Pin, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_vault::webhook::{Key, sign};
use chrono::SecondsFormat;
use http::{Request, header};
use serde_json::{Value, json};
use url::Url;

use crate::answer::{Answer, End};

/// A redirect is never followed: the address was judged and signed for, the next one was not asked for.
const LIMITS: Limits = Limits {
    total: Duration::from_secs(15),
    connect: Duration::from_secs(5),
    body: 64 << 10,
    headers: 32 << 10,
    redirects: 0,
};

/// Who is told, and with what it is signed.
pub struct Webhook {
    pub url: String,
    pub pin: Option<Pin>,
    /// The current one first.
    pub keys: Vec<Key>,
}

impl Webhook {
    /// One try at `now`.
    pub async fn tell(
        &self,
        outbound: &Outbound,
        notice: &Notice,
        public: Option<&Url>,
        now: Time,
    ) -> Answer {
        let body = payload(notice, public).to_string().into_bytes();
        let (id, timestamp) = (notice.id.to_string(), now.timestamp());
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign(&self.keys, &id, timestamp, &body))
            .body(body);
        let Ok(request) = request else {
            return Answer::failed(End::Refused, "the address cannot be requested; enter it again");
        };
        let outbound = outbound.trusting(self.pin.map_or(Tls::System, Tls::Pinned));
        Answer::of(outbound.send(Policy::Lan, request, LIMITS).await)
    }
}

/// What is sent. `public` is where people find us.
pub fn payload(notice: &Notice, public: Option<&Url>) -> Value {
    let mut data = match &notice.data {
        Value::Object(map) => map.clone(),
        _ => serde_json::Map::new(),
    };
    data.insert("title".to_owned(), json!(notice.title));
    data.insert("text".to_owned(), json!(notice.text));
    data.insert("severity".to_owned(), json!(notice.severity));
    data.insert("url".to_owned(), json!(link(notice, public)));
    json!({
        "type": notice.kind,
        "timestamp": notice.at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "data": data,
    })
}

/// The page of ours that shows it, as others reach it.
pub fn link(notice: &Notice, public: Option<&Url>) -> Option<String> {
    Some(public?.join(notice.path.as_deref()?).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use cb_core::notice::{Notice, NoticeKind, Severity};
    use serde_json::json;

    use super::payload;

    fn notice() -> Notice {
        Notice {
            id: uuid::Uuid::nil(),
            kind: NoticeKind::ScanFinished,
            at: "2026-01-01T12:00:00Z".parse().expect("a time"),
            severity: Severity::Info,
            title: "A scan has finished".to_owned(),
            text: String::new(),
            path: Some("/discovery?scan=1".to_owned()),
            data: json!({ "hosts": 3, "title": "of the data" }),
        }
    }

    #[test]
    fn what_is_sent_names_kind_time_and_the_page_for_people() {
        let public = "https://cb.example.org:8443/".parse().expect("a URL");
        assert_eq!(
            payload(&notice(), Some(&public)),
            json!({
                "type": "scan.finished",
                "timestamp": "2026-01-01T12:00:00Z",
                "data": {
                    "hosts": 3, "title": "A scan has finished", "text": "", "severity": "info",
                    "url": "https://cb.example.org:8443/discovery?scan=1",
                },
            })
        );
        assert_eq!(payload(&notice(), None)["data"]["url"], json!(null));
    }
}
