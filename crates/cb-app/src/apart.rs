//! Servers of one database that do not meet in Redis or NATS: their settings name different ones, or some name none. Each link that
//! there is is up then, so nothing else shows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cb_fabric::FabricState;
use cb_store::entities::server;
use uuid::Uuid;

use crate::app::App;
use crate::metrics::told::Told;

/// Who starts or is killed is not met for some seconds, and one that was killed counts as live for half a minute.
const LASTS: Duration = Duration::from_secs(45);
/// Servers that are looked for.
const MOST: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Where {
    Redis,
    Nats,
}

/// Since when which process of a server is not met, by the clock that only goes forward. It is named as its row names it.
#[derive(Default)]
pub(crate) struct Apart(Mutex<BTreeMap<(Where, String), Duration>>);

impl Apart {
    fn set(&self, missed: impl IntoIterator<Item = (Where, String)>, steady: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |one: (Where, String)| {
            let since = known.get(&one).copied().unwrap_or(steady);
            (one, since)
        };
        *known = missed.into_iter().map(since).collect();
    }

    /// Which processes have not been met, and where, for long.
    pub fn lasting(&self, steady: Duration) -> Vec<(Where, String)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = known.iter().filter(|(_, since)| steady.saturating_sub(**since) >= LASTS);
        lasting.map(|(one, _)| one.clone()).collect()
    }
}

/// Looks for the other live servers.
pub(crate) async fn look(app: &App, servers: &[(server::Model, bool)]) {
    let (steady, me) = (app.steady(), app.server());
    let others = servers.iter().filter(|(row, live)| *live && row.id != me).take(MOST);
    let others: Vec<_> = others.filter_map(|(row, _)| Some((&row.run, Told::of(row)?))).collect();
    let joins = matches!(app.fabric_state(), FabricState::Cluster { .. });
    let (same, without): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, told)| joins && told.joins());
    let same = same.into_iter().filter_map(|(run, told)| Some((told.fabric?, (run, told))));
    let (ids, same): (Vec<Uuid>, Vec<_>) = same.unzip();
    let met = app.fabric().meets(&ids).await;
    let mut missed = Vec::new();
    for ((run, told), met) in same.into_iter().zip(met) {
        let up = |link: &str| told.links.get(link).is_some_and(|link| link.up);
        if met.redis == Some(false) && up("redis") {
            missed.push((Where::Redis, run.clone()));
        }
        if met.nats == Some(false) && up("nats") {
            missed.push((Where::Nats, run.clone()));
        }
    }
    for (run, _) in without {
        missed.extend([(Where::Redis, run.clone()), (Where::Nats, run.clone())]);
    }
    app.apart().set(missed, steady);
    // As while NATS is away: what the others change shows all the same.
    if app.apart().lasting(steady).iter().any(|(at, _)| *at == Where::Nats) {
        app.bus().doubt();
    }
}
