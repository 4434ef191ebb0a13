//! Review in bulk, and taking each step of it back.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

use cb_app::assets::{self, AssetFilter, AssetPatch};
use cb_app::findings::{
    self, FindingFilter, FindingOut, FindingsDone, FindingsIn, FindingsProposeIn, FindingsTagIn, UndoIn,
};
use cb_app::record::record;
use cb_app::tags::{self, TagIn};
use cb_app::{Ctx, List, audit, map, networks};
use cb_core::audit::Action;
use cb_core::ids::{FindingId, ReviewId, TagId};
use cb_core::inventory::{AssetKind, FindingGrouping, FindingState};
use cb_core::{Error, Patch};
use cb_testkit::TestApp;

use crate::discovery::{host, scanner};

async fn of(ctx: &Ctx, state: FindingState) -> Vec<FindingOut> {
    let filter = FindingFilter { state: Some(state), ..FindingFilter::default() };
    // Findings of one moment have no order of their own.
    let list = List { limit: Some(500), sort: Some("address".into()), ..List::default() };
    findings::list(ctx, &list, &filter).await.expect("lists").items
}

async fn open(ctx: &Ctx) -> Vec<FindingOut> {
    of(ctx, FindingState::Open).await
}

fn these(findings: &[FindingOut]) -> FindingsIn {
    FindingsIn { ids: Some(findings.iter().map(|f| f.id).collect()), ..FindingsIn::default() }
}

fn fitting(filter: FindingFilter, count: u64) -> FindingsIn {
    FindingsIn { filter: Some(filter), count: Some(count), ..FindingsIn::default() }
}

async fn take_back(ctx: &Ctx, done: &FindingsDone) -> FindingsDone {
    let review_id = done.review_id.expect("something was changed");
    findings::undo(ctx, UndoIn { review_id }).await.expect("taken back")
}

async fn names(ctx: &Ctx) -> Vec<String> {
    let page = assets::list(ctx, &List::default(), &AssetFilter::default()).await.expect("lists");
    page.items.into_iter().map(|a| a.name).collect()
}

async fn tag(ctx: &Ctx, name: &str) -> TagId {
    tags::create(ctx, TagIn { name: name.into(), color: "#112233".into() }).await.expect("a tag").id
}

