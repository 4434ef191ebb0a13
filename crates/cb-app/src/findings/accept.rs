//! Accepting one finding: a new asset is made, or a known one gets what it lacked. What was made is kept with the finding, so that it
//! can be taken back.

use std::collections::HashMap;
use std::net::IpAddr;

use cb_collect::report::Identity;
use cb_core::inventory::{AssetKind, AssetStatus, FindingState, LinkEvidence, LinkKind, Source};
use cb_core::{Error, Event, Result};
use cb_store::bookkeeping::UP;
use cb_store::entities::{address, asset, asset_tag, finding, interface, link, network, service, tag};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use cb_store::{WriteTx, db};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::json;
use uuid::Uuid;

use super::changed;
use super::undo::{Made, Step};
use crate::auth::active;
use crate::ctx::Ctx;
use crate::notify::news;
use crate::order::name_key;
use crate::proposal::{Evidence, Proposal, ProposedAddress, ProposedService};
use crate::record::{add_identities, waiting};
use crate::sight::seen_by;
use crate::{addresses, assets, interfaces, links, networks};

/// What a person has said instead of what is proposed.
#[derive(Debug, Default)]
#[expect(clippy::option_option, reason = "the outer says whether it changes, the inner what to")]
pub(super) struct Typed {
    pub name: Option<String>,
    pub kind: Option<AssetKind>,
    /// The inner `None`: no role.
    pub role: Option<Option<String>>,
}

/// Accepts one open finding; gives it back with the asset's id.
pub(super) async fn take_in(
    ctx: &Ctx,
    tx: &mut WriteTx,
    row: finding::Model,
    typed: Typed,
    review: Uuid,
) -> Result<(finding::Model, Uuid)> {
    if row.state != FindingState::Open.as_str() {
        return Err(Error::Conflict(format!("This finding is already {}.", row.state)));
    }
    let (proposal, identities) = waiting(&row)?;
    let evidence: Vec<Evidence> = serde_json::from_value(row.evidence.clone()).map_err(Error::internal)?;
    let mut made = Made::default();
    let asset = if let Some(id) = row.asset_id {
        assets::find(tx.conn(), id.into()).await?
    } else {
        let new = new_asset(ctx, &row, &proposal, typed);
        asset::Entity::insert(active(new.clone())).exec_without_returning(tx.conn()).await.map_err(db)?;
        news::asset_created(ctx, tx, &new).await?;
        made.asset = Some(new.version);
        new
    };
    made.tags = add_tags(tx, asset.id, &proposal).await?;
    let mut parts = Parts { ctx, tx, asset: asset.id, seen: row.last_seen_at, evidence: &evidence, made };
    parts.add(proposal, &identities).await?;
    let made = parts.made;
    tx.emit(Event::AssetChanged { id: asset.id.into() });
    tx.emit(Event::FindingChanged { id: row.id.into() });
    let mut change = changed(ctx, row, FindingState::Accepted);
    change.asset_id = Set(Some(asset.id));
    Step::Accepted(made).keep(&mut change, review);
    Ok((change.update(tx.conn()).await.map_err(db)?, asset.id))
}

