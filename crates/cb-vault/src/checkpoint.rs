//! Signed checkpoints of the audit log (Ed25519, RFC 8032): whoever holds one can tell a log that was rewritten as a whole, which
//! the chain alone cannot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_core::audit::{Checkpoint, Claim};
use cb_core::{Entropy, Secret, hex};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The server's signing key; wiped on drop.
pub struct CheckpointKey(SigningKey);

impl CheckpointKey {
    /// From the text that [`CheckpointKey::generate`] made.
    pub fn parse(text: &Secret) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.expose().trim()).ok()?);
        Some(Self(SigningKey::from_bytes(bytes.as_slice().try_into().ok()?)))
    }

    pub fn generate(entropy: &dyn Entropy) -> String {
        entropy.token()
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Tells one secret from another for whoever has this key, and nothing of the secret to anybody else.
    pub fn fingerprint_of(&self, name: &str, secret: &Secret) -> String {
        let key =
            Zeroizing::new([b"circuit-breaker shared secrets\n".as_slice(), self.0.as_bytes()].concat());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(name.as_bytes());
        mac.update(b"\n");
        mac.update(secret.expose().as_bytes());
        hex(&mac.finalize().into_bytes()[..16])
    }

    /// A statement that the entry `seq` had `hash` at the time `at` (RFC 3339).
    pub fn sign(&self, claim: Claim, seq: i64, hash: &str, at: &str) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            seq,
            hash: hash.to_owned(),
            at: at.to_owned(),
            key_id: self.public().id(),
            signature: String::new(),
        };
        checkpoint.signature =
            URL_SAFE_NO_PAD.encode(self.0.sign(checkpoint.statement(claim).as_bytes()).to_bytes());
        checkpoint
    }
}

impl std::fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckpointKey({})", self.public().id())
    }
}

/// What a checkpoint is verified with; no secret.
#[derive(Debug, Clone)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// 43 characters of URL-safe base64.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        VerifyingKey::from_bytes(bytes.as_slice().try_into().ok()?).ok().map(Self)
    }

    /// The first 16 hex digits of the key's SHA-256.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..8])
    }

    pub fn verifies(&self, claim: Claim, checkpoint: &Checkpoint) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(&checkpoint.signature).ok();
        let signature = signature.and_then(|b| Signature::from_slice(&b).ok());
        signature.is_some_and(|s| self.0.verify_strict(checkpoint.statement(claim).as_bytes(), &s).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use cb_core::audit::{Checkpoint, Claim};
    use cb_core::{OsEntropy, Secret};

    use super::{CheckpointKey, PublicKey};

    #[test]
    fn a_fingerprint_depends_on_the_key_the_name_and_the_secret() {
        let key = || CheckpointKey::parse(&Secret::new(CheckpointKey::generate(&OsEntropy))).expect("a key");
        let (ours, other) = (key(), key());
        let secret = |text: &str| Secret::new(text.to_owned());
        let print = ours.fingerprint_of("jwt-secret", &secret("one"));
        assert_eq!(print.len(), 32);
        assert_eq!(print, ours.fingerprint_of("jwt-secret", &secret("one")));
        for different in [
            ours.fingerprint_of("jwt-secret", &secret("two")),
            ours.fingerprint_of("jwt", &secret("one")),
            other.fingerprint_of("jwt-secret", &secret("one")),
        ] {
            assert_ne!(print, different);
        }
    }

    #[test]
    fn a_checkpoint_verifies_as_it_was_signed_and_with_its_own_key_only() {
        let key = || CheckpointKey::parse(&Secret::new(CheckpointKey::generate(&OsEntropy))).expect("a key");
        let ours = key();
        let signed = ours.sign(Claim::Checkpoint, 7, "ab12", "2026-01-01T00:00:00.000000Z");
        let public = PublicKey::parse(&ours.public().to_string()).expect("round trips");
        assert!(public.verifies(Claim::Checkpoint, &signed));
        assert!(!public.verifies(Claim::Anchor, &signed), "a checkpoint is no anchor");
        assert!(!key().public().verifies(Claim::Checkpoint, &signed));
        for altered in [
            Checkpoint { seq: 8, ..signed.clone() },
            Checkpoint { hash: "ab13".to_owned(), ..signed.clone() },
            Checkpoint { at: "2026-01-02T00:00:00.000000Z".to_owned(), ..signed.clone() },
            Checkpoint { signature: String::new(), ..signed.clone() },
        ] {
            assert!(!public.verifies(Claim::Checkpoint, &altered), "{altered:?}");
        }
    }
}
