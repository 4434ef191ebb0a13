//! From what a scan sees to the inventory: new, known, changed, ignored, moved.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use std::net::IpAddr;

use cb_app::addresses::{self, AddressIn};
use cb_app::assets::{self, AssetFilter, AssetIn, AssetPatch};
use cb_app::findings::{self, AcceptIn, FindingFilter, FindingOut, FindingsIn, FindingsTagIn};
use cb_app::record::{Recorded, record};
use cb_app::scans::{self, ScanIn, Started};
use cb_app::tags::{self, TagIn};
use cb_app::{Ctx, List, map, networks};
use cb_collect::report::{Evidence, Guess, HostReport, Identity, IdentityKind, ServiceReport};
use cb_core::ids::ScanId;
use cb_core::inventory::{AssetKind, AssetStatus, FindingKind, FindingState, Protocol};
use cb_core::{Clock as _, Error, Patch, Principal};
use cb_testkit::TestApp;
use chrono::TimeDelta;

pub fn host(test: &TestApp, ip: &str, mac: Option<&str>, ports: &[u16]) -> HostReport {
    let address: IpAddr = ip.parse().expect("an address");
    HostReport {
        address,
        mac: mac.map(str::to_owned),
        vendor: mac.map(|_| "Synology".to_owned()),
        random_mac: false,
        hostname: Some(format!("host-{}", ip.rsplit('.').next().unwrap_or_default())),
        network: Some("10.0.0.0/24".parse().expect("a network")),
        gateway: ip == "10.0.0.1",
        services: ports
            .iter()
            .map(|port| ServiceReport {
                protocol: Protocol::Tcp,
                port: *port,
                name: "ssh".into(),
                product: None,
                version: None,
                scheme: None,
                confidence: 80,
            })
            .collect(),
        guess: Guess {
            name: format!("host-{}", ip.rsplit('.').next().unwrap_or_default()),
            kind: AssetKind::Device,
            role: None,
            vendor: mac.map(|_| "Synology".to_owned()),
            model: None,
            os: None,
        },
        identities: mac
            .map(|m| Identity { kind: IdentityKind::Mac, value: m.to_owned() })
            .into_iter()
            .collect(),
        evidence: vec![Evidence {
            source: "arp".into(),
            at: test.clock.now(),
            address,
            port: None,
            fact: "answers".into(),
            value: "yes".into(),
        }],
        confidence: 70,
    }
}

pub fn with_key(mut report: HostReport, key: &str) -> HostReport {
    report.identities.push(Identity { kind: IdentityKind::SshHostKey, value: key.to_owned() });
    report
}

/// A scan's row (queued, for the worker will not find 192.0.2.0/32 worth much), and the scanner's own context.
pub async fn scanner(test: &TestApp, ctx: &Ctx) -> (Ctx, ScanId) {
    let input = ScanIn {
        targets: vec!["172.31.255.77".into()],
        probes: vec!["arp".into()],
        site: None,
        dry_run: false,
    };
    let scan = match scans::start(ctx, input).await {
        Ok(Started::Scan(scan)) => scan.id,
        other => panic!("{other:?}"),
    };
    (test.app.own_ctx(Principal::Scanner { scan }), scan)
}

async fn open(ctx: &Ctx) -> Vec<FindingOut> {
    let filter = FindingFilter { state: Some(FindingState::Open), ..FindingFilter::default() };
    findings::list(ctx, &List::default(), &filter).await.expect("lists").items
}

async fn seen(ctx: &Ctx, scan: ScanId, reports: &[HostReport]) -> Recorded {
    record(ctx, scan, reports).await.expect("recorded")
}

async fn accept_all(ctx: &Ctx) -> usize {
    let ids = open(ctx).await.into_iter().map(|f| f.id).collect();
    let input = FindingsIn { ids: Some(ids), ..FindingsIn::default() };
    usize::try_from(findings::accept_many(ctx, input).await.expect("accepted").count).expect("few")
}

