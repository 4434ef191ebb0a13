//! What a page and the metrics say of the fabric.

use std::sync::Arc;

use cb_core::Clock;
use cb_core::clock::Time;
use serde::Serialize;
use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum FabricState {
    /// One server: nothing is shared, so nothing can be away.
    Embedded,
    Cluster {
        redis: Link,
        nats: Link,
    },
}

/// The way to one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub up: bool,
    /// Since when it has been so.
    pub since: Time,
    /// What was wrong last, as a sentence without a password; stays when the link is up again.
    pub error: Option<String>,
}

impl FabricState {
    /// Why something is slower than usual: one sentence for each link that is down.
    pub fn degraded(&self) -> Vec<String> {
        let Self::Cluster { redis, nats } = self else { return Vec::new() };
        [(redis, "Each server counts by itself."), (nats, "Servers read afresh every few seconds.")]
            .into_iter()
            .filter(|(link, _)| !link.up)
            .map(|(link, so)| format!("{} {so}", link.error.as_deref().unwrap_or("Not connected yet.")))
            .collect()
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Redis,
    Nats,
}

/// Where the links write what has become of them.
#[derive(Clone)]
pub(crate) struct Board {
    state: Arc<watch::Sender<FabricState>>,
    clock: Arc<dyn Clock>,
}

impl Board {
    pub fn embedded(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::new(watch::Sender::new(FabricState::Embedded)), clock }
    }

    pub fn cluster(clock: Arc<dyn Clock>) -> Self {
        let down = Link { up: false, since: clock.now(), error: None };
        let state = FabricState::Cluster { redis: down.clone(), nats: down };
        Self { state: Arc::new(watch::Sender::new(state)), clock }
    }

    pub fn watch(&self) -> watch::Receiver<FabricState> {
        self.state.subscribe()
    }

    pub fn up(&self, which: Which) {
        self.set(which, true, None);
    }

    pub fn down(&self, which: Which, error: String) {
        self.set(which, false, Some(error));
    }

    fn set(&self, which: Which, up: bool, error: Option<String>) {
        let now = self.clock.now();
        self.state.send_if_modified(|state| {
            let FabricState::Cluster { redis, nats } = state else { return false };
            let link = match which {
                Which::Redis => redis,
                Which::Nats => nats,
            };
            let turned = link.up != up;
            let new = error.is_some() && link.error != error;
            if turned {
                (link.up, link.since) = (up, now);
            }
            if let Some(error) = &error
                && (turned || new)
            {
                tracing::warn!(link = ?which, "{error}");
            } else if turned {
                tracing::info!(link = ?which, "connected");
            }
            if new {
                link.error = error;
            }
            turned || new
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cb_core::clock::SystemClock;

    use super::{Board, FabricState, Which};

    #[test]
    fn a_link_says_since_when_and_what_was_wrong_last() {
        let board = Board::cluster(Arc::new(SystemClock));
        let watch = board.watch();
        assert_eq!(watch.borrow().degraded().len(), 2, "it starts down");
        board.up(Which::Redis);
        board.down(Which::Nats, "NATS closed the connection.".to_owned());
        let degraded = watch.borrow().degraded();
        assert!(
            degraded.len() == 1 && degraded[0].starts_with("NATS closed the connection. Servers"),
            "{degraded:?}"
        );
        board.up(Which::Nats);
        let FabricState::Cluster { nats, .. } = watch.borrow().clone() else { panic!("a cluster") };
        assert!(nats.up && nats.error.as_deref() == Some("NATS closed the connection."));
        assert!(watch.borrow().degraded().is_empty());
    }
}