fn new_asset(
    ctx: &Ctx,
    row: &finding::Model,
    proposal: &Proposal,
    Typed { name, kind, role }: Typed,
) -> asset::Model {
    let now = ctx.now();
    let by_hand = |field: &str| proposal.typed.iter().any(|typed| typed == field);
    let fields: Vec<&str> = [
        name.as_ref().map(|_| "name"),
        (kind.is_some() || by_hand("kind")).then_some("kind"),
        (role.is_some() || by_hand("role")).then_some("role"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let name = name.unwrap_or_else(|| proposal.name.clone());
    let status = if row.missed_at.is_some() { AssetStatus::NotSeen.as_str() } else { UP };
    asset::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        kind: kind.unwrap_or(proposal.kind).as_str().to_owned(),
        role: role.unwrap_or_else(|| proposal.role.clone()),
        vendor: proposal.vendor.clone(),
        model: proposal.model.clone(),
        os: proposal.os.clone(),
        notes: String::new(),
        status_set: None,
        status_seen: status.to_owned(),
        status_since: Some(if row.missed_at.is_some() { row.last_seen_at } else { row.created_at }),
        source: Source::Discovered.as_str().to_owned(),
        typed_fields: json!(fields),
        first_seen_at: Some(row.created_at),
        last_seen_at: Some(row.last_seen_at),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// The tags that were chosen for it, which exist and which it lacks.
async fn add_tags(tx: &WriteTx, asset: Uuid, proposal: &Proposal) -> Result<Vec<Uuid>> {
    if proposal.tags.is_empty() {
        return Ok(Vec::new());
    }
    let conn = tx.conn();
    let wanted = proposal.tags.iter().map(|id| id.0);
    let has: Vec<Uuid> = asset_tag::Entity::find()
        .select_only()
        .column(asset_tag::Column::TagId)
        .filter(asset_tag::Column::AssetId.eq(asset))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    let there: Vec<Uuid> = tag::Entity::find()
        .select_only()
        .column(tag::Column::Id)
        .filter(tag::Column::Id.is_in(wanted))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    let lacking: Vec<Uuid> = there.into_iter().filter(|id| !has.contains(id)).collect();
    if !lacking.is_empty() {
        let rows = lacking
            .iter()
            .map(|id| active::<_, asset_tag::ActiveModel>(asset_tag::Model { asset_id: asset, tag_id: *id }));
        asset_tag::Entity::insert_many(rows).exec_without_returning(conn).await.map_err(db)?;
    }
    Ok(lacking)
}

/// Adds to an asset the interfaces, networks, addresses, services and links that it does not have yet.
struct Parts<'a> {
    ctx: &'a Ctx,
    tx: &'a mut WriteTx,
    asset: Uuid,
    seen: DateTime<Utc>,
    evidence: &'a [Evidence],
    made: Made,
}

impl Parts<'_> {
    async fn add(&mut self, proposal: Proposal, identities: &[Identity]) -> Result<()> {
        let nics = self.interfaces(&proposal).await?;
        let mut at: HashMap<String, Uuid> = HashMap::new();
        let known = address::Entity::find().filter(address::Column::AssetId.eq(self.asset));
        let known = known.all(self.tx.conn()).await.map_err(db)?;
        at.extend(known.into_iter().map(|a| (a.ip, a.id)));
        for one in proposal.addresses {
            if at.contains_key(&one.ip) {
                continue;
            }
            let ip: IpAddr = one.ip.parse().map_err(Error::internal)?;
            let network = self.network(ip, &one).await?;
            let nic = one.mac.as_ref().and_then(|m| nics.get(m).copied());
            let network_id = network.as_ref().map(|n| n.id);
            let row = addresses::new_row(
                self.ctx,
                self.asset,
                nic,
                network_id,
                ip,
                one.hostname,
                Source::Discovered,
            );
            let row = address::Model {
                last_seen_at: Some(self.seen),
                seen_by: seen_by(self.evidence, &one.ip),
                ..row
            };
            at.insert(one.ip, row.id);
            self.made.addresses.push(row.id);
            address::Entity::insert(active(row)).exec_without_returning(self.tx.conn()).await.map_err(db)?;
            if let Some(network) = network {
                self.link_to_gateway(ip, &network).await?;
            }
        }
        for one in proposal.services {
            if let Some(address) = at.get(&one.ip) {
                self.service(*address, one).await?;
            }
        }
        add_identities(self.tx, self.asset, &identities.iter().collect::<Vec<_>>(), self.ctx.now()).await
    }

    /// By MAC.
    async fn interfaces(&mut self, proposal: &Proposal) -> Result<HashMap<String, Uuid>> {
        let mut nics: HashMap<String, Uuid> = HashMap::new();
        let mut count = 0;
        let known = interface::Entity::find().filter(interface::Column::AssetId.eq(self.asset));
        for nic in known.all(self.tx.conn()).await.map_err(db)? {
            count += 1;
            if let Some(mac) = nic.mac {
                nics.insert(mac, nic.id);
            }
        }
        for nic in &proposal.interfaces {
            let Some(mac) = nic.mac.as_ref().filter(|m| !nics.contains_key(*m)) else { continue };
            // What the device calls it, no scan from outside can see.
            let row = interfaces::new_row(self.ctx, self.asset, format!("nic{count}"), Some(mac.clone()));
            count += 1;
            nics.insert(mac.clone(), row.id);
            self.made.interfaces.push(row.id);
            interface::Entity::insert(active(row))
                .exec_without_returning(self.tx.conn())
                .await
                .map_err(db)?;
        }
        Ok(nics)
    }

    async fn service(&mut self, address: Uuid, one: ProposedService) -> Result<()> {
        let port = i32::from(one.port);
        let same = Condition::all()
            .add(service::Column::AddressId.eq(address))
            .add(service::Column::Protocol.eq(one.protocol.as_str()))
            .add(service::Column::Port.eq(port));
        // Nobody else writes meanwhile.
        if service::Entity::find().filter(same).one(self.tx.conn()).await.map_err(db)?.is_some() {
            return Ok(());
        }
        let row = service::Model {
            id: self.ctx.new_id(),
            asset_id: self.asset,
            address_id: address,
            protocol: one.protocol.as_str().to_owned(),
            port,
            name: one.name,
            product: one.product,
            version_text: one.version,
            scheme: one.scheme.map(|scheme| scheme.as_str().to_owned()),
            confidence: i32::from(one.confidence),
            last_seen_at: Some(self.seen),
        };
        self.made.services.push(row.id);
        service::Entity::insert(active(row)).exec_without_returning(self.tx.conn()).await.map_err(db)?;
        Ok(())
    }

    /// The network of a proposed address: the narrowest known one, else the one it was seen in, made now.
    async fn network(&mut self, ip: IpAddr, one: &ProposedAddress) -> Result<Option<network::Model>> {
        let seen_in =
            one.network.as_deref().and_then(|n| n.parse::<IpNet>().ok()).filter(|n| n.contains(&ip));
        let known = networks::containing(self.tx.conn(), ip).await?;
        let gateway = one.gateway.then(|| one.ip.clone());
        let wider = |row: &network::Model| {
            seen_in.is_some_and(|s| networks::parse(row).is_ok_and(|n| n.prefix_len() < s.prefix_len()))
        };
        match (known, seen_in) {
            (Some(row), _) if !wider(&row) => {
                if row.gateway.is_none() && gateway.is_some() {
                    let (id, version) = (row.id, row.version + 1);
                    let mut change: network::ActiveModel = row.into();
                    change.gateway = Set(gateway);
                    change.version = Set(version);
                    change.updated_at = Set(self.ctx.now());
                    self.tx.emit(Event::NetworkChanged { id: id.into() });
                    self.made.gateways.push(id);
                    return Ok(Some(change.update(self.tx.conn()).await.map_err(db)?));
                }
                Ok(Some(row))
            }
            (_, Some(cidr)) => {
                let row = networks::new_row(self.ctx, cidr.to_string(), cidr, gateway, Source::Discovered);
                self.made.networks.push(row.id);
                self.made.gateways.extend(row.gateway.as_ref().map(|_| row.id));
                networks::insert(self.tx, row.clone()).await?;
                Ok(Some(row))
            }
            (known, None) => Ok(known),
        }
    }

    /// How a host reaches other networks is assumed from the gateway, until something measures it.
    async fn link_to_gateway(&mut self, ip: IpAddr, network: &network::Model) -> Result<()> {
        let Some(gateway) = &network.gateway else { return Ok(()) };
        let is_gateway = *gateway == ip.to_string();
        let peers = address::Entity::find()
            .select_only()
            .column(address::Column::AssetId)
            .distinct()
            .filter(address::Column::NetworkId.eq(network.id))
            .filter(address::Column::AssetId.ne(self.asset));
        let peers = if is_gateway { peers } else { peers.filter(address::Column::Ip.eq(gateway.as_str())) };
        let peers: Vec<Uuid> = peers.limit(STAR_MOST).into_tuple().all(self.tx.conn()).await.map_err(db)?;
        for peer in peers {
            let (a, b) = (Ord::min(self.asset, peer), Ord::max(self.asset, peer));
            let pair = Condition::all().add(link::Column::AAssetId.eq(a)).add(link::Column::BAssetId.eq(b));
            let linked = link::Entity::find().filter(pair).one(self.tx.conn()).await.map_err(db)?;
            if linked.is_some() {
                continue;
            }
            let row = links::new_row(self.ctx, a, b, LinkKind::Ethernet, LinkEvidence::Assumed, None);
            self.tx.emit(Event::LinkChanged { id: row.id.into() });
            self.made.links.push(row.id);
            link::Entity::insert(active(row)).exec_without_returning(self.tx.conn()).await.map_err(db)?;
        }
        Ok(())
    }
}

/// Assets that one gateway is linked to when it is accepted after them.
const STAR_MOST: u64 = 4096;
