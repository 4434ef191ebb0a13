//! Secrets that the server must be able to read again: sealed with the vault key, bound to the place they belong to.

use cb_core::clock::Time;
use cb_core::{Entropy, Error, Result, Secret};

use crate::fernet::Key;

/// Where a sealed text belongs: a column of one row. A ciphertext that is copied elsewhere does not open there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `table.column`.
    pub field: &'static str,
    pub row: &'a uuid::Uuid,
}

impl Place<'_> {
    fn prefix(self) -> String {
        format!("{}/{}\n", self.field, self.row)
    }
}

/// Seals and opens with one key.
#[derive(Debug, Clone)]
pub struct Sealer(Key);

impl Sealer {
    pub fn new(key: Key) -> Self {
        Self(key)
    }

    pub fn seal(&self, place: Place<'_>, secret: &Secret, now: Time, entropy: &dyn Entropy) -> String {
        let plain = Secret::new(place.prefix() + secret.expose());
        self.0.encrypt(plain.expose().as_bytes(), now, entropy)
    }

    /// Fails when it was sealed with another key or for another place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secret> {
        let plain = self.0.decrypt(sealed.as_bytes()).ok_or_else(|| {
            Error::Internal(format!("{} of {} does not open with this vault key", place.field, place.row))
        })?;
        let text = std::str::from_utf8(&plain).ok().and_then(|t| t.strip_prefix(place.prefix().as_str()));
        text.map(|t| Secret::new(t.to_owned())).ok_or_else(|| {
            Error::Internal(format!("{} of {} was sealed for another place", place.field, place.row))
        })
    }
}

#[cfg(test)]
mod tests {
    use cb_core::{OsEntropy, Secret};
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Place, Sealer};
    use crate::fernet::Key;

    #[test]
    fn what_is_token_opens_in_its_own_place_only() {
        let key = || Key::parse(&Secret::new(Key::generate(&OsEntropy))).expect("a key");
        let sealer = Sealer::new(key());
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let place = |field, row| Place { field, row };
        let now = DateTime::from_timestamp(1_767_225_600, 0).expect("a date");
        let token =
            sealer.seal(place("users.totp_secret", &one), &Secret::new("s3cret".to_owned()), now, &OsEntropy);
        assert_eq!(sealer.open(place("users.totp_secret", &one), &token).expect("opens").expose(), "s3cret");
        assert!(sealer.open(place("users.totp_secret", &two), &token).is_err());
        assert!(sealer.open(place("credentials.secret", &one), &token).is_err());
        assert!(Sealer::new(key()).open(place("users.totp_secret", &one), &token).is_err());
    }
}
