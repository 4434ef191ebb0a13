//! Whether this machine reaches Redis and NATS, for a command beside a running server or without one.

use std::sync::Arc;
use std::time::Duration;

use cb_core::config::{Config, ConfigError, Engine, NATS, REDIS};
use cb_core::{Clock, Entropy, Secret};
use cb_fabric::{Fabric, FabricState};

/// Longer than a connection to either of them takes.
const PATIENCE: Duration = Duration::from_secs(6);

/// One of the two.
pub struct Reached {
    pub name: &'static str,
    /// The one that says where it is.
    pub setting: &'static str,
    /// Why it cannot be used.
    pub trouble: Option<String>,
}

/// Nothing where the settings name neither. What it writes there has a name of its own: it counts and hears with nobody.
pub async fn redis_and_nats(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Vec<Reached>, ConfigError> {
    let Some(urls) = &config.cluster else { return Ok(Vec::new()) };
    let key = Secret::new(entropy.token());
    let fabric = Fabric::cluster(urls, &key, "", clock, entropy)?;
    let mut state = fabric.state();
    let known = |state: &FabricState| match state {
        FabricState::Embedded => true,
        FabricState::Cluster { redis, nats } => {
            [redis, nats].iter().all(|link| link.up || link.error.is_some())
        }
    };
    let _ = tokio::time::timeout(PATIENCE, state.wait_for(known)).await;
    let FabricState::Cluster { redis, nats } = fabric.state().borrow().clone() else { return Ok(Vec::new()) };
    let of = |Engine { name, setting, .. }, link: cb_fabric::Link| {
        let why = || link.error.clone().unwrap_or_else(|| format!("{name} does not answer."));
        Reached { name, setting, trouble: (!link.up).then(why) }
    };
    Ok(vec![of(REDIS, redis), of(NATS, nats)])
}
