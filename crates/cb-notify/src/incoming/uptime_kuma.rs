//! Uptime Kuma's notification of the kind webhook, as JSON.
//!
//! Its `monitor` is the whole row, passwords and headers included; only what it is called and what it is are read. It has neither
//! monitor nor heartbeat in three cases: its test, a certificate that runs out, and a domain that does. They differ by their text.

use cb_core::{FieldError, Severity};
use chrono::NaiveDateTime;
use serde::Deserialize;
use serde_json::json;

use super::{LABEL_MOST, TITLE_MOST, Told, json as parse, line, lines};

#[derive(Deserialize)]
struct Message {
    msg: String,
    heartbeat: Option<Heartbeat>,
    monitor: Option<Monitor>,
}

#[derive(Deserialize)]
struct Heartbeat {
    /// 0 down, 1 up, 2 pending, 3 maintenance.
    status: u8,
    msg: Option<String>,
    /// UTC, without saying so.
    time: Option<String>,
}

#[derive(Deserialize)]
struct Monitor {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    hostname: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Told, FieldError> {
    let Message { msg, heartbeat, monitor } = parse(body)?;
    let name = monitor.as_ref().map(|m| line(&m.name, LABEL_MOST)).filter(|name| !name.is_empty());
    let (word, severity, resolved) = match heartbeat.as_ref().map(|h| h.status) {
        Some(0) => ("down", Severity::Critical, false),
        Some(1) => ("up", Severity::Info, true),
        Some(2) => ("pending", Severity::Warning, false),
        Some(3) => ("in maintenance", Severity::Info, false),
        Some(_) => return Err(FieldError::new("heartbeat.status", "Use 0, 1, 2 or 3.")),
        None if test(&msg) && name.is_none() => ("", Severity::Info, false),
        None => ("", if expired(&msg) { Severity::Critical } else { Severity::Warning }, false),
    };
    let title = match &name {
        Some(name) if !word.is_empty() => line(&format!("{name} is {word}"), TITLE_MOST),
        _ => line(&msg, TITLE_MOST),
    };
    if title.is_empty() {
        return Err(FieldError::new("msg", "This field must not be empty."));
    }
    let said = heartbeat.as_ref().and_then(|h| h.msg.as_deref()).filter(|m| !m.is_empty());
    let time = heartbeat.as_ref().and_then(|h| h.time.as_deref());
    let kept = |text: &Option<String>| text.as_deref().map(|t| line(t, LABEL_MOST));
    Ok(Told {
        title,
        text: lines(said.unwrap_or(&msg)),
        severity,
        resolved,
        at: time
            .and_then(|t| NaiveDateTime::parse_from_str(t, "%Y-%m-%d %H:%M:%S%.f").ok())
            .map(|t| t.and_utc()),
        link: None,
        data: json!({
            "monitor": name,
            "type": monitor.as_ref().and_then(|m| kept(&m.kind)),
            "hostname": monitor.as_ref().and_then(|m| kept(&m.hostname)),
            "status": (!word.is_empty()).then_some(word),
        }),
        test: heartbeat.is_none() && name.is_none() && test(&msg),
    })
}

/// What its button sends: the name of the notification, and this word.
fn test(msg: &str) -> bool {
    msg.trim_end().ends_with(" Testing")
}

/// `… certificate … will be expired in -3 days`, `Domain name … will expire in 0 days`, `… expired 1 days ago`, and the same in plain
/// words. The texts begin with names that somebody chose, so only what follows the last `expire` counts.
fn expired(msg: &str) -> bool {
    let said = msg.to_ascii_lowercase();
    let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || ".,;:!".contains(c)).collect();
    let Some(at) = words.iter().rposition(|word| word.starts_with("expire")) else { return false };
    let (before, after) = (&words[..at], &words[at + 1..]);
    let days = after
        .iter()
        .position(|word| word.starts_with("day"))
        .and_then(|day| after.get(day.checked_sub(1)?)?.parse::<i64>().ok());
    let past = words[at] == "expired";
    match days {
        _ if past && ["ago", "yesterday"].iter().any(|word| after.contains(word)) => true,
        Some(days) => days <= 0,
        None => {
            past && before
                .last()
                .is_some_and(|word| matches!(*word, "has" | "have" | "is" | "are" | "already" | "was"))
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Severity;
    use serde_json::{Value, json};

    use super::read;

    fn beat(status: &Value) -> Vec<u8> {
        json!({
            "heartbeat": {
                "monitorID": 29, "status": status, "time": "2026-09-24 23:51:35.527", "msg": "connect ECONNREFUSED",
                "important": true, "duration": 0, "timezone": "Europe/Vienna", "localDateTime": "2026-09-25 01:51:35"
            },
            "monitor": {
                "id": 29, "name": "NAS", "url": "https://admin:hunter2@nas.lan/", "hostname": null, "type": "http",
                "basic_auth_pass": "hunter2", "headers": "{\"x-token\":\"hunter2\"}", "tags": []
            },
            "msg": "[NAS] [🔴 Down] connect ECONNREFUSED"
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn each_status_is_told_and_no_password_comes_along() {
        for (status, title, severity, resolved) in [
            (0, "NAS is down", Severity::Critical, false),
            (1, "NAS is up", Severity::Info, true),
            (2, "NAS is pending", Severity::Warning, false),
            (3, "NAS is in maintenance", Severity::Info, false),
        ] {
            let told = read(&beat(&json!(status))).expect("a message");
            assert_eq!((told.title.as_str(), told.severity, told.resolved), (title, severity, resolved));
            assert_eq!(told.text, "connect ECONNREFUSED");
            assert_eq!(told.at.map(|t| t.to_rfc3339()).as_deref(), Some("2026-09-24T23:51:35.527+00:00"));
            assert!(!format!("{told:?}").contains("hunter2"));
        }
        for status in [json!(4), json!(-1), json!("0"), json!(null)] {
            assert_eq!(read(&beat(&status)).expect_err("no status").field, "heartbeat.status");
        }
    }

    /// Each as its server writes it.
    #[test]
    fn a_certificate_and_a_domain_that_run_out_are_warnings_and_its_test_is_not() {
        for (msg, severity, test) in [
            ("Circuit Breaker Testing", Severity::Info, true),
            (
                "[NAS][https://nas.lan] server certificate nas.lan will be expired in 14 days",
                Severity::Warning,
                false,
            ),
            (
                "[0 days][https://nas.lan] server certificate a.lan will expire in 7 days",
                Severity::Warning,
                false,
            ),
            (
                "[NAS][https://nas.lan] server certificate nas.lan will be expired in 0 days",
                Severity::Critical,
                false,
            ),
            (
                "[NAS][https://nas.lan] intermediate CA certificate R3 will be expired in -2 days",
                Severity::Critical,
                false,
            ),
            ("[NAS][https://nas.lan] server certificate nas.lan has expired", Severity::Critical, false),
            (
                "[NAS][https://nas.lan] server certificate nas.lan expired 1 days ago",
                Severity::Critical,
                false,
            ),
            ("Domain name example.org expired a day ago.", Severity::Critical, false),
            ("Domain name example.org expired yesterday", Severity::Critical, false),
            (
                "[expired 3 days ago][https://nas.lan] server certificate a.lan will expire in 7 days",
                Severity::Warning,
                false,
            ),
            ("Domain name expired.example.org will expire in 21 days", Severity::Warning, false),
            ("Domain name example.org will expire in -1 days", Severity::Critical, false),
            ("Something that later versions say", Severity::Warning, false),
        ] {
            let body = json!({ "heartbeat": null, "monitor": null, "msg": msg }).to_string();
            let told = read(body.as_bytes()).expect("a message");
            assert_eq!((told.title.as_str(), told.severity, told.test), (msg, severity, test));
            assert!(!told.resolved);
            let bare = read(json!({ "msg": msg }).to_string().as_bytes()).expect("a message");
            assert_eq!(bare, told);
        }
        // A monitor of this name is no test.
        let told = read(&beat(&json!(0))).expect("a message");
        assert!(!told.test);
        let body = json!({ "monitor": { "name": "A" }, "msg": "A Testing" }).to_string();
        assert_eq!(read(body.as_bytes()).expect("a message").severity, Severity::Warning);
    }

    #[test]
    fn its_test_has_no_monitor_and_a_certificate_no_heartbeat() {
        let told = read(br#"{"heartbeat":null,"monitor":null,"msg":"Kuma Testing"}"#).expect("a message");
        assert_eq!((told.title.as_str(), told.severity), ("Kuma Testing", Severity::Info));
        let told = read(br#"{"msg":"[NAS] certificate will expire in 7 days","monitor":{"name":"NAS"}}"#);
        let told = told.expect("a message");
        assert_eq!(told.title, "[NAS] certificate will expire in 7 days");
        assert_eq!(told.severity, Severity::Warning);
        assert_eq!(read(br#"{"msg":""}"#).expect_err("empty").field, "msg");
    }
}
