//! Every route by every kind of caller, as one table that was read line by line; and every route that writes leaves its
//! entry in the audit log.

use std::fmt::Write as _;
use std::net::IpAddr;

use cb_collect::report::{Evidence, Guess, HostReport};
use cb_core::ids::ScanId;
use cb_core::inventory::AssetKind;
use cb_store::sea_orm::ConnectionTrait as _;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::{Receiver, TestApp};
use chrono::TimeDelta;
use http::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::access::PROVES_ITSELF;
use crate::identity::PASSWORD;
use crate::site::{Answer, Ask, Login, Site};

/// How a caller proves who they are.
enum Caller {
    Nobody,
    Session { name: &'static str, login: Login },
    Token(String),
}

impl Site {
    /// The ids of findings of so many hosts, as a scan that has seen them leaves them.
    async fn findings(&self, admin: &Login, hosts: u8) -> Vec<String> {
        let scan = json!({ "targets": ["172.31.255.77"], "probes": ["arp"] });
        let scan = self.post(admin, "/api/v1/scans", scan).await.json();
        let scan: ScanId = serde_json::from_value(scan["id"].clone()).expect("an id");
        let reports: Vec<HostReport> = (1..=hosts).map(|n| seen(self.test.app.now(), n)).collect();
        let ctx = self.test.app.own_ctx(cb_core::Principal::Scanner { scan });
        cb_app::record::record(&ctx, scan, &reports).await.expect("recorded");
        let list = self.get(admin, "/api/v1/findings").await.json();
        let items = list["items"].as_array().expect("a list").clone();
        items.iter().map(|f| f["id"].as_str().expect("an id").to_owned()).collect()
    }
}

fn seen(at: cb_core::clock::Time, n: u8) -> HostReport {
    let address = IpAddr::from([10, 8, 0, n]);
    HostReport {
        address,
        mac: None,
        vendor: None,
        random_mac: false,
        hostname: None,
        network: Some("10.8.0.0/24".parse().expect("a network")),
        gateway: false,
        services: Vec::new(),
        guess: Guess {
            name: format!("host-{n}"),
            kind: AssetKind::Device,
            role: None,
            vendor: None,
            model: None,
            os: None,
        },
        identities: Vec::new(),
        evidence: vec![Evidence {
            source: "icmp".into(),
            at,
            address,
            port: None,
            fact: "answers".into(),
            value: "yes".into(),
        }],
        confidence: 50,
    }
}

const REVIEWED: &str = "tests/api/matrix.txt";

fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(cb_api::routes::document()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            operations.push((method.to_uppercase().parse().expect("a method"), path.clone()));
        }
    }
    operations
}

/// The route with ids that name nothing.
fn somewhere(path: &str) -> String {
    let nil = uuid::Uuid::nil().to_string();
    path.replace("{id}", &nil).replace("{asset_id}", &nil).replace("{delivery}", &nil)
}

async fn status(site: &Site, caller: &Caller, method: &Method, path: &str) -> u16 {
    let ask = Ask::new(method.as_str(), &somewhere(path));
    let ask = match caller {
        Caller::Nobody => ask,
        Caller::Session { login, .. } => ask.by(login).header("X-CSRF-Token", &login.csrf),
        Caller::Token(token) => ask.header("Authorization", format!("Bearer {token}")),
    };
    match site.ask(if method.is_safe() { ask } else { ask.json("{}") }).await.status {
        // A wrong token, after many of them: refused all the same.
        429 if matches!(caller, Caller::Token(_)) => 401,
        status => status,
    }
}

