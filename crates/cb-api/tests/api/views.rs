//! Saved views: each user's own, and nobody else's.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Answer, Ask, Login, Site};

const VIEWS: &str = "/api/v1/views";

fn view(list: &str, name: &str) -> Value {
    json!({
        "list": list, "name": name, "q": "kind:storage  nas", "sort": "-last_seen_at",
        "narrowed": [{ "name": "group", "value": "network" }],
        "columns": [{ "id": "vendor", "shown": true }, { "id": "tags", "shown": false }], "dense": true,
    })
}

impl Site {
    async fn save(&self, by: &Login, body: Value) -> Value {
        let made = self.post(by, VIEWS, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }

    async fn with_version(&self, by: &Login, method: &str, path: &str, version: u64, body: Value) -> Answer {
        let ask = Ask::new(method, path).header("If-Match", format!("\"{version}\""));
        self.ask(ask.write(by, &body)).await
    }

    async fn names(&self, by: &Login, query: &str) -> Vec<String> {
        let all = self.get(by, &format!("{VIEWS}{query}")).await.json();
        let all = all.as_array().expect("a list");
        all.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    }
}

fn path(view: &Value) -> String {
    format!("{VIEWS}/{}", view["id"].as_str().expect("an id"))
}

#[rstest]
#[tokio::test]
async fn a_view_is_saved_listed_changed_and_deleted(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let given = view("inventory", " Storage 10 ");
    let made = site.save(&admin, given.clone()).await;
    assert_eq!(made["name"], "Storage 10");
    for field in ["list", "q", "sort", "narrowed", "columns", "dense"] {
        assert_eq!(made[field], given[field], "{field}");
    }
    site.save(&admin, json!({ "list": "inventory", "name": "storage 9" })).await;
    site.save(&admin, json!({ "list": "networks", "name": "Full" })).await;
    assert_eq!(site.names(&admin, "").await, ["Full", "storage 9", "Storage 10"]);
    assert_eq!(site.names(&admin, "?list=inventory").await, ["storage 9", "Storage 10"]);
    assert_eq!(site.get(&admin, &format!("{VIEWS}?list=nothing")).await.status, 422);

    let here = path(&made);
    assert_eq!(site.get(&admin, &here).await.one("etag"), "\"1\"");
    let renamed = json!({ "name": "Disks" });
    assert_eq!(site.with_version(&admin, "PATCH", &here, 7, renamed.clone()).await.status, 412);
    let changed = site.with_version(&admin, "PATCH", &here, 1, renamed).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Disks"), &json!(2)));
    assert_eq!(
        (&changed["q"], &changed["columns"]),
        (&given["q"], &given["columns"]),
        "what is absent stays"
    );
    let replaced = site.patch(&admin, &here, json!({ "q": "", "columns": [], "dense": false })).await.json();
    assert_eq!((&replaced["q"], &replaced["columns"]), (&json!(""), &json!([])));
    assert_eq!((&replaced["dense"], &replaced["sort"]), (&json!(false), &given["sort"]));

    assert_eq!(site.with_version(&admin, "DELETE", &here, 1, json!({})).await.status, 412);
    assert_eq!(site.with_version(&admin, "DELETE", &here, 3, json!({})).await.status, 204);
    assert_eq!(site.get(&admin, &here).await.status, 404);
}

#[rstest]
#[tokio::test]
async fn a_name_is_taken_in_any_case_for_one_table_of_one_user(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "viewer").await;
    let grace = site.signed_in("grace").await;
    site.save(&admin, view("inventory", "Ärger")).await;
    let again = site.post(&admin, VIEWS, view("inventory", "äRGER")).await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert!(again.text().contains("view with this name"), "{}", again.text());
    let other = site.save(&admin, view("networks", "Ärger")).await;
    let second = site.save(&admin, view("networks", "Second")).await;
    let taken = site.patch(&admin, &path(&second), json!({ "name": "ärger" })).await;
    assert_eq!(taken.status, 409, "{}", taken.text());
    let own = site.patch(&admin, &path(&other), json!({ "name": "ärger" })).await;
    assert_eq!(own.status, 200, "the own name in another case");
    site.save(&grace, view("inventory", "Ärger")).await;
}

