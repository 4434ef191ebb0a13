//! Where scans run: the main site, whose workers name none, and further sites with workers of their own (`CB_SITE`).
//!
//! Each worker says with its sign of life what it sees of its network, so that every server can tell people, also one that scans nothing.

use std::collections::BTreeSet;

use cb_collect::Capabilities;
use cb_core::error::Violations;
use cb_core::{Permission, Result};
use cb_store::entities::server;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::replicas;

/// What can be scanned, from where and how.
#[derive(Debug, Serialize, ToSchema)]
pub struct Discovery {
    /// Those of the main site.
    pub local_networks: Vec<LocalNetworkOut>,
    pub capabilities: Vec<CapabilityOut>,
    /// Servers that scan for the main site at the moment.
    pub workers: usize,
    pub max_targets: usize,
    /// The shortest prefix of an IPv4 target.
    pub max_prefix: u8,
    /// Further sites, by name: those that a worker belonged to within the last hour, or whose scans wait.
    pub sites: Vec<SiteOut>,
}

/// A site with workers of its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScanSite)]
pub struct SiteOut {
    pub name: String,
    /// Workers that run there at the moment. A scan waits for one.
    pub workers: usize,
    pub local_networks: Vec<LocalNetworkOut>,
    pub capabilities: Vec<CapabilityOut>,
}

/// What a worker sees of its network.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sight {
    local_networks: Vec<LocalNetworkOut>,
    capabilities: Vec<CapabilityOut>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LocalNetworkOut {
    pub cidr: String,
    pub interface: String,
    #[schema(required)]
    pub gateway: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CapabilityOut {
    /// arp, icmp or tcp
    pub name: String,
    pub available: bool,
    /// The reason, and what to do about it.
    #[schema(required)]
    pub reason: Option<String>,
}

/// What this server sees; none if it does not scan.
pub(crate) fn own_sight(app: &App) -> Option<serde_json::Value> {
    if !app.role().works() {
        return None;
    }
    let networks = cb_collect::local_networks().into_iter().map(|network| LocalNetworkOut {
        cidr: network.cidr.to_string(),
        interface: network.interface,
        gateway: network.gateway.map(|gateway| gateway.to_string()),
    });
    let able = Capabilities::detect();
    let capabilities = able.all().into_iter().map(|able| CapabilityOut {
        name: able.name.to_owned(),
        available: able.available,
        reason: able.reason.clone(),
    });
    let sight = Sight { local_networks: networks.collect(), capabilities: capabilities.collect() };
    serde_json::to_value(sight).ok()
}

/// A site is known for so long after its last scan.
const KNOWN: TimeDelta = TimeDelta::days(30);

pub async fn discovery(ctx: &Ctx) -> Result<Discovery> {
    ctx.authorize(Permission::DiscoveryRead)?;
    let workers = workers(ctx.app()).await;
    let of = |site: Option<&str>| {
        let there: Vec<_> = workers.iter().filter(|(row, _)| row.site.as_deref() == site).collect();
        let live = there.iter().filter(|(_, live)| *live).count();
        // Where none runs now, what the last ones saw.
        let seen = there.into_iter().filter(|(_, is_live)| *is_live || live == 0).map(|(row, _)| row);
        (live, together(seen))
    };
    let (main, sight) = of(None);
    let scanned = scanned(ctx.app()).await.unwrap_or_default();
    let sites = names(&workers, &scanned).into_iter().map(|name| {
        let (workers, Sight { local_networks, capabilities }) = of(Some(name));
        SiteOut { name: name.to_owned(), workers, local_networks, capabilities }
    });
    Ok(Discovery {
        local_networks: sight.local_networks,
        capabilities: sight.capabilities,
        workers: main,
        max_targets: cb_collect::report::MAX_TARGETS,
        max_prefix: 16,
        sites: sites.collect(),
    })
}

/// Refuses a site that no worker belongs to: nobody would do the scan.
pub(crate) async fn require(ctx: &Ctx, name: &str) -> Result<()> {
    let (rows, scanned) = (replicas::all(ctx.app()).await?, scanned(ctx.app()).await?);
    let known = names(&rows, &scanned);
    let mut wrong = Violations::new();
    if known.is_empty() {
        wrong.add(
            "site",
            "No worker belongs to a site. Start one there with CB_SITE, or leave the site out.".to_owned(),
        );
    } else {
        let reason = format!(
            "No worker belongs to this site. Choose one of these, or leave the site out: {}.",
            known.iter().copied().collect::<Vec<_>>().join(", ")
        );
        wrong.require(known.contains(name), "site", &reason);
    }
    wrong.into_result()
}

/// The sites of these servers and of scans, in order.
fn names<'a>(rows: &'a [(server::Model, bool)], scanned: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    rows.iter().filter_map(|(row, _)| row.site.as_deref()).chain(scanned.iter().map(String::as_str)).collect()
}

/// The sites of scans that wait, and of those of the last weeks: a site stays one when its worker is restarted, or its machine is off.
async fn scanned(app: &App) -> Result<BTreeSet<String>> {
    let store = app.store();
    let waiting = store.waiting_scans_of_sites().await?.into_iter().map(|(site, _)| site);
    Ok(store.sites_scanned(app.now() - KNOWN).await?.into_iter().chain(waiting).collect())
}

/// The servers that scan, each with whether it is there now. This one is, as it is at the moment.
async fn workers(app: &App) -> Vec<(server::Model, bool)> {
    // While the database is away, this server still knows of itself.
    let rows = replicas::all(app).await.unwrap_or_default();
    let me = replicas::own(app);
    let others = rows.into_iter().filter(|(row, _)| row.id != me.id && row.sight.is_some());
    let mut all: Vec<_> = others.collect();
    if me.sight.is_some() {
        all.push((me, true));
    }
    all
}

/// Any of them may get the scan: all their networks, and only what each of them can.
fn together<'a>(rows: impl Iterator<Item = &'a server::Model>) -> Sight {
    let mut all = Sight::default();
    for sight in rows.filter_map(|row| serde_json::from_value::<Sight>(row.sight.clone()?).ok()) {
        for network in sight.local_networks {
            if !all.local_networks.iter().any(|known| known.cidr == network.cidr) {
                all.local_networks.push(network);
            }
        }
        for able in sight.capabilities {
            match all.capabilities.iter_mut().find(|known| known.name == able.name) {
                Some(known) if known.available => *known = able,
                Some(_) => {}
                None => all.capabilities.push(able),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use cb_core::config::ServerRole;
    use chrono::DateTime;
    use serde_json::json;

    use super::{server, together};
    use crate::replicas;

    fn worker(cidr: &str, arp: bool) -> server::Model {
        let sight = json!({
            "local_networks": [{ "cidr": cidr, "interface": "eth0", "gateway": null }],
            "capabilities": [{ "name": "arp", "available": arp, "reason": (!arp).then_some("grant it") }],
        });
        let row = replicas::row("w", "w/1", ServerRole::Worker, None, DateTime::UNIX_EPOCH);
        server::Model { sight: Some(sight), ..row }
    }

    #[test]
    fn a_site_can_do_what_each_of_its_workers_can() {
        let (able, not) = (worker("10.0.0.0/24", true), worker("10.1.0.0/24", false));
        for rows in [[&able, &not, &able], [&not, &able, &not]] {
            let all = together(rows.into_iter());
            assert_eq!(all.local_networks.len(), 2);
            assert_eq!(all.capabilities.len(), 1);
            assert_eq!(all.capabilities[0].reason.as_deref(), Some("grant it"));
        }
        assert!(together([&able].into_iter()).capabilities[0].available);
    }
}
