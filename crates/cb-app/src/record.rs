//! From observations to findings. Each host report is held against what is known: an asset that it
//! belongs to (then only what is new about it is proposed), a finding that waits for review or was
//! ignored (then it is the same one), or nobody (then it is a new finding). What a person typed is not
//! touched here at all.

use cb_core::audit::Action;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use cb_collect::report::{HostReport, Identity, IdentityKind};
use cb_collect::{Strength, Traits, same_machine};
use cb_core::ids::ScanId;
use cb_core::inventory::{FindingKind, FindingState, Protocol, WebScheme};
use cb_core::{Event, Permission, Result};
use cb_store::bookkeeping::{Seen, UP};
use cb_store::entities::{address, asset, finding, finding_key, identity, interface, network, scan, service};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use cb_store::{WriteTx, db};
use ipnet::IpNet;
use serde_json::json;
use uuid::Uuid;

use crate::assets::observe;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::notify::news;
use crate::order::name_key;
use crate::proposal::{self, Evidence, Proposal};

/// What a batch of reports came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Recorded {
    pub findings_new: i64,
    pub assets_seen: i64,
}

/// An asset with all that a sighting can be compared with.
struct Known {
    row: asset::Model,
    addresses: Vec<address::Model>,
    interfaces: Vec<interface::Model>,
    services: Vec<service::Model>,
    identities: Vec<identity::Model>,
    networks: HashMap<Uuid, IpNet>,
}

/// Who a report belongs to.
enum Match {
    Asset(Box<Known>),
    Finding(Box<finding::Model>),
    Nobody,
}

/// Candidates looked at for one report; more share an identity only when it is worthless.
const CANDIDATES: u64 = 32;

/// Records a batch: what is already known moves its time of last sight; the rest becomes findings.
pub async fn record(ctx: &Ctx, scan: ScanId, reports: &[HostReport]) -> Result<Recorded> {
    ctx.authorize(Permission::DiscoveryWrite)?;
    let conn = ctx.store().reader();
    let now = ctx.now();
    let mut out = Recorded::default();
    let (mut seen, mut rest, mut risen) = (Vec::new(), Vec::new(), Vec::new());
    for report in reports {
        match find(conn, report).await? {
            Match::Asset(known) => {
                out.assets_seen += 1;
                known.mark(report, &mut seen);
                if known.row.status_seen != UP {
                    risen.push(Event::AssetChanged { id: known.row.id.into() });
                }
                if known.lacks(report).is_some() || known.can_learn(report)? {
                    rest.push(report);
                }
            }
            Match::Finding(row) => {
                seen.push(Seen::Finding(row.id));
                if row.state == FindingState::Open.as_str() && !waiting(&row)?.0.covers(&Proposal::of(report))
                {
                    rest.push(report);
                }
            }
            Match::Nobody => rest.push(report),
        }
    }
    if !rest.is_empty() {
        out.findings_new = ctx
            .write(Permission::DiscoveryWrite, Action::FindingsRecorded, async |tx| {
                write(ctx, tx, scan, &rest).await
            })
            .await?;
    }
    ctx.store().seen(&seen, now, ctx.hold()).await?;
    ctx.app().bus().publish(risen);
    Ok(out)
}

/// Matches again, now that nobody else writes, and keeps what is new.
async fn write(ctx: &Ctx, tx: &mut WriteTx, scan: ScanId, reports: &[&HostReport]) -> Result<i64> {
    let (mut new, mut updated, mut learned) = (Vec::new(), 0, 0);
    for report in reports {
        match find(tx.conn(), report).await? {
            Match::Asset(known) => {
                if learn(ctx, tx, &known, report).await? {
                    learned += 1;
                }
                if let Some(lacking) = known.lacks(report) {
                    match propose_change(ctx, tx, scan, &known, lacking, report).await? {
                        Some(title) => new.push(title),
                        None => updated += 1,
                    }
                }
            }
            Match::Finding(row) if row.state == FindingState::Open.as_str() => {
                extend(ctx, tx, *row, None, report).await?;
                updated += 1;
            }
            Match::Finding(_) => {}
            Match::Nobody => {
                let row = new_finding(ctx, scan, FindingKind::NewAsset, None, &Proposal::of(report), report);
                new.push(row.title.clone());
                insert(tx, row, report).await?;
            }
        }
    }
    // In this transaction, so that a scan that begins again has counted each of them once.
    if !new.is_empty() {
        let count = i64::try_from(new.len()).map_err(cb_core::Error::internal)?;
        scan::Entity::update_many()
            .col_expr(scan::Column::FindingsNew, Expr::col(scan::Column::FindingsNew).add(count))
            .filter(scan::Column::Id.eq(scan.0))
            .exec(tx.conn())
            .await
            .map_err(db)?;
    }
    tx.about("scan", scan);
    tx.detail(json!({ "new": new, "updated": updated, "learned": learned }));
    news::findings(ctx, tx, scan.0, &new).await?;
    i64::try_from(new.len()).map_err(cb_core::Error::internal)
}

