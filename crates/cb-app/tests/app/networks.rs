//! What a network says of itself: how full it is, what is free, who shares an address, whose the gateway is, when it was scanned.

use std::time::Duration;

use cb_app::addresses::{self, AddressIn};
use cb_app::assets::{self, AssetIn};
use cb_app::findings::{self, FindingFilter, FindingsIn};
use cb_app::networks::{self, NetworkIn, NetworkOut, NetworkPatch};
use cb_app::record::record;
use cb_app::scans::{self, ScanIn, Started};
use cb_app::{Ctx, List};
use cb_core::config::ServerRole;
use cb_core::ids::{AssetId, NetworkId, ScanId};
use cb_core::inventory::{AssetKind, ScanStatus, WebScheme};
use cb_core::{Error, Event, Patch, Permission, Principal, Role};
use cb_store::sea_orm::ConnectionTrait as _;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;

use crate::cluster::{liar, until};
use crate::discovery::{host, scanner};
use crate::write_path::raw;

async fn network(ctx: &Ctx, cidr: &str, vlan: Option<i32>, gateway: Option<&str>) -> NetworkId {
    let input = NetworkIn {
        name: format!("net {cidr}"),
        cidr: cidr.into(),
        vlan,
        gateway: gateway.map(str::to_owned),
        notes: None,
    };
    networks::create(ctx, input).await.expect("the network").id
}

async fn holder(ctx: &Ctx, name: &str, ips: &[&str]) -> AssetId {
    let input = AssetIn {
        name: name.to_owned(),
        kind: AssetKind::Device,
        role: None,
        vendor: None,
        model: None,
        os: None,
        notes: None,
        status: None,
        tags: None,
        addresses: None,
    };
    let id = assets::create(ctx, input).await.expect("the asset").id;
    for ip in ips {
        let address = AddressIn { asset_id: id, interface_id: None, ip: (*ip).to_owned(), hostname: None };
        addresses::create(ctx, address).await.expect("the address");
    }
    id
}

/// As the list has it, which must be as the network itself has it.
async fn read(ctx: &Ctx, id: NetworkId) -> NetworkOut {
    let listed = networks::list(ctx, &List::default()).await.expect("lists").items;
    let listed = listed.into_iter().find(|one| one.id == id).expect("in the list");
    let alone = networks::get(ctx, id).await.expect("read").network;
    assert_eq!(serde_json::json!(listed), serde_json::json!(alone));
    listed
}

