//! What other systems tell us by a hook, in their own words, and what we make of it.
//!
//! To add a format: a file here with its `read`, a variant, its line in each function of [`Format`], and an example of a whole message
//! in the tests below. A reader takes along what it names and nothing else: the original may hold secrets of the system that sends it.
//!
//! Invariants: `null` is the same as an absent field ([`or_default`]); a severity is read by [`severity`] alone; what is too long is
//! cut, and no message is lost for its length.

mod alertmanager;
mod generic;
mod proxmox;
mod uptime_kuma;

use cb_core::clock::Time;
use cb_core::objects::Objects;
use cb_core::{FieldError, Severity};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Characters of a title and of a text; the rest is cut.
const TITLE_MOST: usize = 200;
const TEXT_MOST: usize = 4_000;
/// Alerts of one message that are listed; the rest is counted.
const LISTED_MOST: usize = 50;
/// Labels of one thing that are taken along, and characters of each.
const LABELS_MOST: usize = 30;
const LABEL_MOST: usize = 300;
/// Bytes of what a sender may have carried on.
const DATA_MOST: usize = 16 << 10;

/// The format of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookFormat)]
pub enum Format {
    Generic,
    Alertmanager,
    UptimeKuma,
    Proxmox,
}

/// How a message proves where it comes from. The format decides this: only senders that cannot sign use a weaker proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookVerification)]
pub enum Verification {
    /// Signed as Standard Webhooks has it: id, time and body.
    Signature,
    /// A token in the header field `Authorization`.
    Bearer,
}

/// A message, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub title: String,
    pub text: String,
    pub severity: Severity,
    /// The message reports that a problem is over.
    pub resolved: bool,
    /// When it happened, if the sender says so.
    pub at: Option<Time>,
    /// A page of the sender's.
    pub link: Option<String>,
    pub data: Value,
    /// Somebody tries whether messages arrive, and looks for each of them.
    pub test: bool,
}

impl Told {
    /// What is told of a message that was proved and is too large to be read.
    pub fn too_large(most: usize) -> Self {
        Self {
            title: "A message was too large to read".to_owned(),
            text: format!(
                "The message was larger than {} MiB, so the server did not read it. Configure the sender to send less.",
                most >> 20
            ),
            severity: Severity::Warning,
            resolved: false,
            at: None,
            link: None,
            data: Value::Object(serde_json::Map::new()),
            test: false,
        }
    }
}

impl Format {
    pub const ALL: [Format; 4] = [Format::Generic, Format::Alertmanager, Format::UptimeKuma, Format::Proxmox];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Generic => "generic",
            Format::Alertmanager => "alertmanager",
            Format::UptimeKuma => "uptime_kuma",
            Format::Proxmox => "proxmox",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    pub fn verification(self) -> Verification {
        match self {
            Format::Generic => Verification::Signature,
            Format::Alertmanager | Format::UptimeKuma | Format::Proxmox => Verification::Bearer,
        }
    }

    /// What to change at the sender when its messages are not JSON.
    pub fn sends_json(self) -> &'static str {
        match self {
            Format::Generic => "send the header Content-Type: application/json",
            Format::Alertmanager => {
                "in Alertmanager use webhook_configs, and in Grafana a contact point with the integration Webhook and without a custom payload"
            }
            Format::UptimeKuma => "in Uptime Kuma set Request Body to “Preset - application/json”",
            Format::Proxmox => {
                "in Proxmox add to the notification target the header Content-Type with the value application/json"
            }
        }
    }

    /// Reads a message, or says which field is wrong and why.
    pub fn read(self, body: &[u8]) -> Result<Told, FieldError> {
        match self {
            Format::Generic => generic::read(body),
            Format::Alertmanager => alertmanager::read(body),
            Format::UptimeKuma => uptime_kuma::read(body),
            Format::Proxmox => proxmox::read(body),
        }
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, FieldError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(Objects::over(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let said = error.to_string();
        let missing = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        match missing {
            Some(name) if path == "." => FieldError::new(name, NEEDED),
            Some(name) => FieldError::new(format!("{path}.{name}"), NEEDED),
            None if path != "." && said.starts_with("invalid type: null") => FieldError::new(path, NEEDED),
            // Of what is no JSON at all the path says nothing.
            None if error.is_data() && path != "." => FieldError::new(path, wrong(&said)),
            None => FieldError::new("body", wrong(&said)),
        }
    })?;
    reader.end().map_err(|e| FieldError::new("body", wrong(&e.to_string())))?;
    Ok(read)
}

/// The parser's words as a sentence; our own readers give whole ones.
fn wrong(said: &str) -> String {
    match said.split(" at line ").next() {
        Some(own) if own.ends_with('.') => own.to_owned(),
        _ => format!("This is not valid: {said}."),
    }
}

const NEEDED: &str = "This field is required.";

