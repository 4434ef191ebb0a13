//! What other systems tell us by a hook, in their own words, and what we make of it.
//!
//! To add a format: a file here with its `read`, a variant, and its line in each function of [`Format`]. A reader takes along what
//! it names and nothing else: the original may hold secrets of the system that sends it.

mod alertmanager;
mod generic;
mod proxmox;
mod uptime_kuma;

use cb_core::clock::Time;
use cb_core::objects::Objects;
use cb_core::{FieldError, Severity};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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

/// Whose words a message is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookFormat)]
pub enum Format {
    Generic,
    Alertmanager,
    UptimeKuma,
    Proxmox,
}

/// How a message proves where it comes from. The format decides: only who cannot sign may do with less.
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
    /// What was wrong is over.
    pub resolved: bool,
    /// When it happened, if the sender says so.
    pub at: Option<Time>,
    /// A page of the sender's.
    pub link: Option<String>,
    pub data: Value,
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
        // Of what is no JSON at all the path says nothing.
        let field = if error.is_data() && path != "." { path } else { "body".to_owned() };
        FieldError::new(field, error.to_string())
    })?;
    reader.end().map_err(|e| FieldError::new("body", e.to_string()))?;
    Ok(read)
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
    use proptest::prelude::*;

    use super::{Format, TEXT_MOST, TITLE_MOST, line, page};

    #[test]
    fn every_format_is_read_by_its_word() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
            assert_eq!(serde_json::to_value(format).expect("a word"), format.as_str());
        }
    }

    #[test]
    fn what_is_no_message_names_the_field() {
        for format in Format::ALL {
            for body in ["", "{", "[]", "null", "7", "{}", "{\"title\":", "\u{0}"] {
                let error = format.read(body.as_bytes()).expect_err(body);
                assert!(!error.field.is_empty() && !error.reason.is_empty(), "{format:?} {body}");
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
