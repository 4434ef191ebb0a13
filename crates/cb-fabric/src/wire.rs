//! What one server says to the others through NATS.
//!
//! Invariant: nothing is believed. A message can only make a server read afresh what the database says, or forget what it
//! remembered; one that cannot be read, or leaves a gap, is [`Heard::Missed`](crate::Heard::Missed).

use std::collections::HashMap;
use std::time::Duration;

use cb_core::Event;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

/// A longer message is neither sent nor read: its number is missing, and the others read afresh.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Servers remembered by their last number.
const PEERS: usize = 1024;
/// A server that has said nothing for so long is gone.
const SILENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Of the messages of this sender; a beat repeats the last one.
    pub seq: u64,
    pub said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// I am here, and have said so many things.
    Beat,
    Event(Event),
    /// There is work of this kind.
    Wake(String),
    /// The digest of a key of a cache; none: every key.
    Forget {
        cache: String,
        key: Option<String>,
    },
}

/// `None`: too long, its number stays unused.
pub(crate) fn write(seq: u64, said: Said) -> Option<Vec<u8>> {
    let bytes = serde_json::to_vec(&Note { seq, said }).ok()?;
    (bytes.len() <= LONGEST).then_some(bytes)
}

pub(crate) fn read(bytes: &[u8]) -> Option<Note> {
    if bytes.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// The last numbers of the others.
#[derive(Default)]
pub(crate) struct Peers(HashMap<Uuid, (u64, Instant)>);

impl Peers {
    /// How many messages of this sender are missing at least, now that this one is here.
    pub fn missing(&mut self, from: Uuid, note: &Note, now: Instant) -> u64 {
        let mut missing = 0;
        if self.0.len() >= PEERS && !self.0.contains_key(&from) {
            self.0.clear();
            missing = 1;
        }
        let step = u64::from(note.said != Said::Beat);
        let (last, _) = self.0.insert(from, (note.seq, now)).unwrap_or((0, now));
        let expected = last.saturating_add(step);
        // A number that goes back is nobody's: whatever it means, reading afresh is right.
        missing + if note.seq < expected { 1 } else { note.seq - expected }
    }

    pub fn forget_silent(&mut self, now: Instant) {
        self.0.retain(|_, (_, heard)| now.duration_since(*heard) < SILENCE);
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Event;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{LONGEST, Note, PEERS, Peers, Said, read, write};

    fn event() -> Said {
        Said::Event(Event::TopologyChanged)
    }

    #[test]
    fn a_gap_is_counted_and_a_beat_shows_the_loss_of_the_last_one() {
        let (mut peers, from, now) = (Peers::default(), Uuid::from_u128(1), Instant::now());
        for (seq, said, missing) in [
            (0, Said::Beat, 0),
            (1, event(), 0),
            (2, event(), 0),
            (5, event(), 2),
            (5, Said::Beat, 0),
            (7, Said::Beat, 2),
            (8, event(), 0),
            (3, event(), 1),
            (4, event(), 0),
            (u64::MAX, Said::Beat, u64::MAX - 4),
            (5, event(), 1),
            (6, event(), 0),
        ] {
            assert_eq!(
                peers.missing(from, &Note { seq, said: said.clone() }, now),
                missing,
                "{seq} {said:?}"
            );
        }
        let stranger = Note { seq: 9, said: Said::Beat };
        assert_ne!(peers.missing(Uuid::from_u128(2), &stranger, now), 0, "what it said before was not heard");
    }

    #[test]
    fn memory_is_bounded() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        for n in 0..3 * PEERS as u128 {
            peers.missing(Uuid::from_u128(n), &Note { seq: 0, said: Said::Beat }, now);
            assert!(peers.0.len() <= PEERS);
        }
        peers.forget_silent(now + 2 * super::SILENCE);
        assert!(peers.0.is_empty());
    }

    #[test]
    fn what_cannot_be_read_or_is_too_long_is_none() {
        assert!(write(1, Said::Wake("w".repeat(LONGEST))).is_none());
        assert!(read(&write(1, event()).expect("short")).is_some());
        let deep = "[".repeat(LONGEST);
        for bytes in [&b""[..], b"\xff\xfe", b"{}", b"null", br#"{"seq":-1,"said":"beat"}"#, deep.as_bytes()]
        {
            assert!(read(bytes).is_none());
        }
        let unknown = br#"{"seq":1,"said":{"event":{"event":"of_a_later_version"}}}"#;
        assert!(read(unknown).is_none());
        let long = format!("{}{}", r#"{"seq":1,"said":"beat"}"#, " ".repeat(LONGEST));
        assert!(read(long.as_bytes()).is_none());
    }
}
