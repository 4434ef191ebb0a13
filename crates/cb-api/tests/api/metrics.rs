//! What Prometheus reads: strictly by the format, documented, and of a bounded size.

use std::collections::{BTreeMap, BTreeSet};

use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;
use serde_json::json;

use crate::identity::token_stream;
use crate::site::{Answer, Ask, Login, Site};

/// One family of the page.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// Name, labels, value.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// The text format 0.0.4, read strictly: HELP, TYPE and samples of each family together and once; names, labels and numbers by the
/// letter; histograms whose buckets add up.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'), "{text}");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(is_name(name), "{line}");
            assert!(
                help.ends_with('.') && help.starts_with(|c: char| c.is_ascii_uppercase() || c == '1'),
                "{line}"
            );
            assert!(families.insert(name.to_owned(), Family::default()).is_none(), "twice: {line}");
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "TYPE comes behind its HELP");
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            let family = families.get_mut(name).expect("helped");
            assert!(family.kind.is_empty() && family.samples.is_empty(), "{line}");
            kind.clone_into(&mut family.kind);
        } else {
            let family = families.get_mut(&current).expect("a sample behind its family");
            let (name, labels, value) = sample(line);
            let suffix = name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{line} in {current}"));
            let suffixes: &[&str] =
                if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
            family.samples.push((name, labels, value));
        }
    }
    for (name, family) in &families {
        judge(name, family);
    }
    families
}

fn judge(name: &str, family: &Family) {
    assert!(!family.kind.is_empty(), "{name} has no type");
    assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}");
    assert!(
        !["_ms", "_milliseconds", "_kb", "_minutes"].iter().any(|unit| name.ends_with(unit)),
        "base units: {name}"
    );
    if family.kind != "gauge" {
        assert!(family.samples.iter().all(|(.., value)| *value >= 0.0), "{name}");
    }
    if family.kind == "histogram" {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for (sample, labels, value) in &family.samples {
            let mut labels = labels.clone();
            if sample.ends_with("_bucket") {
                let end = labels.remove("le").expect("an end");
                let end = if end == "+Inf" { f64::INFINITY } else { end.parse().expect("a number") };
                series.entry(labels).or_default().push((end, *value));
            } else if sample.ends_with("_count") {
                counts.insert(labels, *value);
            }
        }
        assert_eq!(series.len(), counts.len(), "{name}");
        for (labels, buckets) in series {
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}{labels:?} {buckets:?}");
            let (end, all) = buckets[buckets.len() - 1];
            assert!(end.is_infinite() && (all - counts[&labels]).abs() < 0.5, "{name}{labels:?}");
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
    assert!(value.is_finite(), "{line}");
    let Some((name, rest)) = series.split_once('{') else {
        assert!(is_name(series), "{line}");
        return (series.to_owned(), BTreeMap::new(), value);
    };
    assert!(is_name(name), "{line}");
    let mut rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(label), "{line}");
        let (word, after) = after.split_once('"').unwrap_or_else(|| panic!("{line}"));
        assert!(!word.contains('\\'), "our words need no escapes: {line}");
        assert!(labels.insert(label.to_owned(), word.to_owned()).is_none(), "{line}");
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(rest.is_empty() || after.starts_with(','), "{line}");
    }
    (name.to_owned(), labels, value)
}

impl Site {
    async fn scrape(&self, login: &Login) -> BTreeMap<String, Family> {
        let answer = self.get(login, "/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.one("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(answer.one("cache-control"), "no-store");
        parse(&answer.text())
    }
}

/// The value of one line.
fn value(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(label, word)| ((*label).to_owned(), (*word).to_owned())).collect();
    let samples = families.values().flat_map(|family| &family.samples);
    samples.into_iter().find(|(of, its, _)| of == name && *its == labels).map(|(.., value)| *value)
}

