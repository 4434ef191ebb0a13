//! Words and rules of Circuit Breaker, without I/O.
//!
//! Owns what every other crate agrees on: identifiers, the clock and the entropy source, errors,
//! secrets, roles, principals, events, the audit chain's arithmetic and the configuration.
//! Invariants: nothing here opens a socket, a file (but the configuration's own) or a database.

pub mod allow;
pub mod audit;
pub mod clock;
pub mod config;
pub mod connection;
pub mod entropy;
pub mod error;
pub mod event;
pub mod form;
pub mod ids;
pub mod inventory;
pub mod meter;
pub mod notice;
pub mod objects;
pub mod origin;
pub mod patch;
pub mod principal;
pub mod rendezvous;
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

/// A count as people read it: `1,058`.
pub fn counted(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_count_has_a_comma_at_each_thousand() {
        for (count, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (65_534, "65,534"), (1_048_576, "1,048,576")]
        {
            assert_eq!(super::counted(count), text);
        }
    }
}
