//! Assets and what belongs to them: created, found, paged, changed, removed.

use cb_app::addresses::{self, AddressFilter, AddressIn};
use cb_app::assets::{self, AssetFilter, AssetIn, AssetPatch, AssetsIn, AssetsTagIn};
use cb_app::csv::Parts as _;
use cb_app::interfaces::{self, InterfaceIn};
use cb_app::links::{self, LinkIn};
use cb_app::map::{self, PositionIn, PositionsIn};
use cb_app::networks::{self, NetworkIn, NetworkPatch};
use cb_app::tags::{self, TagIn};
use cb_app::{Ctx, List};
use cb_core::ids::AssetId;
use cb_core::inventory::{AssetKind, AssetStatus, LinkKind};
use cb_core::{Error, Patch};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;

fn asset(name: &str, kind: AssetKind) -> AssetIn {
    AssetIn {
        name: name.to_owned(),
        kind,
        role: None,
        vendor: None,
        model: None,
        os: None,
        notes: None,
        status: None,
        tags: None,
        addresses: None,
    }
}

async fn add(ctx: &Ctx, name: &str) -> AssetId {
    assets::create(ctx, asset(name, AssetKind::Device)).await.expect("created").id
}

async fn names(ctx: &Ctx, list: List, filter: AssetFilter) -> Vec<String> {
    assets::list(ctx, &list, &filter).await.expect("lists").items.into_iter().map(|a| a.name).collect()
}

fn asked(q: &str) -> List {
    List { q: Some(q.to_owned()), ..List::default() }
}

fn fields(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(fields) => fields.into_iter().map(|f| f.field).collect(),
        other => panic!("{other:?}"),
    }
}

