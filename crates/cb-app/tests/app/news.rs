//! What this server tells of itself: in the transaction that makes it true, once, and bounded.

use std::time::Duration;

use cb_app::findings::{self, FindingFilter, FindingsIn};
use cb_app::record::record;
use cb_app::{List, assets, audit, metrics, scans, vault};
use cb_core::inventory::AssetKind;
use cb_store::sea_orm::ConnectionTrait as _;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::Receiver;
use chrono::{FixedOffset, TimeDelta};
use rstest::rstest;
use serde_json::{Value, json};

use crate::audit::Intruder;
use crate::discovery::{host, scanner};
use crate::webhooks::{happens, hook, ready};
use crate::write_path::raw;

/// What came, without what scans that end by themselves tell.
async fn told(inbox: &Receiver, kind: &str, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let bodies =
            inbox.received().into_iter().map(|r| serde_json::from_slice::<Value>(&r.body).expect("JSON"));
        let wanted: Vec<Value> = bodies.filter(|body| body["type"] == kind).collect();
        if wanted.len() >= count {
            return wanted;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{count} of {kind} did not come: {} others did", inbox.received().len());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_findings_is_one_notice_and_each_asset_is_its_own(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    hook(&ctx, "Home", inbox.url("/")).await;
    let (scan_ctx, scan) = scanner(&test, &ctx).await;
    let reports: Vec<_> = (1..=60).map(|n| host(&test, &format!("10.0.0.{n}"), None, &[])).collect();
    assert_eq!(record(&scan_ctx, scan, &reports).await.expect("recorded").findings_new, 60);
    record(&scan_ctx, scan, &reports).await.expect("nothing new");

    let findings = told(&inbox, "finding.created", 1).await;
    let data = &findings[0]["data"];
    assert_eq!((&data["title"], &data["count"]), (&json!("60 new findings"), &json!(60)));
    assert_eq!(data["findings"].as_array().map(Vec::len), Some(50), "bounded");
    assert!(data["text"].as_str().is_some_and(|text| text.ends_with("and 50 more")), "{data}");

    let open = findings::list(&ctx, &List::default(), &FindingFilter::default()).await.expect("lists").items;
    let ids = open.iter().take(3).map(|f| f.id).collect();
    let three = FindingsIn { ids: Some(ids), ..FindingsIn::default() };
    assert_eq!(findings::accept_many(&ctx, three).await.expect("accepted").count, 3);
    let created = told(&inbox, "asset.created", 3).await;
    assert!(created.iter().all(|body| body["data"]["source"] == "discovered"), "{created:?}");

    let asset = happens(&ctx, "typed").await;
    assets::delete(&ctx, asset.id, None).await.expect("removed");
    let removed = told(&inbox, "asset.removed", 1).await;
    assert_eq!(
        (&removed[0]["data"]["name"], &removed[0]["data"]["kind"]),
        (&json!("typed"), &json!(AssetKind::Device))
    );

    // It ends by itself, for there is nothing to be seen there.
    let ended = told(&inbox, "scan.finished", 1).await;
    let row = scans::get(&ctx, scan).await.expect("reads");
    assert_eq!(ended[0]["data"]["status"], json!(row.status));
    assert_eq!(ended[0]["data"]["targets"], json!(["172.31.255.77"]));
    assert_eq!(told(&inbox, "finding.created", 1).await.len(), 1, "one for the batch");
    // The notice goes out with the commit, and the scan is counted behind it.
    let line = format!("outcome=\"{}\"}} 1\n", row.status.as_str());
    for look in 0.. {
        let page = metrics::page(&ctx).await.expect("told").into_text();
        if page.contains(&line) && page.contains("cb_scans{state=\"running\"} 0\n") {
            break;
        }
        assert!(look < 100, "{line} in {page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_vault_is_told_and_so_is_one_that_fails(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    let made = hook(&ctx, "Home", inbox.url("/")).await;
    let before = vault::status(&ctx).await.expect("reads").current_key_id;
    vault::rotate(&ctx).await.expect("rotates");
    let turned = told(&inbox, "vault.rotated", 1).await;
    assert_eq!(
        (&turned[0]["data"]["from_key_id"], &turned[0]["data"]["resealed"]),
        (&json!(before), &json!(1))
    );

    let db = raw(&test).await;
    db.execute_unprepared("UPDATE users SET totp_secret = 'of nobody'").await.expect("damaged");
    test.clock.advance(TimeDelta::days(91));
    let zone = FixedOffset::east_opt(0).expect("a zone");
    vault::look(&test.app, &zone).await.expect("looks");
    let failed = told(&inbox, "vault.rotation_failed", 1).await;
    assert_eq!(failed[0]["data"]["severity"], "critical");
    let text = failed[0].to_string();
    assert!(
        !text.contains("totp_secret") && !text.contains(&made.id.to_string()),
        "no inner error leaves: {text}"
    );
    assert!(!vault::look(&test.app, &zone).await.expect("looks"), "once a day");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_put_back_is_told_once(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = ready(database).await;
    let inbox = Receiver::start().await;
    hook(&ctx, "Home", inbox.url("/")).await;
    audit::checkpoints(&ctx).await.expect("signed");
    let intruder = Intruder::at(&test).await;
    let rows = intruder.rows().await;
    intruder.put(&rows[..2]).await;
    intruder.put_head(2, &rows[1].hash).await;
    for _ in 0..3 {
        audit::checkpoints(&ctx).await.expect("signed");
    }
    let notices = told(&inbox, "audit.contradicted", 1).await;
    assert_eq!(notices.len(), 1);
    let data = &notices[0]["data"];
    assert_eq!((&data["severity"], &data["signed"]["seq"]), (&json!("critical"), &json!(rows.len())));
    assert!(notices[0].to_string().contains("cb audit-log accept-restore"), "{data}");
}
