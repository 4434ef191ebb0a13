//! What one server says to the others through NATS.
//!
//! Invariant: a server takes in only what another server of its cluster has said to it. Each message carries a tag over its sender,
//! its number and its bytes ([`Seal`]). Numbers only rise, so a repeated message is refused. A recording of a server that ended before
//! this one began is refused too: a sender is believed only after it has said that it knows this server ([`Peers`]). Whatever is
//! refused, cannot be read or leaves a gap becomes [`Heard::Missed`](crate::Heard::Missed), at most so often as `nats.rs` tells it.
//! Even so, an event only makes its listeners read afresh what the database says.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cb_core::Event;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::digest::Digester;

/// A longer message is neither sent nor read: its numbers are missing, and the others read afresh.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Servers remembered by their last number. None is forgotten while there is room: a recording of it could be played again.
const PEERS: usize = 1024;
/// A server that has not said goodbye and misses five beats may have changed something that nobody heard of.
const SILENT: Duration = Duration::from_secs(5);
/// A server that has said nothing for so long is gone.
const GONE: Duration = Duration::from_mins(1);
/// Servers that one beat names, so that its length does not grow with their number.
const NAMES: usize = 16;
/// The tag and the number.
const HEAD: usize = 32 + 8;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Of the notes of this sender; a beat repeats the last one.
    pub seq: u64,
    pub said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// I am here, have said so many things, and hear these among others.
    Beat {
        knows: Vec<Uuid>,
    },
    /// I am stopping, and have said so many things.
    Bye,
    Event(Event),
    /// There is work of this kind.
    Wake(String),
    /// The digest of a key of a cache; none: every key.
    Forget {
        cache: String,
        key: Option<String>,
    },
}

impl Said {
    /// Whether it has a number of its own. The others repeat the last one, so they show that it was lost.
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Beat { .. } | Self::Bye)
    }
}

/// Closes and opens the messages of one cluster.
#[derive(Clone)]
pub(crate) struct Seal(Digester);

impl Seal {
    pub fn new(digester: &Digester) -> Self {
        Self(digester.derive("messages"))
    }

    pub fn close(&self, from: Uuid, number: u64, notes: &[u8]) -> Vec<u8> {
        let number = number.to_be_bytes();
        let mut message = Vec::with_capacity(HEAD + notes.len());
        message.extend(self.0.tag(&[from.as_bytes(), &number, notes]));
        message.extend(number);
        message.extend(notes);
        message
    }

    /// The number and the notes, if this sender has closed it.
    pub fn open<'a>(&self, from: Uuid, message: &'a [u8]) -> Option<(u64, &'a [u8])> {
        if message.len() > LONGEST {
            return None;
        }
        let (tag, rest) = message.split_at_checked(32)?;
        let (number, notes) = rest.split_first_chunk::<8>()?;
        self.0.fits(&[from.as_bytes(), number, notes], tag).then(|| (u64::from_be_bytes(*number), notes))
    }
}

/// Notes that go in one message: each costs every server of the cluster far less than a message of its own.
#[derive(Debug)]
pub(crate) struct Parcel {
    bytes: Vec<u8>,
    most: usize,
}

impl Parcel {
    /// For a NATS that takes messages of so many bytes.
    pub fn new(taken: usize) -> Self {
        Self { bytes: Vec::new(), most: taken.min(LONGEST).saturating_sub(HEAD) }
    }

    /// Gives the note back when it has no room beside the others. One that is too long by itself is dropped: its number stays unused.
    pub fn put(&mut self, note: Note) -> Option<Note> {
        let Ok(bytes) = serde_json::to_vec(&note) else { return None };
        if bytes.len() + 2 > self.most {
            return None;
        }
        if self.bytes.len() + bytes.len() + 2 > self.most {
            return Some(note);
        }
        self.bytes.push(if self.bytes.is_empty() { b'[' } else { b',' });
        self.bytes.extend(bytes);
        None
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The notes as JSON; afterwards it is empty.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            bytes.push(b']');
        }
        bytes
    }
}