/// The answer is made from what was given, not read again.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_asset_is_answered_as_it_is_read_afterwards(#[values(Sqlite, Postgres)] database: Database) {
    let (_test, ctx) = TestApp::ready(database).await;
    let mut tags = Vec::new();
    for name in ["Zone 10", "prod", "Zone 9", "Ärger", "Beta"] {
        let tag = tags::create(&ctx, TagIn { name: name.into(), color: "#112233".into() }).await;
        tags.push(tag.expect("tag").id);
    }
    let ips = ["2001:db8::a", "10.0.0.10", "fd00::9", "10.0.0.9", "192.168.1.2", "::2:9"];
    let input = AssetIn {
        role: Some("nas".to_owned()),
        status: Some(AssetStatus::Up),
        tags: Some(tags),
        addresses: Some(ips.map(str::to_owned).to_vec()),
        ..asset("nas-1", AssetKind::Device)
    };
    let made = assets::create(&ctx, input).await.expect("created");
    let read = assets::get(&ctx, made.id).await.expect("read").asset;
    let shown = |asset| serde_json::to_value(asset).expect("JSON");
    assert_eq!((made.tags.len(), made.addresses.len()), (5, 6));
    assert_eq!(shown(&made), shown(&read));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_asset_lives_and_dies(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let tag =
        tags::create(&ctx, TagIn { name: "Prod".into(), color: "#112233".into() }).await.expect("tag").id;
    let made = assets::create(
        &ctx,
        AssetIn {
            vendor: Some("  Acme ".into()),
            tags: Some(vec![tag]),
            ..asset("nas-1", AssetKind::Storage)
        },
    )
    .await
    .expect("created");
    assert_eq!((made.vendor.as_deref(), made.tags.len(), made.version), (Some("Acme"), 1, 1));
    assert_eq!(made.typed_fields, ["kind", "name", "vendor"]);

    let with = |ips: &[&str]| AssetIn {
        addresses: Some(ips.iter().map(|ip| (*ip).to_owned()).collect()),
        ..asset("camera", AssetKind::Device)
    };
    let camera =
        assets::create(&ctx, with(&["10.0.0.9", " 10.0.0.8", "::ffff:10.0.0.9"])).await.expect("camera");
    assert_eq!(camera.addresses, ["10.0.0.8", "10.0.0.9"]);
    let refused = assets::create(&ctx, with(&["10.0.0.7", "10.0.0"])).await;
    assert!(
        matches!(refused, Err(Error::Invalid(ref fields)) if fields[0].field == "addresses[1]"),
        "{refused:?}"
    );
    assert_eq!(
        assets::list(&ctx, &List::default(), &AssetFilter::default()).await.expect("lists").items.len(),
        2
    );
    assets::delete(&ctx, camera.id, None).await.expect("deleted");

    let patch = AssetPatch {
        status: Patch::Set(AssetStatus::Maintenance),
        vendor: Patch::Clear,
        tags: Some(vec![]),
        ..AssetPatch::default()
    };
    let changed = assets::update(&ctx, made.id, patch, Some(1)).await.expect("changed");
    assert_eq!(
        (changed.vendor, changed.tags.len(), changed.version, changed.status),
        (None, 0, 2, AssetStatus::Maintenance)
    );
    assert!(matches!(assets::update(&ctx, made.id, AssetPatch::default(), Some(1)).await, Err(Error::Stale)));

    let nic = interfaces::create(
        &ctx,
        InterfaceIn { asset_id: made.id, name: "eth0".into(), mac: Some("0011.32AA.BBCC".into()) },
    )
    .await
    .expect("nic");
    assert_eq!(nic.mac.as_deref(), Some("00:11:32:aa:bb:cc"));
    addresses::create(
        &ctx,
        AddressIn { asset_id: made.id, interface_id: Some(nic.id), ip: "10.0.0.9".into(), hostname: None },
    )
    .await
    .expect("address");
    let twice = addresses::create(
        &ctx,
        AddressIn { asset_id: made.id, interface_id: None, ip: "10.0.0.9".into(), hostname: None },
    )
    .await;
    assert!(matches!(twice, Err(Error::Taken(_))));
    let detail = assets::get(&ctx, made.id).await.expect("read");
    assert_eq!((detail.interfaces.len(), detail.address_list.len(), detail.asset.addresses.len()), (1, 1, 1));

    assets::delete(&ctx, made.id, Some(2)).await.expect("removed");
    assert!(matches!(assets::get(&ctx, made.id).await, Err(Error::NotFound)));
    let left = addresses::list(&ctx, &List::default(), &AddressFilter::default()).await.expect("lists");
    assert!(left.items.is_empty(), "its addresses went with it");
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_in_every_order(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for i in 0..23 {
        let status = AssetStatus::ALL.get(i % 7).copied();
        let input = AssetIn { status, ..asset(&format!("host-{i}"), AssetKind::Device) };
        assets::create(&ctx, input).await.expect("created");
    }
    for sort in [
        "name",
        "-name",
        "created_at",
        "-last_seen_at",
        "kind",
        "-vendor",
        "status",
        "-status",
        "address",
        "-address",
        "role",
        "-role",
    ] {
        let (mut seen, mut cursor, mut total) = (Vec::new(), None, None);
        for page in 1.. {
            assert!(page <= 5, "{sort}: a page that was there before");
            let list = List { limit: Some(5), cursor, sort: Some(sort.into()), q: None };
            let page = assets::list(&ctx, &list, &AssetFilter::default()).await.expect("lists");
            total = total.or(page.total);
            seen.extend(page.items.into_iter().map(|a| a.name));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((seen.len(), once.len(), total), (23, 23, Some(23)), "{sort}");
        if sort == "name" {
            assert_eq!(seen[..3], ["host-0", "host-1", "host-2"], "numbers sort by value");
        }
    }
    for status in AssetStatus::ALL {
        let filter = AssetFilter { status: Some(*status), ..AssetFilter::default() };
        let found = assets::list(&ctx, &List::default(), &filter).await.expect("lists").items;
        assert!(found.len() >= 3 && found.iter().all(|a| a.status == *status), "{status:?}: {found:?}");
    }
    for (list, field) in [
        (List { limit: Some(0), ..List::default() }, "limit"),
        (List { limit: Some(501), ..List::default() }, "limit"),
        (List { sort: Some("shoe_size".into()), ..List::default() }, "sort"),
        (List { cursor: Some("AAAA".into()), ..List::default() }, "cursor"),
        (asked(&"x".repeat(201)), "q"),
    ] {
        assert_eq!(
            fields(assets::list(&ctx, &list, &AssetFilter::default()).await.expect_err(field)),
            [field]
        );
    }
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn search_finds_by_whatever_one_remembers(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let tag =
        tags::create(&ctx, TagIn { name: "Critical".into(), color: "#112233".into() }).await.expect("tag").id;
    let nas = assets::create(
        &ctx,
        AssetIn {
            notes: Some("second shelf, 50%_full".into()),
            tags: Some(vec![tag]),
            ..asset("NAS", AssetKind::Storage)
        },
    )
    .await
    .expect("nas")
    .id;
    let router = add(&ctx, "router").await;
    interfaces::create(
        &ctx,
        InterfaceIn { asset_id: nas, name: "eth0".into(), mac: Some("00:11:32:aa:bb:cc".into()) },
    )
    .await
    .expect("nic");
    addresses::create(
        &ctx,
        AddressIn {
            asset_id: nas,
            interface_id: None,
            ip: "10.9.8.7".into(),
            hostname: Some("Vault.lab".into()),
        },
    )
    .await
    .expect("address");
    for q in ["nas", "SHELF", "10.9.8", "vault", "aa:bb", "critical", "nas shelf", "50%_"] {
        assert_eq!(names(&ctx, asked(q), AssetFilter::default()).await, ["NAS"], "{q}");
    }
    for q in ["nas router", "5%f", "' OR 1=1 --"] {
        assert!(names(&ctx, asked(q), AssetFilter::default()).await.is_empty(), "{q}");
    }
    let by = |tag: &str| AssetFilter { tag: Some(tag.into()), ..AssetFilter::default() };
    assert_eq!(names(&ctx, List::default(), by("CRITICAL")).await, ["NAS"]);
    assert_eq!(names(&ctx, List::default(), by(&tag.to_string())).await, ["NAS"]);
    let kind = AssetFilter { kind: Some(AssetKind::Device), ..AssetFilter::default() };
    assert_eq!(names(&ctx, List::default(), kind).await, ["router"]);
    let _ = router;
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_address_belongs_to_the_narrowest_network(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let host = add(&ctx, "host").await;
    let at = addresses::create(
        &ctx,
        AddressIn { asset_id: host, interface_id: None, ip: "10.1.2.3".into(), hostname: None },
    )
    .await
    .expect("address");
    let network = |name: &str, cidr: &str| NetworkIn {
        name: name.into(),
        cidr: cidr.into(),
        vlan: None,
        gateway: None,
        notes: None,
    };
    let of = async || addresses::get(&ctx, at.id).await.expect("read").network_id;
    let wide = networks::create(&ctx, network("wide", "10.0.0.0/8")).await.expect("wide");
    assert_eq!(of().await, Some(wide.id));
    let narrow = networks::create(&ctx, network("narrow", "10.1.2.77/24")).await.expect("narrow");
    assert_eq!((narrow.cidr.as_str(), narrow.address_count), ("10.1.2.0/24", 1));
    assert_eq!(of().await, Some(narrow.id));
    let v6 = networks::create(&ctx, network("six", "fd00::/64")).await.expect("six");
    assert_eq!(v6.address_count, 0);
    networks::update(
        &ctx,
        narrow.id,
        NetworkPatch { cidr: Some("10.2.0.0/16".into()), ..NetworkPatch::default() },
        None,
    )
    .await
    .expect("moved");
    assert_eq!(of().await, Some(wide.id));
    networks::delete(&ctx, wide.id, None).await.expect("removed");
    assert_eq!(of().await, None);
    assert!(matches!(networks::create(&ctx, network("again", "fd00::/64")).await, Err(Error::Taken(_))));
    assert_eq!(
        fields(networks::create(&ctx, network("bad", "10.0.0.0/33")).await.expect_err("bad")),
        ["cidr"]
    );
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_placed_stays_and_links_have_two_ends(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (a, b) = (add(&ctx, "a").await, add(&ctx, "b").await);
    let link = |a, b| LinkIn { a_asset_id: a, b_asset_id: b, kind: LinkKind::Ethernet, label: None };
    links::create(&ctx, link(b, a)).await.expect("drawn");
    assert!(
        matches!(links::create(&ctx, link(a, b)).await, Err(Error::Taken(_))),
        "either way round it is the same link"
    );
    assert_eq!(fields(links::create(&ctx, link(a, a)).await.expect_err("self")), ["b_asset_id"]);
    let at = |asset_id, x| PositionsIn { positions: vec![PositionIn { asset_id, x, y: 2.0 }] };
    map::place(&ctx, at(a, 1.5)).await.expect("placed");
    map::place(&ctx, at(a, -3.25)).await.expect("moved");
    assert!(
        map::place(&ctx, at(a, f64::NAN)).await.is_err() && map::place(&ctx, at(a, 1e300)).await.is_err()
    );
    let drawn = map::get(&ctx).await.expect("the map");
    let node = drawn.nodes.iter().find(|n| n.id == a).expect("the node");
    assert_eq!((node.x, node.y, drawn.links.len(), drawn.nodes.len()), (Some(-3.25), Some(2.0), 1, 2));
    assets::delete(&ctx, a, None).await.expect("removed");
    assert_eq!(map::get(&ctx).await.expect("the map").links.len(), 0);
    drop(test);
}

async fn addressed(ctx: &Ctx, input: AssetIn, ip: &str) -> AssetId {
    let id = assets::create(ctx, input).await.expect("created").id;
    let address = AddressIn { asset_id: id, interface_id: None, ip: ip.into(), hostname: None };
    addresses::create(ctx, address).await.expect("address");
    id
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn assets_sort_by_their_first_address_as_a_number(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let with = |name: &str, role: Option<&str>| AssetIn {
        role: role.map(str::to_owned),
        ..asset(name, AssetKind::Device)
    };
    let ten = addressed(&ctx, with("ten", Some("switch")), "10.0.0.10").await;
    addressed(&ctx, with("nine", Some("access-point")), "10.0.0.9").await;
    addressed(&ctx, with("six", None), "fd00::1").await;
    add(&ctx, "none").await;
    let by = async |sort: &str| {
        let (mut found, mut cursor) = (Vec::new(), None);
        for _ in 0..9 {
            let list = List { limit: Some(1), cursor, sort: Some(sort.into()), q: None };
            let page = assets::list(&ctx, &list, &AssetFilter::default()).await.expect("lists");
            found.extend(page.items.into_iter().map(|a| a.name));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        found.join(" ")
    };
    assert_eq!(by("address").await, "nine ten six none");
    assert_eq!(by("-address").await, "six ten nine none", "what has none comes last either way");
    assert!(by("role").await.starts_with("nine ") && by("role").await.ends_with(" ten"));
    let first = AddressIn { asset_id: ten, interface_id: None, ip: "10.0.0.1".into(), hostname: None };
    addresses::create(&ctx, first).await.expect("address");
    assert_eq!(by("address").await, "ten nine six none", "its first address counts");
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn assets_narrow_by_every_field(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let network = NetworkIn {
        name: "Attic lab".into(),
        cidr: "10.7.0.0/24".into(),
        vlan: None,
        gateway: None,
        notes: None,
    };
    let network = networks::create(&ctx, network).await.expect("network").id;
    let input = AssetIn {
        role: Some("access-point".into()),
        vendor: Some("Raspberry Pi".into()),
        ..asset("ap", AssetKind::Device)
    };
    addressed(&ctx, input, "10.7.0.9").await;
    addressed(&ctx, asset("other", AssetKind::Device), "10.8.0.9").await;
    let none = AssetFilter::default;
    let role = |role: &str| AssetFilter { role: Some(role.into()), ..none() };
    let inside = |network: &str| AssetFilter { network: Some(network.into()), ..none() };
    for filter in [
        role("Access point"),
        role("access_point"),
        role("ACCESS-POINT"),
        AssetFilter { vendor: Some("raspberry".into()), ..none() },
        inside("attic LAB"),
        inside("10.7.0.0/24"),
        inside(&network.to_string()),
        AssetFilter { q: Some("ap rasp".into()), ..none() },
    ] {
        assert_eq!(names(&ctx, List::default(), filter.clone()).await, ["ap"], "{filter:?}");
    }
    let now = test.app.now();
    for filter in [
        role("access"),
        inside("nowhere"),
        AssetFilter { port: Some(22), ..none() },
        AssetFilter { seen_after: Some(now), ..none() },
        AssetFilter { seen_before: Some(now), ..none() },
    ] {
        assert!(names(&ctx, List::default(), filter.clone()).await.is_empty(), "{filter:?}");
    }
    let long = "x".repeat(201);
    for (filter, field) in [
        (AssetFilter { port: Some(0), ..none() }, "port"),
        (AssetFilter { port: Some(65_536), ..none() }, "port"),
        (role(&long), "role"),
        (inside(&long), "network"),
        (AssetFilter { vendor: Some(long.clone()), ..none() }, "vendor"),
        (AssetFilter { tag: Some(long.clone()), ..none() }, "tag"),
        (AssetFilter { q: Some(long.clone()), ..none() }, "q"),
    ] {
        let said = assets::list(&ctx, &List::default(), &filter).await.expect_err(field);
        assert_eq!(fields(said), [field]);
    }
    drop(test);
}

fn all(filter: AssetFilter, count: u64) -> AssetsIn {
    AssetsIn { filter: Some(filter), count: Some(count), ids: None }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn many_assets_are_tagged_and_removed_by_filter_and_by_id(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    for i in 0..1_203 {
        add(&ctx, &format!("{}-{i}", if i < 3 { "keep" } else { "old" })).await;
    }
    let tag =
        tags::create(&ctx, TagIn { name: "Prod".into(), color: "#112233".into() }).await.expect("tag").id;
    let old = || AssetFilter { q: Some("old-".into()), ..AssetFilter::default() };
    let tagged = |assets| assets::tag_many(&ctx, AssetsTagIn { assets, tags: vec![tag] });
    assert_eq!(tagged(all(old(), 1_200)).await.expect("tagged").count, 1_200);
    assert_eq!(tagged(all(old(), 1_200)).await.expect("tagged").count, 0, "they have it already");
    let prod = AssetFilter { tag: Some("prod".into()), ..AssetFilter::default() };
    let page = assets::list(&ctx, &List::default(), &prod).await.expect("lists");
    assert_eq!((page.total, page.items[0].version), (Some(1_200), 2));

    let stale = assets::delete_many(&ctx, all(old(), 1_199)).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "one more than was seen: {stale:?}");
    let one = page.items[0].id;
    let ids = AssetsIn { ids: Some(vec![one, one, AssetId(uuid::Uuid::nil())]), ..AssetsIn::default() };
    assert_eq!(assets::delete_many(&ctx, ids).await.expect("removed").count, 1);
    assert_eq!(assets::delete_many(&ctx, all(old(), 1_199)).await.expect("removed").count, 1_199);
    assert_eq!(names(&ctx, List::default(), AssetFilter::default()).await, ["keep-0", "keep-1", "keep-2"]);

    let log = cb_app::audit::list(&ctx, &List::default(), &cb_app::audit::EntryFilter::default()).await;
    let log = log.expect("lists").items;
    assert_eq!(log[0].action, "assets_deleted", "one entry for all");
    assert_eq!(log[0].detail["count"], 1_199);
    assert_eq!(log[0].detail["assets"].as_array().map(Vec::len), Some(500), "and a bounded one");
    assert_eq!(log.iter().filter(|entry| entry.action == "asset_deleted").count(), 0);

    let none = AssetsIn::default;
    for (input, field) in [
        (none(), "ids"),
        (AssetsIn { ids: Some(Vec::new()), ..none() }, "ids"),
        (AssetsIn { ids: Some(vec![one; 10_001]), ..none() }, "ids"),
        (AssetsIn { ids: Some(vec![one]), count: Some(1), ..none() }, "count"),
        (AssetsIn { ids: Some(vec![one]), filter: Some(old()), ..none() }, "filter"),
        (AssetsIn { filter: Some(old()), ..none() }, "count"),
        (all(AssetFilter { port: Some(0), ..AssetFilter::default() }, 1), "port"),
    ] {
        let said = assets::delete_many(&ctx, input).await.expect_err(field);
        assert_eq!(fields(said), [field]);
    }
    let nothing = AssetsTagIn { assets: all(AssetFilter::default(), 3), tags: Vec::new() };
    assert_eq!(fields(assets::tag_many(&ctx, nothing).await.expect_err("tags")), ["tags"]);
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_is_written_as_csv_whole_and_in_the_words_of_the_page(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    for i in 0..1_059 {
        add(&ctx, &format!("host-{i}")).await;
    }
    let evil = AssetIn {
        role: Some("access-point".into()),
        status: Some(AssetStatus::Down),
        vendor: Some("Brother".into()),
        model: Some("Brother HL-2270".into()),
        ..asset("=HYPERLINK(\"http://x\")", AssetKind::Device)
    };
    addressed(&ctx, evil, "10.0.0.9").await;
    let text = async |columns: Option<&str>, sort: &str, filter: AssetFilter| {
        let mut export = assets::export(&ctx, None, Some(sort.to_owned()), columns, filter).expect("begins");
        let mut text = String::new();
        while let Some(part) = export.next().await.expect("a part") {
            assert!(part.lines().count() <= 501, "little of it is in memory");
            text.push_str(&part);
        }
        text
    };
    let whole = text(None, "name", AssetFilter::default()).await;
    assert_eq!(whole.lines().count(), 1_061, "the header and every asset");
    let down = AssetFilter { status: Some(AssetStatus::Down), ..AssetFilter::default() };
    let some = text(Some("address,role,vendor,status,name"), "-name", down).await;
    assert_eq!(
        some,
        "\u{feff}\"Addresses\",\"Kind\",\"Vendor and model\",\"Status\",\"Name\"\r\n\
         \"10.0.0.9\",\"Access point\",\"Brother HL-2270\",\"Down\",\"'=HYPERLINK(\"\"http://x\"\")\"\r\n"
    );
    let wrong = assets::export(&ctx, None, None, Some("name,shoe"), AssetFilter::default());
    assert_eq!(fields(wrong.err().expect("refused")), ["columns"]);
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_map_names_what_its_filter_asks_for(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let mut tags = Vec::new();
    for name in ["shelf 10", "shelf 9"] {
        let input = TagIn { name: name.into(), color: "#3377aa".into() };
        tags.push(tags::create(&ctx, input).await.expect("a tag").id);
    }
    let input =
        AssetIn { vendor: Some("Synology".into()), tags: Some(tags), ..asset("nas", AssetKind::Storage) };
    let (nas, plain) = (assets::create(&ctx, input).await.expect("created").id, add(&ctx, "plain").await);
    let nodes = map::get(&ctx).await.expect("the map").nodes;
    let of = |id| nodes.iter().find(|node| node.id == id).expect("the node");
    assert_eq!(of(nas).tags, ["shelf 9", "shelf 10"], "in the order that people expect");
    assert_eq!(of(nas).vendor.as_deref(), Some("Synology"));
    // What a node does not have costs nothing in an answer of thousands.
    let written = serde_json::to_value(of(plain)).expect("JSON");
    for key in ["tags", "vendor", "last_seen_at"] {
        assert!(written.get(key).is_none(), "{key}: {written}");
    }
    drop(test);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_map_marks_the_machine_of_this_server(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let Some(own) = cb_collect::own_addresses().into_iter().find(std::net::IpAddr::is_ipv4) else {
        // A machine without a network has no address to know itself by.
        return;
    };
    let at =
        |asset_id, ip: &str| AddressIn { asset_id, ip: ip.to_owned(), interface_id: None, hostname: None };
    let (server, other) = (add(&ctx, "server").await, add(&ctx, "other").await);
    for (asset, ip) in [(server, "203.0.113.9"), (server, &own.to_string()), (other, "203.0.113.10")] {
        addresses::create(&ctx, at(asset, ip)).await.expect("its address");
    }
    let marked: Vec<_> =
        map::get(&ctx).await.expect("the map").nodes.into_iter().filter(|n| n.server).map(|n| n.id).collect();
    assert_eq!(marked, [server]);
    drop(test);
}
