//! Secrets that the server must be able to read again: sealed with a data key of the ring, bound to the place they belong to.
//! The root key, which never is in the database, wraps the data keys, which are.

use std::collections::BTreeMap;

use cb_core::clock::Time;
use cb_core::{Entropy, Error, Result, Secret, hex};
use uuid::Uuid;

use crate::fernet::Key;

/// Where a sealed text belongs: a column of one row. A ciphertext that is copied elsewhere does not open there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `table.column`.
    pub field: &'static str,
    pub row: &'a Uuid,
}

impl Place<'_> {
    fn prefix(self) -> String {
        format!("{}/{}\n", self.field, self.row)
    }
}

/// What a sealed text begins with; behind it stand the key's id and the Fernet token.
const VERSION: &str = "v1:";

/// The id of the key that `sealed` says it was sealed with; none for what the root key sealed itself, before there were
/// data keys.
fn parts(sealed: &str) -> Result<(Option<Uuid>, &str)> {
    let Some(rest) = sealed.strip_prefix(VERSION) else { return Ok((None, sealed)) };
    let malformed = || Error::Internal("a sealed text is not well-formed".to_owned());
    let (id, token) = rest.split_once(':').ok_or_else(malformed)?;
    let key = Uuid::try_parse(id).map_err(|_| malformed())?;
    Ok((Some(key), token))
}

/// The id of the data key that `sealed` names.
pub fn key_of(sealed: &str) -> Option<Uuid> {
    parts(sealed).ok().and_then(|(key, _)| key)
}

fn lock(key: &Key, place: Place<'_>, secret: &Secret, now: Time, entropy: &dyn Entropy) -> String {
    let plain = Secret::new(place.prefix() + secret.expose());
    key.encrypt(plain.expose().as_bytes(), now, entropy)
}

fn unlock(key: &Key, place: Place<'_>, token: &str) -> Result<Secret> {
    let plain = key.decrypt(token.as_bytes()).ok_or_else(|| {
        Error::Internal(format!("{} of {} cannot be decrypted with the vault's key", place.field, place.row))
    })?;
    let text = std::str::from_utf8(&plain).ok().and_then(|t| t.strip_prefix(place.prefix().as_str()));
    text.map(|t| Secret::new(t.to_owned())).ok_or_else(|| {
        Error::Internal(format!("{} of {} was encrypted for another place", place.field, place.row))
    })
}

/// `CB_VAULT_KEY`: wraps the data keys.
#[derive(Clone)]
pub struct RootKey(Key);

impl RootKey {
    pub fn new(key: Key) -> Self {
        Self(key)
    }

    /// Tells one root key from another, and nothing of either.
    pub fn fingerprint(&self) -> String {
        hex(&self.0.digest(b"circuit-breaker vault root\n")[..8])
    }

    /// A new data key, as the database keeps it.
    pub fn new_key(&self, id: &Uuid, now: Time, entropy: &dyn Entropy) -> String {
        let key = Secret::new(Key::generate(entropy));
        lock(&self.0, wrapped(id), &key, now, entropy)
    }

    /// The data key `text`, which this root key has wrapped, as `new` wraps it; none when it does not open.
    pub fn rewrap(
        &self,
        new: &Self,
        id: &Uuid,
        text: &str,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Option<String> {
        let key = unlock(&self.0, wrapped(id), text).ok()?;
        Key::parse(&key)?;
        Some(lock(&new.0, wrapped(id), &key, now, entropy))
    }

    fn unwrap(&self, id: &Uuid, text: &str) -> Option<Key> {
        Key::parse(&unlock(&self.0, wrapped(id), text).ok()?)
    }
}

/// A wrapped key opens under its own id only.
fn wrapped(id: &Uuid) -> Place<'_> {
    Place { field: "vault_keys.wrapped", row: id }
}

/// The data keys: the current one seals, every one opens what it has sealed.
pub struct Ring {
    root: RootKey,
    current: Uuid,
    keys: BTreeMap<Uuid, Key>,
}

impl Ring {
    /// From what the database keeps, by id; none when the root key does not open the current one. The retired ones that do
    /// not open are left out.
    pub fn unwrap<'a>(
        root: &RootKey,
        current: Uuid,
        kept: impl IntoIterator<Item = (&'a Uuid, &'a str)>,
    ) -> Option<Self> {
        let open = |(id, text): (&'a Uuid, &'a str)| Some((*id, root.unwrap(id, text)?));
        let keys: BTreeMap<Uuid, Key> = kept.into_iter().filter_map(open).collect();
        keys.contains_key(&current).then(|| Self { root: root.clone(), current, keys })
    }

    pub fn root(&self) -> &RootKey {
        &self.root
    }

    pub fn current(&self) -> Uuid {
        self.current
    }

    pub fn knows(&self, key: &Uuid) -> bool {
        self.keys.contains_key(key)
    }

    pub fn seal(
        &self,
        place: Place<'_>,
        secret: &Secret,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Result<String> {
        let key = self.keys.get(&self.current).ok_or_else(|| self.unknown(place, &self.current))?;
        Ok(format!("{VERSION}{}:{}", self.current, lock(key, place, secret, now, entropy)))
    }

    /// Fails when it was sealed with a key that is not here, or for another place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secret> {
        match parts(sealed)? {
            (None, token) => unlock(&self.root.0, place, token),
            (Some(id), token) => {
                unlock(self.keys.get(&id).ok_or_else(|| self.unknown(place, &id))?, place, token)
            }
        }
    }

    fn unknown(&self, place: Place<'_>, id: &Uuid) -> Error {
        Error::Internal(format!(
            "{} of {} is encrypted with the key {id}, which is not one of the vault's {} keys (the current key is {})",
            place.field,
            place.row,
            self.keys.len(),
            self.current
        ))
    }
}