#[rstest]
#[tokio::test]
async fn metrics_count_what_has_happened(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::alone_ready(database, &[]).await;
    for n in 0..3 {
        let tag = json!({ "name": format!("tag {n}"), "color": "#112233" });
        assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await.status, 201);
    }
    assert_eq!(site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &json!({}))).await.status, 422);
    assert_eq!(site.get(&login, "/api/v1/nothing/7").await.status, 404);
    let token = site.token(&login, &["discovery:read"]).await;
    let stream = token_stream(&site, &token, "discovery").await;
    let seen = site.scrape(&login).await;
    assert_eq!(value(&seen, "cb_streams_open", &[]), Some(1.0));
    drop(stream);
    let asked = |route, method, status| {
        value(&seen, "cb_http_requests_total", &[("route", route), ("method", method), ("status", status)])
    };
    assert_eq!(asked("/api/v1/tags", "POST", "2xx"), Some(3.0));
    assert_eq!(asked("/api/v1/tags", "POST", "4xx"), Some(1.0));
    assert_eq!(asked("(none)", "GET", "4xx"), Some(1.0));
    assert_eq!(asked("/api/v1/setup", "POST", "2xx"), Some(1.0));
    let took = [("route", "/api/v1/tags"), ("method", "POST")];
    assert_eq!(value(&seen, "cb_http_request_duration_seconds_count", &took), Some(4.0));
    // The setup, and whatever the server writes for itself.
    assert!(value(&seen, "cb_audited_write_duration_seconds_count", &[]).is_some_and(|n| n >= 4.0));
    assert_eq!(value(&seen, "cb_ready", &[]), Some(1.0));
    assert_eq!(value(&seen, "cb_storage_state", &[("state", "serving")]), Some(1.0));
    assert_eq!(value(&seen, "cb_storage_state", &[("state", "away")]), Some(0.0));
    assert_eq!(value(&seen, "cb_fabric_mode", &[("mode", "embedded")]), Some(1.0));
    let pools = seen["cb_database_connections"].samples.len();
    assert_eq!(pools, if database == Sqlite { 3 } else { 4 });
    assert!(value(&seen, "process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));
    for source in ["servers", "periodic", "jobs", "scans", "deliveries"] {
        assert_eq!(value(&seen, "cb_metrics_source_up", &[("source", source)]), Some(1.0), "{source}");
    }
    // Counted from the start of this server, not from the last scrape.
    let again = site.scrape(&login).await;
    let own = [("route", "/metrics"), ("method", "GET"), ("status", "2xx")];
    assert_eq!(value(&again, "cb_http_requests_total", &own), Some(1.0));
}

/// Two servers in one process count apart.
#[tokio::test]
async fn another_server_counts_for_itself() {
    let ((one, login), (other, stranger)) = (Site::ready(Sqlite).await, Site::ready(Sqlite).await);
    for _ in 0..5 {
        one.get(&login, "/api/v1/tags").await;
    }
    let tags = [("route", "/api/v1/tags"), ("method", "GET"), ("status", "2xx")];
    assert_eq!(value(&one.scrape(&login).await, "cb_http_requests_total", &tags), Some(5.0));
    assert_eq!(value(&other.scrape(&stranger).await, "cb_http_requests_total", &tags), None);
}

#[rstest]
#[tokio::test]
async fn metrics_are_for_those_who_may_read_them(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "vera", "viewer").await;
    let viewer = site.signed_in("vera").await;
    let token = site.token(&admin, &["metrics:read"]).await;
    let other = site.token(&admin, &["inventory:read"]).await;
    let by = async |token: &str| -> Answer {
        site.ask(Ask::new("GET", "/metrics").header("Authorization", format!("Bearer {token}"))).await
    };
    assert_eq!(site.ask(Ask::new("GET", "/metrics")).await.status, 401);
    assert_eq!(by(&token).await.status, 200);
    assert_eq!(by(&other).await.status, 403);
    assert_eq!(by(TestApp::API_TOKEN).await.status, 200);
    assert_eq!(site.get(&viewer, "/metrics").await.status, 403);
    assert_eq!(site.get(&admin, "/metrics").await.status, 200);
    // Not under another name, and not over plain HTTP.
    assert_eq!(by(&token).await.status, 200);
    assert_eq!(site.get(&admin, "/api/v1/metrics").await.status, 404);
    assert_eq!(site.ask_plain(Ask::new("GET", "/metrics").header("Host", "localhost")).await.status, 301);
}

