//! Password hashing with Argon2id (RFC 9106), bounded in concurrency and equal in cost for everyone.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use cb_core::{Entropy, Error, Result, Secret};
use tokio::sync::Semaphore;

/// A hash takes 19 MiB and some tens of milliseconds: two at a time leave the rest of the server
/// its processor, and no flood of logins can take all of its memory.
const CONCURRENT: usize = 2;

static GATE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(CONCURRENT)));

/// What an unknown user's password is checked against, so that it costs what a known one's does.
static DUMMY: LazyLock<String> =
    LazyLock::new(|| hash_now(b"nobody has this password", &[7u8; 16]).expect("fixed input hashes"));

/// OWASP's first choice for Argon2id: 19 MiB, two passes, one lane.
fn argon() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("fixed parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &[u8], salt: &[u8]) -> Result<String> {
    argon().hash_password_with_salt(password, salt).map(|h| h.to_string()).map_err(Error::internal)
}

/// Runs `work` off the async threads, at most [`CONCURRENT`] at once.
async fn gated<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let permit = GATE.clone().acquire_owned().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .map_err(Error::internal)
}

/// The PHC string to store.
pub async fn hash(password: Secret, entropy: &dyn Entropy) -> Result<String> {
    let mut salt = [0u8; 16];
    entropy.fill(&mut salt);
    gated(move || hash_now(password.expose().as_bytes(), &salt)).await?
}

/// Whether `password` is the one behind `stored`. With `None` (no such user) it does the same work
/// against a dummy and says no.
pub async fn verify(password: Secret, stored: Option<String>) -> Result<bool> {
    gated(move || {
        let known = stored.is_some();
        let text = stored.unwrap_or_else(|| DUMMY.clone());
        let parsed = PasswordHash::new(&text).map_err(Error::internal)?;
        Ok(argon().verify_password(password.expose().as_bytes(), &parsed).is_ok() && known)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use cb_core::{OsEntropy, Secret};

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_verifies() {
        let stored = super::hash(secret("correct horse"), &OsEntropy).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(super::verify(secret("correct horse"), Some(stored.clone())).await.expect("verifies"));
        assert!(!super::verify(secret("correct house"), Some(stored)).await.expect("verifies"));
    }

    #[tokio::test]
    async fn an_unknown_user_is_never_let_in_even_with_the_dummy_password() {
        assert!(!super::verify(secret("nobody has this password"), None).await.expect("verifies"));
    }
}
