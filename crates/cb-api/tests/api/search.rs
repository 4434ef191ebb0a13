//! Search and filters. What is called so comes first, however many others have the word somewhere.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Login, Site};

impl Site {
    async fn made(&self, by: &Login, path: &str, body: Value) -> Value {
        let made = self.post(by, path, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }

    async fn asset(&self, by: &Login, name: &str, more: Value) -> String {
        let mut body = json!({ "name": name, "kind": "device" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.made(by, "/api/v1/assets", body).await["id"].as_str().expect("an id").to_owned()
    }

    /// The names of all pages, and the total that the first one tells.
    async fn all(&self, by: &Login, path: &str, limit: usize) -> (Vec<String>, u64) {
        let (mut names, mut total, mut cursor) = (Vec::new(), None, String::new());
        for _ in 0..20 {
            let page = self.get(by, &format!("{path}&limit={limit}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            total = total.or(page["total"].as_u64());
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= limit);
            names.extend(items.iter().map(|one| one["name"].as_str().expect("a name").to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (names, total.expect("a total")),
            }
        }
        panic!("no end: {names:?}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_called_so_comes_first(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let elsewhere = ["alpha", "bravo 10", "bravo 9", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];
    for name in elsewhere {
        site.asset(&admin, name, json!({ "role": "printer" })).await;
    }
    for name in
        ["myprinter", "attic_printer", "Printer", "office printer 2", "printers", "printer-10", "printer-9"]
    {
        site.asset(&admin, name, json!({})).await;
    }
    site.asset(&admin, "unrelated", json!({})).await;
    let found = ["Printer", "printer-9", "printer-10", "printers"]
        .into_iter()
        .chain(["attic_printer", "office printer 2", "myprinter"])
        .chain(["alpha", "bravo 9", "bravo 10"])
        .chain(elsewhere.into_iter().skip(3))
        .collect::<Vec<_>>();
    for limit in [1, 2, 7, 50] {
        let (names, total) = site.all(&admin, "/api/v1/assets?q=printer", limit).await;
        assert_eq!(names, found, "{limit} at a time");
        assert_eq!(total, 16);
    }
    let named = async |query: &str| site.all(&admin, &format!("/api/v1/assets?{query}"), 50).await.0;
    assert_eq!(named("q=PRINTER").await, found, "in any case");
    assert_eq!(named("q=printer&sort=match").await, found, "by its name");
    let by_name = named("q=printer&sort=name").await;
    assert_eq!(&by_name[..2], ["alpha", "attic_printer"], "another order that is asked for");
    assert_eq!(named("q=printer%20office").await, ["office printer 2"]);
    assert_eq!(&named("q=printer%209").await[..1], ["printer-9"], "a word behind any separator");
    // Without a word nothing is near to anything.
    assert_eq!(named("").await, named("sort=name").await);
    assert_eq!(named("sort=match").await, named("sort=name").await);
    // A percent sign is a percent sign.
    assert_eq!(named("q=%25").await, [""; 0]);
    let wrong = site.get(&admin, "/api/v1/assets?sort=nearest").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("match, name"), "{}", wrong.text());
}

#[rstest]
#[tokio::test]
async fn an_exact_address_comes_first_however_it_is_written(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let with = async |name: &str, ip: &str, hostname: Option<&str>, mac: Option<&str>| {
        let id = site.asset(&admin, name, json!({})).await;
        let address = json!({ "asset_id": id, "ip": ip, "hostname": hostname });
        site.made(&admin, "/api/v1/addresses", address).await;
        if let Some(mac) = mac {
            let interface = json!({ "asset_id": id, "name": "eth0", "mac": mac });
            site.made(&admin, "/api/v1/interfaces", interface).await;
        }
    };
    with("a", "10.0.0.10", None, None).await;
    with("b", "110.0.0.1", Some("tv.attic.lan"), None).await;
    with("c", "10.0.0.1", None, Some("00:11:32:aa:bb:cc")).await;
    with("d", "fd00::10", Some("attic.lan"), None).await;
    site.asset(&admin, "behind 10.0.0.1", json!({ "notes": "fd00::10" })).await;
    let named = async |query: &str| site.all(&admin, &format!("/api/v1/assets?q={query}"), 1).await.0;
    assert_eq!(named("10.0.0.1").await, ["c", "a", "behind 10.0.0.1", "b"]);
    assert_eq!(named("attic.lan").await, ["d", "b"]);
    assert_eq!(named("fd00::10").await, ["d", "behind 10.0.0.1"]);
    assert_eq!(named("FD00:0:0::10").await, ["d"]);
    for mac in ["00:11:32:aa:bb:cc", "00-11-32-AA-BB-CC", "0011.32aa.bbcc"] {
        assert_eq!(named(mac).await, ["c"], "{mac}");
    }
}

#[rstest]
#[tokio::test]
async fn networks_are_found_by_name_and_range(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    for (name, cidr) in [
        ("Old lab", "10.0.0.0/24"),
        ("Lab", "10.0.1.0/24"),
        ("Collaboration", "10.0.2.0/24"),
        ("Laboratory", "10.0.10.0/24"),
    ] {
        site.made(&admin, "/api/v1/networks", json!({ "name": name, "cidr": cidr })).await;
    }
    let named = async |query: &str| site.all(&admin, &format!("/api/v1/networks?q={query}"), 1).await.0;
    assert_eq!(named("lab").await, ["Lab", "Laboratory", "Old lab", "Collaboration"]);
    assert_eq!(named("10.0.1.0/24").await, ["Lab"]);
    assert_eq!(named("0.1").await, ["Lab", "Laboratory"], "by range");
}

#[tokio::test]
async fn a_wrong_filter_says_what_to_enter() {
    let (site, admin) = Site::ready(Sqlite).await;
    let port = "Enter a port from 1 to 65535, such as 22.";
    let time = "Enter a time such as 2026-01-31T12:00:00Z.";
    let kinds = "Choose one of these: device, compute, service, storage, cluster, external, other.";
    for (query, field, reason) in [
        ("assets?port=abc", "port", port),
        ("assets?port=99999999999", "port", port),
        ("assets?port=0", "port", port),
        ("assets/export?port=", "port", port),
        ("findings?port=-1", "port", port),
        ("findings/groups?by=kind&port=x", "port", port),
        ("assets?seen_after=7", "seen_after", time),
        ("findings?seen_before=7", "seen_before", time),
        ("findings/groups?by=kind&seen_after=now", "seen_after", time),
        ("assets/export?seen_before=yesterday", "seen_before", time),
        ("assets?kind=toaster", "kind", kinds),
        ("assets?kind=device&kind=storage", "kind", "Give this parameter only once."),
        (
            "scans?color=red",
            "color",
            "There is no such parameter here. The parameters are limit, cursor, sort, q.",
        ),
        ("findings/groups", "by", "This field is required."),
        ("assets?limit=many", "limit", "Enter a whole number in the valid range."),
    ] {
        let refused = site.get(&admin, &format!("/api/v1/{query}")).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.text());
        let told = refused.json()["errors"][0].clone();
        assert_eq!((&told["field"], &told["reason"]), (&json!(field), &json!(reason)), "{query}");
    }
    for good in ["port=22", "seen_after=2026-01-31T12:00:00Z", "seen_before=2026-01-31T12:00:00.5%2B02:00"] {
        let found = site.get(&admin, &format!("/api/v1/assets?{good}")).await;
        assert_eq!(found.status, 200, "{good}: {}", found.text());
    }
    let user = json!({ "username": "grace", "password": "a long enough one", "role": "boss" });
    let refused = site.post(&admin, "/api/v1/users", user).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let told = refused.json()["errors"][0].clone();
    assert_eq!(told, json!({ "field": "role", "reason": "Choose one of these: viewer, editor, admin." }));
}

/// A form shows it at the field that has the value.
#[rstest]
#[tokio::test]
async fn a_value_that_is_taken_is_an_error_of_its_field(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let (a, b) = (site.asset(&admin, "a", json!({})).await, site.asset(&admin, "b", json!({})).await);
    let user = json!({ "username": "grace", "password": "seven green kettles sing", "role": "viewer" });
    let shows = json!({ "q": "", "sort": "name", "narrowed": [], "columns": [], "dense": true });
    let credential = json!({
        "name": "Nas", "kind": "basic", "public": { "user": "root" }, "hosts": ["nas.lan"], "secret": { "password": "geheim" },
    });
    let channel = json!({
        "name": "Phone", "kind": "gotify", "public": { "server": "http://10.0.0.5/" }, "secret": { "token": "AbC" },
    });
    let mut view = json!({ "name": "Mine", "list": "inventory" });
    view.as_object_mut().expect("an object").extend(shows.as_object().expect("an object").clone());
    for (list, body, field, reason) in [
        ("users", user, "username", "A user with this name already exists."),
        (
            "tags",
            json!({ "name": "attic", "color": "#aabbcc" }),
            "name",
            "A tag with this name already exists.",
        ),
        (
            "networks",
            json!({ "name": "Lab", "cidr": "10.0.0.0/24" }),
            "cidr",
            "Another network already has this range and VLAN. Change the range or the VLAN.",
        ),
        (
            "addresses",
            json!({ "asset_id": a, "ip": "10.0.0.2" }),
            "ip",
            "This asset already has this address.",
        ),
        (
            "links",
            json!({ "a_asset_id": a, "b_asset_id": b, "kind": "ethernet" }),
            "kind",
            "These two assets already have a link of this kind. Choose another kind.",
        ),
        ("credentials", credential, "name", "A credential with this name already exists."),
        ("channels", channel, "name", "A channel with this name already exists."),
        (
            "webhooks",
            json!({ "name": "Home", "url": "http://10.0.0.5/in", "events": ["asset.created"] }),
            "name",
            "A webhook with this name already exists.",
        ),
        (
            "hooks",
            json!({ "name": "In", "format": "generic" }),
            "name",
            "A hook with this name already exists.",
        ),
        ("views", view, "name", "You already have a view with this name for this table."),
    ] {
        let path = format!("/api/v1/{list}");
        site.made(&admin, &path, body.clone()).await;
        let again = site.post(&admin, &path, body).await;
        let told = again.json();
        assert_eq!((again.status, &told["detail"]), (409, &json!(reason)), "{list}: {told}");
        assert_eq!(told["errors"], json!([{ "field": field, "reason": reason }]), "{list}");
    }
}
