//! Proxmox VE and Backup Server, a notification target of the kind webhook. Its body is a template that the user writes; this
//! is read from the one in our documentation.

use std::collections::BTreeMap;

use cb_core::{FieldError, Severity};
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    LABEL_MOST, LABELS_MOST, TITLE_MOST, Told, json as parse, line, lines, or_default, severity as meant,
};

#[derive(Deserialize)]
struct Notification {
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    severity: Option<String>,
    /// Seconds since 1970.
    timestamp: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    fields: BTreeMap<String, Value>,
}

pub(super) fn read(body: &[u8]) -> Result<Told, FieldError> {
    let message: Notification = parse(body)?;
    let title = line(&message.title, TITLE_MOST);
    if title.is_empty() {
        return Err(FieldError::new("title", "This field must not be empty."));
    }
    // A word that nobody knows does not lose the message.
    let severity =
        message.severity.as_deref().map_or(Severity::Info, |word| meant(word).unwrap_or(Severity::Warning));
    let text = |value: &Value| match value {
        Value::String(text) => line(text, LABEL_MOST),
        other => line(&other.to_string(), LABEL_MOST),
    };
    let known = message.fields.iter().filter(|(_, value)| !value.is_null());
    let fields: BTreeMap<String, String> =
        known.take(LABELS_MOST).map(|(k, v)| (line(k, LABEL_MOST), text(v))).collect();
    Ok(Told {
        // What its button sends.
        test: title == "Test notification",
        title,
        text: lines(&message.message),
        severity,
        resolved: false,
        at: message.timestamp.and_then(|at| DateTime::from_timestamp(at, 0)),
        link: None,
        data: json!({ "fields": fields }),
    })
}

#[cfg(test)]
mod tests {
    use cb_core::Severity;
    use serde_json::json;

    use super::read;

    #[test]
    fn what_its_template_makes_is_read() {
        let body = json!({
            "title": "vzdump backup status (pve1): backup failed", "message": "Details\n=======\nVMID 100 …",
            "severity": "error", "timestamp": 1_770_000_000,
            "fields": { "type": "vzdump", "hostname": "pve1", "job-id": 7 }
        });
        let told = read(body.to_string().as_bytes()).expect("a message");
        assert_eq!(told.title, "vzdump backup status (pve1): backup failed");
        assert_eq!((told.severity, told.resolved), (Severity::Critical, false));
        assert_eq!(told.text, "Details\n=======\nVMID 100 …");
        assert_eq!(told.data["fields"], json!({ "type": "vzdump", "hostname": "pve1", "job-id": "7" }));
        assert_eq!(told.at.map(|t| t.timestamp()), Some(1_770_000_000));
    }

    #[test]
    fn severities_are_its_own_words() {
        for (word, severity) in [
            ("info", Severity::Info),
            ("notice", Severity::Info),
            ("warning", Severity::Warning),
            ("unknown", Severity::Warning),
        ] {
            let body = json!({ "title": "a", "severity": word }).to_string();
            assert_eq!(read(body.as_bytes()).expect("a message").severity, severity, "{word}");
        }
        for (body, field) in [
            (r#"{"title":"a","timestamp":"now"}"#, "timestamp"),
            (r#"{"title":"\u0000"}"#, "title"),
            (r#"{"message":"a"}"#, "title"),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).field, field, "{body}");
        }
    }
}
