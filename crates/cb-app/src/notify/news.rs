//! What this server tells of itself, in words. Each function is called by the transaction that makes it true.
//!
//! What is told leaves the house: no secret, no inner error, and of a list so many items and no more.

use cb_core::Result;
use cb_core::audit::Checkpoint;
use cb_core::inventory::ScanStatus;
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_store::WriteTx;
use cb_store::entities::{asset, scan};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ctx::Ctx;

/// Items of a list in one notice.
const LISTED: usize = 50;
/// Those that its text names.
const NAMED: usize = 10;
/// Characters of a title.
const TITLE_MAX: usize = 200;

/// A notice of this moment.
struct News {
    kind: NoticeKind,
    severity: Severity,
    title: String,
    text: String,
    path: Option<String>,
    data: Value,
}

async fn tell(ctx: &Ctx, tx: &mut WriteTx, news: News) -> Result<()> {
    let notice = Notice {
        id: ctx.new_id(),
        at: ctx.now(),
        kind: news.kind,
        severity: news.severity,
        title: news.title.chars().take(TITLE_MAX).collect(),
        text: news.text,
        path: news.path,
        data: news.data,
    };
    tx.notify(&notice, || ctx.new_id()).await
}

pub(crate) async fn scan_finished(
    ctx: &Ctx,
    tx: &mut WriteTx,
    scan: &scan::Model,
    status: ScanStatus,
) -> Result<()> {
    let (word, severity) = match status {
        ScanStatus::Failed => ("failed", Severity::Warning),
        ScanStatus::Partial => ("is partly done", Severity::Warning),
        ScanStatus::Cancelled => ("was stopped", Severity::Info),
        ScanStatus::Queued | ScanStatus::Running | ScanStatus::Completed => ("has finished", Severity::Info),
    };
    let targets = scan.targets.as_array().into_iter().flatten().filter_map(Value::as_str);
    let targets: Vec<&str> = targets.take(LISTED).collect();
    let shown = targets.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let news = News {
        kind: NoticeKind::ScanFinished,
        severity,
        title: format!("The scan of {shown} {word}"),
        text: format!("{} hosts found, {} new findings.", scan.hosts_found, scan.findings_new),
        path: Some("/discovery?tab=scans".to_owned()),
        data: json!({
            "scan_id": scan.id, "status": scan.status, "targets": targets, "hosts_found": scan.hosts_found,
            "findings_new": scan.findings_new, "assets_seen": scan.assets_seen,
        }),
    };
    tell(ctx, tx, news).await
}

/// Of one batch of a scan.
pub(crate) async fn findings(ctx: &Ctx, tx: &mut WriteTx, scan: Uuid, titles: &[String]) -> Result<()> {
    let Some(first) = titles.first() else { return Ok(()) };
    let count = titles.len();
    let news = News {
        kind: NoticeKind::FindingCreated,
        severity: Severity::Info,
        title: if count == 1 { format!("New finding: {first}") } else { format!("{count} new findings") },
        text: named(titles),
        path: Some("/discovery".to_owned()),
        data: json!({ "scan_id": scan, "count": count, "findings": listed(titles) }),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn asset_created(ctx: &Ctx, tx: &mut WriteTx, asset: &asset::Model) -> Result<()> {
    let title = format!("{} was added", asset.name);
    let news = News {
        kind: NoticeKind::AssetCreated,
        severity: Severity::Info,
        title,
        text: format!("Added by {}.", ctx.principal().name()),
        path: Some(format!("/inventory?selected={}", asset.id)),
        data: json!({ "asset_id": asset.id, "name": asset.name, "kind": asset.kind, "source": asset.source }),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn asset_removed(ctx: &Ctx, tx: &mut WriteTx, asset: &asset::Model) -> Result<()> {
    let news = News {
        kind: NoticeKind::AssetRemoved,
        severity: Severity::Info,
        title: format!("{} was removed", asset.name),
        text: format!("Removed by {}.", ctx.principal().name()),
        path: Some("/inventory".to_owned()),
        data: json!({ "asset_id": asset.id, "name": asset.name, "kind": asset.kind }),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn vault_rotated(
    ctx: &Ctx,
    tx: &mut WriteTx,
    from: Uuid,
    to: Uuid,
    resealed: u64,
) -> Result<()> {
    let news = News {
        kind: NoticeKind::VaultRotated,
        severity: Severity::Info,
        title: "The vault has a new key".to_owned(),
        text: format!("The new key encrypts all stored secrets ({}).", cb_core::counted(resealed)),
        path: Some("/vault".to_owned()),
        data: json!({ "from_key_id": from, "to_key_id": to, "resealed": resealed }),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn vault_rotation_failed(ctx: &Ctx, tx: &mut WriteTx) -> Result<()> {
    let news = News {
        kind: NoticeKind::VaultRotationFailed,
        severity: Severity::Critical,
        title: "The vault key was not rotated".to_owned(),
        text: "The key was due for rotation. Nothing was changed. The page Vault, Keys shows the reason. The server tries again tomorrow."
            .to_owned(),
        path: Some("/vault".to_owned()),
        data: json!({}),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn checkpoint_contradicted(
    ctx: &Ctx,
    tx: &mut WriteTx,
    signed: &Checkpoint,
    head: i64,
) -> Result<()> {
    let news = News {
        kind: NoticeKind::AuditContradicted,
        severity: Severity::Critical,
        title: "The database does not match the audit log that this server has signed".to_owned(),
        text: format!(
            "The server signed entry {} on {}, but the database has a different entry there, or none: its log ended at entry {head}. Someone restored an older state or changed the database. Put the newer database back. If you want to keep the older one, stop the server and run: cb audit-log accept-restore",
            signed.seq, signed.at
        ),
        path: Some("/audit".to_owned()),
        data: json!({ "signed": { "seq": signed.seq, "hash": signed.hash, "at": signed.at }, "log_ended_at": head }),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn checkpoint_damaged(ctx: &Ctx, tx: &mut WriteTx) -> Result<()> {
    let news = News {
        kind: NoticeKind::AuditContradicted,
        severity: Severity::Critical,
        title: "The server cannot use the audit log checkpoint in the data folder".to_owned(),
        text: "The server never writes only a part of this file, so someone else changed it, or the signing key was replaced. Find out who did this, then stop the server and run: cb audit-log accept-restore"
            .to_owned(),
        path: Some("/audit".to_owned()),
        data: json!({}),
    };
    tell(ctx, tx, news).await
}

pub(crate) async fn subscriber_disabled(
    ctx: &Ctx,
    tx: &mut WriteTx,
    kind: &'static str,
    id: Uuid,
    name: &str,
    reason: &str,
) -> Result<()> {
    let news = News {
        kind: NoticeKind::SubscriberDisabled,
        severity: Severity::Warning,
        title: format!("The {kind} {name} was turned off"),
        text: format!("The server no longer sends to it: {reason}."),
        path: Some("/notifications".to_owned()),
        data: json!({ "subscriber_kind": kind, "subscriber_id": id, "name": name, "reason": reason }),
    };
    tell(ctx, tx, news).await
}

fn listed(titles: &[String]) -> &[String] {
    titles.get(..LISTED).unwrap_or(titles)
}

fn named(titles: &[String]) -> String {
    let mut lines: Vec<String> = titles.iter().take(NAMED).cloned().collect();
    if titles.len() > NAMED {
        lines.push(format!("and {} more", titles.len() - NAMED));
    }
    lines.join("\n")
}