/// The detail of the newest entry with this action.
async fn entries(ctx: &Ctx, action: Action) -> Vec<serde_json::Value> {
    let filter = audit::EntryFilter { action: Some(action), entity_id: None };
    let page = audit::list(ctx, &List::default(), &filter).await.expect("lists");
    page.items.into_iter().map(|entry| serde_json::to_value(entry.detail).expect("JSON")).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_is_taken_back_with_all_that_it_made(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let mac = |n: u8| format!("00:11:32:00:00:0{n}");
    let reports: Vec<_> =
        [1, 2, 3].iter().map(|n| host(&test, &format!("10.0.0.{n}"), Some(&mac(*n)), &[22, 80])).collect();
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let before = open(&ctx).await;
    let done = findings::accept_many(&ctx, these(&before)).await.expect("accepted");
    assert_eq!((done.count, done.skipped.len()), (3, 0));
    assert_eq!(names(&ctx).await, ["host-1", "host-2", "host-3"]);
    let gateway = networks::list(&ctx, &List::default()).await.expect("lists").items[0].gateway.clone();
    assert_eq!(gateway.as_deref(), Some("10.0.0.1"));
    assert_eq!(map::get(&ctx).await.expect("the map").links.len(), 2);

    // A scan that sees them again changes nothing that a person would have to decide about.
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let undone = take_back(&ctx, &done).await;
    assert_eq!((undone.count, undone.skipped.len()), (3, 0), "{undone:?}");
    let after = open(&ctx).await;
    assert_eq!(
        after.iter().map(|f| f.id).collect::<Vec<_>>(),
        before.iter().map(|f| f.id).collect::<Vec<_>>()
    );
    assert!(after.iter().all(|f| f.asset_id.is_none() && f.resolved_by.is_none() && f.review_id.is_none()));
    assert!(names(&ctx).await.is_empty());
    assert!(networks::list(&ctx, &List::default()).await.expect("lists").items.is_empty());
    assert_eq!(take_back(&ctx, &done).await.count, 0, "again changes nothing");

    let accepted = entries(&ctx, Action::FindingsAccepted).await;
    let undone = entries(&ctx, Action::FindingsReviewUndone).await;
    assert_eq!((accepted.len(), undone.len()), (1, 1), "one entry each");
    assert_eq!((&accepted[0]["count"], &undone[0]["count"]), (&3.into(), &3.into()));
    assert_eq!(accepted[0]["findings"][0]["title"], "host-1");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_since_stays_and_the_answer_says_so(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let reports: Vec<_> = (1..=4).map(|n| host(&test, &format!("10.0.0.{n}"), None, &[22])).collect();
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let done = findings::accept_many(&ctx, these(&open(&ctx).await)).await.expect("accepted");
    let page = assets::list(&ctx, &List::default(), &AssetFilter::default()).await.expect("lists").items;
    let patch = AssetPatch { notes: Some("mine".into()), ..AssetPatch::default() };
    assets::update(&ctx, page[0].id, patch, None).await.expect("changed");
    let typed = cb_app::interfaces::InterfaceIn { asset_id: page[1].id, name: "eth9".into(), mac: None };
    cb_app::interfaces::create(&ctx, typed).await.expect("an interface");
    assets::delete(&ctx, page[2].id, None).await.expect("deleted");

    let undone = take_back(&ctx, &done).await;
    assert_eq!(undone.count, 1, "only the one that nobody touched: {undone:?}");
    assert_eq!(undone.skipped.len(), 2);
    assert!(undone.skipped.iter().all(|s| s.reason.contains("changed since")), "{undone:?}");
    assert_eq!(names(&ctx).await, ["host-1", "host-2"]);
    assert_eq!(open(&ctx).await.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_added_is_taken_out_of_the_asset_again(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    record(&scan_ctx, scan, &[host(&test, "10.0.0.5", None, &[22])]).await.expect("recorded");
    findings::accept_many(&ctx, these(&open(&ctx).await)).await.expect("accepted");
    let grown = host(&test, "10.0.0.5", None, &[22, 80, 443]);
    record(&scan_ctx, scan, &[grown]).await.expect("recorded");
    let change = open(&ctx).await;
    let rack = tag(&ctx, "rack").await;
    findings::tag_many(&ctx, FindingsTagIn { findings: these(&change), tags: vec![rack] })
        .await
        .expect("tagged");
    let done = findings::accept_many(&ctx, these(&change)).await.expect("accepted");
    let asset = of(&ctx, FindingState::Accepted).await[0].asset_id.expect("an asset");
    let read = assets::get(&ctx, asset).await.expect("read");
    assert_eq!((read.services.len(), read.asset.tags.len()), (3, 1));
    assert_eq!(take_back(&ctx, &done).await.count, 1);
    let read = assets::get(&ctx, asset).await.expect("it stays");
    assert_eq!((read.services.len(), read.address_list.len(), read.asset.tags.len()), (1, 1, 0));
    assert_eq!(open(&ctx).await[0].asset_id, Some(asset), "a change of this asset still");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn ignoring_a_kind_and_a_tag_are_taken_back(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let mut reports: Vec<_> = (1..=3).map(|n| host(&test, &format!("10.0.0.{n}"), None, &[22])).collect();
    reports[0].guess.role = Some("switch".into());
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let all = || FindingFilter::default();

    let ignored = findings::ignore_many(&ctx, fitting(all(), 3)).await.expect("ignored");
    assert_eq!((ignored.count, open(&ctx).await.len()), (3, 0));
    assert_eq!(take_back(&ctx, &ignored).await.count, 3);
    assert_eq!(open(&ctx).await.len(), 3);

    let nas = FindingsProposeIn { findings: fitting(all(), 3), kind: None, role: Patch::Set("NAS".into()) };
    let proposed = findings::propose_many(&ctx, nas).await.expect("proposed");
    let shown = async || {
        let open = open(&ctx).await;
        open.into_iter()
            .map(|f| (f.proposal.kind, f.proposal.role, f.proposal.tags.len()))
            .collect::<Vec<_>>()
    };
    let nas = || (AssetKind::Storage, Some("NAS".to_owned()), 0);
    assert_eq!(shown().await, [nas(), nas(), nas()], "a known role brings its kind");
    // What a person has said, no scan says otherwise.
    reports[1].guess.role = Some("printer".into());
    reports[1].services.clear();
    let more = host(&test, "10.0.0.2", None, &[9100]);
    record(&scan_ctx, scan, &[reports[1].clone(), more]).await.expect("recorded");
    assert_eq!(shown().await[1], nas());
    assert_eq!(take_back(&ctx, &proposed).await.count, 3);
    let device = |role: Option<&str>| (AssetKind::Device, role.map(str::to_owned), 0);
    assert_eq!(shown().await, [device(Some("switch")), device(None), device(None)]);

    let (rack, lab) = (tag(&ctx, "rack").await, tag(&ctx, "lab").await);
    let one = open(&ctx).await;
    let first = FindingsTagIn { findings: these(&one[..1]), tags: vec![rack] };
    findings::tag_many(&ctx, first).await.expect("tagged");
    let tags = FindingsTagIn { findings: fitting(all(), 3), tags: vec![rack, lab] };
    let tagged = findings::tag_many(&ctx, tags).await.expect("tagged");
    assert_eq!(shown().await.iter().map(|f| f.2).collect::<Vec<_>>(), [2, 2, 2]);
    let again = FindingsTagIn { findings: fitting(all(), 3), tags: vec![rack] };
    let again = findings::tag_many(&ctx, again).await.expect("nothing to do");
    assert_eq!((again.count, again.review_id), (0, None), "they have it");
    assert_eq!(take_back(&ctx, &tagged).await.count, 3);
    assert_eq!(
        shown().await.iter().map(|f| f.2).collect::<Vec<_>>(),
        [1, 0, 0],
        "what was there before stays"
    );

    findings::accept_many(&ctx, fitting(all(), 3)).await.expect("accepted");
    let page = assets::list(&ctx, &List::default(), &AssetFilter::default()).await.expect("lists").items;
    assert_eq!(page.iter().map(|a| a.tags.len()).collect::<Vec<_>>(), [1, 0, 0]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_a_person_chose_is_typed_and_a_gone_tag_is_no_error(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    record(&scan_ctx, scan, &[host(&test, "10.0.0.5", None, &[22])]).await.expect("recorded");
    let found = open(&ctx).await;
    let rack = tag(&ctx, "rack").await;
    findings::tag_many(&ctx, FindingsTagIn { findings: these(&found), tags: vec![rack] })
        .await
        .expect("tagged");
    let other =
        FindingsProposeIn { findings: these(&found), kind: Some(AssetKind::Other), role: Patch::Clear };
    findings::propose_many(&ctx, other).await.expect("proposed");
    tags::delete(&ctx, rack, None).await.expect("deleted");
    record(&scan_ctx, scan, &[host(&test, "10.0.0.5", None, &[22, 80])]).await.expect("recorded");
    findings::accept_many(&ctx, these(&found)).await.expect("accepted");
    let page = assets::list(&ctx, &List::default(), &AssetFilter::default()).await.expect("lists").items;
    assert_eq!((page[0].kind, page[0].typed_fields.join(" ").as_str()), (AssetKind::Other, "kind role"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_review_since_is_not_taken_back_by_the_first(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let reports: Vec<_> = (1..=2).map(|n| host(&test, &format!("10.0.0.{n}"), None, &[22])).collect();
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let found = open(&ctx).await;
    let ignored = findings::ignore_many(&ctx, these(&found)).await.expect("ignored");
    findings::reopen(&ctx, found[0].id).await.expect("reopened");
    findings::accept_many(&ctx, these(&found[..1])).await.expect("accepted");
    assert_eq!(take_back(&ctx, &ignored).await.count, 1);
    assert_eq!(of(&ctx, FindingState::Accepted).await.len(), 1, "accepted stays accepted");
    // What is not open is skipped with its reason; so is what is not there.
    let gone = FindingId(uuid::Uuid::max());
    let mixed = FindingsIn { ids: Some(vec![found[0].id, found[1].id, gone]), ..FindingsIn::default() };
    let done = findings::ignore_many(&ctx, mixed).await.expect("ignored");
    assert_eq!((done.count, done.skipped.len()), (1, 2), "{done:?}");
    let unknown =
        findings::undo(&ctx, UndoIn { review_id: ReviewId(uuid::Uuid::max()) }).await.expect("nothing");
    assert_eq!(unknown.count, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn groups_count_what_fits_and_are_reviewed_whole(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let mut reports: Vec<_> = (1..=5).map(|n| host(&test, &format!("10.0.0.{n}"), None, &[22])).collect();
    for (report, role) in reports.iter_mut().zip(["phone", "phone", "nas"]) {
        report.guess.role = Some(role.into());
    }
    reports[3].network = Some("10.0.0.0/30".parse().expect("a network"));
    reports[4].network = None;
    record(&scan_ctx, scan, &reports).await.expect("recorded");
    let open_ones = || FindingFilter { state: Some(FindingState::Open), ..FindingFilter::default() };
    let groups = async |by: FindingGrouping| {
        let groups = findings::groups(&ctx, &open_ones(), by, None).await.expect("groups");
        groups.into_iter().map(|g| format!("{} {}", g.key, g.count)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(groups(FindingGrouping::Role).await, " 2, nas 1, phone 2");
    assert_eq!(groups(FindingGrouping::Network).await, " 1, 10.0.0.0/24 3, 10.0.0.0/30 1");
    assert_eq!(groups(FindingGrouping::Kind).await, "device 5");
    assert_eq!(groups(FindingGrouping::Change).await, "new_asset 5");
    let sorted = List { sort: Some("group_role".into()), ..List::default() };
    let page = findings::list(&ctx, &sorted, &open_ones()).await.expect("lists").items;
    let titles: Vec<_> = page.iter().map(|f| f.title.as_str()).collect();
    assert_eq!(titles, ["host-4", "host-5", "host-3", "host-1", "host-2"], "by group, then by address");

    let phones = FindingFilter {
        group_by: Some(FindingGrouping::Role),
        group: Some("phone".into()),
        ..FindingFilter::default()
    };
    let late = findings::ignore_many(&ctx, fitting(phones.clone(), 3)).await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
    assert_eq!(findings::ignore_many(&ctx, fitting(phones, 2)).await.expect("ignored").count, 2);
    let unknown = FindingFilter {
        group_by: Some(FindingGrouping::Network),
        group: Some(String::new()),
        ..FindingFilter::default()
    };
    let done = findings::accept_many(&ctx, fitting(unknown, 1)).await.expect("accepted");
    assert_eq!((done.count, names(&ctx).await.join(" ").as_str()), (1, "host-5"));
    assert_eq!(groups(FindingGrouping::Role).await, " 1, nas 1");
}

/// More than one transaction takes: all of them, once each, and one id takes all of them back.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_findings_are_one_step(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let ip = |n: u32| format!("10.0.{}.{}", n / 250, n % 250 + 1);
    let reports: Vec<_> = (0..1_060)
        .map(|n| cb_collect::HostReport { network: None, ..host(&test, &ip(n), None, &[]) })
        .collect();
    for part in reports.chunks(64) {
        record(&scan_ctx, scan, part).await.expect("recorded");
    }
    let all = fitting(FindingFilter::default(), 1_060);
    let done = findings::accept_many(&ctx, all).await.expect("accepted");
    assert_eq!((done.count, open(&ctx).await.len()), (1_060, 0));
    let undone = take_back(&ctx, &done).await;
    assert_eq!((undone.count, names(&ctx).await.len()), (1_060, 0));
    let counts: Vec<_> =
        entries(&ctx, Action::FindingsAccepted).await.iter().map(|d| d["count"].clone()).collect();
    assert_eq!(counts, [60, 500, 500], "an entry for each transaction, newest first");
}
