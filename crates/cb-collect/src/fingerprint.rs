//! What the answers of probes mean. The knowledge stands in `fingerprints/*.toml`; this file reads and applies it.
//!
//! A new service is one entry in one of those files. A field's pattern is a regular expression, upper and lower case
//! alike; all of an entry's patterns must match. Named groups (`version`, `model`, `product`, `vendor`, `os`, `host`)
//! give their text. Of several entries that match, the one with the highest confidence wins. Each entry has an example,
//! and a test that it matches.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::clean;
use crate::probes::Answer;

/// The files that are compiled in.
const FILES: &[(&str, &str)] = &[
    ("data", include_str!("../fingerprints/data.toml")),
    ("devices", include_str!("../fingerprints/devices.toml")),
    ("mail", include_str!("../fingerprints/mail.toml")),
    ("remote", include_str!("../fingerprints/remote.toml")),
    ("web", include_str!("../fingerprints/web.toml")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fingerprint: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// Unique, the service's short name.
    id: String,
    /// The service's name in the report, when it is not the id.
    service: Option<String>,
    probe: String,
    #[serde(rename = "match")]
    patterns: BTreeMap<String, String>,
    /// A page that this entry needs, asked for on these ports only.
    page: Option<String>,
    #[serde(default)]
    ports: Vec<u16>,
    product: Option<String>,
    vendor: Option<String>,
    model: Option<String>,
    os: Option<String>,
    /// What a machine with this service is.
    role: Option<String>,
    #[serde(default = "usual_confidence")]
    confidence: u8,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of every entry"))]
    example: BTreeMap<String, String>,
    /// What the example's named groups give.
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of every entry"))]
    gives: BTreeMap<String, String>,
}

fn usual_confidence() -> u8 {
    85
}

struct Entry {
    raw: Raw,
    patterns: Vec<(String, Regex)>,
}

/// What an entry says about an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub id: String,
    pub service: String,
    pub product: Option<String>,
    pub version: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub os: Option<String>,
    pub role: Option<String>,
    pub host: Option<String>,
    pub confidence: u8,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| match load() {
    Ok(entries) => entries,
    Err(error) => {
        // Cannot happen: a test reads the same bytes.
        tracing::error!(%error, "the compiled-in fingerprints cannot be read");
        Vec::new()
    }
});

/// Reads the files beside the runtime's threads, once: it takes long enough that a scan could not be cancelled meanwhile.
pub(crate) async fn ready() {
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    READY
        .get_or_init(|| async {
            if let Err(error) = tokio::task::spawn_blocking(|| LazyLock::force(&ENTRIES).len()).await {
                tracing::error!(%error, "reading the fingerprints failed");
            }
        })
        .await;
}

fn load() -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (name, text) in FILES {
        let file: File = toml::from_str(text).map_err(|e| format!("fingerprints/{name}.toml: {e}"))?;
        for raw in file.fingerprint {
            let patterns = raw
                .patterns
                .iter()
                .map(|(field, pattern)| {
                    RegexBuilder::new(pattern)
                        .case_insensitive(true)
                        .size_limit(1 << 20)
                        .build()
                        .map(|regex| (field.clone(), regex))
                        .map_err(|e| format!("{}: {field}: {e}", raw.id))
                })
                .collect::<Result<_, _>>()?;
            entries.push(Entry { raw, patterns });
        }
    }
    Ok(entries)
}

/// Pages that fingerprints want from a web server on this port.
pub(crate) fn extra_pages(port: u16) -> Vec<&'static str> {
    let entries: &'static [Entry] = &ENTRIES;
    let mut pages: Vec<&str> = entries
        .iter()
        .filter(|e| e.raw.ports.contains(&port))
        .filter_map(|e| e.raw.page.as_deref())
        .collect();
    pages.sort_unstable();
    pages.dedup();
    pages
}

/// The best meaning of the answers of one port.
pub(crate) fn meaning(answers: &[Answer]) -> Option<Meaning> {
    all(answers).into_iter().max_by_key(|m| m.confidence)
}

/// Every meaning, for what several entries know about one machine.
pub(crate) fn all(answers: &[Answer]) -> Vec<Meaning> {
    answers.iter().flat_map(|answer| ENTRIES.iter().filter_map(|entry| entry.matches(answer))).collect()
}

impl Entry {
    fn matches(&self, answer: &Answer) -> Option<Meaning> {
        if self.raw.probe != answer.probe {
            return None;
        }
        let mut found: BTreeMap<&str, String> = BTreeMap::new();
        for (field, pattern) in &self.patterns {
            let captures = pattern.captures(answer.get(field)?)?;
            for name in pattern.capture_names().flatten() {
                if let Some(text) = captures.name(name).and_then(|m| clean::some(m.as_str(), 80)) {
                    found.insert(name, text);
                }
            }
        }
        let mut take = |name: &str, fixed: &Option<String>| found.remove(name).or_else(|| fixed.clone());
        Some(Meaning {
            id: self.raw.id.clone(),
            service: self.raw.service.clone().unwrap_or_else(|| self.raw.id.clone()),
            product: take("product", &self.raw.product),
            version: take("version", &None),
            vendor: take("vendor", &self.raw.vendor),
            model: take("model", &self.raw.model),
            os: take("os", &self.raw.os),
            host: take("host", &None),
            role: self.raw.role.clone(),
            confidence: self.raw.confidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::ROLES;
    use crate::probes;

    #[test]
    fn every_entry_matches_its_example_and_gives_what_it_says() {
        let entries = load().expect("fingerprints");
        assert!(entries.len() >= 60, "{} entries", entries.len());
        for entry in &entries {
            let raw = &entry.raw;
            let probe = probes::TCP
                .iter()
                .chain(probes::UDP)
                .map(|p| p.name)
                .chain(probes::FOLLOWING.iter().copied())
                .find(|name| *name == raw.probe)
                .unwrap_or_else(|| panic!("{}: no probe {}", raw.id, raw.probe));
            let mut answer = Answer::new(probe, probe);
            answer.fields = raw.example.clone();
            let meaning =
                entry.matches(&answer).unwrap_or_else(|| panic!("{} does not match its example", raw.id));
            for (name, expected) in &raw.gives {
                let given = match name.as_str() {
                    "version" => &meaning.version,
                    "model" => &meaning.model,
                    "product" => &meaning.product,
                    "vendor" => &meaning.vendor,
                    "os" => &meaning.os,
                    "host" => &meaning.host,
                    other => panic!("{}: gives.{other}", raw.id),
                };
                assert_eq!(given.as_ref(), Some(expected), "{}: {name}", raw.id);
            }
            if let Some(role) = &raw.role {
                assert!(ROLES.iter().any(|(name, _)| name == role), "{}: role {role}", raw.id);
            }
            assert!(raw.page.is_none() || !raw.ports.is_empty(), "{}: a page needs its ports", raw.id);
            assert!((1..=99).contains(&raw.confidence), "{}", raw.id);
        }
    }

    #[test]
    fn ids_are_unique() {
        let entries = load().expect("fingerprints");
        let ids: BTreeSet<_> = entries.iter().map(|e| &e.raw.id).collect();
        assert_eq!(ids.len(), entries.len());
    }
}
