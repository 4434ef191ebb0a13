//! Every input of the document, as somebody sends it who looks for what its reader takes besides.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::Receiver;
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Ask, Site};

/// What a list gives out as a cursor comes back to it as anything at all.
#[rstest]
#[tokio::test]
async fn a_cursor_is_looked_into_by_every_list(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let inbox = Receiver::start().await;
    let mut parents = Vec::new();
    for (path, body) in [
        ("/hooks", json!({ "name": "Alerts", "format": "generic" })),
        ("/webhooks", json!({ "name": "Ops", "url": inbox.url("/"), "events": ["asset.created"] })),
        (
            "/channels",
            json!({
                "name": "Phone", "kind": "ntfy", "events": ["asset.created"],
                "public": { "server": inbox.url(""), "topic": "lab" },
            }),
        ),
        (
            "/credentials",
            json!({ "name": "SNMP", "kind": "snmp_v2c", "secret": { "community": "lab" }, "hosts": ["127.0.0.1"] }),
        ),
    ] {
        let made = site.post(&admin, &format!("/api/v1{path}"), body).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
        let made = made.json();
        let id = made["id"].as_str().or_else(|| made.as_object()?.values().find_map(|v| v["id"].as_str()));
        parents.push((format!("/api/v1{path}/{{id}}"), id.expect("an id").to_owned()));
    }
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let (mut lists, mut asked) = (0, 0);
    for (template, item) in document["paths"].as_object().expect("paths") {
        let parameters = item["get"]["parameters"].as_array();
        if !parameters.is_some_and(|all| all.iter().any(|p| p["name"] == "cursor")) {
            continue;
        }
        lists += 1;
        let parent = parents.iter().find(|(parent, _)| template.starts_with(parent.as_str()));
        let path = parent.map_or(template.clone(), |(_, id)| template.replace("{id}", id));
        assert_eq!(site.get(&admin, &path).await.status, 200, "{path}");
        // The list names its orders when it is asked for one that it does not have.
        let refused = site.get(&admin, &format!("{path}?sort=nonsense")).await.json();
        let reason = refused["errors"][0]["reason"].as_str().expect("a reason").to_owned();
        let names =
            reason.strip_prefix("Use one of these: ").and_then(|r| r.split_once(". ")).map_or("", |r| r.0);
        let orders =
            names.split(", ").filter(|n| !n.is_empty()).flat_map(|n| [n.to_owned(), format!("-{n}")]);
        for sort in orders {
            for cursor in [
                json!({ "s": sort, "v": "a\0b", "id": uuid::Uuid::nil() }),
                json!([sort, "a", uuid::Uuid::nil()]),
                json!({ "s": sort, "v": 5, "id": uuid::Uuid::nil() }),
                json!({ "s": sort, "v": "a", "id": "x" }),
                json!({ "s": "nonsense", "v": "a", "id": uuid::Uuid::nil() }),
            ] {
                asked += 1;
                let text = URL_SAFE_NO_PAD.encode(cursor.to_string());
                let answer = site.get(&admin, &format!("{path}?sort={sort}&cursor={text}")).await;
                assert_eq!(answer.status, 422, "{path} {cursor}: {}", answer.text());
                assert_eq!(answer.json()["errors"][0]["field"], "cursor", "{path} {cursor}");
            }
        }
        for cursor in ["AA", "e30", "bnVsbA", "W10", "9223372036854775808", "%F0%9F%98%80"] {
            let answer = site.get(&admin, &format!("{path}?cursor={cursor}")).await;
            assert!(answer.status == 422 || answer.status == 200, "{path} {cursor}: {}", answer.text());
        }
    }
    assert!(lists > 15 && asked > 200, "{lists} lists, {asked} cursors");
}

/// An input after its schema, with every field.
fn sample(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(example) = schema.get("example").filter(|e| !e.is_object() && !e.is_array()) {
        return example.clone();
    }
    if let Some(one) = schema["enum"].as_array().and_then(|all| all.first()) {
        return one.clone();
    }
    let any = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|of| schema[of].as_array());
    if let Some(one) = any.and_then(|all| all.iter().find(|s| s["type"] != "null")) {
        return sample(document, one);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, s)| (name.clone(), sample(document, s))).collect())
        }
        "array" => json!([sample(document, &schema["items"])]),
        "integer" | "number" => json!(schema["minimum"].as_i64().unwrap_or(1)),
        "boolean" => json!(false),
        _ if schema["format"] == "uuid" => json!(uuid::Uuid::nil()),
        _ if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
        _ => json!("a"),
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        Some(to) => document.pointer(to).expect("a schema of the document"),
        None => schema,
    }
}

/// `value` once for each object of the schema in it, which has become an array of its values there.
fn with_arrays(document: &Value, schema: &Value, value: &Value) -> Vec<Value> {
    let schema = resolved(document, schema);
    let any = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|of| schema[of].as_array());
    if let Some(one) = any.and_then(|all| all.iter().find(|s| s["type"] != "null")) {
        return with_arrays(document, one, value);
    }
    if let (Some(items), Some(first)) = (schema.get("items"), value.get(0)) {
        return with_arrays(document, items, first).into_iter().map(|part| json!([part])).collect();
    }
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) else {
        return Vec::new();
    };
    let mut all = vec![Value::Array(fields.values().cloned().collect())];
    for (name, part) in fields {
        for changed in with_arrays(document, &properties[name], part) {
            let mut whole = fields.clone();
            whole.insert(name.clone(), changed);
            all.push(Value::Object(whole));
        }
    }
    all
}