/// The strongest match wins; a strong one with a finding beats a weak one with an asset.
async fn find(conn: &impl ConnectionTrait, report: &HostReport) -> Result<Match> {
    let traits = Traits::from(report);
    let mut best = Match::Nobody;
    let mut strength = None;
    for id in asset_candidates(conn, report).await? {
        let Some(known) = Known::load(conn, id).await? else { continue };
        match same_machine(&known.traits(), &traits).map(|r| r.strength) {
            Some(Strength::Strong) => return Ok(Match::Asset(Box::new(known))),
            Some(weak) if strength.is_none() => {
                strength = Some(weak);
                best = Match::Asset(Box::new(known));
            }
            _ => {}
        }
    }
    for row in finding_candidates(conn, report).await? {
        let (proposal, identities) = waiting(&row)?;
        match same_machine(&proposal.traits(&identities), &traits).map(|r| r.strength) {
            Some(Strength::Strong) => return Ok(Match::Finding(Box::new(row))),
            Some(weak) if strength.is_none() => {
                strength = Some(weak);
                best = Match::Finding(Box::new(row));
            }
            _ => {}
        }
    }
    Ok(best)
}

fn keys(report: &HostReport) -> Vec<(&'static str, String)> {
    let mut keys = vec![("address", report.address.to_string())];
    keys.extend(report.mac.iter().map(|m| (IdentityKind::Mac.as_str(), m.clone())));
    keys.extend(report.identities.iter().map(|i| (i.kind.as_str(), i.value.clone())));
    keys.sort();
    keys.dedup();
    keys
}

async fn asset_candidates(conn: &impl ConnectionTrait, report: &HostReport) -> Result<BTreeSet<Uuid>> {
    let mut ids = BTreeSet::new();
    let by_identity = report.identities.iter().fold(Condition::any(), |any, i| {
        any.add(identity::Column::Kind.eq(i.kind.as_str()).and(identity::Column::Value.eq(i.value.as_str())))
    });
    if !report.identities.is_empty() {
        let rows =
            identity::Entity::find().filter(by_identity).limit(CANDIDATES).all(conn).await.map_err(db)?;
        ids.extend(rows.into_iter().map(|r| r.asset_id));
    }
    if let Some(mac) = &report.mac {
        let rows =
            interface::Entity::find().filter(interface::Column::Mac.eq(mac.as_str())).limit(CANDIDATES);
        ids.extend(rows.all(conn).await.map_err(db)?.into_iter().map(|r| r.asset_id));
    }
    let rows =
        address::Entity::find().filter(address::Column::Ip.eq(report.address.to_string())).limit(CANDIDATES);
    ids.extend(rows.all(conn).await.map_err(db)?.into_iter().map(|r| r.asset_id));
    Ok(ids)
}

