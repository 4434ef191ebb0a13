//! What leaves the process in place of a key: keys are addresses, user names and secrets.

use std::fmt::Write as _;

use cb_core::Secret;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;

pub(crate) type Digest = [u8; 16];

/// HMAC-SHA-256 with a key that all servers of one cluster have, so that whoever sees Redis or NATS cannot try user names.
#[derive(Clone)]
pub(crate) struct Digester(Hmac<Sha256>);

impl Digester {
    /// `installation` tells a copy of a database, whose servers have the same secret, from the original.
    pub fn new(key: &Secret, installation: &str) -> Self {
        Self::of(key.expose().as_bytes()).derive(installation)
    }

    fn of(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("a key of any length will do"))
    }

    /// With a key of its own, which says nothing of this one.
    pub fn derive(&self, label: &str) -> Self {
        Self::of(&self.0.clone().chain_update(b"key\0").chain_update(label).finalize().into_bytes())
    }

    /// Of all parts together. The parts before the last one must have fixed lengths.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Takes as long for every wrong tag.
    pub fn fits(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.over(parts).verify_slice(tag).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.0.clone(), Mac::chain_update)
    }

    /// For one purpose: the same key has another digest for another.
    pub fn digest(&self, purpose: &str, key: &str) -> Digest {
        let mut mac = self.0.clone();
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(key.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut digest = Digest::default();
        digest.copy_from_slice(&full[..16]);
        digest
    }
}

pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The other way; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (i, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;

    use super::{Digester, hex, unhex};

    #[test]
    fn a_digest_depends_on_purpose_and_key_and_survives_the_way() {
        let of = |key: &str, installation| Digester::new(&Secret::new(key.to_owned()), installation);
        let digester = of("k", "one");
        let digest = digester.digest("rate", "maria");
        assert_eq!(unhex(&hex(&digest)), Some(digest));
        for other in [digester.digest("throttle", "maria"), digester.digest("ratem", "aria")] {
            assert_ne!(digest, other);
        }
        for other in [of("l", "one"), of("k", "two"), digester.derive("messages")] {
            assert_ne!(digest, other.digest("rate", "maria"));
        }
        for text in ["", "zz", &"é".repeat(16), &"0".repeat(33)] {
            assert_eq!(unhex(text), None);
        }
    }
}
