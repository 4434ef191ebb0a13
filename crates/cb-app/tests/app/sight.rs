//! "Up" means that it answered the last scan that would have seen it.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

use cb_app::addresses::{self, AddressIn};
use cb_app::assets::{self, AssetDetail, AssetFilter, AssetPatch};
use cb_app::findings::{self, FindingFilter, FindingsIn};
use cb_app::record::record;
use cb_app::sight::missed;
use cb_app::{Ctx, List, map};
use cb_collect::report::Evidence;
use cb_collect::{HostReport, Method, Sweep};
use cb_core::ids::{AssetId, ScanId};
use cb_core::inventory::{AssetStatus, FindingState};
use cb_core::{Clock as _, Patch};
use cb_testkit::TestApp;
use chrono::TimeDelta;

use crate::discovery::{host, scanner, with_key};

struct Lan {
    test: TestApp,
    ctx: Ctx,
    scan_ctx: Ctx,
    scan: ScanId,
}

/// How each address answers.
fn by(mut report: HostReport, source: &str, port: Option<u16>) -> HostReport {
    let evidence = Evidence { source: source.into(), port, ..report.evidence[0].clone() };
    report.evidence = vec![evidence];
    report
}

fn sweep(network: &str, by: &[Method]) -> Sweep {
    Sweep { network: network.parse().expect("a network"), by: by.to_vec() }
}

impl Lan {
    async fn new(database: Database) -> Self {
        let (test, ctx) = TestApp::ready(database).await;
        let (scan_ctx, scan) = scanner(&test, &ctx).await;
        Self { test, ctx, scan_ctx, scan }
    }

    /// A scan an hour later that sees `reports`, and whose sweeps come to their end.
    async fn scanned(&self, reports: &[HostReport], sweeps: &[Sweep]) {
        self.test.clock.advance(TimeDelta::hours(1));
        let since = self.test.clock.now();
        self.test.clock.advance(TimeDelta::seconds(5));
        record(&self.scan_ctx, self.scan, reports).await.expect("recorded");
        missed(&self.scan_ctx, sweeps, since).await.expect("noted");
    }

    async fn accept_all(&self) -> Vec<AssetId> {
        let open = FindingFilter { state: Some(FindingState::Open), ..FindingFilter::default() };
        let count = findings::list(&self.ctx, &List::default(), &open).await.expect("lists").total;
        let all = FindingsIn { filter: Some(open), count, ..FindingsIn::default() };
        findings::accept_many(&self.ctx, all).await.expect("accepted");
        let page = assets::list(&self.ctx, &List::default(), &AssetFilter::default()).await.expect("lists");
        page.items.into_iter().map(|a| a.id).collect()
    }

    async fn read(&self, id: AssetId) -> AssetDetail {
        assets::get(&self.ctx, id).await.expect("read")
    }

    /// The same in the panel, on the map, and by the filter.
    async fn status(&self, id: AssetId) -> AssetStatus {
        let status = self.read(id).await.asset.status;
        let map = map::get(&self.ctx).await.expect("the map");
        assert_eq!(map.nodes.iter().find(|n| n.id == id).map(|n| n.status), Some(status));
        let filter = AssetFilter { status: Some(status), ..AssetFilter::default() };
        let page = assets::list(&self.ctx, &List::default(), &filter).await.expect("lists");
        assert!(page.items.iter().any(|a| a.id == id), "found by its status");
        status
    }
}

