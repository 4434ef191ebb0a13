//! Signatures of [Standard Webhooks](https://www.standardwebhooks.com), version 1: HMAC-SHA-256 over the message's id, its
//! timestamp and its raw body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::{Entropy, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// What the specification permits, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
const GENERATED: usize = 32;
/// A header with more signatures is read so far.
const SIGNATURES_MOST: usize = 16;

/// A key that signs or verifies; wiped on drop.
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// A new one, as it is shown to the receiver: `whsec_` and base64.
    pub fn generate(entropy: &dyn Entropy) -> Secret {
        let mut bytes = Zeroizing::new([0u8; GENERATED]);
        entropy.fill(&mut *bytes);
        Secret::new(format!("{PREFIX}{}", *Zeroizing::new(STANDARD.encode(*bytes))))
    }

    /// From that text; says what is wrong with it otherwise.
    pub fn parse(text: &Secret) -> Result<Self, &'static str> {
        let base64 =
            text.expose().trim().strip_prefix(PREFIX).ok_or("Enter a secret that begins with whsec_.")?;
        let bytes = Zeroizing::new(STANDARD.decode(base64).map_err(|_| "Enter whsec_ and base64 after it.")?);
        if LENGTHS.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err("Enter whsec_ and the base64 of 24 to 64 bytes after it.")
        }
    }

    fn over(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// The header `webhook-signature`: one signature of each key, in their order.
pub fn sign(keys: &[Key], id: &str, timestamp: i64, body: &[u8]) -> String {
    let timestamp = timestamp.to_string();
    let one =
        |key: &Key| format!("v1,{}", STANDARD.encode(key.over(id, &timestamp, body).finalize().into_bytes()));
    keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Whether one of the signatures in `header` is of one of the keys; compared in constant time. How old `timestamp` may be is
/// the caller's to say.
pub fn verify(keys: &[Key], id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
    header
        .split(' ')
        .take(SIGNATURES_MOST)
        .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
        .any(|given| keys.iter().any(|key| key.over(id, timestamp, body).verify_slice(&given).is_ok()))
}

#[cfg(test)]
mod tests {
    use cb_core::{OsEntropy, Secret};

    use super::{Key, sign, verify};

    fn key(text: &str) -> Key {
        Key::parse(&Secret::new(text.to_owned())).expect("a key")
    }

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn it_signs_as_the_specification_does() {
        assert_eq!(sign(&[key(SECRET)], ID, AT, BODY), SIGNATURE);
    }

    #[test]
    fn id_time_and_every_byte_of_the_body_are_signed() {
        let keys = [key(SECRET)];
        let ok = |id: &str, at: &str, body: &[u8], header: &str| verify(&keys, id, at, body, header);
        assert!(ok(ID, "1614265330", BODY, SIGNATURE), "the control");
        assert!(ok(ID, "1614265330", BODY, &format!("v1a,AAAA v1,AAAA {SIGNATURE}")));
        for (id, at, body, header) in [
            ("msg_other", "1614265330", BODY, SIGNATURE),
            (ID, "1614265331", BODY, SIGNATURE),
            (ID, "01614265330", BODY, SIGNATURE),
            (ID, "1614265330", br#"{"test": 2432232315}"#, SIGNATURE),
            (ID, "1614265330", BODY, ""),
            (ID, "1614265330", BODY, "v1,"),
            (ID, "1614265330", BODY, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            (ID, "1614265330", BODY, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O"),
            (ID, "1614265330", BODY, "v1,\u{e4}\u{f6}"),
        ] {
            assert!(!ok(id, at, body, header), "{id} {at} {header}");
        }
        assert!(!verify(&[], ID, "1614265330", BODY, SIGNATURE), "no key verifies nothing");
        let far = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(100));
        assert!(!ok(ID, "1614265330", BODY, &far), "a header is read so far and no further");
    }

    #[test]
    fn of_two_keys_each_verifies_and_the_first_signs_first() {
        let other = Key::generate(&OsEntropy);
        let both = sign(&[key(other.expose()), key(SECRET)], ID, AT, BODY);
        assert!(both.ends_with(&format!(" {SIGNATURE}")));
        for one in [key(SECRET), key(other.expose())] {
            assert!(verify(&[one], ID, "1614265330", BODY, &both));
        }
        assert!(!verify(&[key(Key::generate(&OsEntropy).expose())], ID, "1614265330", BODY, &both));
    }

    #[test]
    fn a_key_is_of_24_to_64_bytes() {
        for (text, ok) in [
            (Key::generate(&OsEntropy).expose(), true),
            (SECRET, true),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
            ("whsec_", false),
            ("whsec_AAAA", false),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", false),
        ] {
            assert_eq!(Key::parse(&Secret::new(text.to_owned())).is_ok(), ok, "{text}");
        }
        let long = format!("whsec_{}", "A".repeat(88));
        assert!(Key::parse(&Secret::new(long)).is_err(), "66 bytes");
    }
}