#[cfg(test)]
mod tests {
    use cb_core::clock::Time;
    use cb_core::{OsEntropy, Secret};
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Place, Ring, RootKey, key_of, lock};
    use crate::fernet::Key;

    fn root() -> RootKey {
        RootKey::new(Key::parse(&Secret::new(Key::generate(&OsEntropy))).expect("a key"))
    }

    fn now() -> Time {
        DateTime::from_timestamp(1_767_225_600, 0).expect("a date")
    }

    fn secret() -> Secret {
        Secret::new("s3cret".to_owned())
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_and_under_its_own_key_only() {
        let root = root();
        let (old, new) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let kept = [old, new].map(|id| (id, root.new_key(&id, now(), &OsEntropy)));
        let ring = |current, kept: &[(Uuid, String)]| {
            Ring::unwrap(&root, current, kept.iter().map(|(id, text)| (id, text.as_str())))
        };
        let (before, after) = (ring(old, &kept[..1]).expect("opens"), ring(new, &kept).expect("opens"));
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let place = |field, row| Place { field, row };
        let here = place("users.totp_secret", &one);
        let text = before.seal(here, &secret(), now(), &OsEntropy).expect("seals");
        assert_eq!(key_of(&text), Some(old));
        for ring in [&before, &after] {
            assert_eq!(ring.open(here, &text).expect("opens").expose(), "s3cret");
            assert!(ring.open(place("users.totp_secret", &two), &text).is_err(), "another row");
            assert!(ring.open(place("credentials.secret", &one), &text).is_err(), "another column");
            let renamed = text.replace(&old.to_string(), &new.to_string());
            assert!(ring.open(here, &renamed).is_err(), "another key id");
            for bad in ["", "v1:", "v1:x:y", "v1:00000000-0000-0000-0000-000000000007", &text[..60]] {
                assert!(ring.open(here, bad).is_err(), "{bad}");
            }
        }
        let fresh = after.seal(here, &secret(), now(), &OsEntropy).expect("seals");
        let unknown = before.open(here, &fresh).expect_err("not known there").to_string();
        assert!(unknown.contains(&new.to_string()) && unknown.contains(&old.to_string()), "{unknown}");
        // What the root key itself sealed, before there were data keys.
        let direct = lock(&root.0, here, &secret(), now(), &OsEntropy);
        assert_eq!(after.open(here, &direct).expect("opens").expose(), "s3cret");
        assert!(after.open(place("users.totp_secret", &two), &direct).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_with_its_root_under_its_own_id_only() {
        let (ours, other) = (root(), root());
        assert_ne!(ours.fingerprint(), other.fingerprint());
        assert_eq!(ours.fingerprint(), ours.clone().fingerprint());
        let (id, another) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let text = ours.new_key(&id, now(), &OsEntropy);
        assert!(Ring::unwrap(&ours, id, [(&id, text.as_str())]).is_some());
        assert!(Ring::unwrap(&other, id, [(&id, text.as_str())]).is_none());
        assert!(Ring::unwrap(&ours, another, [(&another, text.as_str())]).is_none());
        // Another root key wraps the same key.
        let moved = ours.rewrap(&other, &id, &text, now(), &OsEntropy).expect("rewraps");
        assert!(Ring::unwrap(&ours, id, [(&id, moved.as_str())]).is_none());
        let place = Place { field: "users.totp_secret", row: &another };
        let before = Ring::unwrap(&ours, id, [(&id, text.as_str())]).expect("opens");
        let sealed = before.seal(place, &secret(), now(), &OsEntropy).expect("seals");
        let after = Ring::unwrap(&other, id, [(&id, moved.as_str())]).expect("opens");
        assert_eq!(after.open(place, &sealed).expect("opens").expose(), "s3cret");
        assert!(ours.rewrap(&other, &another, &text, now(), &OsEntropy).is_none(), "under its own id only");
        assert!(other.rewrap(&ours, &id, &text, now(), &OsEntropy).is_none(), "by its own root only");
        // A wrapped key does not pass for a value, though the root key has sealed both.
        let ring = Ring::unwrap(&ours, id, [(&id, text.as_str())]).expect("opens");
        assert!(ring.open(Place { field: "users.totp_secret", row: &id }, &text).is_err());
    }
}