const ARP: &[Method] = &[Method::Arp];

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_a_scan_misses_is_not_up_until_it_is_seen_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let lan = Lan::new(database).await;
    let [one, two] = ["10.0.0.5", "10.0.0.6"].map(|ip| host(&lan.test, ip, None, &[22]));
    lan.scanned(&[one.clone(), two.clone()], &[]).await;
    let ids = lan.accept_all().await;
    let seen_at = lan.read(ids[0]).await.asset.last_seen_at;
    assert_eq!(lan.status(ids[0]).await, AssetStatus::Up);

    let mut events = lan.test.app.listen();
    lan.scanned(std::slice::from_ref(&two), &[sweep("10.0.0.0/24", ARP)]).await;
    assert_eq!((lan.status(ids[0]).await, lan.status(ids[1]).await), (AssetStatus::NotSeen, AssetStatus::Up));
    let read = lan.read(ids[0]).await;
    assert_eq!(
        (read.asset.status_since, read.asset.last_seen_at),
        (seen_at, seen_at),
        "since it answered last"
    );
    assert_eq!(read.address_list[0].seen_by, ["arp"]);
    assert_eq!(read.address_list[0].missed_at, Some(lan.test.clock.now()));
    let mut told = false;
    let patience = std::time::Duration::from_secs(2);
    while let Ok(cb_app::Heard::Event(event)) = tokio::time::timeout(patience, events.hear()).await {
        told |= event == cb_core::Event::AssetChanged { id: ids[0] };
        if told {
            break;
        }
    }
    assert!(told, "the map hears of it");

    lan.scanned(&[one, two], &[sweep("10.0.0.0/24", ARP)]).await;
    let read = lan.read(ids[0]).await;
    assert_eq!((read.asset.status, read.address_list[0].missed_at), (AssetStatus::Up, None));
    assert_eq!(read.asset.status_since, Some(lan.test.clock.now()), "since it is back");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_asked_in_a_way_that_it_answers_says_something(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let lan = Lan::new(database).await;
    let reports = [
        by(host(&lan.test, "10.0.0.5", None, &[]), "arp", None),
        by(host(&lan.test, "10.0.0.6", None, &[]), "icmp", None),
        by(host(&lan.test, "10.0.0.7", None, &[]), "tcp", Some(22)),
        by(host(&lan.test, "10.0.0.8", None, &[]), "tcp", Some(9)),
        by(host(&lan.test, "10.0.0.200", None, &[]), "icmp", None),
    ];
    lan.scanned(&reports, &[]).await;
    let ids = lan.accept_all().await;
    let up = async || {
        let filter = AssetFilter { status: Some(AssetStatus::Up), ..AssetFilter::default() };
        let page = assets::list(&lan.ctx, &List::default(), &filter).await.expect("lists").items;
        page.into_iter().map(|a| a.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids.len(), 5);
    for (sweeps, still) in [
        (vec![], "host-5 host-6 host-7 host-8 host-200"),
        (vec![sweep("10.0.1.0/24", ARP)], "host-5 host-6 host-7 host-8 host-200"),
        (vec![sweep("10.0.0.0/25", &[])], "host-5 host-6 host-7 host-8 host-200"),
        (vec![sweep("10.0.0.0/25", &[Method::Icmp])], "host-5 host-7 host-8 host-200"),
        (vec![sweep("10.0.0.0/25", &[Method::Tcp])], "host-5 host-8 host-200"),
        (vec![sweep("10.0.0.0/25", &[Method::Tcp, Method::Neighbors])], "host-8 host-200"),
        (vec![sweep("10.0.0.0/25", ARP)], "host-200"),
        (vec![sweep("10.0.0.0/24", ARP)], ""),
    ] {
        lan.scanned(&[], &sweeps).await;
        assert_eq!(up().await, still, "{sweeps:?}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_a_person_set_stays_and_one_address_of_two_is_enough(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let lan = Lan::new(database).await;
    let mac = Some("00:11:32:00:00:05");
    let [a, b] = ["10.0.0.5", "10.0.9.5"].map(|ip| {
        let network = format!("{}.0/24", ip.rsplit_once('.').expect("an address").0);
        HostReport { network: network.parse().ok(), ..with_key(host(&lan.test, ip, mac, &[]), "SHA256:k") }
    });
    lan.scanned(std::slice::from_ref(&a), &[]).await;
    let id = lan.accept_all().await[0];
    lan.scanned(&[b], &[]).await;
    lan.accept_all().await;
    // Typed, and never seen by anybody.
    let typed = AddressIn { asset_id: id, interface_id: None, ip: "10.0.0.99".into(), hostname: None };
    addresses::create(&lan.ctx, typed).await.expect("an address");
    let set = async |status: Patch<AssetStatus>| {
        let patch = AssetPatch { status, ..AssetPatch::default() };
        assets::update(&lan.ctx, id, patch, None).await.expect("set")
    };
    assert_eq!(lan.read(id).await.address_list.len(), 3);
    lan.scanned(&[], &[sweep("10.0.0.0/24", ARP)]).await;
    assert_eq!(lan.status(id).await, AssetStatus::Up, "nobody has asked its other address");
    lan.scanned(&[], &[sweep("10.0.9.0/24", ARP)]).await;
    assert_eq!(lan.status(id).await, AssetStatus::NotSeen);
    set(Patch::Set(AssetStatus::Maintenance)).await;
    lan.scanned(&[], &[sweep("10.0.0.0/24", ARP)]).await;
    assert_eq!(lan.status(id).await, AssetStatus::Maintenance);
    lan.scanned(&[a], &[sweep("10.0.0.0/24", ARP)]).await;
    assert_eq!(lan.status(id).await, AssetStatus::Maintenance);
    assert_eq!(set(Patch::Clear).await.status, AssetStatus::Up, "what was seen is still known");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_is_gone_is_not_accepted_as_up(#[values(Sqlite, Postgres)] database: Database) {
    let lan = Lan::new(database).await;
    let reports = ["10.0.0.5", "10.0.0.6"].map(|ip| host(&lan.test, ip, None, &[22]));
    lan.scanned(&reports, &[]).await;
    lan.scanned(&reports[1..], &[sweep("10.0.0.0/24", ARP)]).await;
    let ids = lan.accept_all().await;
    assert_eq!((lan.status(ids[0]).await, lan.status(ids[1]).await), (AssetStatus::NotSeen, AssetStatus::Up));
    let gone = lan.read(ids[0]).await;
    assert_eq!(gone.asset.status_since, gone.asset.last_seen_at);
}
