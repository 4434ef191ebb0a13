//! What became of one try to tell somebody, judged in one place, so that every sender tries again alike.

use std::time::Duration;

use cb_net::http::OutboundError;
use http::{HeaderMap, Response, StatusCode, header};

/// Characters of an answer that are kept for the log of deliveries.
const EXCERPT_MOST: usize = 300;
/// A service is not waited for longer than this, whatever it asks.
pub const ASKED_MOST: Duration = Duration::from_hours(1);

/// Whether it is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Delivered,
    /// It may work later.
    Retry,
    /// It will hardly work before somebody changes something. It is tried again all the same: a receiver that is being deployed
    /// answers 404 for a while.
    Refused,
    /// The subscriber wants no more of it (410 Gone, as Standard Webhooks has it).
    Gone,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub end: End,
    /// Of HTTP.
    pub status: Option<u16>,
    /// Why not, in words for an administrator, with what would mend it; no secret and no URL is in it.
    pub error: Option<String>,
    /// Of one that was taken: what a person should know all the same.
    pub note: Option<String>,
    /// The beginning of what was answered, as one line.
    pub excerpt: Option<String>,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Answer {
    pub fn failed(end: End, error: impl Into<String>) -> Self {
        let error = Some(error.into());
        Self { end, status: None, error, note: None, excerpt: None, retry_after: None }
    }

    /// By a way that has no status.
    pub(crate) fn delivered() -> Self {
        Self { end: End::Delivered, status: None, error: None, note: None, excerpt: None, retry_after: None }
    }

    /// One more thing that a person should know.
    pub(crate) fn also(&mut self, note: &str) {
        self.note = Some(match self.note.take() {
            Some(before) => format!("{before} {note}"),
            None => note.to_owned(),
        });
    }

    /// The service asks in its body to be left alone for so long.
    pub(crate) fn wait(&mut self, seconds: f64) {
        let asked = Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default().min(ASKED_MOST);
        self.retry_after = self.retry_after.max(Some(asked));
    }

    /// Of a request. Any 2xx delivers; a redirect is not followed, for the address was judged and the next was not asked for.
    pub fn of(answer: Result<Response<Vec<u8>>, OutboundError>) -> Self {
        match answer {
            Ok(response) => Self::of_response(&response),
            Err(error @ (OutboundError::Refused(_) | OutboundError::BadRequest(_))) => {
                Self::failed(End::Refused, error.to_string())
            }
            Err(error) => Self::failed(End::Retry, error.to_string()),
        }
    }

    fn of_response(response: &Response<Vec<u8>>) -> Self {
        let status = response.status();
        let (end, error) = match status {
            _ if status.is_success() => (End::Delivered, None),
            StatusCode::GONE => (End::Gone, Some("the receiver does not accept any more messages".to_owned())),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                (End::Retry, Some("the receiver asks the server to try again later".to_owned()))
            }
            _ if status.is_redirection() => (
                End::Refused,
                Some("the receiver redirects, and the server does not follow redirects; enter the address to which it redirects".to_owned()),
            ),
            _ if status.is_client_error() => (End::Refused, Some("the receiver refuses the message".to_owned())),
            _ => (End::Retry, Some("the receiver has an internal error".to_owned())),
        };
        Self {
            end,
            status: Some(status.as_u16()),
            error,
            // RFC 9110, 15.3.3: what comes of it is open.
            note: (status == StatusCode::ACCEPTED).then(|| {
                "The receiver accepted the message and delivers it later. Check there whether it arrived."
                    .to_owned()
            }),
            excerpt: excerpt(response.body()),
            retry_after: retry_after(response.headers()),
        }
    }
}

/// Delta seconds of RFC 9110, 10.2.3; a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(ASKED_MOST))
}

/// The beginning of an answer as one line of printable text.
pub fn excerpt(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(body.get(..body.len().min(EXCERPT_MOST * 4)).unwrap_or_default());
    let line = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(EXCERPT_MOST).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;

    use super::{Answer, End, excerpt};

    fn answer(status: u16) -> Answer {
        Answer::of(Ok(Response::builder().status(status).body(Vec::new()).expect("a response")))
    }

    #[test]
    fn only_success_delivers_and_only_gone_ends_the_subscription() {
        for (status, end) in [
            (200, End::Delivered),
            (204, End::Delivered),
            (301, End::Refused),
            (304, End::Refused),
            (400, End::Refused),
            (404, End::Refused),
            (408, End::Retry),
            (410, End::Gone),
            (425, End::Retry),
            (429, End::Retry),
            (500, End::Retry),
            (503, End::Retry),
        ] {
            assert_eq!(answer(status).end, end, "{status}");
            assert_eq!(answer(status).error.is_some(), end != End::Delivered, "{status}");
        }
    }

    #[test]
    fn what_is_only_accepted_has_not_arrived_yet() {
        let note = |status| answer(status).note.unwrap_or_default();
        assert!(note(202).contains("Check there whether it arrived"));
        assert_eq!((note(200), note(204), note(400)), (String::new(), String::new(), String::new()));
    }

    #[test]
    fn a_service_is_left_alone_as_long_as_it_asks_within_reason() {
        let asks = |text: &str| {
            let response = Response::builder().status(429).header("retry-after", text).body(Vec::new());
            Answer::of(Ok(response.expect("a response"))).retry_after
        };
        assert_eq!(asks("7"), Some(Duration::from_secs(7)));
        assert_eq!(asks("99999999999"), Some(Duration::from_hours(1)));
        assert_eq!(asks("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(asks("-1"), None);
    }

    #[test]
    fn an_excerpt_is_one_short_printable_line() {
        assert_eq!(excerpt(b"  a\r\n\tb\x1b[31m\xff "), Some("a b[31m\u{fffd}".to_owned()));
        assert_eq!(excerpt(b" \n"), None);
        assert_eq!(excerpt("ä".repeat(5_000).as_bytes()).map(|t| t.chars().count()), Some(300));
    }
}
