//! Fan-out of events to every listener in this process.

use cb_core::Event;
use tokio::sync::broadcast;

/// Events that a listener may fall behind before it has missed some.
const DEPTH: usize = 1024;

#[derive(Clone)]
pub struct Bus {
    sender: broadcast::Sender<Event>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Event(Event),
    /// So many events passed unheard: read afresh what they may have changed.
    Missed(u64),
    /// The server is stopping.
    Closed,
}

pub struct Listener {
    receiver: broadcast::Receiver<Event>,
}

impl Bus {
    pub fn new() -> Self {
        Self { sender: broadcast::channel(DEPTH).0 }
    }

    pub fn publish(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            // An error means that nobody listens, which is fine.
            let _ = self.sender.send(event);
        }
    }

    /// Hears everything that is published from now on.
    pub fn listen(&self) -> Listener {
        Listener { receiver: self.sender.subscribe() }
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
            Ok(event) => Heard::Event(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Heard::Missed(missed),
            Err(broadcast::error::RecvError::Closed) => Heard::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Event;

    use super::{Bus, DEPTH, Heard};

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