const NAS: Option<&str> = Some("00:11:32:00:00:05");

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_scan_finds_nothing_new_and_keeps_what_was_typed(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let reports =
        [host(&test, "10.0.0.1", Some("00:11:32:00:00:01"), &[22, 53]), host(&test, "10.0.0.5", NAS, &[22])];
    assert_eq!(seen(&scan_ctx, scan, &reports).await.findings_new, 2);
    assert_eq!(seen(&scan_ctx, scan, &reports).await.findings_new, 0, "they wait for review already");
    assert_eq!(accept_all(&ctx).await, 2);

    let page =
        assets::list(&ctx, &List { q: Some("host-5".into()), ..List::default() }, &AssetFilter::default())
            .await
            .expect("lists");
    let nas = page.items.first().expect("the asset").clone();
    let patch = AssetPatch {
        name: Some("Renamed by hand".into()),
        vendor: Patch::Set("Mine".into()),
        ..AssetPatch::default()
    };
    assets::update(&ctx, nas.id, patch, None).await.expect("typed");

    test.clock.advance(chrono::TimeDelta::hours(1));
    let again = seen(&scan_ctx, scan, &reports).await;
    assert_eq!((again.findings_new, again.assets_seen), (0, 2));
    let detail = assets::get(&ctx, nas.id).await.expect("read");
    assert_eq!(
        (detail.asset.name.as_str(), detail.asset.vendor.as_deref()),
        ("Renamed by hand", Some("Mine"))
    );
    assert_eq!(detail.asset.last_seen_at, Some(test.clock.now()), "seen again");
    assert_eq!(detail.services[0].last_seen_at, Some(test.clock.now()));
    assert!(open(&ctx).await.is_empty());

    let networks = networks::list(&ctx, &List::default()).await.expect("lists").items;
    assert_eq!(
        (networks.len(), networks[0].cidr.as_str(), networks[0].gateway.as_deref()),
        (1, "10.0.0.0/24", Some("10.0.0.1"))
    );
    assert_eq!(map::get(&ctx).await.expect("the map").links.len(), 1, "to the gateway, assumed");
}

