//! One-time codes by time (RFC 6238): six digits, thirty seconds, SHA-1, as every authenticator knows them.

use cb_core::clock::Time;
use cb_core::{Entropy, Error, Result, Secret};
use totp_rs::{Algorithm, Builder, Secret as Shared, Totp};
use zeroize::Zeroizing;

const STEP: u64 = 30;
const ISSUER: &str = "Circuit Breaker";

/// A new shared secret of 160 bits, as base32 (RFC 4226, section 4 asks for it).
pub fn new_secret(entropy: &dyn Entropy) -> Secret {
    let mut bytes = Zeroizing::new([0u8; 20]);
    entropy.fill(&mut *bytes);
    Secret::new(Shared::from(bytes.to_vec()).to_base32())
}

/// What a QR code for an authenticator holds.
pub fn uri(secret: &Secret, account: &str) -> Result<Secret> {
    // The account's name may hold what the format reserves.
    let account: String = account.chars().filter(|c| !matches!(c, ':' | '%')).collect();
    let totp = builder(secret)?.with_account_name(account).with_issuer(Some(ISSUER)).build();
    totp.and_then(|t| t.to_url()).map(Secret::new).map_err(Error::internal)
}

/// The time step of a right code within one step of `now`, if it lies after `used`: each code counts once.
pub fn check(secret: &Secret, code: &str, now: Time, used: Option<i64>) -> Result<Option<i64>> {
    let totp: Totp = builder(secret)?.build().map_err(Error::internal)?;
    let now = u64::try_from(now.timestamp()).unwrap_or(0);
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let mut right = None;
    // All three are compared, so that the time tells nothing about which one it was.
    for step in (now / STEP).saturating_sub(1)..=now / STEP + 1 {
        if Secret::new(totp.generate(step * STEP).to_string()).matches(code.as_bytes()) {
            right = i64::try_from(step).ok();
        }
    }
    Ok(right.filter(|step| used.is_none_or(|used| *step > used)))
}

fn builder(secret: &Secret) -> Result<Builder> {
    let shared = Shared::try_from_base32(secret.expose()).map_err(Error::internal)?;
    Ok(Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(STEP)
        .with_secret(shared))
}

#[cfg(test)]
mod tests {
    use cb_core::{OsEntropy, Secret};
    use chrono::{DateTime, Utc};

    use super::{check, new_secret, uri};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    /// RFC 6238, appendix B (SHA-1), the last six of its eight digits.
    #[test]
    fn the_published_vectors_hold() {
        let secret = Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (time, code) in vectors {
            assert_eq!(check(&secret, code, at(time), None).expect("checks"), Some(time / 30), "{time}");
        }
    }

    #[test]
    fn one_step_either_side_counts_and_each_code_counts_once() {
        let secret = Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
        let step = |now: i64, used| check(&secret, "287082", at(now), used).expect("checks");
        assert_eq!([step(29, None), step(60, None), step(89, None)], [Some(1); 3]);
        assert_eq!([step(90, None), step(3000, None)], [None; 2]);
        assert_eq!([step(59, Some(1)), step(59, Some(2))], [None; 2]);
        assert_eq!(step(59, Some(0)), Some(1));
        for bad in ["", "28708", "2870820", "abcdef", "２８７０８２"] {
            assert_eq!(check(&secret, bad, at(59), None).expect("checks"), None, "{bad}");
        }
    }

    #[test]
    fn a_new_secret_makes_a_uri_for_any_account() {
        let secret = new_secret(&OsEntropy);
        assert_eq!(secret.expose().len(), 32);
        let uri = uri(&secret, "ada: 100%").expect("a uri");
        assert!(uri.expose().starts_with("otpauth://totp/Circuit%20Breaker:ada"), "{}", uri.expose());
    }
}