/// Some rows end the caller's own session; the next row needs one that lives.
async fn alive_again(site: &Site, caller: &mut Caller) {
    if let Caller::Session { name, login } = caller
        && !name.is_empty()
        && site.ended_somewhere(login).await
    {
        *login = if *name == TestApp::USERNAME {
            Login::from_answer(&site.login(name, TestApp::PASSWORD).await)
        } else {
            site.signed_in(name).await
        };
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_route_by_every_caller_is_as_reviewed(#[values(Sqlite, Postgres)] database: Database) {
    let unset = Site::new(database).await;
    let (site, admin) = Site::ready(database).await;
    let mut ids = Vec::new();
    for (name, role) in
        [("viewer", "viewer"), ("editor", "editor"), ("gone", "admin"), ("half", "admin"), ("rich", "admin")]
    {
        ids.push(site.user(&admin, name, role).await);
    }
    let rich = site.signed_in("rich").await;
    let mut callers: Vec<(String, Caller)> = vec![("anonymous".to_owned(), Caller::Nobody)];
    let (_, _, _) = site.turn_on_totp(&site.signed_in("half").await).await;
    let step = site.login("half", PASSWORD).await.json();
    callers.push((
        "half signed in".to_owned(),
        Caller::Token(step["mfa_token"].as_str().expect("a token").to_owned()),
    ));
    let half_cookie = Login {
        cookie: format!("__Host-cb_session={}", step["mfa_token"].as_str().expect("a token")),
        csrf: String::new(),
    };
    callers.push(("half, as cookie".to_owned(), Caller::Session { name: "", login: half_cookie }));
    let revoked = site.signed_in("viewer").await;
    assert_eq!(site.post(&revoked, "/api/v1/auth/logout", json!({})).await.status, 204);
    callers.push(("revoked session".to_owned(), Caller::Session { name: "", login: revoked }));
    let gone = site.signed_in("gone").await;
    let gone_token = site.token(&gone, &["inventory:read"]).await;
    assert_eq!(
        site.patch(&admin, &format!("/api/v1/users/{}", ids[2]), json!({ "disabled": true })).await.status,
        200
    );
    callers.push(("disabled, session".to_owned(), Caller::Session { name: "", login: gone }));
    callers.push(("disabled, token".to_owned(), Caller::Token(gone_token)));
    for name in ["viewer", "editor"] {
        callers.push((name.to_owned(), Caller::Session { name, login: site.signed_in(name).await }));
    }
    callers.push(("admin".to_owned(), Caller::Session { name: TestApp::USERNAME, login: admin }));
    for permission in cb_core::Permission::ALL {
        let token = site.token(&rich, &[permission.as_str()]).await;
        callers.push((permission.as_str().to_owned(), Caller::Token(token)));
    }
    callers.push(("operator".to_owned(), Caller::Token(TestApp::API_TOKEN.to_owned())));

    let mut table = String::from(
        "# Status by route and caller, with an empty body and ids that name nothing: 401 who are you, 403 you may not,\n\
         # 404 and 422 you may, and it is not there or says too little. Changed? Read each line before you keep it.\n",
    );
    let names: Vec<&str> = callers.iter().map(|c| c.0.as_str()).collect();
    let _ = writeln!(table, "# columns: before setup | {}", names.join(" | "));
    for (method, path) in operations() {
        let _ = write!(table, "{:<6} {path:<40}", method.as_str());
        let _ = write!(table, " {}", status(&unset, &Caller::Nobody, &method, &path).await);
        for (_, caller) in &mut callers {
            let answer = status(&site, caller, &method, &path).await;
            let _ = write!(table, " {answer}");
            alive_again(&site, caller).await;
        }
        table.push('\n');
    }
    // An expired session, last: it takes the clock along.
    let Some((_, Caller::Session { login: old, .. })) = callers.iter().find(|c| c.0 == "admin") else {
        panic!("the administrator")
    };
    site.test.clock.advance(TimeDelta::days(31));
    for (method, path) in operations() {
        let caller = Caller::Session { name: "", login: old.clone() };
        let public = cb_api::auth::is_public(&method, &path);
        let answer = status(&site, &caller, &method, &path).await;
        let refused = !public || (method.as_str(), path.as_str()) == PROVES_ITSELF;
        assert_eq!(answer == 401, refused, "expired: {method} {path} {answer}");
    }

    let reviewed = std::fs::read_to_string(REVIEWED).unwrap_or_default();
    if table != reviewed {
        let fresh = std::env::temp_dir().join("cb-matrix.txt");
        std::fs::write(&fresh, &table).expect("written");
        let differing: Vec<&str> = table.lines().filter(|l| !reviewed.lines().any(|r| r == *l)).collect();
        panic!(
            "not as reviewed:\n{}\nRead them, then: cp {} crates/cb-api/{REVIEWED}",
            differing.join("\n"),
            fresh.display()
        );
    }
}

/// Calls of writing routes, each of which must do something and leave its entry in the log.
struct Story {
    site: Site,
    admin: Login,
    seq: i64,
    called: Vec<String>,
}

impl Story {
    async fn call(&mut self, by: &Login, method: &str, template: &str, id: &str, body: Value) -> Answer {
        let path = format!("/api/v1{}", template.replace("{id}", id).replace("{asset_id}", id));
        let answer = self.site.ask(Ask::new(method, &path).write(by, &body)).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        let list = self.site.get(&self.admin, "/api/v1/audit-log?limit=1").await.json();
        let seq = list["items"][0]["seq"].as_i64().expect("a number");
        assert!(seq > self.seq, "{method} {path} left no entry in the log");
        self.seq = seq;
        self.called.push(format!("{method} /api/v1{template}"));
        answer
    }

    /// By the administrator; answers the id of what it was about, if it says one.
    async fn admin(&mut self, method: &str, template: &str, id: &str, body: Value) -> String {
        let by = self.admin.clone();
        let answer = self.call(&by, method, template, id, body).await;
        if answer.body.is_empty() { String::new() } else { id_of(&answer.json()) }
    }

    async fn inventory(&mut self) {
        let network =
            self.admin("POST", "/networks", "", json!({ "name": "lab", "cidr": "10.9.0.0/24" })).await;
        self.admin("PATCH", "/networks/{id}", &network, json!({ "name": "den" })).await;
        let one = self.admin("POST", "/assets", "", json!({ "name": "one", "kind": "device" })).await;
        let two = self.admin("POST", "/assets", "", json!({ "name": "two", "kind": "device" })).await;
        self.admin("PATCH", "/assets/{id}", &two, json!({ "notes": "x" })).await;
        let nic = self.admin("POST", "/interfaces", "", json!({ "asset_id": one, "name": "eth0" })).await;
        self.admin("PATCH", "/interfaces/{id}", &nic, json!({ "name": "eth1" })).await;
        let address =
            self.admin("POST", "/addresses", "", json!({ "asset_id": one, "ip": "10.9.0.9" })).await;
        self.admin("PATCH", "/addresses/{id}", &address, json!({ "hostname": "one.lab" })).await;
        let link = json!({ "a_asset_id": one, "b_asset_id": two, "kind": "ethernet" });
        let link = self.admin("POST", "/links", "", link).await;
        self.admin("PATCH", "/links/{id}", &link, json!({ "label": "blue" })).await;
        let tag = self.admin("POST", "/tags", "", json!({ "name": "rack", "color": "#112233" })).await;
        self.admin("PATCH", "/tags/{id}", &tag, json!({ "color": "#332211" })).await;
        let some = json!({ "assets": { "ids": [one, two] }, "tags": [tag] });
        self.admin("POST", "/assets/tag", "", some).await;
        let three = self.admin("POST", "/assets", "", json!({ "name": "three", "kind": "device" })).await;
        self.admin("POST", "/assets/delete", "", json!({ "ids": [three] })).await;
        let place = json!({ "positions": [{ "asset_id": one, "x": 1.0, "y": 2.0 }] });
        self.admin("PUT", "/map/positions", "", place).await;
        self.admin("DELETE", "/map/positions/{asset_id}", &one, json!({})).await;
        for (path, gone) in [
            ("/links/{id}", &link),
            ("/addresses/{id}", &address),
            ("/interfaces/{id}", &nic),
            ("/tags/{id}", &tag),
            ("/assets/{id}", &two),
            ("/networks/{id}", &network),
        ] {
            self.admin("DELETE", path, gone, json!({})).await;
        }
        self.admin("PATCH", "/settings", "", json!({ "instance_name": "Attic" })).await;
    }

    async fn discovery(&mut self) {
        let findings = self.site.findings(&self.admin, 4).await;
        self.admin("POST", "/findings/{id}/ignore", &findings[0], json!({})).await;
        self.admin("POST", "/findings/{id}/reopen", &findings[0], json!({})).await;
        self.admin("POST", "/findings/{id}/accept", &findings[1], json!({})).await;
        self.admin("POST", "/findings/accept", "", json!({ "ids": [findings[2]] })).await;
        let one = json!({ "ids": [findings[3]] });
        let tag = self.admin("POST", "/tags", "", json!({ "name": "lab", "color": "#112233" })).await;
        self.admin("POST", "/findings/tag", "", json!({ "findings": one, "tags": [tag] })).await;
        self.admin("POST", "/findings/propose", "", json!({ "findings": one, "role": "printer" })).await;
        self.admin("POST", "/findings/ignore", "", one.clone()).await;
        self.admin("POST", "/findings/reopen", "", one).await;
        let read = self.site.get(&self.admin, &format!("/api/v1/findings/{}", findings[3])).await.json();
        self.admin("POST", "/findings/undo", "", json!({ "review_id": read["review_id"] })).await;
        let scan = json!({ "targets": ["172.31.255.78"], "probes": ["arp"] });
        self.admin("POST", "/scans", "", scan).await;
        for (method, template) in
            [("POST", "/operations/jobs/{id}/retry"), ("DELETE", "/operations/jobs/{id}")]
        {
            let job = self.dead_job().await;
            self.admin(method, template, &job, json!({})).await;
        }
    }

    /// The job of a scan, as one that was given up: no call brings that about.
    async fn dead_job(&self) -> String {
        let over = async || {
            let scans = self.site.get(&self.admin, "/api/v1/scans").await.json();
            let of = |scan: &Value| scan["finished_at"].is_string();
            scans["items"].as_array().expect("a list").iter().all(of)
        };
        for _ in 0..1_000 {
            if over().await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let db = self.site.database().await;
        let dead = "INSERT INTO jobs (id, kind, payload, state, attempts, created_at, finished_at) SELECT job_id, 'scan', '{}', 'failed', 3, created_at, finished_at FROM scans LIMIT 1";
        db.execute_unprepared(dead).await.expect("written");
        let list = self.site.get(&self.admin, "/api/v1/operations/jobs").await.json();
        id_of(&list["items"][0])
    }

    async fn hooks(&mut self) {
        let hook = self.admin("POST", "/hooks", "", json!({ "name": "Alerts", "format": "generic" })).await;
        self.admin("PATCH", "/hooks/{id}", &hook, json!({ "name": "Alarms" })).await;
        self.admin("POST", "/hooks/{id}/secret", &hook, json!({})).await;
        self.admin("DELETE", "/hooks/{id}", &hook, json!({})).await;
    }

    async fn administration(&mut self) -> String {
        let grace = json!({ "username": "grace", "role": "viewer", "password": PASSWORD });
        let grace = self.admin("POST", "/users", "", grace).await;
        self.admin("PATCH", "/users/{id}", &grace, json!({ "role": "editor" })).await;
        self.admin("DELETE", "/users/{id}/sessions", &grace, json!({})).await;
        self.admin("DELETE", "/users/{id}/second-factor", &grace, json!({})).await;
        self.admin("POST", "/users/{id}/reset-link", &grace, json!({})).await;
        self.admin("POST", "/invites", "", json!({ "role": "viewer" })).await;
        let invite = id_of(&self.site.get(&self.admin, "/api/v1/invites").await.json()[0]);
        self.admin("DELETE", "/invites/{id}", &invite, json!({})).await;
        let provider =
            json!({ "slug": "lab", "name": "Lab", "issuer": "https://127.0.0.1:1", "client_id": "x" });
        let provider = self.admin("POST", "/oidc-providers", "", provider).await;
        self.admin("PATCH", "/oidc-providers/{id}", &provider, json!({ "name": "Den" })).await;
        self.admin("POST", "/oidc-providers/{id}/test", &provider, json!({})).await;
        self.admin("DELETE", "/oidc-providers/{id}", &provider, json!({})).await;
        let credential = json!({
            "name": "Switches", "kind": "snmp_v2c", "secret": { "community": "lab" }, "hosts": ["127.0.0.1:1"],
        });
        let credential = self.admin("POST", "/credentials", "", credential).await;
        self.admin("PATCH", "/credentials/{id}", &credential, json!({ "name": "Core" })).await;
        // Nothing listens there, and that is an answer.
        let there = json!({ "host": "127.0.0.1", "port": 1 });
        self.admin("POST", "/credentials/{id}/test", &credential, there).await;
        self.admin("DELETE", "/credentials/{id}", &credential, json!({})).await;
        self.admin("POST", "/vault/rotate", "", json!({})).await;
        self.webhooks().await;
        self.channels().await;
        grace
    }

    async fn webhooks(&mut self) {
        let inbox = Receiver::start().await;
        let hook = json!({ "name": "Home", "url": inbox.url("/") });
        let hook = self.admin("POST", "/webhooks", "", hook).await;
        self.admin("PATCH", "/webhooks/{id}", &hook, json!({ "name": "Den" })).await;
        self.admin("POST", "/webhooks/{id}/secret", &hook, json!({})).await;
        self.admin("POST", "/webhooks/{id}/test", &hook, json!({})).await;
        self.admin("POST", "/assets", "", json!({ "name": "told", "kind": "device" })).await;
        let log = self.site.get(&self.admin, &format!("/api/v1/webhooks/{hook}/deliveries")).await.json();
        let again = format!("/webhooks/{{id}}/deliveries/{}/redeliver", id_of(&log["items"][0]));
        self.admin("POST", &again, &hook, json!({})).await;
        self.called.push("POST /api/v1/webhooks/{id}/deliveries/{delivery}/redeliver".to_owned());
        self.admin("DELETE", "/webhooks/{id}", &hook, json!({})).await;
    }

    async fn channels(&mut self) {
        let inbox = Receiver::start().await;
        let channel =
            json!({ "name": "Phone", "kind": "ntfy", "public": { "server": inbox.url("/"), "topic": "x" } });
        let channel = self.admin("POST", "/channels", "", channel).await;
        self.admin("PATCH", "/channels/{id}", &channel, json!({ "name": "Den" })).await;
        self.admin("POST", "/channels/{id}/test", &channel, json!({})).await;
        self.admin("POST", "/assets", "", json!({ "name": "told too", "kind": "device" })).await;
        let log = self.site.get(&self.admin, &format!("/api/v1/channels/{channel}/deliveries")).await.json();
        let again = format!("/channels/{{id}}/deliveries/{}/redeliver", id_of(&log["items"][0]));
        self.admin("POST", &again, &channel, json!({})).await;
        self.called.push("POST /api/v1/channels/{id}/deliveries/{delivery}/redeliver".to_owned());
        self.admin("DELETE", "/channels/{id}", &channel, json!({})).await;
    }

    async fn account(&mut self) {
        let own = self.site.signed_in("grace").await;
        let token = json!({ "name": "x", "scopes": ["inventory:read"] });
        let token = id_of(&self.call(&own, "POST", "/tokens", "", token).await.json());
        self.call(&own, "DELETE", "/tokens/{id}", &token, json!({})).await;
        let view = json!({ "list": "inventory", "name": "NAS" });
        let view = id_of(&self.call(&own, "POST", "/views", "", view).await.json());
        self.call(&own, "PATCH", "/views/{id}", &view, json!({ "dense": true })).await;
        self.call(&own, "DELETE", "/views/{id}", &view, json!({})).await;
        let own = Login::from_answer(
            &self.call(&own, "POST", "/auth/proof", "", json!({ "password": PASSWORD })).await,
        );
        let other = self.site.signed_in("grace").await;
        let sessions = self.site.get(&own, "/api/v1/auth/sessions").await.json();
        let that = sessions.as_array().expect("a list").iter().find(|s| s["current"] == false).map(id_of);
        self.call(&own, "DELETE", "/auth/sessions/{id}", &that.expect("another"), json!({})).await;
        self.site.has_ended(&other, "a session removed in the list").await;
        self.call(&own, "DELETE", "/auth/sessions", "", json!({})).await;
        let begun = self.call(&own, "POST", "/auth/totp", "", json!({})).await.json();
        let code = json!({ "code": self.site.code(begun["secret"].as_str().expect("base32")) });
        let own = Login::from_answer(&self.call(&own, "POST", "/auth/totp/confirm", "", code).await);
        self.call(&own, "POST", "/auth/recovery-codes", "", json!({})).await;
        let own = Login::from_answer(&self.call(&own, "DELETE", "/auth/totp", "", json!({})).await);
        let (_, added, own) = self.site.add_passkey(&own, 3).await;
        self.called.push("POST /api/v1/auth/passkeys".to_owned());
        let passkey = id_of(&added["passkey"]);
        self.call(&own, "PATCH", "/auth/passkeys/{id}", &passkey, json!({ "name": "Old" })).await;
        let gone = self.call(&own, "DELETE", "/auth/passkeys/{id}", &passkey, json!({})).await;
        let own = Login::from_answer(&gone);
        let change = json!({ "current_password": PASSWORD, "new_password": "two grey otters dive" });
        let own = Login::from_answer(&self.call(&own, "POST", "/auth/password", "", change).await);
        self.call(&own, "POST", "/auth/logout", "", json!({})).await;
    }
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap_or_default().to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_writing_route_leaves_an_entry_in_the_log(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let mut story = Story { site, admin, seq: 0, called: Vec::new() };
    story.inventory().await;
    story.discovery().await;
    story.hooks().await;
    let grace = story.administration().await;
    story.account().await;
    story.admin("DELETE", "/users/{id}", &grace, json!({})).await;
    // In tests of their own, which look at what they write.
    let elsewhere = [
        "POST /api/v1/setup",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/mfa",
        "POST /api/v1/auth/reset",
        // These send mail, which only a channel can.
        "POST /api/v1/auth/forgot",
        "POST /api/v1/users/{id}/reset-mail",
        "POST /api/v1/auth/invite",
        "POST /api/v1/hooks/{id}",
        "POST /api/v1/auth/passkeys/login",
        "DELETE /api/v1/auth/identities/{id}",
        // These only ask: what they give out is sealed, and nothing is kept.
        "POST /api/v1/auth/mfa/passkey",
        "POST /api/v1/auth/link",
        "POST /api/v1/auth/passkeys/challenge",
        "POST /api/v1/auth/passkeys/registration",
        "POST /api/v1/auth/oidc/{slug}/link",
        "POST /api/v1/auth/proof/passkey",
        "POST /api/v1/scans/{id}/cancel",
    ];
    for (method, path) in operations() {
        let route = format!("{method} {path}");
        assert!(
            method.is_safe() || story.called.contains(&route) || elsewhere.contains(&route.as_str()),
            "{route} writes and has no line in this test"
        );
    }
}