/// New-asset findings that are open or ignored and share a key with the report; open ones first.
async fn finding_candidates(conn: &impl ConnectionTrait, report: &HostReport) -> Result<Vec<finding::Model>> {
    let shared = keys(report).into_iter().fold(Condition::any(), |any, (kind, value)| {
        any.add(finding_key::Column::Kind.eq(kind).and(finding_key::Column::Value.eq(value)))
    });
    let keys =
        finding_key::Entity::find().filter(shared).limit(CANDIDATES * 4).all(conn).await.map_err(db)?;
    let ids: HashSet<Uuid> = keys.into_iter().map(|k| k.finding_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    finding::Entity::find()
        .filter(finding::Column::Id.is_in(ids))
        .filter(finding::Column::Kind.eq(FindingKind::NewAsset.as_str()))
        .filter(finding::Column::State.is_in([FindingState::Open.as_str(), FindingState::Ignored.as_str()]))
        .order_by_desc(finding::Column::State)
        .limit(CANDIDATES)
        .all(conn)
        .await
        .map_err(db)
}

/// A finding's proposal and identities, as they were stored.
pub(crate) fn waiting(row: &finding::Model) -> Result<(Proposal, Vec<Identity>)> {
    let damaged = |e: serde_json::Error| cb_core::Error::Internal(format!("finding {}: {e}", row.id));
    Ok((
        serde_json::from_value(row.proposal.clone()).map_err(damaged)?,
        serde_json::from_value(row.identities.clone()).map_err(damaged)?,
    ))
}

impl Known {
    async fn load(conn: &impl ConnectionTrait, id: Uuid) -> Result<Option<Self>> {
        let Some(row) = asset::Entity::find_by_id(id).one(conn).await.map_err(db)? else { return Ok(None) };
        let addresses = row.find_related(address::Entity).all(conn).await.map_err(db)?;
        let interfaces = row.find_related(interface::Entity).all(conn).await.map_err(db)?;
        let services = row.find_related(service::Entity).all(conn).await.map_err(db)?;
        let identities =
            identity::Entity::find().filter(identity::Column::AssetId.eq(id)).all(conn).await.map_err(db)?;
        let ids: HashSet<Uuid> = addresses.iter().filter_map(|a| a.network_id).collect();
        let networks =
            network::Entity::find().filter(network::Column::Id.is_in(ids)).all(conn).await.map_err(db)?;
        let networks = networks.into_iter().filter_map(|n| Some((n.id, n.cidr.parse().ok()?))).collect();
        Ok(Some(Self { row, addresses, interfaces, services, identities, networks }))
    }

    fn traits(&self) -> Traits {
        let network = |a: &address::Model| a.network_id.and_then(|id| self.networks.get(&id).copied());
        let mut macs = BTreeSet::new();
        for nic in &self.interfaces {
            let Some(mac) = &nic.mac else { continue };
            let on: Vec<IpNet> = self
                .addresses
                .iter()
                .filter(|a| a.interface_id == Some(nic.id))
                .filter_map(network)
                .collect();
            if on.is_empty() {
                macs.insert((mac.clone(), None));
            }
            macs.extend(on.into_iter().map(|n| (mac.clone(), Some(n))));
        }
        Traits {
            addresses: self.addresses.iter().filter_map(|a| a.ip.parse::<IpAddr>().ok()).collect(),
            macs,
            identities: self
                .identities
                .iter()
                .filter_map(|i| {
                    Some(Identity { kind: IdentityKind::parse(&i.kind)?, value: i.value.clone() })
                })
                .collect(),
            networks: self.addresses.iter().filter_map(network).collect(),
        }
    }

    fn address(&self, report: &HostReport) -> Option<&address::Model> {
        let ip = report.address.to_string();
        self.addresses.iter().find(|a| a.ip == ip)
    }

    fn service(&self, address: Uuid, protocol: Protocol, port: u16) -> Option<&service::Model> {
        self.services
            .iter()
            .find(|s| s.address_id == address && s.port == i32::from(port) && s.protocol == protocol.as_str())
    }

    /// Which of its parts this report has seen.
    fn mark(&self, report: &HostReport, seen: &mut Vec<Seen>) {
        seen.push(Seen::Asset(self.row.id));
        let Some(at) = self.address(report) else { return };
        let signs = cb_collect::signs(report.evidence.iter().map(|e| (e.source.as_str(), e.port)));
        seen.push(Seen::Address(at.id, signs.join(" ")));
        seen.extend(
            report
                .services
                .iter()
                .filter_map(|s| self.service(at.id, s.protocol, s.port))
                .map(|s| Seen::Service(s.id)),
        );
    }

    /// What the report has that the asset does not: an address, an interface, services.
    fn lacks(&self, report: &HostReport) -> Option<Proposal> {
        let mut lacking = Proposal::of(report);
        let at = self.address(report);
        lacking.name.clone_from(&self.row.name);
        lacking.interfaces.retain(|i| !self.interfaces.iter().any(|known| known.mac == i.mac));
        lacking.services.retain(|s| at.is_none_or(|a| self.service(a.id, s.protocol, s.port).is_none()));
        let nothing = at.is_some() && lacking.interfaces.is_empty() && lacking.services.is_empty();
        (!nothing).then_some(lacking)
    }

    /// Whether the report fills a gap that needs no review: a key, a version, an empty field.
    fn can_learn(&self, report: &HostReport) -> Result<bool> {
        let mut unused = self.row.clone().into();
        Ok(report.identities.iter().any(|i| !self.holds(i))
            || observe(&self.row, &mut unused, &report.guess)?
            || !self.newer_services(report).is_empty())
    }

    fn holds(&self, identity: &Identity) -> bool {
        self.identities.iter().any(|i| i.kind == identity.kind.as_str() && i.value == identity.value)
    }

    /// Known services that say of themselves something else than before, at least as surely.
    fn newer_services<'r>(
        &self,
        report: &'r HostReport,
    ) -> Vec<(service::Model, &'r cb_collect::ServiceReport)> {
        let Some(at) = self.address(report) else { return Vec::new() };
        report
            .services
            .iter()
            .filter_map(|s| Some((self.service(at.id, s.protocol, s.port)?.clone(), s)))
            .filter(|(known, s)| {
                i32::from(s.confidence) >= known.confidence
                    && (known.name != s.name
                        || (s.scheme.is_some() && known.scheme.as_deref() != s.scheme.map(WebScheme::as_str))
                        || (s.product.is_some() && known.product != s.product)
                        || (s.version.is_some() && known.version_text != s.version))
            })
            .collect()
    }
}

