//! The type of every secret: compared in constant time or not at all, never shown, wiped on drop.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// A secret text. It has no `PartialEq`, no `Serialize` and no `Display`; its `Debug` hides it.
///
/// ```compile_fail
/// let a = cb_core::Secret::new("x".to_owned());
/// let b = cb_core::Secret::new("x".to_owned());
/// let _ = a == b;
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Compares in time that depends on the lengths only. An empty secret matches nothing.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(candidate))
    }

    /// The text itself, for the one place that must use it (a key derivation, a first print).
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn an_empty_secret_matches_nothing_not_even_nothing() {
        assert!(!Secret::new(String::new()).matches(b""));
        assert!(!Secret::new(String::new()).matches(b"x"));
    }

    #[test]
    fn matches_only_the_same_bytes_and_never_shows_itself() {
        let secret = Secret::new("tr0ub4dor".to_owned());
        assert!(secret.matches(b"tr0ub4dor"));
        assert!(!secret.matches(b"tr0ub4do"));
        assert!(!secret.matches(b"\xff\xfe"));
        assert!(!format!("{secret:?}").contains("tr0ub"));
    }
}