pub(crate) fn read(notes: &[u8]) -> Option<Vec<Note>> {
    serde_json::from_slice(notes).ok()
}

/// What is known of the others.
pub(crate) struct Peers {
    me: Uuid,
    known: HashMap<Uuid, Peer>,
    beats: u64,
}

struct Peer {
    /// Of its last message.
    number: u64,
    /// Of its last note that was taken in.
    seq: u64,
    heard: Instant,
    /// It has said that it hears this server, so what it says is not from before this server began.
    knows_me: bool,
    /// It has said goodbye, or its silence has been told.
    left: bool,
    /// By which beat of this server last; 0: by none.
    named: u64,
}

/// What becomes of a message with a good tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    TakeIn,
    /// It was heard before.
    Again,
    /// It cannot be told from a recording yet.
    Unproven,
}

impl Peers {
    pub fn new(me: Uuid) -> Self {
        Self { me, known: HashMap::new(), beats: 0 }
    }

    pub fn knows(&self, who: Uuid) -> bool {
        self.known.contains_key(&who)
    }

    pub fn judge(&mut self, from: Uuid, number: u64, notes: &[Note], now: Instant) -> Judged {
        let new = !self.knows(from);
        if new {
            self.make_room();
        }
        let fresh = Peer { number, seq: 0, heard: now, knows_me: false, left: false, named: 0 };
        let peer = self.known.entry(from).or_insert(fresh);
        if !new && number <= peer.number {
            return Judged::Again;
        }
        peer.number = number;
        peer.heard = now;
        let knows = |note: &Note| matches!(&note.said, Said::Beat { knows } if knows.contains(&self.me));
        peer.knows_me = peer.knows_me || notes.iter().any(knows);
        if peer.knows_me { Judged::TakeIn } else { Judged::Unproven }
    }

    /// How many notes of this sender are missing at least, now that this one is here.
    pub fn missing(&mut self, from: Uuid, note: &Note) -> u64 {
        let Some(peer) = self.known.get_mut(&from) else { return 1 };
        peer.left = note.said == Said::Bye;
        let expected = peer.seq.saturating_add(u64::from(note.said.counts()));
        peer.seq = note.seq;
        // A number that goes back is nobody's: whatever it means, reading afresh is right.
        note.seq.checked_sub(expected).unwrap_or(1)
    }

    /// Who is heard now and hears this server.
    pub fn present(&self) -> HashSet<Uuid> {
        let present = self.known.iter().filter(|(_, peer)| peer.knows_me && !peer.left);
        present.map(|(who, _)| *who).collect()
    }

    /// Whether somebody has fallen silent since the last question without saying goodbye. What it did last may never have been told.
    pub fn fell_silent(&mut self, now: Instant) -> bool {
        let mut any = false;
        for peer in self.known.values_mut().filter(|peer| peer.knows_me && !peer.left) {
            peer.left = now.duration_since(peer.heard) >= SILENT;
            any |= peer.left;
        }
        any
    }

    /// Nobody was heard until now, so nobody has been silent.
    pub fn hear_anew(&mut self, now: Instant) {
        for peer in self.known.values_mut().filter(|peer| !peer.left) {
            peer.heard = now;
        }
    }

    /// Whom the next beat names: those who were never named, then those who were named the longest ago.
    pub fn next_names(&mut self, now: Instant) -> Vec<Uuid> {
        let heard = self.known.iter_mut().filter(|(_, peer)| now.duration_since(peer.heard) < GONE);
        let mut heard: Vec<_> = heard.map(|(who, peer)| (&mut peer.named, *who)).collect();
        heard.sort_unstable();
        heard.truncate(NAMES);
        self.beats += 1;
        heard
            .into_iter()
            .map(|(named, who)| {
                *named = self.beats;
                who
            })
            .collect()
    }

