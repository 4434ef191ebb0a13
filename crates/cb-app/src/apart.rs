//! Servers of one database that do not meet in Redis or NATS: their settings name different ones. Each link is up then, so nothing else
//! shows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// Since when which server is not met, by the clock that only goes forward.
#[derive(Default)]
pub(crate) struct Apart(Mutex<BTreeMap<(Where, Uuid), Duration>>);

impl Apart {
    fn set(&self, missed: impl IntoIterator<Item = (Where, Uuid)>, steady: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = missed.into_iter().map(|one| (one, known.get(&one).copied().unwrap_or(steady))).collect();
    }

    /// Which processes have not been met, and where, for long.
    pub fn lasting(&self, steady: Duration) -> Vec<(Where, Uuid)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = known.iter().filter(|(_, since)| steady.saturating_sub(**since) >= LASTS);
        lasting.map(|(one, _)| *one).collect()
    }
}

/// Looks for the other live servers.
pub(crate) async fn look(app: &App, servers: &[(server::Model, bool)]) {
    let (steady, me) = (app.steady(), app.server());
    let others = servers.iter().filter(|(row, live)| *live && row.id != me);
    let known = others.filter_map(|(row, _)| Told::of(row)).filter_map(|told| Some((told.fabric?, told)));
    let (ids, told): (Vec<Uuid>, Vec<Told>) = known.take(MOST).unzip();
    let met = app.fabric().meets(&ids).await;
    let mut missed = Vec::new();
    for ((id, told), met) in ids.into_iter().zip(&told).zip(met) {
        let up = |link: &str| told.links.get(link).is_some_and(|link| link.up);
        if met.redis == Some(false) && up("redis") {
            missed.push((Where::Redis, id));
        }
        if met.nats == Some(false) && up("nats") {
            missed.push((Where::Nats, id));
        }
    }
    app.apart().set(missed, steady);
    // As while NATS is away: what the others change shows all the same.
    if app.apart().lasting(steady).iter().any(|(at, _)| *at == Where::Nats) {
        app.bus().doubt();
    }
}
