//! What the streams say: read once for all who listen, and to each of them only what they may read.

use std::collections::BTreeSet;
use std::time::Duration;

use cb_app::live::{self, Line, Told, Topic};
use cb_app::record::record;
use cb_app::{
    Ctx, Heard, Listener, RequestMeta, assets, findings, links, map, networks, notify, scans, tags,
};
use cb_core::ids::FindingId;
use cb_core::{Error, Event, Permission, Principal, Role};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::discovery::{host, scanner};

const QUIET: Duration = Duration::from_millis(150);

fn input<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an input")
}

async fn tag(ctx: &Ctx, name: &str) {
    tags::create(ctx, input(json!({ "name": name, "color": "#d97706" }))).await.expect("made");
}

async fn asset(ctx: &Ctx, name: &str) -> assets::AssetOut {
    assets::create(ctx, input(json!({ "name": name, "kind": "device" }))).await.expect("made")
}

/// How long the next one is waited for, of so many that must come: after those it has to be quiet.
fn patience(come: usize, wanted: usize) -> Duration {
    if come < wanted { Duration::from_secs(10) } else { QUIET }
}

/// What is said until it is quiet, and at least so many messages.
async fn said(line: &mut Line, wanted: usize) -> Vec<String> {
    let mut all = Vec::new();
    while let Ok(told) = tokio::time::timeout(patience(all.len(), wanted), line.hear()).await {
        let Told::Messages(messages) = told else { panic!("{told:?}") };
        all.extend(messages.iter().map(|m| String::from_utf8(m.to_vec()).expect("text")));
    }
    all
}

fn kinds(said: &[String]) -> Vec<String> {
    let kind = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["type"].clone();
    said.iter().map(|text| kind(text).as_str().expect("a type").to_owned()).collect()
}

async fn events(listener: &mut Listener, wanted: usize) -> Vec<Event> {
    let mut all = Vec::new();
    while let Ok(heard) = tokio::time::timeout(patience(all.len(), wanted), listener.hear()).await {
        let Heard::Event(event) = heard else { panic!("{heard:?}") };
        all.push(event);
    }
    all
}

/// As somebody with this role asks; the session itself does not matter here.
fn by(test: &TestApp, role: Role) -> Ctx {
    let principal = Principal::User {
        id: test.app.new_id().into(),
        username: role.as_str().to_owned(),
        role,
        session: test.app.new_id().into(),
        proved_at: None,
    };
    let meta: RequestMeta = test.meta();
    test.app.ctx(principal, meta)
}

