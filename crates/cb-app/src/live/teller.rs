//! One teller for each topic: it hears what happens, reads once what became of it, and gives the rendered messages to everybody who
//! listens.
//!
//! Invariants: a teller lives from its first [`Line`] to its last, and reads nothing while nothing happens. It reads with the
//! permission of its topic and no other, and nobody gets a line without that permission, so nobody is told more than they may read.
//! What listeners have not taken yet is held once for all of them, and never more than [`BEHIND`] bursts: a listener that is further
//! behind is told to read everything again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use cb_core::{Event, Principal, Result};
use cb_fabric::{Heard, Listener};
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Message, Topic, messages, resync};
use crate::app::App;
use crate::ctx::Ctx;

/// Events of one burst are answered together.
const BURST: Duration = Duration::from_millis(40);
const BURST_MOST: usize = 512;
/// Bursts that a listener may be behind: about as long as a stream waits for its client.
const BEHIND: usize = 16;
/// So long the clients take to read again what all of them have missed, so that they do not all ask at once.
const SPREAD_MS: u32 = 2_000;

/// What a teller says to all of its listeners.
#[derive(Debug, Clone)]
pub enum Told {
    /// Messages as JSON texts, in order.
    Messages(Arc<[Bytes]>),
    /// The teller could not read what changed.
    Broken,
    /// There is no teller any more: the server is stopping.
    Closed,
}

/// The tellers of this process.
#[derive(Default)]
pub(crate) struct Tellers {
    known: Mutex<HashMap<Topic, Weak<Teller>>>,
    lines: Arc<AtomicUsize>,
}

/// Ends with its last line.
struct Teller {
    /// Weak, so that the listeners notice when the task is gone.
    told: broadcast::WeakSender<Told>,
    over: CancellationToken,
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl Tellers {
    fn known(&self) -> MutexGuard<'_, HashMap<Topic, Weak<Teller>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
}

/// One listener of a topic.
pub struct Line {
    app: App,
    teller: Arc<Teller>,
    receiver: broadcast::Receiver<Told>,
    _counted: Counted,
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hears everything that happens from now on to what the topic is about.
pub fn tune_in(ctx: &Ctx, topic: Topic) -> Result<Line> {
    ctx.authorize(topic.permission())?;
    let app = ctx.app().clone();
    let tellers = app.tellers();
    let mut known = tellers.known();
    let there = known.get(&topic).and_then(Weak::upgrade);
    let there = there.and_then(|teller| teller.told.upgrade().map(|told| (told.subscribe(), teller)));
    let (receiver, teller) = if let Some(there) = there {
        there
    } else {
        let (told, receiver) = broadcast::channel(BEHIND);
        let over = CancellationToken::new();
        let teller = Arc::new(Teller { told: told.downgrade(), over: over.clone() });
        known.insert(topic, Arc::downgrade(&teller));
        // It listens from here on, so that nothing is lost before the task runs.
        app.spawn(tell(app.clone(), topic, app.listen(), told, over));
        (receiver, teller)
    };
    drop(known);
    let counted = Counted::new(&tellers.lines);
    Ok(Line { app, teller, receiver, _counted: counted })
}

impl Line {
    /// What is said next. Nothing is lost when this is given up and called again.
    pub async fn hear(&mut self) -> Told {
        match self.receiver.recv().await {
            Ok(told) => told,
            Err(broadcast::error::RecvError::Closed) => Told::Closed,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                // What still waits is older than what the client is going to read.
                self.receiver = self.receiver.resubscribe();
                Told::Messages(rendered(&[resync(&self.app)]))
            }
        }
    }

    /// For how long nothing has happened: what was read within that time is still so, and this line says what comes.
    pub fn quiet(&self) -> Duration {
        self.app.quiet()
    }

    /// Whether both have the same teller.
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.teller, &other.teller)
    }
}

/// All clients of all servers miss the same, and again every three seconds while NATS is away.
fn resync_by_and_by(app: &App) -> Message {
    Message { data: serde_json::json!({ "within_ms": SPREAD_MS }), ..resync(app) }
}

async fn tell(
    app: App,
    topic: Topic,
    mut listener: Listener,
    told: broadcast::Sender<Told>,
    over: CancellationToken,
) {
    let ctx = app.own_ctx(Principal::Teller { reads: topic.permission() });
    loop {
        let heard = tokio::select! {
            () = over.cancelled() => return,
            () = app.stopping().cancelled() => return,
            heard = listener.hear() => heard,
        };
        let read = match heard {
            Heard::Closed => return,
            Heard::Missed(_) => Ok(vec![resync_by_and_by(&app)]),
            Heard::Event(first) => match gather(&mut listener, first).await {
                None => Ok(vec![resync(&app)]),
                Some(events) => messages(&ctx, topic, &events).await,
            },
        };
        let said = match read {
            Ok(messages) if messages.is_empty() => continue,
            Ok(messages) => Told::Messages(rendered(&messages)),
            Err(error) => {
                tracing::warn!(?topic, %error, "the server could not read what changed; it closes the streams, and their clients open them again");
                Told::Broken
            }
        };
        // An error means that the last listener has just left.
        let _ = told.send(said);
    }
}

/// What follows closely; `None` when some of it was missed.
async fn gather(listener: &mut Listener, first: Event) -> Option<Vec<Event>> {
    let mut events = vec![first];
    let until = Instant::now() + BURST;
    while events.len() < BURST_MOST {
        match tokio::time::timeout_at(until, listener.hear()).await {
            Ok(Heard::Event(event)) => events.push(event),
            Ok(Heard::Missed(_)) => return None,
            Ok(Heard::Closed) | Err(_) => break,
        }
    }
    Some(events)
}

fn rendered(messages: &[Message]) -> Arc<[Bytes]> {
    let text = |message| serde_json::to_vec(message).expect("texts and JSON values are JSON");
    messages.iter().map(|message| Bytes::from(text(message))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use bytes::Bytes;
    use tokio::sync::broadcast;

    use super::{BEHIND, Told};

    /// What a listener that takes nothing keeps in memory.
    #[tokio::test]
    async fn a_listener_that_lags_holds_a_few_bursts_and_no_more() {
        let (told, slow) = broadcast::channel(BEHIND);
        let said: Vec<Weak<[Bytes]>> = (0..1000)
            .map(|n| {
                let messages: Arc<[Bytes]> = Arc::new([Bytes::from(format!("{n}"))]);
                let weak = Arc::downgrade(&messages);
                told.send(Told::Messages(messages)).expect("one listens");
                weak
            })
            .collect();
        assert_eq!(said.iter().filter(|m| m.strong_count() > 0).count(), BEHIND);
        drop(slow);
        assert!(said.iter().all(|m| m.strong_count() == 0));
    }
}