    /// The one goes that was heard last the longest ago; first of those of whom there may be recordings only.
    fn make_room(&mut self) {
        if self.known.len() < PEERS {
            return;
        }
        let oldest = self.known.iter().min_by_key(|(_, peer)| (peer.knows_me, peer.heard));
        if let Some(who) = oldest.map(|(who, _)| *who) {
            self.known.remove(&who);
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::{Event, Secret};
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{GONE, HEAD, Judged, LONGEST, NAMES, Note, PEERS, Parcel, Peers, SILENT, Said, Seal, read};
    use crate::digest::Digester;

    const ME: Uuid = Uuid::from_u128(99);

    fn event() -> Said {
        Said::Event(Event::TopologyChanged)
    }

    fn beat() -> Said {
        Said::Beat { knows: vec![ME] }
    }

    fn note(seq: u64, said: Said) -> Note {
        Note { seq, said }
    }

    fn seal(key: &str) -> Seal {
        Seal::new(&Digester::new(&Secret::new(key.to_owned()), "one"))
    }

    #[test]
    fn a_message_opens_only_as_its_sender_has_closed_it() {
        let (seal, from) = (seal("k"), Uuid::from_u128(1));
        let closed = seal.close(from, 7, b"[]");
        assert_eq!(seal.open(from, &closed), Some((7, &b"[]"[..])));
        assert_eq!(seal.open(Uuid::from_u128(2), &closed), None, "another sender");
        assert_eq!(self::seal("l").open(from, &closed), None, "another key");
        for at in 0..closed.len() {
            let mut changed = closed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(from, &changed), None, "byte {at}");
            assert_eq!(seal.open(from, &closed[..at]), None, "{at} bytes");
        }
        assert_eq!(seal.open(from, &seal.close(from, 8, &vec![b' '; LONGEST])), None, "too long");
    }

    #[test]
    fn a_gap_is_counted_and_a_beat_shows_the_loss_of_the_last_one() {
        let (mut peers, from, now) = (Peers::new(ME), Uuid::from_u128(1), Instant::now());
        assert_eq!(peers.judge(from, 1, &[note(0, beat())], now), Judged::TakeIn);
        for (seq, said, missing) in [
            (0, beat(), 0),
            (1, event(), 0),
            (2, event(), 0),
            (5, event(), 2),
            (5, beat(), 0),
            (7, beat(), 2),
            (8, event(), 0),
            (9, Said::Bye, 1),
            (3, event(), 1),
            (4, event(), 0),
            (u64::MAX, beat(), u64::MAX - 4),
            (u64::MAX, event(), 0),
            (0, beat(), 1),
            (u64::MAX, event(), u64::MAX - 1),
            (5, event(), 1),
            (6, event(), 0),
        ] {
            assert_eq!(peers.missing(from, &note(seq, said.clone())), missing, "{seq} {said:?}");
        }
    }

    #[test]
    fn a_repeated_message_is_refused_and_so_is_a_recording() {
        let (mut peers, from, now) = (Peers::new(ME), Uuid::from_u128(1), Instant::now());
        let (stranger, knowing) = ([note(1, event())], [note(1, beat())]);
        let nobody = [note(1, Said::Beat { knows: vec![Uuid::from_u128(98)] })];
        assert_eq!(peers.judge(from, 4, &stranger, now), Judged::Unproven);
        assert_eq!(peers.judge(from, 5, &nobody, now), Judged::Unproven);
        assert_eq!(peers.judge(from, 5, &knowing, now), Judged::Again);
        assert_eq!(peers.judge(from, 6, &knowing, now), Judged::TakeIn);
        for number in [0, 5, 6] {
            assert_eq!(peers.judge(from, number, &knowing, now), Judged::Again, "{number}");
        }
        assert_eq!(peers.judge(from, 9, &stranger, now), Judged::TakeIn);
        assert_ne!(peers.missing(from, &note(9, beat())), 0, "what it said before was not taken in");
    }

    #[test]
    fn who_falls_silent_without_goodbye_is_missed_once() {
        let (mut peers, began) = (Peers::new(ME), Instant::now());
        let [killed, stopped, unproven] = [1, 2, 3].map(Uuid::from_u128);
        for (from, said) in [(killed, beat()), (stopped, beat()), (stopped, Said::Bye)] {
            let notes = [note(0, said)];
            let number = u64::from(notes[0].said == Said::Bye);
            assert_eq!(peers.judge(from, number, &notes, began), Judged::TakeIn);
            peers.missing(from, &notes[0]);
        }
        peers.judge(unproven, 1, &[note(0, Said::Bye)], began);
        assert!(!peers.fell_silent(began + SILENT / 2));
        assert!(peers.fell_silent(began + SILENT));
        assert!(!peers.fell_silent(began + 2 * SILENT), "once");
        assert_eq!(peers.next_names(began + 2 * SILENT).len(), 3);
        let late = [note(3, beat())];
        assert_eq!(peers.judge(killed, 9, &late, began + 2 * SILENT), Judged::TakeIn);
        assert_eq!(peers.missing(killed, &late[0]), 3, "a late beat is judged by the last number");
        peers.hear_anew(began + 10 * SILENT);
        assert!(!peers.fell_silent(began + 10 * SILENT));
        assert!(peers.fell_silent(began + 11 * SILENT));
        assert!(peers.next_names(began + 11 * SILENT + GONE).is_empty());
    }

    #[test]
    fn a_beat_names_the_new_ones_first_and_all_in_turn() {
        let (mut peers, now) = (Peers::new(ME), Instant::now());
        let hear = |peers: &mut Peers, n| {
            peers.judge(Uuid::from_u128(n), 1, &[note(0, beat())], now);
        };
        (0..40).for_each(|n| hear(&mut peers, n));
        let mut named = peers.next_names(now);
        named.extend(peers.next_names(now));
        named.extend(peers.next_names(now));
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), 40);
        hear(&mut peers, 40);
        let next = peers.next_names(now);
        assert!(next.len() == NAMES && next.contains(&Uuid::from_u128(40)));
    }

    #[test]
    fn memory_is_bounded_and_recordings_push_nobody_out() {
        let (mut peers, now, living) = (Peers::new(ME), Instant::now(), Uuid::from_u128(1));
        peers.judge(living, 1, &[note(0, beat())], now);
        for n in 2..3 * PEERS as u128 {
            peers.judge(Uuid::from_u128(n), 1, &[note(0, event())], now + SILENT);
            assert!(peers.known.len() <= PEERS);
        }
        assert_eq!(peers.judge(living, 1, &[note(0, beat())], now), Judged::Again);
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let deep = "[".repeat(LONGEST);
        let bye = r#"{"seq":1,"said":"bye"}"#;
        let unknown = r#"[{"seq":1,"said":{"event":{"event":"of_a_later_version"}}}]"#;
        for text in ["", "{}", "null", bye, r#"[{"seq":-1,"said":"bye"}]"#, &deep, unknown] {
            assert!(read(text.as_bytes()).is_none(), "{text:.80}");
        }
        assert!(read(b"\xff\xfe").is_none());
        assert_eq!(read(format!("[{bye}]").as_bytes()).map(|notes| notes.len()), Some(1));
    }

    #[test]
    fn a_parcel_takes_notes_in_order_until_it_is_full() {
        let mut parcel = Parcel::new(1024 * 1024);
        assert!(
            parcel.put(note(1, Said::Wake("w".repeat(LONGEST)))).is_none() && parcel.is_empty(),
            "dropped"
        );
        let mut last = 0;
        let refused = (2..).find_map(|seq| {
            last = seq;
            parcel.put(note(seq, event()))
        });
        assert_eq!(refused.map(|note| note.seq), Some(last));
        let bytes = parcel.take();
        assert!(bytes.len() + HEAD <= LONGEST && parcel.is_empty());
        let there: Vec<u64> = read(&bytes).expect("readable").iter().map(|note| note.seq).collect();
        assert_eq!(there, (2..last).collect::<Vec<_>>());
        let mut small = Parcel::new(100 + HEAD);
        assert!(small.put(note(1, event())).is_none());
        assert!(small.put(note(2, event())).is_some(), "no room for two");
    }
}
