//! The text format of Prometheus (exposition format 0.0.4).
//!
//! Names, helps and labels are the program's own words: no text that a user, a device or a request brought can become a label, so
//! their number has a bound that is known when the program is built. The one exception is the ID of a server.

use std::fmt::Write as _;

use cb_core::meter::{BUCKETS_MS, Histogram};
use uuid::Uuid;

/// What is told at a scrape.
#[derive(Default)]
pub struct Page {
    text: String,
}

/// A name and its value.
pub type Label = (&'static str, &'static str);

impl Page {
    /// A family whose values only go up while the server runs; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, "counter", help)
    }

    /// A family whose values go up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// A family of times; its name ends in `_seconds`.
    pub fn histogram(&mut self, name: &'static str, help: &'static str) -> Times<'_> {
        debug_assert!(name.ends_with("_seconds"), "{name}");
        Times(self.family(name, "histogram", help))
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &'static str) -> Family<'_> {
        debug_assert!(!help.contains(['\\', '\n']) && help.ends_with('.'), "{help}");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.text, name }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Forgets what was told since it was so long.
    pub(super) fn cut(&mut self, length: usize) {
        self.text.truncate(length);
    }
}

/// One name with its values.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    pub fn value(&mut self, labels: &[Label], value: impl Into<Value>) -> &mut Self {
        self.line("", None, labels, None, value.into());
        self
    }

    /// The value of one of the servers.
    pub fn of_server(&mut self, server: Uuid, labels: &[Label], value: impl Into<Value>) -> &mut Self {
        self.line("", Some(server), labels, None, value.into());
        self
    }

    /// One line for each word: 1 for `is`, and 0 for the others.
    pub fn one_of(&mut self, label: &'static str, words: &[&'static str], is: &str) -> &mut Self {
        for word in words {
            self.value(&[(label, word)], *word == is);
        }
        self
    }

    fn line(
        &mut self,
        suffix: &str,
        server: Option<Uuid>,
        labels: &[Label],
        end: Option<&str>,
        value: Value,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let server = server.map(|id| id.to_string());
        let all = server.as_deref().map(|id| ("server", id)).into_iter();
        let all = all.chain(labels.iter().copied()).chain(end.map(|end| ("le", end)));
        for (place, (label, word)) in all.enumerate() {
            debug_assert!(!word.contains(['\\', '"', '\n']), "{word}");
            let _ = write!(self.text, "{}{label}=\"{word}\"", if place == 0 { '{' } else { ',' });
        }
        if server.is_some() || end.is_some() || !labels.is_empty() {
            self.text.push('}');
        }
        let _ = match value {
            Value::Whole(value) => writeln!(self.text, " {value}"),
            Value::Part(value) => writeln!(self.text, " {value}"),
        };
    }
}

/// A family of times.
pub struct Times<'a>(Family<'a>);

impl Times<'_> {
    pub fn value(&mut self, labels: &[Label], times: &Histogram) -> &mut Self {
        let counts = times.cumulated();
        for (end, count) in BUCKETS_MS.iter().zip(counts) {
            let end = (f64::from(*end) / 1_000.0).to_string();
            self.0.line("_bucket", None, labels, Some(&end), count.into());
        }
        let all = counts[BUCKETS_MS.len()];
        self.0.line("_bucket", None, labels, Some("+Inf"), all.into());
        self.0.line("_sum", None, labels, None, times.sum().as_secs_f64().into());
        self.0.line("_count", None, labels, None, all.into());
        self
    }
}

/// A number, in base units.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    Whole(u64),
    Part(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Part(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cb_core::meter::Histogram;

    use super::Page;

    #[test]
    fn a_page_is_in_the_text_format() {
        let mut page = Page::default();
        page.counter("cb_things_total", "Things that were made.")
            .value(&[("kind", "good"), ("size", "small")], 3_u64)
            .value(&[], 0_u64);
        page.gauge("cb_part", "A part.").value(&[], 0.25).of_server(uuid::Uuid::nil(), &[], 1_u64);
        page.gauge("cb_state", "A state.").one_of("state", &["up", "down"], "down");
        let times = Histogram::default();
        times.took(Duration::from_millis(1_500));
        page.histogram("cb_time_seconds", "A time.").value(&[("of", "day")], &times);
        let text = page.into_text();
        assert!(
            text.starts_with(
                "# HELP cb_things_total Things that were made.\n# TYPE cb_things_total counter\n\
                 cb_things_total{kind=\"good\",size=\"small\"} 3\ncb_things_total 0\n\
                 # HELP cb_part A part.\n# TYPE cb_part gauge\ncb_part 0.25\n\
                 cb_part{server=\"00000000-0000-0000-0000-000000000000\"} 1\n\
                 # HELP cb_state A state.\n# TYPE cb_state gauge\n\
                 cb_state{state=\"up\"} 0\ncb_state{state=\"down\"} 1\n"
            ),
            "{text}"
        );
        assert!(text.contains("cb_time_seconds_bucket{of=\"day\",le=\"0.001\"} 0\n"), "{text}");
        assert!(
            text.ends_with(
                "cb_time_seconds_bucket{of=\"day\",le=\"1\"} 0\ncb_time_seconds_bucket{of=\"day\",le=\"2.5\"} 1\n\
                 cb_time_seconds_bucket{of=\"day\",le=\"5\"} 1\ncb_time_seconds_bucket{of=\"day\",le=\"10\"} 1\n\
                 cb_time_seconds_bucket{of=\"day\",le=\"30\"} 1\ncb_time_seconds_bucket{of=\"day\",le=\"+Inf\"} 1\n\
                 cb_time_seconds_sum{of=\"day\"} 1.5\ncb_time_seconds_count{of=\"day\"} 1\n"
            ),
            "{text}"
        );
    }
}
