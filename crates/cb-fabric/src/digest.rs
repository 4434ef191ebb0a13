//! What leaves the process in place of a key: keys are addresses, user names and secrets.

use std::fmt::Write as _;

use cb_core::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub(crate) type Digest = [u8; 16];

/// HMAC-SHA-256 with a key that all servers of one cluster have, so that whoever sees Redis or NATS cannot try user names.
#[derive(Clone)]
pub(crate) struct Digester(Hmac<Sha256>);

impl Digester {
    pub fn new(key: &Secret) -> Self {
        Self(Hmac::new_from_slice(key.expose().as_bytes()).expect("a key of any length will do"))
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
        let digester = Digester::new(&Secret::new("k".to_owned()));
        let digest = digester.digest("rate", "maria");
        assert_eq!(unhex(&hex(&digest)), Some(digest));
        for other in [digester.digest("throttle", "maria"), digester.digest("ratem", "aria")] {
            assert_ne!(digest, other);
        }
        assert_ne!(digest, Digester::new(&Secret::new("l".to_owned())).digest("rate", "maria"));
        for text in ["", "zz", &"é".repeat(16), &"0".repeat(33)] {
            assert_eq!(unhex(text), None);
        }
    }
}