/// Fills what needs no review. Says whether anything was.
async fn learn(ctx: &Ctx, tx: &mut WriteTx, known: &Known, report: &HostReport) -> Result<bool> {
    let fresh: Vec<&Identity> = report.identities.iter().filter(|i| !known.holds(i)).collect();
    add_identities(tx, known.row.id, &fresh, ctx.now()).await?;
    let mut change: asset::ActiveModel = known.row.clone().into();
    let filled = observe(&known.row, &mut change, &report.guess)?;
    if filled {
        change.version = Set(known.row.version + 1);
        change.updated_at = Set(ctx.now());
        change.update(tx.conn()).await.map_err(db)?;
    }
    let newer = known.newer_services(report);
    for (row, seen) in &newer {
        let mut change: service::ActiveModel = row.clone().into();
        change.name = Set(seen.name.clone());
        change.confidence = Set(i32::from(seen.confidence));
        if seen.product.is_some() {
            change.product = Set(seen.product.clone());
        }
        if seen.version.is_some() {
            change.version_text = Set(seen.version.clone());
        }
        if let Some(scheme) = seen.scheme {
            change.scheme = Set(Some(scheme.as_str().to_owned()));
        }
        change.update(tx.conn()).await.map_err(db)?;
    }
    let any = filled || !fresh.is_empty() || !newer.is_empty();
    if any {
        tx.emit(Event::AssetChanged { id: known.row.id.into() });
    }
    Ok(any)
}

