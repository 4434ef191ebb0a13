//! Prometheus Alertmanager's `webhook_config`, version 4 of its message; Grafana's contact point of the kind webhook says the same.

use std::collections::BTreeMap;

use cb_core::clock::Time;
use cb_core::{FieldError, Severity};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{
    LABEL_MOST, LABELS_MOST, LISTED_MOST, TITLE_MOST, Told, json as parse, line, lines, or_default, page,
    severity as meant,
};

type Labels = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Message {
    status: Status,
    #[serde(default, deserialize_with = "or_default")]
    alerts: Vec<Alert>,
    #[serde(rename = "truncatedAlerts", default, deserialize_with = "or_default")]
    truncated: u64,
    #[serde(rename = "groupLabels", default, deserialize_with = "labels")]
    group: Labels,
    #[serde(rename = "commonLabels", default, deserialize_with = "labels")]
    common: Labels,
    #[serde(rename = "commonAnnotations", default, deserialize_with = "labels")]
    annotations: Labels,
    #[serde(rename = "externalURL", default, deserialize_with = "or_default")]
    url: String,
}

#[derive(Deserialize)]
struct Alert {
    status: Status,
    #[serde(default, deserialize_with = "labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "labels")]
    annotations: Labels,
    #[serde(rename = "startsAt")]
    starts: Option<Time>,
    #[serde(rename = "endsAt")]
    ends: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Status {
    Firing,
    Resolved,
}

impl TryFrom<String> for Status {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "firing" => Ok(Self::Firing),
            "resolved" => Ok(Self::Resolved),
            _ => Err("Use firing or resolved."),
        }
    }
}