#[rstest]
#[tokio::test]
async fn a_view_is_its_owners_alone_and_goes_with_them(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let id = site.user(&admin, "grace", "viewer").await;
    let grace = site.signed_in("grace").await;
    let hers = path(&site.save(&grace, view("inventory", "Hers")).await);
    assert_eq!(site.names(&admin, "").await, [""; 0], "an administrator has none");
    assert_eq!(site.get(&admin, &hers).await.status, 404);
    assert_eq!(site.patch(&admin, &hers, json!({ "name": "Mine" })).await.status, 404);
    assert_eq!(site.delete(&admin, &hers).await.status, 404);
    let token = site.token(&admin, &["inventory:read"]).await;
    assert_eq!(site.by_token("GET", VIEWS, &token).await.status, 404, "a token is nobody at a screen");
    assert_eq!(site.by_token("GET", &hers, &token).await.status, 404);
    assert_eq!(site.names(&grace, "").await, ["Hers"]);
    // The log names the view and its table, and says nothing of what it shows.
    let log = site.get(&admin, "/api/v1/audit-log?action=view_created").await.json();
    let detail = log["items"][0]["detail"].clone();
    assert_eq!(detail, json!({ "list": "inventory", "name": "Hers" }));

    let admin = site.proved_admin(&admin).await;
    let gone = site.delete(&admin, &format!("/api/v1/users/{id}")).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
}

#[rstest]
#[tokio::test]
async fn every_table_of_the_description_has_views(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let description = site.get(&admin, "/api/v1/openapi.json").await.json();
    let tables = description["components"]["schemas"]["ViewList"]["enum"].as_array().expect("names").clone();
    assert!(tables.len() >= 10, "{tables:?}");
    for table in &tables {
        let table = table.as_str().expect("a name");
        let made = site.save(&admin, view(table, table)).await;
        let read = site.get(&admin, &path(&made)).await.json();
        assert_eq!(read["list"], *table);
        assert_eq!(site.names(&admin, &format!("?list={table}")).await, [table]);
    }
}

#[rstest]
#[tokio::test]
async fn there_is_a_bound_and_what_is_wrong_is_named(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    for (field, wrong, reason) in [
        ("name", json!(""), "This field must not be empty."),
        ("name", json!("x".repeat(101)), "at most 100"),
        ("q", json!("x".repeat(501)), "at most 500"),
        ("sort", json!("name; DROP"), "name of a column"),
        ("columns", json!(vec![json!({ "id": "a", "shown": true }); 51]), "at most 50"),
        ("narrowed", json!(vec![json!({ "name": "a", "value": "b" }); 9]), "at most 8"),
    ] {
        let mut body = view("inventory", "Any");
        body[field] = wrong;
        let refused = site.post(&admin, VIEWS, body).await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.text());
        let told = refused.json()["errors"][0].clone();
        assert_eq!(told["field"], field);
        assert!(told["reason"].as_str().is_some_and(|r| r.contains(reason)), "{told}");
    }
    let mut body = view("inventory", "Any");
    body["columns"][1]["id"] = json!("<b>");
    let refused = site.post(&admin, VIEWS, body.clone()).await.json();
    assert_eq!(refused["errors"][0]["field"], "columns[1].id");
    body["columns"] = json!({ "any": "JSON" });
    assert_eq!(site.post(&admin, VIEWS, body).await.status, 422);
    // What is refused at first is refused of a change too, and changes nothing.
    let made = site.save(&admin, view("inventory", "View 0")).await;
    for (field, wrong) in [
        ("name", json!("x".repeat(101))),
        ("q", json!("x".repeat(501))),
        ("sort", json!("name; DROP")),
        ("columns", json!(vec![json!({ "id": "a", "shown": true }); 51])),
        ("columns", json!([{ "id": "a", "shown": true, "wide": true }])),
        ("columns", json!([{ "id": "A b", "shown": true }])),
        ("narrowed", json!([{ "name": "a-b", "value": "b" }])),
        ("narrowed", json!([{ "name": "a", "value": "x".repeat(500) }])),
        ("user_id", json!("00000000-0000-0000-0000-000000000000")),
    ] {
        let refused = site.patch(&admin, &path(&made), json!({ field: wrong })).await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.text());
        let told = refused.json()["errors"][0]["field"].clone();
        assert!(told.as_str().is_some_and(|told| told.starts_with(field)), "{told}");
    }
    assert_eq!(site.get(&admin, &path(&made)).await.json(), made);
    for n in 1..50 {
        site.save(&admin, view("inventory", &format!("View {n}"))).await;
    }
    let more = site.post(&admin, VIEWS, view("networks", "One more")).await;
    assert_eq!(more.status, 409, "{}", more.text());
    assert!(more.text().contains("50 views") && more.text().contains("Delete one"), "{}", more.text());
    site.user(&admin, "grace", "viewer").await;
    let grace = site.signed_in("grace").await;
    site.save(&grace, view("networks", "One more")).await;
    assert_eq!(site.delete(&admin, &path(&made)).await.status, 204);
    site.save(&admin, view("networks", "One more")).await;
}
