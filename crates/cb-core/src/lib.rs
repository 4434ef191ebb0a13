//! Words and rules of Circuit Breaker, without I/O.
//!
//! Owns what every other crate agrees on: identifiers, the clock and the entropy source, errors,
//! secrets, roles, principals, events, the audit chain's arithmetic and the configuration.
//! Invariants: nothing here opens a socket, a file (but the configuration's own) or a database.

pub mod allow;
pub mod audit;
pub mod clock;
pub mod config;
pub mod entropy;
pub mod error;
pub mod event;
pub mod form;
pub mod ids;
pub mod inventory;
pub mod notice;
pub mod objects;
pub mod origin;
pub mod patch;
pub mod principal;
pub mod secret;

pub use clock::{Clock, SystemClock};
pub use entropy::{Entropy, OsEntropy};
pub use error::{Error, FieldError, Result};
pub use event::Event;
pub use notice::{Notice, NoticeKind, Severity};
pub use patch::Patch;
pub use principal::{Permission, Principal, Role};
pub use secret::Secret;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| char::from(DIGITS[usize::from(d)])).collect()
}