/// Whatever is asked for, by whomever: the lines are those of the routes.
#[rstest]
#[tokio::test]
async fn no_label_grows_with_what_is_sent(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::alone_ready(database, &[]).await;
    let word = "some-word-of-a-stranger";
    let before = site.scrape(&login).await;
    for n in 0..60 {
        let id = uuid::Uuid::from_u128(n);
        for path in [
            format!("/{word}/{n}"),
            format!("/api/v1/{word}{n}"),
            format!("/api/v1/assets/{id}"),
            format!("/api/v1/assets?q={word}{n}"),
            format!("/assets/{word}{n}.js"),
        ] {
            site.get(&login, &path).await;
        }
        let tag = json!({ "name": format!("{word} {n}"), "color": "#112233" });
        site.ask(Ask::new("POST", "/api/v1/tags").write(&login, &tag)).await;
        site.ask(Ask::new(&format!("X{n}"), "/api/v1/tags").by(&login)).await;
    }
    let answer = site.get(&login, "/metrics").await;
    assert!(!answer.text().contains(word));
    let lines = |families: &BTreeMap<String, Family>| -> BTreeMap<String, usize> {
        families.iter().map(|(name, family)| (name.clone(), family.samples.len())).collect()
    };
    let after = parse(&answer.text());
    // Five routes, and the scrape before.
    let more = lines(&after)["cb_http_requests_total"] - lines(&before)["cb_http_requests_total"];
    assert!(more <= 9, "{more} new lines");
    for (name, count) in lines(&after) {
        // Periodic work may run meanwhile for the first time.
        let of_runs = ["cb_http_", "cb_periodic_last_", "cb_periodic_next_"];
        if !of_runs.iter().any(|those| name.starts_with(those)) {
            assert_eq!(Some(&count), lines(&before).get(&name), "{name}");
        }
    }
    // Each label has a list of words that the program knows.
    let templates: BTreeSet<String> =
        serde_json::to_value(cb_api::routes::document()).expect("JSON")["paths"]
            .as_object()
            .expect("paths")
            .keys()
            .cloned()
            .chain(["(page)".to_owned(), "(none)".to_owned()])
            .collect();
    for (name, labels, _) in after.values().flat_map(|family| &family.samples) {
        for (label, word) in labels {
            match label.as_str() {
                "route" => assert!(templates.contains(word), "{name} {word}"),
                "version" => assert_eq!(word, env!("CARGO_PKG_VERSION")),
                "le" => {}
                // Of the live servers.
                "server" => assert!(uuid::Uuid::parse_str(word).is_ok(), "{name} {word}"),
                "method" | "status" | "pool" | "reason" | "outcome" | "state" | "source" | "work" | "to"
                | "mode" | "link" | "kind" | "role" => {
                    assert!(word.len() < 20, "{name} {word}");
                }
                _ => panic!("{name} has the label {label}; say here why its words have a bound"),
            }
        }
    }
}

/// The manual names each family with its labels, and none that is not there.
#[rstest]
#[tokio::test]
async fn the_manual_explains_every_metric(#[values(Sqlite, Postgres)] database: Database) {
    let (site, login) = Site::ready(database).await;
    let manual = std::fs::read_to_string("../../docs/operations.md").expect("the manual");
    let documented: BTreeSet<&str> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("cb_") || name.starts_with("process_"))
        .collect();
    let families = site.scrape(&login).await;
    let told: BTreeSet<&str> = families.keys().map(String::as_str).collect();
    let missing: Vec<_> = told.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&told).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "without a row in docs/operations.md: {missing:?}; without a metric: {gone:?}"
    );
}

/// While the database is away, what needs none of it is told.
#[tokio::test]
async fn a_scrape_answers_while_the_database_does_not() {
    let (mut site, _) = Site::ready(Postgres).await;
    let ask =
        || Ask::new("GET", "/metrics").header("Authorization", format!("Bearer {}", TestApp::API_TOKEN));
    // A server asks the database whether it is set up, until it is.
    for _ in 0..2 {
        parse(&site.ask(ask()).await.text());
    }
    site.test.postgres().stop();
    let mut seen = parse(&site.ask(ask()).await.text());
    for _ in 0..100 {
        if value(&seen, "cb_storage_state", &[("state", "away")]) == Some(1.0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        seen = parse(&site.ask(ask()).await.text());
    }
    assert_eq!(value(&seen, "cb_storage_state", &[("state", "away")]), Some(1.0));
    assert_eq!(value(&seen, "cb_ready", &[]), Some(0.0));
    assert_eq!(value(&seen, "cb_metrics_source_up", &[("source", "scans")]), Some(0.0));
    assert!(!seen.contains_key("cb_scans"), "no value is better than an old one");
}