/// Whoever says "down" or "maintenance" knows more than a scan that had an answer.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_status_that_a_person_has_set_stands_above_what_is_seen(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let nas = [host(&test, "10.0.0.5", NAS, &[22])];
    let mut input: AssetIn =
        serde_json::from_value(serde_json::json!({ "name": "nas", "kind": "storage", "vendor": "Mine" }))
            .expect("an asset");
    input.status = Some(AssetStatus::Down);
    let id = assets::create(&ctx, input).await.expect("created").id;
    let address = AddressIn { asset_id: id, interface_id: None, ip: "10.0.0.5".into(), hostname: None };
    addresses::create(&ctx, address).await.expect("its address");
    let shown = async || {
        let asset = assets::get(&ctx, id).await.expect("read").asset;
        let all = map::get(&ctx).await.expect("the map").nodes;
        let node = all.iter().find(|node| node.id == id).expect("on the map");
        let filter = AssetFilter { status: Some(asset.status), ..AssetFilter::default() };
        let found = assets::list(&ctx, &List::default(), &filter).await.expect("lists");
        assert_eq!((node.status, found.items.len()), (asset.status, 1), "the same everywhere");
        asset
    };
    let set = async |status: Patch<AssetStatus>| {
        let patch = AssetPatch { status, ..AssetPatch::default() };
        assets::update(&ctx, id, patch, None).await.expect("set").version
    };
    let before = shown().await;
    assert_eq!((before.status, before.status_seen), (AssetStatus::Down, AssetStatus::Unknown));
    seen(&scan_ctx, scan, &nas).await;
    let after = shown().await;
    assert_eq!((after.status, after.status_set), (AssetStatus::Down, Some(AssetStatus::Down)));
    assert_eq!(after.status_seen, AssetStatus::Up);
    assert_eq!(after.version, before.version + 1, "whoever has read it before learns that it has changed");

    for status in AssetStatus::ALL {
        let version = set(Patch::Set(*status)).await;
        seen(&scan_ctx, scan, &nas).await;
        let now = shown().await;
        assert_eq!((now.status, now.version), (*status, version), "a scan changes nothing of it");
        assert!(now.typed_fields.contains(&"status".to_owned()));
    }
    set(Patch::Clear).await;
    let cleared = shown().await;
    assert_eq!((cleared.status, cleared.status_set), (AssetStatus::Up, None));
    assert!(!cleared.typed_fields.contains(&"status".to_owned()));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_machine_with_three_addresses_is_one_asset(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let reports = [
        with_key(host(&test, "10.0.0.5", NAS, &[22]), "SHA256:k"),
        with_key(host(&test, "10.0.0.6", NAS, &[22, 80]), "SHA256:k"),
        HostReport {
            network: Some("10.0.9.0/24".parse().expect("a network")),
            ..with_key(host(&test, "10.0.9.5", None, &[22]), "SHA256:k")
        },
    ];
    assert_eq!(seen(&scan_ctx, scan, &reports).await.findings_new, 1);
    let found = open(&ctx).await;
    assert_eq!((found.len(), found[0].proposal.addresses.len(), found[0].proposal.services.len()), (1, 3, 4));
    let accepted =
        findings::accept(&ctx, found[0].id, AcceptIn { name: Some("Mine".into()), ..AcceptIn::default() })
            .await
            .expect("accepted");
    let detail = assets::get(&ctx, accepted.asset_id).await.expect("read");
    assert_eq!((detail.address_list.len(), detail.interfaces.len(), detail.services.len()), (3, 1, 4));
    assert_eq!(detail.asset.typed_fields, ["name"]);
    assert_eq!(seen(&scan_ctx, scan, &reports).await.findings_new, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_proposed_once_and_an_ignored_one_not_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    seen(&scan_ctx, scan, &[host(&test, "10.0.0.5", NAS, &[22])]).await;
    accept_all(&ctx).await;
    let grown = host(&test, "10.0.0.5", NAS, &[22, 80, 443]);
    assert_eq!(seen(&scan_ctx, scan, std::slice::from_ref(&grown)).await.findings_new, 1);
    assert_eq!(seen(&scan_ctx, scan, std::slice::from_ref(&grown)).await.findings_new, 0);
    let change = open(&ctx).await.pop().expect("a change");
    assert_eq!((change.kind, change.title.as_str()), (FindingKind::Change, "host-5: 2 new services"));
    findings::ignore(&ctx, change.id).await.expect("ignored");
    assert_eq!(
        seen(&scan_ctx, scan, std::slice::from_ref(&grown)).await.findings_new,
        0,
        "ignored stays ignored"
    );
    findings::reopen(&ctx, change.id).await.expect("reopened");
    let asset = findings::accept(&ctx, change.id, AcceptIn::default()).await.expect("accepted").asset_id;
    assert_eq!(assets::get(&ctx, asset).await.expect("read").services.len(), 3);
    assert!(matches!(findings::accept(&ctx, change.id, AcceptIn::default()).await, Err(Error::Conflict(_))));
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_machine_has_now_is_a_new_finding(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    seen(&scan_ctx, scan, &[host(&test, "10.0.0.5", NAS, &[22])]).await;
    accept_all(&ctx).await;
    let other = host(&test, "10.0.0.5", Some("b8:27:eb:00:00:09"), &[22]);
    assert_eq!(seen(&scan_ctx, scan, &[other]).await.findings_new, 1);
    assert_eq!(open(&ctx).await[0].kind, FindingKind::NewAsset);
    // And the one that moved away is known at its new address.
    let moved = seen(&scan_ctx, scan, &[host(&test, "10.0.0.77", NAS, &[22])]).await;
    assert_eq!((moved.assets_seen, moved.findings_new), (1, 1));
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn targets_are_judged_in_words(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let start = async |targets: &[&str]| {
        let targets = targets.iter().map(|t| (*t).to_owned()).collect();
        scans::start(&ctx, ScanIn { targets, probes: vec![], site: None, dry_run: true }).await
    };
    for bad in [
        "",
        "10.0.0.1/99",
        "0.0.0.0/0",
        "10.0.0.0/8",
        "example.org",
        "8.8.8.8",
        "127.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "ff02::1",
    ] {
        match start(&[bad]).await {
            Err(Error::Invalid(fields)) => assert_eq!(fields[0].field, "targets[0]", "{bad}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    assert!(matches!(start(&[]).await, Err(Error::Invalid(_))));
    assert!(matches!(start(&["10.0.0.1"; 17]).await, Err(Error::Invalid(_))));
    match start(&["10.0.0.0/24", "10.1.0.5"]).await {
        Ok(Started::Plan(plan)) => assert!(
            plan.addresses >= 255 && !plan.steps.is_empty() && plan.never_written_ports.contains(&9100)
        ),
        other => panic!("{other:?}"),
    }
    drop(test);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_note_of_what_was_typed_stops_a_scan_from_overwriting() {
    let (test, ctx) = TestApp::ready(cb_testkit::Database::Sqlite).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let report = host(&test, "10.0.0.5", NAS, &[22]);
    seen(&scan_ctx, scan, std::slice::from_ref(&report)).await;
    accept_all(&ctx).await;
    let url = format!("sqlite://{}", test.data_dir().join("circuit-breaker.db").display());
    let db = cb_store::sea_orm::Database::connect(url).await.expect("connects");
    cb_store::sea_orm::ConnectionTrait::execute_unprepared(
        &db,
        "UPDATE assets SET vendor = NULL, typed_fields = '7'",
    )
    .await
    .expect("damaged");
    assert!(matches!(record(&scan_ctx, scan, &[report]).await, Err(Error::Internal(_))));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn findings_sort_and_narrow_by_what_they_propose(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let mut reports = vec![
        host(&test, "10.0.0.10", NAS, &[22]),
        host(&test, "10.0.0.9", None, &[443]),
        host(&test, "10.0.1.2", None, &[]),
        host(&test, "10.0.0.100", None, &[80, 22]),
    ];
    for (report, (role, confidence)) in
        reports.iter_mut().zip([(Some("access-point"), 9), (None, 80), (Some("nas"), 100), (None, 70)])
    {
        report.guess.role = role.map(str::to_owned);
        report.confidence = confidence;
    }
    reports[2].network = Some("10.0.1.0/24".parse().expect("a network"));
    assert_eq!(seen(&scan_ctx, scan, &reports).await.findings_new, 4);

    let titles = async |sort: &str, filter: &FindingFilter| {
        let (mut titles, mut cursor) = (Vec::new(), None);
        loop {
            let list = List { limit: Some(1), cursor, sort: Some(sort.to_owned()), q: None };
            let page = findings::list(&ctx, &list, filter).await.expect(sort);
            titles.extend(page.items.into_iter().map(|f| f.title));
            assert!(titles.len() <= 4, "{sort}: {titles:?}");
            cursor = page.next_cursor;
            if cursor.is_none() {
                return titles.join(" ");
            }
        }
    };
    let all = FindingFilter::default();
    for (sort, expected) in [
        ("address", "host-9 host-10 host-100 host-2"),
        ("-address", "host-2 host-100 host-10 host-9"),
        ("title", "host-2 host-9 host-10 host-100"),
        ("confidence", "host-10 host-100 host-9 host-2"),
    ] {
        assert_eq!(titles(sort, &all).await, expected, "{sort}");
    }
    assert!(titles("role", &all).await.starts_with("host-10 "), "access-point, device, device, nas");
    assert!(titles("vendor", &all).await.starts_with("host-10 "), "the only one with a vendor");
    assert!(titles("-last_seen_at", &all).await.contains("host-9"));

    let none = FindingFilter::default;
    let tag = tags::create(&ctx, TagIn { name: "Attic".into(), color: "#d97706".into() })
        .await
        .expect("the tag")
        .id;
    let web = FindingFilter { port: Some(80), ..none() };
    let web = FindingsIn { filter: Some(web), count: Some(1), ..FindingsIn::default() };
    findings::tag_many(&ctx, FindingsTagIn { findings: web, tags: vec![tag] }).await.expect("tagged");
    let last = findings::list(&ctx, &List::default(), &none()).await.expect("lists").items[0].last_seen_at;
    let later = last + TimeDelta::seconds(60);
    for (filter, expected) in [
        (FindingFilter { tag: Some("attic".into()), ..none() }, "host-100"),
        (FindingFilter { tag: Some(tag.to_string()), ..none() }, "host-100"),
        (FindingFilter { tag: Some("cellar".into()), ..none() }, ""),
        (FindingFilter { seen_after: Some(later), ..none() }, ""),
        (FindingFilter { seen_before: Some(later), ..none() }, "host-9 host-10 host-100 host-2"),
        (FindingFilter { role: Some("Access point".into()), ..none() }, "host-10"),
        (FindingFilter { vendor: Some("synol".into()), ..none() }, "host-10"),
        (FindingFilter { network: Some("10.0.1.0/24".into()), ..none() }, "host-2"),
        (FindingFilter { network: Some("attic".into()), ..none() }, ""),
        (FindingFilter { port: Some(22), ..none() }, "host-10 host-100"),
        (FindingFilter { port: Some(2), ..none() }, ""),
        (FindingFilter { kind: Some(AssetKind::Storage), ..none() }, ""),
        (FindingFilter { change: Some(FindingKind::Change), ..none() }, ""),
    ] {
        assert_eq!(titles("address", &filter).await, expected, "{filter:?}");
    }
    let found = |q: &str| {
        let list = List { q: Some(q.to_owned()), ..List::default() };
        let ctx = ctx.clone();
        async move { findings::list(&ctx, &list, &FindingFilter::default()).await.expect("lists").items.len() }
    };
    assert_eq!((found("10.0.0.").await, found("synology").await, found("nothing").await), (3, 1, 0));
    let wrong = FindingFilter { port: Some(65_536), ..none() };
    let said = findings::list(&ctx, &List::default(), &wrong).await;
    assert!(matches!(said, Err(Error::Invalid(ref fields)) if fields[0].field == "port"), "{said:?}");
    drop(test);
}