/// For every field that may be absent: many senders write `null` for a map, a list or a text that they do not have.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(reader).map(Option::unwrap_or_default)
}

/// What a word for a severity means, in the words of syslog (RFC 5424), PagerDuty, Nagios, Zabbix and of rules for alerts.
fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "emergency" | "emerg" | "panic" | "alert" | "critical" | "crit" | "error" | "err" | "fatal"
        | "severe" | "disaster" | "high" | "major" | "page" | "failure" | "failed" | "down" | "p1" | "p2"
        | "sev0" | "sev1" | "sev2" => Severity::Critical,
        "warning" | "warn" | "average" | "medium" | "moderate" | "minor" | "degraded" | "unknown" | "p3"
        | "sev3" => Severity::Warning,
        "notice" | "info" | "information" | "informational" | "debug" | "trace" | "low" | "none" | "ok"
        | "okay" | "normal" | "success" | "cleared" | "clear" | "resolved" | "up" | "p4" | "p5" | "sev4"
        | "sev5" => Severity::Info,
        _ => return None,
    })
}

/// One line of at most `most` characters, without what does not print.
fn line(text: &str, most: usize) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    cut(&words.join(" "), most)
}

/// The same with its lines.
fn lines(text: &str) -> String {
    let kept: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
    cut(kept.trim(), TEXT_MOST)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A page that may be linked to: of the web, and not endless.
fn page(text: &str) -> Option<String> {
    let web = text.starts_with("https://") || text.starts_with("http://");
    let plain = text.len() <= 2_000 && text.bytes().all(|b| b.is_ascii_graphic());
    (web && plain).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use cb_core::Severity;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{DATA_MOST, Format, TEXT_MOST, TITLE_MOST, line, page, severity};

    #[test]
    fn every_format_is_read_by_its_word() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
            assert_eq!(serde_json::to_value(format).expect("a word"), format.as_str());
        }
    }

    /// A whole message of each format, with every field that its reader knows.
    fn whole(format: Format) -> Value {
        match format {
            Format::Generic => json!({
                "title": "Disk full", "text": "sda1", "severity": "critical", "resolved": false,
                "at": "2026-01-02T03:04:05Z", "url": "https://nas.lan/", "data": { "free": 2 },
            }),
            // As Grafana writes it.
            Format::Alertmanager => json!({
                "receiver": "cb", "status": "firing", "orgId": 1, "groupLabels": { "alertname": "HostDown" },
                "commonLabels": { "alertname": "HostDown", "instance": "nas" }, "commonAnnotations": { "summary": "down" },
                "externalURL": "http://grafana.lan/", "version": "1", "groupKey": "{}", "truncatedAlerts": 0,
                "title": "[FIRING:1]", "state": "alerting", "message": "**Firing**",
                "alerts": [{
                    "status": "firing", "labels": { "alertname": "HostDown", "severity": "critical" },
                    "annotations": { "summary": "down" }, "startsAt": "2026-01-02T03:04:05Z",
                    "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "x", "values": { "A": 1 },
                    "silenceURL": "", "dashboardURL": "", "panelURL": "", "valueString": "",
                }],
            }),
            Format::UptimeKuma => json!({
                "msg": "[NAS] [🔴 Down] refused",
                "heartbeat": { "status": 0, "msg": "refused", "time": "2026-09-24 23:51:35.527", "important": true },
                "monitor": { "id": 29, "name": "NAS", "type": "http", "hostname": "nas.lan", "tags": [] },
            }),
            Format::Proxmox => json!({
                "title": "backup", "message": "Details", "severity": "error", "timestamp": 1_770_000_000,
                "fields": { "type": "vzdump", "hostname": "pve1" },
            }),
        }
    }

    /// The way to every entry of every object.
    fn ways(value: &Value, to: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    found.push(format!("{to}/{name}"));
                    ways(value, &format!("{to}/{name}"), found);
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, v)| ways(v, &format!("{to}/{n}"), found));
            }
            _ => {}
        }
    }

    /// What a script carries on in `data` is its own, down to its nulls.
    fn carried(way: &str) -> bool {
        way.starts_with("/data/")
    }

    #[test]
    fn null_is_the_same_as_absent_in_every_field_of_every_format() {
        for format in Format::ALL {
            let mut found = Vec::new();
            ways(&whole(format), "", &mut found);
            assert!(found.len() > 5, "{format:?}");
            format.read(whole(format).to_string().as_bytes()).expect("a whole message is read");
            for way in found.iter().filter(|way| !carried(way)) {
                let (parent, name) = way.rsplit_once('/').expect("a way");
                let (mut null, mut absent) = (whole(format), whole(format));
                *null.pointer_mut(way).expect("there") = Value::Null;
                absent.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name);
                let read = |value: Value| format.read(value.to_string().as_bytes());
                assert_eq!(read(null), read(absent), "{format:?} {way}");
            }
        }
    }

    #[test]
    fn severities_are_understood_in_the_words_of_many() {
        for (words, meant) in [
            ("emerg alert crit err critical error fatal Disaster HIGH P1 p2 sev1", Severity::Critical),
            ("warning warn average minor P3", Severity::Warning),
            ("notice info informational debug low none ok OK P4 p5", Severity::Info),
        ] {
            for word in words.split(' ') {
                assert_eq!(severity(word), Some(meant), "{word}");
                for format in [Format::Generic, Format::Alertmanager, Format::Proxmox] {
                    let mut message = whole(format);
                    let way = if format == Format::Alertmanager {
                        "/alerts/0/labels/severity"
                    } else {
                        "/severity"
                    };
                    *message.pointer_mut(way).expect("there") = json!(word);
                    let told = format.read(message.to_string().as_bytes()).expect("a message");
                    assert_eq!(told.severity, meant, "{format:?} {word}");
                }
            }
        }
        assert_eq!(severity("purple"), None);
    }

    #[test]
    fn what_is_too_long_is_cut_and_told() {
        // A report of the backups of 200 guests, with the log of each.
        let report = "INFO: Finished Backup of VM 100 (00:00:12)\n".repeat(50_000);
        for (format, way) in [
            (Format::Generic, "/text"),
            (Format::Alertmanager, "/commonAnnotations/summary"),
            (Format::UptimeKuma, "/heartbeat/msg"),
            (Format::Proxmox, "/message"),
        ] {
            let mut message = whole(format);
            *message.pointer_mut(way).expect("there") = json!(report);
            let told = format.read(message.to_string().as_bytes()).expect("a message");
            assert!(told.text.ends_with('…') && told.text.chars().count() <= TEXT_MOST, "{format:?}");
            assert!(told.data.to_string().len() <= 2 * DATA_MOST, "{format:?}");
        }
        let mut message = whole(Format::Generic);
        message["data"] = json!({ "free": 2, "log": report, "host": "nas" });
        let told = Format::Generic.read(message.to_string().as_bytes()).expect("a message");
        assert_eq!(told.data, json!({ "free": 2, "host": "nas", "cut": true }));
    }

    #[test]
    fn what_is_no_message_names_the_field() {
        for format in Format::ALL {
            for body in ["", "{", "[]", "null", "7", "{}", "{\"title\":", "\u{0}"] {
                let error = format.read(body.as_bytes()).expect_err(body);
                assert!(!error.field.is_empty(), "{format:?} {body}");
                assert_eq!(error.reason, cb_core::error::sentence(&error.reason), "{format:?} {body}");
            }
        }
        // A message by the position of its fields.
        for (format, body) in [
            (Format::Generic, r#"["title", "text", "critical", null, null, null]"#),
            (Format::UptimeKuma, r#"[null, null, "text"]"#),
            (Format::Alertmanager, r#"["firing", [["firing", {}, {}, null, null]]]"#),
            (Format::Alertmanager, r#"{"status":"firing","alerts":[["firing", {}, {}, null, null]]}"#),
            (Format::Proxmox, r#"["title", "text", "info"]"#),
        ] {
            let error = format.read(body.as_bytes()).expect_err(body);
            assert!(error.reason.contains("expected an object"), "{format:?} {body}: {error:?}");
        }
        let deep = "[".repeat(10_000);
        assert!(Format::Generic.read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_line_is_one_and_a_page_is_of_the_web() {
        assert_eq!(line(" a\r\n\u{1b}b\u{0}c ", 10), "a b c");
        assert_eq!(line("ääääää", 4), "äää…");
        assert_eq!(page("https://x.lan/a?b=c").as_deref(), Some("https://x.lan/a?b=c"));
        for text in ["javascript:alert(1)", "/x", "https://x.lan/\r\nb", "https://x.lan/ä", "ftp://x"] {
            assert_eq!(page(text), None, "{text}");
        }
    }

    proptest! {
        /// Whatever comes, nobody panics, and what is read is within its bounds.
        #[test]
        fn nothing_that_comes_breaks_a_reader(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            for format in Format::ALL {
                let _ = format.read(&body);
            }
        }

        #[test]
        fn what_is_read_is_bounded(title in "\\PC{0,900}", text in "(?s).{0,6000}") {
            let body = serde_json::json!({ "title": title, "text": text, "message": text }).to_string();
            for format in [Format::Generic, Format::Proxmox] {
                if let Ok(told) = format.read(body.as_bytes()) {
                    prop_assert!(told.title.chars().count() <= TITLE_MOST && !told.title.is_empty());
                    prop_assert!(told.text.chars().count() <= TEXT_MOST);
                    prop_assert!(!told.title.chars().any(char::is_control));
                }
            }
        }
    }
}
