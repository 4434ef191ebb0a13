//! What the secrets among the settings must look like.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use zeroize::Zeroizing;

use super::ConfigError;
use crate::Secret;

/// What a user's own token begins with, so that a leaked one is recognized.
pub const PERSONAL_TOKEN: &str = "cb_pat_";
/// What the token of a hook begins with. The API takes no such token.
pub const HOOK_TOKEN: &str = "cb_hook_";

/// Somebody with a copy of an archive can try as many passphrases as they like.
pub(super) const PASSPHRASE: Form = Form::Text { least: 16 };

/// The command that makes a root key of the vault.
pub const MAKE_KEY: &str = "openssl rand -base64 32 | tr +/ -_";

/// What a secret must look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Any characters, at least so many bytes.
    Text { least: usize },
    /// The same, and nothing that reads as another kind of token.
    Token { least: usize },
    /// A root key: 32 bytes in URL-safe base64.
    Key,
}

impl Form {
    pub fn judge(self, name: &str, secret: &Secret) -> Result<(), ConfigError> {
        let text = secret.expose();
        if text.is_empty() {
            return Ok(());
        }
        let wrong = |why: &str| Err(ConfigError::new(name, why, self.remedy()));
        // The padding of base64 says nothing, and the words may be inside it.
        let meant = match self {
            Form::Key => key_bytes(secret),
            Form::Text { .. } | Form::Token { .. } => None,
        };
        if placeholder(text.trim_end_matches('=').as_bytes())
            || meant.is_some_and(|bytes| placeholder(&bytes))
        {
            return wrong("it is a placeholder, not a secret");
        }
        let taken = [HOOK_TOKEN, PERSONAL_TOKEN].into_iter().find(|prefix| text.starts_with(prefix));
        if let (Form::Token { .. }, Some(prefix)) = (self, taken) {
            return wrong(&format!(
                "it begins with {prefix}, which marks another kind of token, so the server would never accept it"
            ));
        }
        match self {
            Form::Text { least } | Form::Token { least } if text.len() < least => {
                wrong(&format!("it has {} characters, but needs at least {least}", text.len()))
            }
            Form::Key if key_bytes(secret).is_none() => {
                wrong("it is not 32 bytes in URL-safe base64 (44 characters)")
            }
            _ => Ok(()),
        }
    }

    /// What makes a secret of this form.
    pub fn remedy(self) -> String {
        match self {
            Form::Text { .. } | Form::Token { .. } => "Create one with: openssl rand -base64 48".to_owned(),
            Form::Key => format!(
                "Put back the key that this database needs; for a new database, create one with: {MAKE_KEY}"
            ),
        }
    }
}

fn placeholder(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] =
        [b"changeme", b"change-me", b"change_me", b"placeholder", b"example", b"your-", b"secret-here"];
    let Some(first) = bytes.first() else { return false };
    bytes.iter().all(|b| b == first)
        || WORDS.iter().any(|word| bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// What a root key of the vault means; none when it is no key.
fn key_bytes(key: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = URL_SAFE.decode(key.expose().trim()).map(Zeroizing::new).ok()?;
    (bytes.len() == 32).then_some(bytes)
}

/// A passphrase for backups that was not given by a setting, judged like one.
pub fn judge_passphrase(name: &str, secret: &Secret) -> Result<(), ConfigError> {
    PASSPHRASE.judge(name, secret)
}
