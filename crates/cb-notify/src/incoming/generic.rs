//! Our own words, for whatever can sign: a script, another program.

use cb_core::clock::Time;
use cb_core::{FieldError, Severity};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{DATA_MOST, TITLE_MOST, Told, json, line, lines, or_default, page, severity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    text: String,
    severity: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    resolved: bool,
    at: Option<Time>,
    url: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    data: Map<String, Value>,
}

pub(super) fn read(body: &[u8]) -> Result<Told, FieldError> {
    let message: Message = json(body)?;
    let title = line(&message.title, TITLE_MOST);
    if title.is_empty() {
        return Err(FieldError::new("title", "This field must not be empty."));
    }
    let link = match &message.url {
        None => None,
        Some(url) => {
            let page = page(url).ok_or_else(|| {
                FieldError::new("url", "Use an http or https URL of at most 2,000 ASCII characters.")
            })?;
            Some(page)
        }
    };
    let meant = match message.severity.as_deref() {
        None => Severity::Info,
        Some(word) => severity(word).ok_or_else(|| {
            FieldError::new(
                "severity",
                "Use info, warning or critical, or a word of syslog, of PagerDuty or from P1 to P5.",
            )
        })?,
    };
    Ok(Told {
        title,
        text: lines(&message.text),
        severity: meant,
        resolved: message.resolved,
        at: message.at,
        link,
        data: Value::Object(cut(message.data)),
        test: false,
    })
}

/// The entries that there is room for, the first first; `cut` says that others are missing.
fn cut(data: Map<String, Value>) -> Map<String, Value> {
    let (mut kept, mut room, mut cut) = (Map::new(), DATA_MOST, false);
    for (name, value) in data {
        let size = name.len() + value.to_string().len() + 4;
        if size <= room {
            room -= size;
            kept.insert(name, value);
        } else {
            cut = true;
        }
    }
    if cut {
        kept.insert("cut".to_owned(), Value::Bool(true));
    }
    kept
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
        for (body, field) in [
            (r#"{"title":" "}"#, "title"),
            (r#"{"title":7}"#, "title"),
            (r#"{"text":"a"}"#, "title"),
            (r#"{"title":"a","severity":"purple"}"#, "severity"),
            (r#"{"title":"a","at":"yesterday"}"#, "at"),
            (r#"{"title":"a","url":"javascript:x"}"#, "url"),
            (r#"{"title":"a","data":[]}"#, "data"),
            (r#"{"title":"a","Severity":"info"}"#, "Severity"),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).field, field, "{body:.60}");
        }
    }
}