/// Each kind of change by itself, so that the events of one are one burst. Answers what the topics say of all of them.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_told_exactly_what_it_would_have_read_itself(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    record(&scan_ctx, scan, &[host(&test, "10.0.0.7", None, &[22])]).await.expect("recorded");
    let list = findings::list(&ctx, &cb_app::List::default(), &findings::FindingFilter::default()).await;
    let finding: FindingId = list.expect("lists").items[0].id;
    let (one, two) = (asset(&ctx, "one").await, asset(&ctx, "two").await);
    // The worker runs the scan meanwhile, and tells of it.
    let mut progress = test.app.listen();
    while scans::get(&ctx, scan).await.expect("there").finished_at.is_none() {
        events(&mut progress, 0).await;
    }
    while !events(&mut progress, 0).await.is_empty() {}

    let mut listener = test.app.listen();
    let mut lines = Vec::new();
    for role in Role::ALL {
        for topic in Topic::ALL {
            match live::tune_in(&by(&test, role), topic) {
                Ok(line) => lines.push((role, topic, line)),
                Err(error) => {
                    assert!(matches!(error, Error::Denied(_)) && !role.permits(topic.permission()));
                }
            }
        }
    }
    assert_eq!(lines.len(), 4 + 3 + 2);
    assert_eq!(test.app.open_streams(), lines.len());
    let mut heard: BTreeSet<String> = BTreeSet::new();
    for change in 0..11 {
        match change {
            0 => drop(asset(&ctx, "three").await),
            1 => {
                let between =
                    json!({ "a_asset_id": one.id, "b_asset_id": two.id, "kind": "ethernet", "label": "x" });
                links::create(&ctx, input(between)).await.expect("made");
            }
            2 => {
                let network = json!({ "name": "Attic", "cidr": "192.168.7.0/24" });
                networks::create(&ctx, input(network)).await.expect("made");
            }
            3 => {
                let places =
                    [(one.id, 1.5), (two.id, -2.25)].map(|(id, x)| json!({ "asset_id": id, "x": x, "y": 7 }));
                map::place(&ctx, input(json!({ "positions": places }))).await.expect("placed");
            }
            4 => tag(&ctx, "a tag").await,
            5 => drop(findings::ignore(&ctx, finding).await.expect("ignored")),
            6 => {
                let hook = json!({ "name": "Alerts", "format": "generic" });
                notify::hooks::create(&ctx, input(hook)).await.expect("made");
            }
            7 => {
                let link =
                    links::list(&ctx, &cb_app::List::default(), None).await.expect("lists").items[0].id;
                links::delete(&ctx, link, None).await.expect("gone");
            }
            8 => {
                let patch = json!({ "notes": "seen" });
                assets::update(&ctx, one.id, input(patch), None).await.expect("changed");
            }
            9 => {
                let there = networks::list(&ctx, &cb_app::List::default()).await.expect("lists");
                let network = there.items.iter().find(|n| n.name == "Attic").expect("made").id;
                networks::update(&ctx, network, input(json!({ "notes": "dry" })), None)
                    .await
                    .expect("changed");
            }
            _ => assets::delete(&ctx, two.id, None).await.expect("gone"),
        }
        let happened = events(&mut listener, 1).await;
        for (role, topic, line) in &mut lines {
            let own = live::messages(&by(&test, *role), *topic, &happened).await.expect("read");
            let own: Vec<String> = own.iter().map(|m| serde_json::to_string(m).expect("JSON")).collect();
            let told = said(line, own.len()).await;
            assert_eq!(told, own, "change {change}: {role:?} {topic:?}, of {happened:?}");
            heard.extend(kinds(&told));
        }
    }
    let all =
        ["entry", "finding", "group", "hook", "link", "link_removed", "node", "node_removed", "positions"];
    for kind in all {
        assert!(heard.contains(kind), "nothing said {kind}: {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_be_gone_is_read() {
    let (test, ctx) = TestApp::ready(Sqlite).await;
    let (one, two) = (asset(&ctx, "one").await, asset(&ctx, "two").await);
    let between = json!({ "a_asset_id": one.id, "b_asset_id": two.id, "kind": "ethernet", "label": "x" });
    let link = links::create(&ctx, input(between)).await.expect("made").id;
    let network = json!({ "name": "Attic", "cidr": "192.168.7.0/24" });
    let network = networks::create(&ctx, input(network)).await.expect("made").id;
    let told = async |events: &[Event]| {
        let told = live::messages(&ctx, Topic::Topology, events).await.expect("read");
        told.iter().map(|message| message.kind).collect::<Vec<_>>()
    };
    let removed = [
        Event::AssetRemoved { id: one.id },
        Event::LinkRemoved { id: link },
        Event::NetworkRemoved { id: network },
    ];
    assert_eq!(told(&removed).await, ["group", "node", "link"]);
    let gone = [
        Event::AssetChanged { id: test.app.new_id().into() },
        Event::LinkRemoved { id: test.app.new_id().into() },
        Event::NetworkRemoved { id: test.app.new_id().into() },
    ];
    assert_eq!(told(&gone).await, ["link_removed", "node_removed", "group_removed"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_change_is_read_once_for_all_and_not_at_all_for_nobody(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let asset = asset(&ctx, "nas").await;
    // The least of several tries: the server also does other things.
    let cost = async |lines: &mut Vec<Line>| {
        let mut least = u64::MAX;
        for n in 0..5 {
            let before = test.app.statements();
            let patch = json!({ "notes": format!("{} {n}", lines.len()) });
            assets::update(&ctx, asset.id, input(patch), None).await.expect("changed");
            if lines.is_empty() {
                tokio::time::sleep(QUIET).await;
            }
            for line in &mut *lines {
                let told = tokio::time::timeout(Duration::from_secs(5), line.hear()).await.expect("told");
                assert!(matches!(told, Told::Messages(m) if m.len() == 1));
            }
            least = least.min(test.app.statements() - before);
        }
        least
    };
    let nobody = cost(&mut Vec::new()).await;
    let mut lines = vec![live::tune_in(&ctx, Topic::Topology).expect("permitted")];
    let one = cost(&mut lines).await;
    assert!(one > nobody, "{one} {nobody}");
    lines.extend((0..199).map(|_| live::tune_in(&ctx, Topic::Topology).expect("permitted")));
    assert!(lines.iter().all(|line| line.shares_with(&lines[0])));
    assert_eq!(cost(&mut lines).await, one, "200 listeners cost as many statements as one");
    // The last listener takes the teller along.
    drop(lines);
    assert_eq!((cost(&mut Vec::new()).await, test.app.open_streams()), (nobody, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_lags_reads_again_and_hears_nothing_older() {
    let (test, ctx) = TestApp::ready(Sqlite).await;
    let mut slow = live::tune_in(&ctx, Topic::Audit).expect("permitted");
    let mut quick = live::tune_in(&ctx, Topic::Audit).expect("permitted");
    for n in 0..40 {
        tag(&ctx, &format!("tag {n}")).await;
        assert!(matches!(quick.hear().await, Told::Messages(m) if m.len() == 1));
    }
    assert_eq!(kinds(&said(&mut slow, 1).await), ["resync"]);
    tag(&ctx, "the next one").await;
    assert_eq!(said(&mut slow, 1).await, said(&mut quick, 1).await);
    test.app.close().await.expect("closes");
    assert!(matches!(slow.hear().await, Told::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_listens_to_what_its_scopes_permit_alone() {
    let (test, _ctx) = TestApp::ready(Sqlite).await;
    for topic in Topic::ALL {
        let token = Principal::Token {
            id: test.app.new_id().into(),
            name: "script".to_owned(),
            owner: test.app.new_id().into(),
            username: "ada".to_owned(),
            role: Role::Admin,
            scopes: Permission::ALL.into_iter().filter(|p| *p != topic.permission()).collect(),
        };
        let refused = live::tune_in(&test.app.ctx(token, test.meta()), topic);
        assert!(matches!(refused.err(), Some(Error::Denied(_))), "{topic:?}");
    }
}
