//! What one server knows of how the servers do.

use std::collections::{BTreeMap, BTreeSet};

use cb_core::{Result, error};
use cb_store::Foreign;
use cb_store::entities::server;
use chrono::TimeDelta;

use super::super::FabricOut;
use crate::apart::Where;
use crate::app::App;
use crate::reconcile::Works;
use crate::replicas;
use crate::storage::StorageOut;

/// A sentence names so many machines.
const HOSTS_NAMED: usize = 5;
/// Of servers of one machine that look alike, so many are told apart.
const IDS_NAMED: usize = 3;

/// What this server knows. What is none was not read.
pub(in crate::operations) struct Sights<'a> {
    pub(super) storage: &'a StorageOut,
    pub(super) fabric: &'a FabricOut,
    pub(super) ahead: TimeDelta,
    pub(super) me: server::Model,
    /// Another server has this one's ID.
    pub(super) has_twin: bool,
    pub works: Option<Works>,
    /// Each with whether it is live.
    pub servers: Option<Vec<(server::Model, bool)>>,
    /// Transactions of other programs that are in the way.
    pub foreign: Vec<Foreign>,
    /// How many scans wait at each site that has some.
    pub waiting: Vec<(String, i64)>,
    pub(super) unread: BTreeSet<String>,
    /// Processes of other servers that this one does not meet.
    pub(super) apart: Vec<(Where, String)>,
}

impl<'a> Sights<'a> {
    /// What needs no database.
    pub fn here(app: &App, storage: &'a StorageOut, fabric: &'a FabricOut) -> Self {
        Self {
            storage,
            fabric,
            ahead: app.clock().ahead(),
            me: replicas::own(app),
            has_twin: app.has_twin(),
            works: None,
            servers: None,
            foreign: Vec::new(),
            waiting: Vec::new(),
            unread: BTreeSet::new(),
            apart: app.apart().lasting(app.steady()),
        }
    }

    pub fn read<T>(&mut self, answer: Result<T>) -> Option<T> {
        if let Err(error) = &answer {
            tracing::warn!(%error, "the server could not read a part of how the servers do");
            let why = error.outage().map_or_else(|| error.to_string(), str::to_owned);
            self.unread.insert(error::sentence(why));
        }
        answer.ok()
    }

    pub(super) fn all_servers(&self) -> &[(server::Model, bool)] {
        self.servers.as_deref().unwrap_or_default()
    }

    /// "attic (worker of the site cellar), shed (api, 2 servers), vm (worker, …3f2a91bc) and 3 more". Where some of those that look the same
    /// are meant, the ends of their IDs tell which.
    pub(super) fn named<'b>(&self, rows: impl IntoIterator<Item = &'b server::Model>) -> String {
        let alike = |row: &server::Model| (row.host.clone(), row.role.clone(), row.site.clone());
        let mut groups: BTreeMap<_, Vec<&server::Model>> = BTreeMap::new();
        for row in rows {
            groups.entry(alike(row)).or_default().push(row);
        }
        let more = groups.values().skip(HOSTS_NAMED).map(Vec::len).sum::<usize>();
        let named = groups.iter().take(HOSTS_NAMED).map(|(group, rows)| {
            let (host, role, site) = group;
            let site = site.as_ref().map(|site| format!(" of the site {site}")).unwrap_or_default();
            let all = self.all_servers().iter().filter(|(row, _)| alike(row) == *group).count();
            let which = match rows.len() {
                some if some < all => {
                    let ids = rows.iter().take(IDS_NAMED).map(|row| ending(&row.id));
                    let ids = ids.collect::<Vec<_>>().join(", ");
                    let more = some.saturating_sub(IDS_NAMED);
                    if more > 0 { format!(", {ids} and {more} more") } else { format!(", {ids}") }
                }
                1 => String::new(),
                all => format!(", {all} servers"),
            };
            format!("{host} ({role}{site}{which})")
        });
        let named = named.collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    }

    pub(super) fn live_others(&self) -> impl Iterator<Item = &server::Model> {
        self.all_servers().iter().filter(|(row, live)| *live && row.id != self.me.id).map(|(row, _)| row)
    }
}

/// IDs begin with the time at which they were made, so those of servers that were set up together differ at their end.
fn ending(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    format!("…{}", letters[letters.len().saturating_sub(8)..].iter().collect::<String>())
}
