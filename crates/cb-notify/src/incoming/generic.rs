//! Our own words, for whatever can sign: a script, another program.

use cb_core::clock::Time;
use cb_core::{FieldError, Severity};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{DATA_MOST, TITLE_MOST, Told, json, line, lines, page};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    title: String,
    #[serde(default)]
    text: String,
    severity: Option<Severity>,
    #[serde(default)]
    resolved: bool,
    at: Option<Time>,
    url: Option<String>,
    #[serde(default)]
    data: Map<String, Value>,
}

pub(super) fn read(body: &[u8]) -> Result<Told, FieldError> {
    let message: Message = json(body)?;
    let title = line(&message.title, TITLE_MOST);
    if title.is_empty() {
        return Err(FieldError::new("title", "may not be empty"));
    }
    let link = match &message.url {
        None => None,
        Some(url) => {
            let page = page(url).ok_or_else(|| {
                FieldError::new("url", "must be a http or https URL of at most 2,000 ASCII characters")
            })?;
            Some(page)
        }
    };
    let data = Value::Object(message.data);
    if data.to_string().len() > DATA_MOST {
        return Err(FieldError::new("data", "may have at most 16 KiB"));
    }
    Ok(Told {
        title,
        text: lines(&message.text),
        severity: message.severity.unwrap_or(Severity::Info),
        resolved: message.resolved,
        at: message.at,
        link,
        data,
    })
}

#[cfg(test)]
mod tests {
    use cb_core::Severity;

    use super::read;

    #[test]
    fn a_title_is_enough_and_everything_else_is_read() {
        let least = read(br#"{"title":"Backup done"}"#).expect("a message");
        assert_eq!(
            (least.title.as_str(), least.severity, least.resolved),
            ("Backup done", Severity::Info, false)
        );
        let most = read(
            br#"{"title":"Disk full","text":"sda1\n98 %","severity":"critical","resolved":true,"at":"2026-01-02T03:04:05+01:00","url":"https://nas.lan/","data":{"free":2}}"#,
        )
        .expect("a message");
        assert_eq!(
            (most.text.as_str(), most.severity, most.resolved),
            ("sda1\n98 %", Severity::Critical, true)
        );
        assert_eq!(most.at.map(|t| t.to_rfc3339()).as_deref(), Some("2026-01-02T02:04:05+00:00"));
        assert_eq!(most.link.as_deref(), Some("https://nas.lan/"));
        assert_eq!(most.data["free"], 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let large = format!(r#"{{"title":"a","data":{{"x":"{}"}}}}"#, "y".repeat(17_000));
        for (body, field) in [
            (r#"{"title":" "}"#, "title"),
            (r#"{"title":7}"#, "title"),
            (r#"{"text":"a"}"#, "body"),
            (r#"{"title":"a","severity":"fatal"}"#, "severity"),
            (r#"{"title":"a","at":"yesterday"}"#, "at"),
            (r#"{"title":"a","url":"javascript:x"}"#, "url"),
            (r#"{"title":"a","data":[]}"#, "data"),
            (r#"{"title":"a","Severity":"info"}"#, "Severity"),
            (&large, "data"),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).field, field, "{body:.60}");
        }
    }
}