/// Without those that have no value.
fn labels<'de, D: Deserializer<'de>>(reader: D) -> Result<Labels, D::Error> {
    let all: BTreeMap<String, Option<String>> = or_default(reader)?;
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

pub(super) fn read(body: &[u8]) -> Result<Told, FieldError> {
    let message: Message = parse(body)?;
    if message.alerts.is_empty() {
        return Err(FieldError::new("alerts", "Send at least one alert."));
    }
    let resolved = message.status == Status::Resolved;
    let firing = message.alerts.iter().filter(|a| a.status == Status::Firing).count();
    Ok(Told {
        title: title(&message),
        text: text(&message),
        // The gravest of those that fire: a group may have several.
        severity: message
            .alerts
            .iter()
            .filter(|a| a.status == Status::Firing)
            .map(|a| severity(&a.labels))
            .max()
            .unwrap_or(Severity::Info),
        resolved,
        at: message.alerts.iter().filter_map(|a| if resolved { a.ends } else { a.starts }).max(),
        link: page(&message.url),
        data: json!({
            "firing": firing,
            "resolved": message.alerts.len() - firing,
            "truncated": message.truncated,
            "labels": kept(&message.common),
            "alerts": message.alerts.iter().take(LISTED_MOST).map(told).collect::<Vec<_>>(),
        }),
        // What the button of Grafana sends.
        test: message
            .alerts
            .iter()
            .all(|a| a.labels.get("alertname").is_some_and(|name| name == "TestAlert")),
    })
}

/// `HostDown on nas.lan`, or `HostDown (3)`.
fn title(message: &Message) -> String {
    let named = |labels: &Labels| labels.get("alertname").cloned();
    let name = named(&message.common)
        .or_else(|| named(&message.group))
        .or_else(|| message.alerts.first().and_then(|a| named(&a.labels)))
        .unwrap_or_else(|| "Alert".to_owned());
    let head = if message.status == Status::Resolved { format!("Resolved: {name}") } else { name };
    let whole = match message.common.get("instance") {
        Some(instance) => format!("{head} on {instance}"),
        None if message.alerts.len() > 1 => format!("{head} ({})", message.alerts.len()),
        None => head,
    };
    line(&whole, TITLE_MOST)
}

fn text(message: &Message) -> String {
    let says = |a: &Labels| ["summary", "description", "message"].iter().find_map(|k| a.get(*k)).cloned();
    if let Some(common) = says(&message.annotations) {
        return lines(&common);
    }
    let each = message.alerts.iter().take(LISTED_MOST).filter_map(|a| says(&a.annotations));
    lines(&each.collect::<Vec<_>>().join("\n"))
}

/// By the labels that rules have for it by custom; without a known word, whoever alerts means it.
fn severity(labels: &Labels) -> Severity {
    let mut words = ["severity", "priority"].iter().filter_map(|name| labels.get(*name));
    words.find_map(|word| meant(word)).unwrap_or(Severity::Warning)
}

fn told(alert: &Alert) -> Value {
    json!({
        "resolved": alert.status == Status::Resolved,
        "labels": kept(&alert.labels),
        "starts_at": alert.starts,
    })
}

fn kept(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().take(LABELS_MOST).map(|(k, v)| (line(k, LABEL_MOST), line(v, LABEL_MOST))).collect()
}

#[cfg(test)]
mod tests {
    use cb_core::Severity;
    use serde_json::{Value, json};

    use super::read;

    fn alert(status: &str, labels: &Value) -> Value {
        json!({
            "status": status, "labels": labels, "annotations": { "summary": "It does not answer" },
            "startsAt": "2026-02-06T13:08:45.828Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.lan:9090/graph?g0.expr=up", "fingerprint": "1a30ba71cca2921f"
        })
    }

    fn group(status: &str, alerts: &[Value], common: &Value) -> Vec<u8> {
        json!({
            "receiver": "cb", "status": status, "alerts": alerts, "groupLabels": { "alertname": "HostDown" },
            "commonLabels": common, "commonAnnotations": {}, "externalURL": "http://prometheus.lan:9093",
            "version": "4", "groupKey": "{}:{alertname=\"HostDown\"}", "truncatedAlerts": 0
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn one_alert_says_what_and_where() {
        let labels = json!({ "alertname": "HostDown", "instance": "nas.lan:9100", "severity": "critical" });
        let told = read(&group("firing", &[alert("firing", &labels)], &labels)).expect("a message");
        assert_eq!(told.title, "HostDown on nas.lan:9100");
        assert_eq!(told.text, "It does not answer");
        assert_eq!((told.severity, told.resolved), (Severity::Critical, false));
        assert_eq!(told.link.as_deref(), Some("http://prometheus.lan:9093"));
        assert_eq!(told.data["alerts"][0]["labels"]["instance"], "nas.lan:9100");
        assert_eq!(told.at.map(|t| t.timestamp()), Some(1_770_383_325));
    }

    #[test]
    fn a_group_is_as_grave_as_the_gravest_that_fires() {
        let labels = |s: &str| json!({ "alertname": "HostDown", "severity": s });
        let alerts = [
            alert("firing", &labels("info")),
            alert("firing", &labels("warning")),
            alert("resolved", &labels("critical")),
        ];
        let told = read(&group("firing", &alerts, &json!({ "alertname": "HostDown" }))).expect("a message");
        assert_eq!((told.title.as_str(), told.severity), ("HostDown (3)", Severity::Warning));
        assert_eq!((&told.data["firing"], &told.data["resolved"]), (&json!(2), &json!(1)));
        let told = read(&group("resolved", &alerts[2..], &labels("critical"))).expect("a message");
        assert_eq!(
            (told.title.as_str(), told.severity, told.resolved),
            ("Resolved: HostDown", Severity::Info, true)
        );
    }

    #[test]
    fn a_thousand_alerts_are_counted_and_some_are_listed() {
        let labels = json!({ "alertname": "HostDown", "x": "y".repeat(5_000) });
        let alerts = vec![alert("firing", &labels); 1_000];
        let told = read(&group("firing", &alerts, &json!({}))).expect("a message");
        assert_eq!(told.data["firing"], 1_000);
        assert_eq!(told.data["alerts"].as_array().map(Vec::len), Some(50));
        assert!(told.data.to_string().len() < 60_000);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, field) in [
            (r#"{"alerts":[]}"#, "status"),
            (r#"{"status":"firing"}"#, "alerts"),
            (r#"{"status":"firing","alerts":[]}"#, "alerts"),
            (r#"{"status":"odd","alerts":[]}"#, "status"),
            (r#"{"status":"firing","alerts":[{"labels":{"a":7},"status":"firing"}]}"#, "alerts[0].labels.a"),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).field, field, "{body}");
        }
    }
}