/// Whatever serde's readers would take by position.
#[tokio::test]
async fn an_array_is_no_body_and_no_part_of_one() {
    let (site, admin) = Site::ready(Sqlite).await;
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let (mut bodies, mut within) = (0, 0);
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            // A hook takes what its sender writes; its formats have a test of their own.
            if schema.is_null() || (method == "post" && template == "/api/v1/hooks/{id}") {
                continue;
            }
            bodies += 1;
            let nil = uuid::Uuid::nil().to_string();
            let path = template.replace("{id}", &nil).replace("{slug}", "x").replace("{delivery}", &nil);
            for body in with_arrays(&document, schema, &sample(&document, schema)) {
                within += usize::from(body.is_object());
                let answer = site.ask(Ask::new(&method.to_uppercase(), &path).write(&admin, &body)).await;
                assert_eq!(answer.status, 422, "{method} {path} {body}: {}", answer.text());
                let wrong = &answer.json()["errors"][0];
                assert!(
                    wrong["reason"].as_str().is_some_and(|r| r.ends_with("expects an object.")),
                    "{method} {path} {body}: {wrong}"
                );
            }
        }
    }
    assert!(bodies > 40 && within > 2, "{bodies} bodies, {within} with an array inside");
    let evil = json!(["eve", null, "admin", "seven purple herons wade"]);
    assert_eq!(site.post(&admin, "/api/v1/users", evil).await.status, 422);
    assert_eq!(site.get(&admin, "/api/v1/users").await.json()["total"], 1, "nobody was made");
}

/// What is just within and just beyond each bound that the description states for a text or a list of a body: each is sent, and the server
/// must say the same.
#[rstest]
#[tokio::test]
async fn the_described_bounds_are_the_servers(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    for (schema, field, bound) in cb_app::described::FIELDS {
        let described = &document["components"]["schemas"][schema]["properties"][field];
        let bounds = ["maxLength", "maximum", "pattern", "maxItems"];
        let words = &described["items"]["enum"];
        assert!(
            !words.is_null() || bounds.iter().any(|b| !described[b].is_null()),
            "{schema}.{field} is described: {bound:?}"
        );
    }
    let (mut told, mut differences) = (0, Vec::new());
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null()
                || method != "post"
                || template.contains("{id}")
                || template.ends_with("/setup")
            {
                continue;
            }
            // What may be left out may also contradict the rest.
            let required = &resolved(&document, schema)["required"];
            let mut whole = sample(&document, schema);
            if let Some(fields) = whole.as_object_mut() {
                fields.retain(|name, _| required.as_array().is_some_and(|all| all.iter().any(|r| r == name)));
            }
            for (field, property) in resolved(&document, schema)["properties"].as_object().expect("fields") {
                for (given, fits) in around(&document, property) {
                    let mut body = whole.clone();
                    body[field] = given;
                    let answer = site.ask(Ask::new("POST", template).write(&admin, &body)).await;
                    // Something else is looked at first.
                    if matches!(answer.status, 403 | 409) {
                        continue;
                    }
                    let wrong = (answer.status == 422).then(|| answer.json()["errors"].clone());
                    let named = wrong.as_ref().and_then(|w| w.as_array()).is_some_and(|all| {
                        all.iter().any(|e| {
                            e["field"] == **field
                                && e["reason"]
                                    .as_str()
                                    .is_some_and(|r| OF_BOUNDS.iter().any(|b| r.contains(b)))
                        })
                    });
                    if fits == named {
                        differences.push(format!("{template} {field}, within: {fits}, {}", answer.text()));
                    }
                    told += 1;
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(told > 60, "{told} bounds were tried");
}

/// How the server says that a bound was passed.
const OF_BOUNDS: [&str; 5] =
    ["at most", "at least", "This field must not be empty.", "1 to", "a number from"];

/// Values at the bounds of a property, and whether they are within.
fn around(document: &Value, property: &Value) -> Vec<(Value, bool)> {
    let number = |name: &str| property[name].as_u64().map(|n| usize::try_from(n).expect("small"));
    // Neither a word with a year nor a row of the same letters, for it may be a password.
    let text = |length: usize| Value::String("b7x!q-Zr".chars().cycle().take(length).collect());
    let list = |length: usize| {
        let item = sample(document, &property["items"]);
        Value::Array(vec![item; length])
    };
    let mut all = Vec::new();
    if let Some(most) = number("maxLength").filter(|most| *most < 100_000) {
        all.extend([(text(most), true), (text(most + 1), false)]);
    }
    if let Some(least) = number("minLength") {
        all.extend([(text(least), true), (text(least - 1), false)]);
    }
    if let Some(most) = number("maxItems") {
        all.extend([(list(most), true), (list(most + 1), false)]);
    }
    if let Some(least) = number("minItems") {
        all.push((list(least - 1), false));
    }
    if let (Some(least), Some(most)) = (property["minimum"].as_i64(), property["maximum"].as_i64()) {
        all.extend([
            (json!(least), true),
            (json!(least - 1), false),
            (json!(most), true),
            (json!(most + 1), false),
        ]);
    }
    all
}
