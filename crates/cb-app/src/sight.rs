//! Who a scan did not find. Only a scan that came to its end says so, only of addresses that it asked, and only where it asked in a way
//! that the device has answered before.

use std::net::IpAddr;

use cb_collect::Sweep;
use cb_core::clock::Time;
use cb_core::inventory::FindingState;
use cb_core::{Event, Permission, Result};
use cb_store::db;
use cb_store::entities::{address, finding};
use cb_store::sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::order::range;
use crate::proposal::Evidence;
use crate::record::waiting;

/// Rows read together.
const PAGE: u64 = 500;

/// What answered at `address`, as `address::Model::seen_by` has it.
pub(crate) fn seen_by(evidence: &[Evidence], address: &str) -> Option<String> {
    let here = evidence.iter().filter(|e| e.address == address).map(|e| (e.source.as_str(), e.port));
    Some(cb_collect::signs(here).join(" ")).filter(|signs| !signs.is_empty())
}

/// Notes whose address was asked by `sweeps` of a scan that began at `since`, and did not answer.
pub async fn missed(ctx: &Ctx, sweeps: &[Sweep], since: Time) -> Result<()> {
    ctx.authorize(Permission::DiscoveryWrite)?;
    let now = ctx.now();
    for sweep in sweeps {
        let silent = silent_addresses(ctx, sweep, since).await?;
        let gone = ctx.store().missed(&silent, (since, now), ctx.hold()).await?;
        ctx.app().bus().publish(gone.into_iter().map(|id| Event::AssetChanged { id: id.into() }));
        let findings = silent_findings(ctx, sweeps, sweep, since).await?;
        ctx.store().missed_findings(&findings, (since, now), ctx.hold()).await?;
    }
    Ok(())
}

/// At most as many as a target has addresses, and assets that share one.
async fn silent_addresses(ctx: &Ctx, sweep: &Sweep, since: Time) -> Result<Vec<Uuid>> {
    use address::Column as C;
    let (first, last) = range(sweep.network);
    let mut silent = Vec::new();
    let mut after: Option<(String, Uuid)> = None;
    loop {
        let mut select = address::Entity::find()
            .filter(C::IpKey.between(first.as_str(), last.as_str()))
            .filter(C::LastSeenAt.lt(since))
            .order_by_asc(C::IpKey)
            .order_by_asc(C::Id)
            .limit(PAGE);
        if let Some((key, id)) = &after {
            let same = Condition::all().add(C::IpKey.eq(key.as_str())).add(C::Id.gt(*id));
            select = select.filter(Condition::any().add(C::IpKey.gt(key.as_str())).add(same));
        }
        let rows = select.all(ctx.store().reader()).await.map_err(db)?;
        let Some(end) = rows.last() else { return Ok(silent) };
        after = Some((end.ip_key.clone(), end.id));
        silent.extend(
            rows.iter()
                .filter(|row| row.ip.parse().is_ok_and(|ip: IpAddr| sweep.asked(ip)))
                .filter(|row| sweep.could_see(row.seen_by.iter().flat_map(|by| by.split(' '))))
                .map(|row| row.id),
        );
    }
}

/// Findings of new devices whose first address is in `sweep` and whose every address was asked.
async fn silent_findings(ctx: &Ctx, sweeps: &[Sweep], sweep: &Sweep, since: Time) -> Result<Vec<Uuid>> {
    use finding::Column as C;
    let (first, last) = range(sweep.network);
    let mut silent = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = finding::Entity::find()
            .filter(C::State.is_in([FindingState::Open.as_str(), FindingState::Ignored.as_str()]))
            .filter(C::AddressKey.between(first.as_str(), last.as_str()))
            .filter(C::LastSeenAt.lt(since))
            .filter(C::AssetId.is_null())
            .filter(C::Id.gt(after))
            .order_by_asc(C::Id)
            .limit(PAGE)
            .all(ctx.store().reader())
            .await
            .map_err(db)?;
        let Some(end) = rows.last() else { return Ok(silent) };
        after = end.id;
        for row in &rows {
            let proposal = waiting(row)?.0;
            let evidence: Vec<Evidence> =
                serde_json::from_value(row.evidence.clone()).map_err(cb_core::Error::internal)?;
            let missed = |text: &str| {
                let signs = seen_by(&evidence, text).unwrap_or_default();
                text.parse().is_ok_and(|ip: IpAddr| {
                    sweeps
                        .iter()
                        .any(|s| s.asked(ip) && s.could_see(signs.split(' ').filter(|s| !s.is_empty())))
                })
            };
            if proposal.addresses.iter().all(|a| missed(&a.ip)) {
                silent.push(row.id);
            }
        }
    }
}