fn room(network: &NetworkOut) -> (u64, Option<u64>, Option<u64>, Option<&str>, u64) {
    (network.address_count, network.usable, network.free, network.next_free.as_deref(), network.conflicts)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_network_says_how_full_it_is(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let net = network(&ctx, "10.0.0.0/28", None, Some("10.0.0.1")).await;
    assert_eq!(room(&read(&ctx, net).await), (0, Some(14), Some(13), Some("10.0.0.2"), 0));

    let nas = holder(&ctx, "nas", &["10.0.0.2"]).await;
    let twin = holder(&ctx, "twin", &["10.0.0.4"]).await;
    let clone = holder(&ctx, "clone", &["10.0.0.4", "10.0.0.6"]).await;
    assert_eq!(room(&read(&ctx, net).await), (3, Some(14), Some(10), Some("10.0.0.3"), 1));

    // Found, and not yet reviewed: nobody should be given it.
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    record(&scan_ctx, scan, &[host(&test, "10.0.0.3", None, &[22])]).await.expect("recorded");
    assert_eq!(room(&read(&ctx, net).await), (3, Some(14), Some(9), Some("10.0.0.5"), 1));
    let all = FindingsIn { filter: Some(FindingFilter::default()), count: Some(1), ..FindingsIn::default() };
    assert_eq!(findings::ignore_many(&ctx, all).await.expect("ignored").count, 1);
    assert_eq!(room(&read(&ctx, net).await), (3, Some(14), Some(9), Some("10.0.0.5"), 1));

    // The gateway counts once, whether an asset has it or not; the broadcast address does not count.
    assert!(read(&ctx, net).await.gateway_asset.is_none());
    let router = holder(&ctx, "router", &["10.0.0.1", "10.0.0.15"]).await;
    let full = read(&ctx, net).await;
    assert_eq!(room(&full), (5, Some(14), Some(9), Some("10.0.0.5"), 1));
    assert_eq!(full.gateway_asset.map(|asset| (asset.id, asset.name)), Some((router, "router".to_owned())));

    let list = networks::get(&ctx, net).await.expect("read").conflict_list;
    let told: Vec<_> =
        list.iter().map(|one| (one.ip.as_str(), one.assets.iter().map(|a| a.id).collect())).collect();
    assert_eq!(told, [("10.0.0.4", vec![clone, twin])]);
    assets::delete(&ctx, twin, None).await.expect("removed");
    assert_eq!(room(&read(&ctx, net).await), (5, Some(14), Some(9), Some("10.0.0.5"), 0));
    assert!(networks::get(&ctx, net).await.expect("read").conflict_list.is_empty());
    let _ = nas;
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_network_leaves_its_addresses_to_narrower_ones(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let wide = network(&ctx, "10.0.0.0/16", None, None).await;
    let narrow = network(&ctx, "10.0.0.0/24", None, None).await;
    let six = network(&ctx, "fd00::/64", None, None).await;
    holder(&ctx, "host", &["10.0.0.1", "10.0.1.0", "fd00::1", "fe80::1"]).await;
    assert_eq!(
        room(&read(&ctx, wide).await),
        (1, Some(65_536 - 256 - 1), Some(65_536 - 256 - 2), Some("10.0.1.1"), 0)
    );
    assert_eq!(room(&read(&ctx, narrow).await), (1, Some(254), Some(253), Some("10.0.0.2"), 0));
    assert_eq!(room(&read(&ctx, six).await), (1, None, None, Some("fd00::2"), 0), "too many to be counted");

    // A network that is full, far beyond what one look reads.
    let small = network(&ctx, "10.9.0.0/26", None, None).await;
    let ips: Vec<String> = (1..=62).map(|n| format!("10.9.0.{n}")).collect();
    holder(&ctx, "many", &ips.iter().take(61).map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(room(&read(&ctx, small).await), (61, Some(62), Some(1), Some("10.9.0.62"), 0));
    holder(&ctx, "last", &["10.9.0.62"]).await;
    assert_eq!(room(&read(&ctx, small).await), (62, Some(62), Some(0), None, 0));
    drop(test);
}

/// Which of the two has the addresses is arbitrary. That both assets are in the same one is not: else they would be no conflict.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_vlans_with_one_range_do_not_hide_a_conflict(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for vlan in [Some(20), Some(10), None] {
        network(&ctx, "10.0.0.0/24", vlan, None).await;
    }
    for (name, ip) in [("a", "10.0.0.7"), ("b", "10.0.0.7"), ("c", "10.0.0.8")] {
        holder(&ctx, name, &[ip]).await;
    }
    let other = network(&ctx, "10.0.0.0/24", Some(30), None).await;
    holder(&ctx, "d", &["10.0.0.8"]).await;
    let patch = NetworkPatch { cidr: Some("10.1.0.0/24".into()), ..NetworkPatch::default() };
    for patch in [
        patch,
        NetworkPatch { cidr: Some("10.0.0.0/24".into()), gateway: Patch::Clear, ..NetworkPatch::default() },
    ] {
        let rows = networks::list(&ctx, &List::default()).await.expect("lists").items;
        let counted: Vec<(u64, u64)> = rows.iter().map(|one| (one.address_count, one.conflicts)).collect();
        assert_eq!(counted.iter().filter(|one| **one == (2, 2)).count(), 1, "{counted:?}");
        assert_eq!(counted.iter().filter(|one| **one == (0, 0)).count(), 3, "{counted:?}");
        networks::update(&ctx, other, patch, None).await.expect("moved");
    }
    drop(test);
}

/// A scan that is over, so that nothing of it changes any more.
async fn stopped(ctx: &Ctx, targets: &[&str]) -> ScanId {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    let input = ScanIn { targets, probes: vec!["arp".into()], site: None, dry_run: false };
    let Ok(Started::Scan(scan)) = scans::start(ctx, input).await else { panic!("no scan") };
    stop(ctx, scan.id).await;
    scan.id
}

async fn stop(ctx: &Ctx, id: ScanId) {
    match scans::cancel(ctx, id).await {
        Ok(_) | Err(Error::Conflict(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
    for look in 0.. {
        let status = scans::get(ctx, id).await.expect("read").status;
        if status.is_over() {
            return;
        }
        assert!(look < 500, "still {status:?} after five seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_row_says_that_a_scan_is_to_stop() {
    let (mut test, ctx) = TestApp::clustered().await;
    let liar = liar(&mut test).await;
    let input =
        ScanIn { targets: vec!["172.31.255.0/24".into()], probes: vec![], site: None, dry_run: false };
    let Ok(Started::Scan(scan)) = scans::start(&ctx, input).await else { panic!("no scan") };
    let status = async || scans::get(&ctx, scan.id).await.expect("read").status;
    until("it runs", async || status().await != ScanStatus::Queued).await;
    for _ in 0..5 {
        liar.bus().publish([Event::ScanCancelRequested { id: scan.id }]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_ne!(status().await, ScanStatus::Cancelled);
    }
    stop(&ctx, scan.id).await;
}

/// Its row says that it runs, but no worker has it: the only one of its site was killed.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_without_a_worker_ends_when_it_is_stopped(
    #[values("queued, NULL", "running, now() - interval '1 second'", "running, now() + interval '1 minute'")]
    job: &str,
) {
    let (test, ctx) = TestApp::ready(Postgres).await;
    drop(ctx);
    let test = test.restart_with(|config| config.role = ServerRole::Api).await;
    let ctx = test.app.own_ctx(Principal::Operator);
    let input =
        ScanIn { targets: vec!["172.31.255.0/24".into()], probes: vec![], site: None, dry_run: false };
    let Ok(Started::Scan(scan)) = scans::start(&ctx, input).await else { panic!("no scan") };
    let (state, lease) = job.split_once(", ").expect("both");
    let base = raw(&test).await;
    let sql = format!(
        "UPDATE scans SET status = 'running'; UPDATE jobs SET state = '{state}', lease_owner = 'killed/1', lease_until = {lease}"
    );
    base.execute_unprepared(&sql).await.expect("killed");
    let held = job.contains('+');
    let status = scans::cancel(&ctx, scan.id).await.expect("stopped").status;
    assert_eq!(status.is_over(), !held, "{status:?}");
    let again = scans::cancel(&ctx, scan.id).await;
    assert_eq!(again.is_ok(), held, "{again:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_network_knows_its_last_scan(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let net = network(&ctx, "172.31.255.0/24", None, None).await;
    let other = network(&ctx, "172.31.254.0/24", None, None).await;
    assert!(read(&ctx, net).await.last_scan.is_none());
    let last = async |id| read(&ctx, id).await.last_scan.map(|scan| (scan.id, scan.whole, scan.targets));

    let whole = stopped(&ctx, &["172.31.255.0/24", "172.31.253.0/24"]).await;
    assert_eq!(last(net).await, Some((whole, true, 2)));
    assert_eq!(last(other).await, None);
    test.clock.advance(chrono::TimeDelta::minutes(1));
    // A look at one machine tells less of the network than an older one at all of it.
    let part = stopped(&ctx, &["172.31.255.9", "172.31.254.0/25"]).await;
    assert_eq!(last(net).await, Some((whole, true, 2)));
    assert_eq!(last(other).await, Some((part, false, 2)));
    test.clock.advance(chrono::TimeDelta::minutes(1));
    let wider = stopped(&ctx, &["172.31.0.0/16"]).await;
    assert_eq!((last(net).await, last(other).await), (Some((wider, true, 1)), Some((wider, true, 1))));
    let scan = read(&ctx, net).await.last_scan.expect("the scan");
    // The worker may have been faster than whoever stopped it.
    assert!(matches!(scan.status, ScanStatus::Cancelled | ScanStatus::Completed), "{:?}", scan.status);

    // Scans are for those who may read them.
    let Principal::User { id: owner, username, .. } = ctx.principal().clone() else { panic!("a user") };
    let token = test.app.own_ctx(Principal::Token {
        id: owner.0.into(),
        name: "inventory only".to_owned(),
        owner,
        username,
        role: Role::Viewer,
        scopes: vec![Permission::InventoryRead],
    });
    assert!(read(&token, net).await.last_scan.is_none());
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_asset_names_those_that_have_its_address(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let a = holder(&ctx, "a", &["10.0.0.7", "10.0.0.8", "fe80::1", "169.254.1.1"]).await;
    let b = holder(&ctx, "b", &["10.0.0.7", "fe80::1", "169.254.1.1"]).await;
    let told = async |id| {
        let conflicts = assets::get(&ctx, id).await.expect("read").conflicts;
        conflicts
            .into_iter()
            .map(|one| (one.ip, one.assets.into_iter().map(|a| a.id).collect()))
            .collect::<Vec<(_, Vec<_>)>>()
    };
    assert_eq!(told(a).await, [("10.0.0.7".to_owned(), vec![b])], "link-local addresses are each link's own");
    assert_eq!(told(b).await, [("10.0.0.7".to_owned(), vec![a])]);
    assets::delete(&ctx, b, None).await.expect("removed");
    assert!(told(a).await.is_empty());
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_service_learns_how_it_sends_its_page(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let mut report = host(&test, "10.0.0.5", Some("00:11:32:00:00:05"), &[22, 8443]);
    let secure = |report: &mut cb_collect::report::HostReport, scheme| {
        if let Some(service) = report.services.last_mut() {
            service.name = "jellyfin".to_owned();
            service.scheme = scheme;
        }
    };
    secure(&mut report, Some(WebScheme::Https));
    record(&scan_ctx, scan, &[report.clone()]).await.expect("recorded");
    let open = cb_app::findings::list(&ctx, &List::default(), &cb_app::findings::FindingFilter::default())
        .await
        .expect("lists")
        .items;
    let ids = open.iter().map(|finding| finding.id).collect();
    cb_app::findings::accept_many(
        &ctx,
        cb_app::findings::FindingsIn { ids: Some(ids), ..Default::default() },
    )
    .await
    .expect("accepted");
    let all =
        assets::list(&ctx, &List::default(), &assets::AssetFilter::default()).await.expect("lists").items;
    let id = all.first().expect("the asset").id;
    let schemes = async || {
        let services = assets::get(&ctx, id).await.expect("read").services;
        services.into_iter().map(|service| service.scheme).collect::<Vec<_>>()
    };
    assert_eq!(schemes().await, [None, Some(WebScheme::Https)]);
    // It speaks plainly now.
    secure(&mut report, Some(WebScheme::Http));
    record(&scan_ctx, scan, &[report.clone()]).await.expect("recorded");
    assert_eq!(schemes().await, [None, Some(WebScheme::Http)]);
    // One look that brought no page forgets nothing.
    secure(&mut report, None);
    record(&scan_ctx, scan, &[report]).await.expect("recorded");
    assert_eq!(schemes().await, [None, Some(WebScheme::Http)]);
    drop(test);
}

/// The worker takes a scan up in the same moment: whoever was first, the scan is over, and none seems to run for ever.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_stopped_as_it_begins_is_over(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for round in 0..30_u8 {
        let input = ScanIn {
            targets: vec![format!("172.31.{round}.77")],
            probes: vec!["arp".into()],
            site: None,
            dry_run: false,
        };
        let Ok(Started::Scan(scan)) = scans::start(&ctx, input).await else { panic!("no scan") };
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 300)).await;
        stop(&ctx, scan.id).await;
    }
    drop(test);
}
