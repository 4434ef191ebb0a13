//! Fan-out of events to every listener, in this process and, in a cluster, in the others.

use std::sync::Arc;
use std::time::Duration;

use cb_core::Event;
use tokio::sync::broadcast;

use crate::hub::{Shared, Told, Unheard};
use crate::wire::Said;

#[derive(Clone)]
pub struct Bus {
    pub(crate) shared: Arc<Shared>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Event(Event),
    /// So many events at least passed unheard: read afresh what they may have changed.
    Missed(u64),
    /// The server is stopping.
    Closed,
}

pub struct Listener {
    receiver: broadcast::Receiver<Told>,
}

impl Bus {
    /// For this process alone.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::alone()) }
    }

    /// Something may have passed unheard: everybody here reads afresh.
    pub fn doubt(&self) {
        self.shared.hub.missed(1);
    }

    pub fn unheard(&self) -> &Unheard {
        &self.shared.hub.unheard
    }

    /// Never waits. The listeners of this process have heard it when this returns; those of others hear it, or that they
    /// missed something.
    pub fn publish(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.shared.say(|| Said::Event(event.clone()));
            self.shared.hub.tell(Told::Event(event));
        }
    }

    /// Hears everything that is published from now on.
    pub fn listen(&self) -> Listener {
        Listener { receiver: self.shared.hub.told.subscribe() }
    }

    /// For how long nothing was published that this process knows of; zero while it does not hear the others.
    pub fn quiet(&self) -> Duration {
        self.shared.hub.quiet()
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    pub async fn hear(&mut self) -> Heard {
        match self.receiver.recv().await {
            Ok(Told::Event(event)) => Heard::Event(event),
            Ok(Told::Missed(missed)) | Err(broadcast::error::RecvError::Lagged(missed)) => {
                Heard::Missed(missed)
            }
            Err(broadcast::error::RecvError::Closed) => Heard::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Event;

    use super::{Bus, Heard};
    use crate::hub::DEPTH;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed_and_then_hears_the_rest() {
        let bus = Bus::new();
        let mut slow = bus.listen();
        bus.publish((0..DEPTH + 3).map(|_| Event::TopologyChanged));
        assert_eq!(slow.hear().await, Heard::Missed(3));
        assert_eq!(slow.hear().await, Heard::Event(Event::TopologyChanged));
        drop(bus);
        for _ in 1..DEPTH {
            slow.hear().await;
        }
        assert_eq!(slow.hear().await, Heard::Closed);
    }
}
