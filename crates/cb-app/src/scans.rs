//! Scans: what may be scanned, the jobs that do it, and how far they are.

use std::time::Duration;

use cb_collect::{Plan, ProbeKind, ScanRequest, Target};
use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::ScanId;
use cb_core::inventory::ScanStatus;
use cb_core::{Error, Event, Permission, Result};
use cb_store::entities::scan;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, ConnectionTrait, EntityTrait as _};
use cb_store::{Enqueued, db};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::assets::word;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::jobs::scan::Scan;
use crate::jobs::{self, Kind as _, Wanted};
use crate::metrics::{self, ServerFigures};
use crate::page::{self, List, Page, Sort};
use crate::sites;

pub(crate) const PROBES_MOST: usize = 32;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Scan)]
pub struct ScanOut {
    pub id: ScanId,
    pub targets: Vec<String>,
    /// All probes if empty.
    pub probes: Vec<String>,
    pub status: ScanStatus,
    #[schema(required)]
    pub phase: Option<String>,
    pub addresses_total: i64,
    pub addresses_done: i64,
    pub hosts_found: i64,
    pub findings_new: i64,
    pub assets_seen: i64,
    /// What the scan could not do, and how to fix that.
    pub limitations: Vec<String>,
    #[schema(required)]
    pub error: Option<String>,
    pub requested_by: String,
    /// The site whose workers do it; null for the main site.
    #[schema(required)]
    pub site: Option<String>,
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanIn {
    /// Addresses and networks; at most 16, each at most a /16.
    #[schema(example = json!(["192.168.1.0/24"]))]
    pub targets: Vec<String>,
    /// Any of arp, icmp, tcp_ping, ports, fingerprints, reverse_dns, mdns, ssdp; all if empty.
    #[serde(default)]
    pub probes: Vec<String>,
    /// The site whose workers scan, as `GET /discovery` names it; the main site if absent.
    #[serde(default)]
    pub site: Option<String>,
    /// Only describe what would be sent.
    #[serde(default)]
    pub dry_run: bool,
}

/// Exactly what a scan would send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScanPlan)]
pub struct PlanOut {
    pub targets: Vec<PlannedTarget>,
    pub addresses: u64,
    /// An upper limit.
    pub packets_estimate: u64,
    /// The limit for one network.
    pub packets_per_second: u32,
    /// What the scan does, in its order.
    pub steps: Vec<String>,
    /// Ports to which the scanner never sends anything.
    pub never_written_ports: Vec<u16>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedTarget {
    pub target: String,
    pub addresses: u64,
}

/// A plan for a dry run, or the scan that was queued.
#[derive(Debug)]
pub enum Started {
    Plan(PlanOut),
    Scan(ScanOut),
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<ScanOut>> {
    let conn = ctx.read(Permission::DiscoveryRead)?;
    let sorts = [("created_at", Sort::time(scan::Column::CreatedAt))];
    let page = page::page(conn, scan::Entity::find(), list, scan::Column::Id, &sorts, "-created_at").await?;
    let items = page.items.into_iter().map(ScanOut::try_from).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: ScanId) -> Result<ScanOut> {
    find(ctx.read(Permission::DiscoveryRead)?, id).await?.try_into()
}

/// Queues a scan, or says what one would send.
pub async fn start(ctx: &Ctx, input: ScanIn) -> Result<Started> {
    ctx.authorize(Permission::DiscoveryWrite)?;
    let request = request(ctx, &input)?;
    if let Some(site) = &input.site {
        sites::require(ctx, site).await?;
    }
    if input.dry_run {
        return Ok(Started::Plan(cb_collect::plan(&request).into()));
    }
    let targets: Vec<String> = request.targets.iter().map(|t| shown(*t)).collect();
    let probes: Vec<&str> = request.probes.iter().map(|p| p.as_str()).collect();
    let now = ctx.now();
    let job = ctx.new_id();
    let row = scan::Model {
        id: ctx.new_id(),
        job_id: job,
        targets: json!(targets),
        probes: json!(probes),
        status: ScanStatus::Queued.as_str().to_owned(),
        phase: None,
        addresses_total: i64::try_from(request.addresses()).unwrap_or(i64::MAX),
        addresses_done: 0,
        hosts_found: 0,
        findings_new: 0,
        assets_seen: 0,
        limitations: json!([]),
        error: None,
        requested_by: ctx.principal().name(),
        cancel_requested: false,
        created_at: now,
        started_at: None,
        finished_at: None,
        site: input.site.clone(),
    };
    ctx.write(Permission::DiscoveryWrite, Action::ScanRequested, async |tx| {
        let wanted = Wanted {
            id: job,
            place: Some(input.site.clone().unwrap_or_default()),
            key: Some(key(&targets, input.site.as_deref())),
            payload: json!({}),
            priority: 0,
            after: Duration::ZERO,
        };
        match jobs::enqueue(ctx, tx, &Scan, wanted).await? {
            Enqueued::New => {}
            Enqueued::Already => {
                return Err(Error::taken(
                    "targets",
                    "A scan of these targets is already waiting or running.",
                ));
            }
            Enqueued::Full => {
                let waiting = Scan.limits().waiting;
                return Err(Error::Conflict(format!(
                    "{waiting} scans are already waiting at this site. Stop one, or wait until one ends."
                )));
            }
        }
        scan::Entity::insert(active(row.clone())).exec_without_returning(tx.conn()).await.map_err(db)?;
        tx.about("scan", row.id);
        tx.detail(json!({ "targets": targets, "probes": probes, "site": input.site }));
        tx.emit(Event::ScanChanged { id: row.id.into() });
        Ok(Started::Scan(row.try_into()?))
    })
    .await
}

/// Stops a scan: one that waits is over at once, one that runs within a second.
pub async fn cancel(ctx: &Ctx, id: ScanId) -> Result<ScanOut> {
    ctx.write(Permission::DiscoveryWrite, Action::ScanCancelled, async |tx| {
        let row = find(tx.conn(), id).await?;
        let status = word(ScanStatus::parse(&row.status), &row.status)?;
        if status.is_over() {
            return Err(Error::Conflict(format!("This scan is over: {}.", status.as_str())));
        }
        tx.about("scan", row.id);
        tx.detail(json!({ "targets": row.targets, "while": row.status }));
        tx.emit(Event::ScanCancelRequested { id });
        tx.emit(Event::ScanChanged { id });
        let (now, job_id) = (ctx.now(), row.job_id);
        let mut change: scan::ActiveModel = row.into();
        change.cancel_requested = Set(true);
        // One that runs by its row may have no worker: the only one of its site was killed.
        if tx.remove_idle_job(job_id, now).await? {
            change.status = Set(ScanStatus::Cancelled.as_str().to_owned());
            change.finished_at = Set(Some(now));
        }
        change.update(tx.conn()).await.map_err(db)?.try_into()
    })
    .await
}

/// The request behind an input; each target that cannot be scanned is named with its reason.
fn request(ctx: &Ctx, input: &ScanIn) -> Result<ScanRequest> {
    let mut wrong = Violations::new();
    // Judged one by one only as far as the engine would take them.
    wrong.require(
        input.targets.len() <= cb_collect::report::MAX_TARGETS,
        "targets",
        "Enter at most 16 targets for one scan.",
    );
    let mut targets = Vec::new();
    for (i, text) in input.targets.iter().take(cb_collect::report::MAX_TARGETS).enumerate() {
        match Target::parse(text, ctx.app().scan_allow()) {
            Ok(target) => targets.push(target),
            Err(error) => wrong.add(format!("targets[{i}]"), error.to_string()),
        }
    }
    let probes = probes(&input.probes, &mut wrong);
    wrong.into_result()?;
    ScanRequest::new(targets, probes).map_err(|e| Error::invalid("targets", e.to_string()))
}

fn probes(names: &[String], wrong: &mut Violations) -> Vec<ProbeKind> {
    let known = || ProbeKind::ALL.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
    let mut probes = Vec::new();
    wrong.require(names.len() <= PROBES_MOST, "probes", &format!("Choose at most {PROBES_MOST} probes."));
    for (i, name) in names.iter().take(PROBES_MOST).enumerate() {
        match ProbeKind::parse(name) {
            Some(probe) => probes.push(probe),
            None => wrong.add(format!("probes[{i}]"), format!("Choose one of these: {}.", known())),
        }
    }
    probes
}

/// What each server has scanned.
pub(crate) fn counted(app: &App, page: &mut metrics::Page, figures: &[ServerFigures]) {
    let mut ended = page.counter("cb_scans_ended_total", "Scans that a server has ended, by how they ended.");
    for ServerFigures { id, told } in figures {
        for (outcome, _) in app.counts().scans_ended.iter() {
            let count = told.scans_ended.get(outcome).copied().unwrap_or_default();
            ended.of_server(*id, &[("outcome", outcome)], count);
        }
    }
}

pub(crate) async fn metrics(app: &App, page: &mut metrics::Page) -> Result<()> {
    let words = [ScanStatus::Queued, ScanStatus::Running].map(ScanStatus::as_str);
    let found = app.store().scans_in(&words).await?;
    let mut scans = page.gauge("cb_scans", "Scans that wait (queued) or run.");
    for word in words {
        let count = found.iter().find(|(status, _)| status == word).map_or(0, |(_, count)| *count);
        scans.value(&[("state", word)], u64::try_from(count).unwrap_or_default());
    }
    Ok(())
}

/// What a stored scan asks for.
pub(crate) fn stored_request(ctx: &Ctx, row: &scan::Model) -> Result<ScanRequest> {
    let texts = |value: &serde_json::Value| serde_json::from_value(value.clone()).map_err(Error::internal);
    let (targets, probes) = (texts(&row.targets)?, texts(&row.probes)?);
    request(ctx, &ScanIn { targets, probes, site: row.site.clone(), dry_run: false })
}

/// No two scans with this key wait or run.
fn key(targets: &[String], site: Option<&str>) -> String {
    let targets = targets.join(" ");
    match site {
        None => targets,
        Some(site) => format!("{targets} ({site})"),
    }
}

fn shown(target: Target) -> String {
    if target.is_single() { target.network().addr().to_string() } else { target.network().to_string() }
}

pub(crate) async fn find(conn: &impl ConnectionTrait, id: ScanId) -> Result<scan::Model> {
    scan::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

impl From<Plan> for PlanOut {
    fn from(plan: Plan) -> Self {
        Self {
            targets: plan
                .targets
                .into_iter()
                .map(|t| PlannedTarget { target: t.target, addresses: t.addresses })
                .collect(),
            addresses: plan.addresses,
            packets_estimate: plan.packets_estimate,
            packets_per_second: plan.packets_per_second,
            steps: plan.steps,
            never_written_ports: plan.never_written_ports,
        }
    }
}

impl TryFrom<scan::Model> for ScanOut {
    type Error = Error;

    fn try_from(row: scan::Model) -> Result<Self> {
        let damaged = |e: serde_json::Error| Error::Internal(format!("scan {}: {e}", row.id));
        Ok(Self {
            status: word(ScanStatus::parse(&row.status), &row.status)?,
            targets: serde_json::from_value(row.targets).map_err(damaged)?,
            probes: serde_json::from_value(row.probes).map_err(damaged)?,
            limitations: serde_json::from_value(row.limitations).map_err(damaged)?,
            id: row.id.into(),
            phase: row.phase,
            addresses_total: row.addresses_total,
            addresses_done: row.addresses_done,
            hosts_found: row.hosts_found,
            findings_new: row.findings_new,
            assets_seen: row.assets_seen,
            error: row.error,
            requested_by: row.requested_by,
            site: row.site,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}
