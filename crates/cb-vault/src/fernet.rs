//! Fernet, byte for byte as <https://github.com/fernet/spec> says: version 0x80, 64-bit time, AES-128-CBC with
//! PKCS #7, HMAC-SHA-256 over all of it, URL-safe base64.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cb_core::clock::Time;
use cb_core::{Entropy, Secret};
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

const VERSION: u8 = 0x80;
const IV: usize = 16;
const MAC: usize = 32;
/// Version, time, initialisation vector.
const HEAD: usize = 1 + 8 + IV;
/// How far ahead a token's time may be where its age is looked at.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// 256 bits: the first half signs, the second encrypts. Wiped on drop.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// From 44 characters of URL-safe base64; none if they are anything else.
    pub fn parse(text: &Secret) -> Option<Self> {
        let mut bytes = decode(text.expose().trim().as_bytes())?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|k| Self(Zeroizing::new(k)));
        bytes.zeroize();
        key
    }

    /// A new key, as the text that [`Key::parse`] takes.
    pub fn generate(entropy: &dyn Entropy) -> String {
        let mut bytes = Zeroizing::new([0u8; 32]);
        entropy.fill(&mut *bytes);
        URL_SAFE.encode(*bytes)
    }

    /// A hash of the key under `purpose`: tells keys apart without showing any.
    pub(crate) fn digest(&self, purpose: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(*self.0);
        hash.finalize().into()
    }

    fn signing(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0[..16]).expect("HMAC takes a key of any length")
    }

    pub fn encrypt(&self, plain: &[u8], now: Time, entropy: &dyn Entropy) -> String {
        let mut iv = [0u8; IV];
        entropy.fill(&mut iv);
        self.encrypt_with(plain, now, iv)
    }

    fn encrypt_with(&self, plain: &[u8], now: Time, iv: [u8; IV]) -> String {
        let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&self.0[16..], &iv).expect("16 bytes each");
        let mut token = Vec::with_capacity(HEAD + plain.len() + 16 + MAC);
        token.push(VERSION);
        token.extend_from_slice(&u64::try_from(now.timestamp()).unwrap_or(0).to_be_bytes());
        token.extend_from_slice(&iv);
        token.extend_from_slice(&cipher.encrypt_padded_vec::<Pkcs7>(plain));
        let mut mac = self.signing();
        mac.update(&token);
        token.extend_from_slice(&mac.finalize().into_bytes());
        URL_SAFE.encode(token)
    }

    /// The plaintext of a token of any age; none when it was not made with this key.
    pub fn decrypt(&self, token: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.open(token).map(|(_, plain)| plain)
    }

    /// The same of a token that is at most `ttl` old at `now`, and not from the future.
    pub fn decrypt_fresh(&self, token: &[u8], ttl: TimeDelta, now: Time) -> Option<Zeroizing<Vec<u8>>> {
        let (made, plain) = self.open(token)?;
        let age = now.timestamp().checked_sub(i64::try_from(made).ok()?)?;
        (age <= ttl.num_seconds() && age >= -SKEW.num_seconds()).then_some(plain)
    }

    /// The time in seconds and the plaintext. The MAC is checked before anything is decrypted.
    fn open(&self, token: &[u8]) -> Option<(u64, Zeroizing<Vec<u8>>)> {
        let bytes = decode(token)?;
        if bytes.len() < HEAD + 16 + MAC || bytes[0] != VERSION {
            return None;
        }
        let (signed, tag) = bytes.split_at(bytes.len() - MAC);
        let mut mac = self.signing();
        mac.update(signed);
        mac.verify_slice(tag).ok()?;
        let made = u64::from_be_bytes(signed[1..9].try_into().ok()?);
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(&self.0[16..], &signed[9..HEAD])
            .expect("16 bytes each");
        let plain = cipher.decrypt_padded_vec::<Pkcs7>(&signed[HEAD..]).ok()?;
        Some((made, Zeroizing::new(plain)))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// URL-safe base64 with its padding, as the specification wants it.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use cb_core::{OsEntropy, Secret};
    use chrono::{DateTime, TimeDelta, Utc};
    use serde::Deserialize;

    use super::Key;

    #[derive(Deserialize)]
    struct Case {
        #[serde(default)]
        desc: String,
        token: String,
        now: DateTime<Utc>,
        #[serde(default)]
        ttl_sec: i64,
        #[serde(default)]
        iv: Vec<u8>,
        #[serde(default)]
        src: String,
        secret: String,
    }

    fn cases(text: &str) -> Vec<Case> {
        serde_json::from_str(text).expect("published vectors")
    }

    fn key(case: &Case) -> Key {
        Key::parse(&Secret::new(case.secret.clone())).expect("a key")
    }

    #[test]
    fn the_published_vectors_hold() {
        for case in cases(include_str!("../vectors/generate.json")) {
            let iv = case.iv.clone().try_into().expect("16 bytes");
            assert_eq!(key(&case).encrypt_with(case.src.as_bytes(), case.now, iv), case.token);
        }
        for case in cases(include_str!("../vectors/verify.json")) {
            let plain =
                key(&case).decrypt_fresh(case.token.as_bytes(), TimeDelta::seconds(case.ttl_sec), case.now);
            assert_eq!(plain.expect("valid").as_slice(), case.src.as_bytes());
        }
        let invalid = cases(include_str!("../vectors/invalid.json"));
        assert!(invalid.len() >= 8);
        for case in invalid {
            let plain =
                key(&case).decrypt_fresh(case.token.as_bytes(), TimeDelta::seconds(case.ttl_sec), case.now);
            assert!(plain.is_none(), "{}", case.desc);
        }
    }

    #[test]
    fn a_new_key_round_trips_and_every_altered_byte_is_found() {
        let key = Key::parse(&Secret::new(Key::generate(&OsEntropy))).expect("a key");
        let token = key.encrypt(
            b"community",
            DateTime::<Utc>::from_timestamp(1_767_225_600, 0).expect("a date"),
            &OsEntropy,
        );
        assert_eq!(key.decrypt(token.as_bytes()).expect("opens").as_slice(), b"community");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(key.decrypt(&bytes).is_none(), "byte {at}");
        }
        for end in 0..token.len() {
            assert!(key.decrypt(&token.as_bytes()[..end]).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_or_none() {
        for bad in ["", "short", "====", &"A".repeat(43), &"A".repeat(48)] {
            assert!(Key::parse(&Secret::new(bad.to_owned())).is_none(), "{bad}");
        }
    }
}