pub(crate) async fn add_identities(
    tx: &WriteTx,
    asset: Uuid,
    identities: &[&Identity],
    now: cb_core::clock::Time,
) -> Result<()> {
    if identities.is_empty() {
        return Ok(());
    }
    let rows = identities.iter().map(|i| {
        active::<_, identity::ActiveModel>(identity::Model {
            asset_id: asset,
            kind: i.kind.as_str().to_owned(),
            value: i.value.clone(),
            last_seen_at: now,
        })
    });
    let again =
        OnConflict::columns([identity::Column::AssetId, identity::Column::Kind, identity::Column::Value])
            .update_column(identity::Column::LastSeenAt)
            .to_owned();
    identity::Entity::insert_many(rows)
        .on_conflict(again)
        .exec_without_returning(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}

/// A change of a known asset: a new finding (its title), or none when one says so already.
async fn propose_change(
    ctx: &Ctx,
    tx: &mut WriteTx,
    scan: ScanId,
    known: &Known,
    lacking: Proposal,
    report: &HostReport,
) -> Result<Option<String>> {
    let earlier = finding::Entity::find()
        .filter(finding::Column::AssetId.eq(known.row.id))
        .filter(finding::Column::Kind.eq(FindingKind::Change.as_str()))
        .filter(finding::Column::State.is_in([FindingState::Open.as_str(), FindingState::Ignored.as_str()]))
        .all(tx.conn())
        .await
        .map_err(db)?;
    for row in earlier {
        if waiting(&row)?.0.covers(&lacking) {
            return Ok(None);
        }
        if row.state == FindingState::Open.as_str() {
            extend(ctx, tx, row, Some((known, lacking)), report).await?;
            return Ok(None);
        }
    }
    let title = change_title(known, &lacking);
    let mut row = new_finding(ctx, scan, FindingKind::Change, Some(known.row.id), &lacking, report);
    row.title.clone_from(&title);
    insert(tx, row, report).await?;
    Ok(Some(title))
}

fn change_title(known: &Known, lacking: &Proposal) -> String {
    let new = lacking.addresses.iter().filter(|a| !known.addresses.iter().any(|k| k.ip == a.ip)).count();
    format!("{}: {}", known.row.name, lacking.counted(new))
}

/// Adds to an open finding what the report has told. For a change, `part` is what the asset lacks.
async fn extend(
    ctx: &Ctx,
    tx: &mut WriteTx,
    row: finding::Model,
    part: Option<(&Known, Proposal)>,
    report: &HostReport,
) -> Result<()> {
    let (mut proposal, mut identities) = waiting(&row)?;
    let mut title = row.title.clone();
    if let Some((known, lacking)) = part {
        proposal.join(lacking);
        title = change_title(known, &proposal);
    } else {
        proposal.absorb(report);
        title.clone_from(&proposal.name);
    }
    for identity in &report.identities {
        if !identities.contains(identity) {
            identities.push(identity.clone());
        }
    }
    let mut evidence: Vec<Evidence> = serde_json::from_value(row.evidence.clone())
        .map_err(|e| cb_core::Error::Internal(format!("the evidence of finding {}: {e}", row.id)))?;
    proposal::merge_evidence(&mut evidence, report);
    let id = row.id;
    let (confidence, version) = (Ord::max(row.confidence, i32::from(report.confidence)), row.version + 1);
    let mut change: finding::ActiveModel = row.into();
    change.title_key = Set(name_key(&title));
    change.title = Set(title);
    change.address_key = Set(proposal.address_key());
    change.proposal = Set(json!(proposal));
    change.evidence = Set(json!(evidence));
    change.identities = Set(json!(identities));
    change.confidence = Set(confidence);
    change.last_seen_at = Set(ctx.now());
    change.missed_at = Set(None);
    change.version = Set(version);
    change.update(tx.conn()).await.map_err(db)?;
    add_keys(tx, id, report).await?;
    tx.emit(Event::FindingChanged { id: id.into() });
    Ok(())
}

fn new_finding(
    ctx: &Ctx,
    scan: ScanId,
    kind: FindingKind,
    asset: Option<Uuid>,
    proposal: &Proposal,
    report: &HostReport,
) -> finding::Model {
    let now = ctx.now();
    let mut evidence = Vec::new();
    proposal::merge_evidence(&mut evidence, report);
    finding::Model {
        id: ctx.new_id(),
        scan_id: Some(scan.0),
        kind: kind.as_str().to_owned(),
        state: FindingState::Open.as_str().to_owned(),
        title: proposal.name.clone(),
        title_key: name_key(&proposal.name),
        address_key: proposal.address_key(),
        asset_id: asset,
        proposal: json!(proposal),
        evidence: json!(evidence),
        identities: json!(report.identities),
        confidence: i32::from(report.confidence),
        created_at: now,
        last_seen_at: now,
        resolved_at: None,
        resolved_by: None,
        review_id: None,
        review: None,
        missed_at: None,
        version: 1,
    }
}

async fn insert(tx: &mut WriteTx, row: finding::Model, report: &HostReport) -> Result<()> {
    let id = row.id;
    finding::Entity::insert(active(row)).exec_without_returning(tx.conn()).await.map_err(db)?;
    add_keys(tx, id, report).await?;
    tx.emit(Event::FindingChanged { id: id.into() });
    Ok(())
}

async fn add_keys(tx: &WriteTx, finding: Uuid, report: &HostReport) -> Result<()> {
    let rows = keys(report).into_iter().map(|(kind, value)| {
        active::<_, finding_key::ActiveModel>(finding_key::Model {
            finding_id: finding,
            kind: kind.to_owned(),
            value,
        })
    });
    let again = OnConflict::columns([
        finding_key::Column::FindingId,
        finding_key::Column::Kind,
        finding_key::Column::Value,
    ])
    .do_nothing()
    .to_owned();
    finding_key::Entity::insert_many(rows)
        .on_conflict(again)
        .exec_without_returning(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}
