//! Where the root key comes from: the operator's setting, or a file in the data folder, which `rewrap` replaces such that
//! a crash at any moment leaves the key that fits.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cb_core::config::{Config, ConfigError, MAKE_KEY};
use cb_core::{Entropy, Error, Result, Secret};
use cb_store::Store;
use cb_store::entities::vault_key;
use cb_vault::fernet::Key;
use cb_vault::seal::RootKey;

use super::current;
use crate::kept::{kept_secret, read_secret, remove};

const NO_KEY: &str = "it is not 32 bytes in URL-safe base64";

pub(super) struct Source {
    /// `CB_VAULT_KEY`.
    given: Option<Secret>,
    /// `CB_VAULT_KEY_NEW`.
    given_next: Option<Secret>,
    file: PathBuf,
}

/// A root key that is to take the place of the one in use.
pub(super) struct Next {
    pub key: RootKey,
    text: Secret,
    /// Held until the file is in its place, by one process at a time; none where the operator keeps the keys.
    lock: Option<File>,
}

impl Source {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            given: config.vault_key.clone(),
            given_next: config.vault_key_new.clone(),
            file: config.data_dir.join("vault-key"),
        }
    }

    pub(super) fn name(&self) -> String {
        match self.given {
            Some(_) => "CB_VAULT_KEY".to_owned(),
            None => self.file.display().to_string(),
        }
    }

    /// Where the key stands when it does not stand in a setting.
    pub(super) fn file(&self) -> Option<&Path> {
        self.given.is_none().then_some(self.file.as_path())
    }

    fn file_next(&self) -> PathBuf {
        self.file.with_extension("new")
    }

    /// The keys that may be the one in use, each with its text where a file holds it. A file that is being replaced: the new one is
    /// read first, for it is moved over the old one and one of the two reads finds it.
    pub(super) fn candidates(&self) -> Result<Vec<(RootKey, Option<Secret>)>, ConfigError> {
        let setting = |name: &str, text: &Option<Secret>| {
            text.as_ref().map(|text| parse(name, text).map(|key| (key, None))).transpose()
        };
        let next = setting("CB_VAULT_KEY_NEW", &self.given_next)?;
        if let given @ Some(_) = setting("CB_VAULT_KEY", &self.given)? {
            return Ok([given, next].into_iter().flatten().collect());
        }
        // Half a key is none: it was never used.
        let staged = read_secret(&self.file_next()).ok().flatten();
        let staged = staged.and_then(|text| Some((parse("", &text).ok()?, Some(text))));
        let kept = read_secret(&self.file)?;
        let kept = kept.map(|text| {
            let key = Key::parse(&text).map(RootKey::new).ok_or_else(|| {
                ConfigError::new(
                    &self.name(),
                    NO_KEY,
                    "Put back the key that this database needs. If it is lost, move this file away and start the server (cb serve). The server creates a new key if no stored secret needs the old one. Otherwise it says what else you can do",
                )
            })?;
            Ok::<_, ConfigError>((key, Some(text)))
        });
        let kept = kept.transpose()?;
        Ok([kept, staged, next].into_iter().flatten().collect())
    }

    /// Whether the file is gone, and no setting gives a key. Only a folder that was used with this database may say so: another
    /// server of the same database has the key in its own.
    pub(super) fn is_lost(&self, store: &Store) -> bool {
        let used = store.engine() == "sqlite" || self.file.with_file_name("audit-key").exists();
        self.given.is_none() && self.given_next.is_none() && !self.file.exists() && used
    }

    /// Finishes, or takes back, what a `rewrap` that was cut short has left. Not while one runs.
    pub(super) async fn settle(&self, store: &Store) -> Result<()> {
        if self.given.is_some() || !self.file_next().exists() {
            return Ok(());
        }
        match self.lock() {
            Ok(lock) => self.settle_locked(store, &lock).await,
            Err(Error::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn settle_locked(&self, store: &Store, _lock: &File) -> Result<()> {
        // Half a key is none: it was never used.
        let staged = readable(&self.file_next());
        // Behind the commit that may still be under way.
        let wanted = store.vault_root_settled().await?;
        let fits = |key: &RootKey| wanted.as_deref() == Some(key.fingerprint().as_str());
        if staged.as_ref().is_some_and(fits) {
            self.move_into_place()?;
            tracing::info!(file = %self.file.display(), "the new root key of the vault is now in its file");
            return Ok(());
        }
        if wanted.is_none() || readable(&self.file).as_ref().is_some_and(fits) {
            remove(&self.file_next());
        }
        Ok(())
    }

    fn lock(&self) -> Result<File> {
        let file = self.file.with_extension("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file);
        let open = open.map_err(|e| Error::Internal(format!("{}: {e}", file.display())))?;
        match open.try_lock() {
            Ok(()) => Ok(open),
            Err(TryLockError::WouldBlock) => Err(Error::Conflict(
                "another process is changing the vault's root key; wait until it ends".to_owned(),
            )),
            Err(TryLockError::Error(e)) => Err(Error::Internal(format!("{}: {e}", file.display()))),
        }
    }

    /// The key that a `rewrap` goes to: the operator's, or one that is made.
    pub(super) async fn next(&self, store: &Store, entropy: &dyn Entropy) -> Result<Next> {
        let lock = match self.given {
            Some(_) => None,
            None => Some(self.lock()?),
        };
        if let Some(lock) = &lock {
            self.settle_locked(store, lock).await?;
        }
        let text = match (&self.given_next, &self.given) {
            (Some(next), _) => next.clone(),
            (None, None) => Secret::new(Key::generate(entropy)),
            (None, Some(_)) => {
                return Err(Error::Conflict(format!(
                    "CB_VAULT_KEY contains the root key, so you must give the new key too: create one with `{MAKE_KEY}`, set CB_VAULT_KEY_NEW to it (or CB_VAULT_KEY_NEW_FILE to a file that contains it) in addition to CB_VAULT_KEY, and run this command again"
                )));
            }
        };
        let key = parse("CB_VAULT_KEY_NEW", &text).map_err(|e| Error::Conflict(e.to_string()))?;
        Ok(Next { key, text, lock })
    }

    /// Writes the new key down beside the old one, before anything is wrapped by it.
    pub(super) fn stage(&self, next: &Next) -> Result<()> {
        if next.lock.is_none() {
            return Ok(());
        }
        let file = self.file_next();
        remove(&file);
        let written = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file);
        let written = written.and_then(|mut f| {
            f.write_all(next.text.expose().trim().as_bytes())?;
            f.write_all(b"\n")?;
            f.sync_all()?;
            self.sync_folder()
        });
        written.map_err(|e| Error::Internal(format!("{} cannot be written ({e})", file.display())))
    }

    /// The commit is through, or its outcome is not known: puts the file that fits in its place.
    pub(super) async fn finish(&self, store: &Store, next: &Next) -> Result<()> {
        match &next.lock {
            Some(lock) => self.settle_locked(store, lock).await,
            None => Ok(()),
        }
    }

    fn move_into_place(&self) -> Result<()> {
        let moved = std::fs::rename(self.file_next(), &self.file).and_then(|()| self.sync_folder());
        moved.map_err(|e| Error::Internal(format!("{} cannot be replaced ({e})", self.file.display())))
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        File::open(self.file.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
    }

    /// At the first start of all: the given key, or one that is made and kept.
    pub(super) fn first(
        &self,
        rows: &[vault_key::Model],
        sealed: i64,
        entropy: &dyn Entropy,
    ) -> Result<RootKey, ConfigError> {
        let text = match &self.given {
            Some(given) => given.clone(),
            None if self.file.exists() || (rows.is_empty() && sealed == 0) => {
                kept_secret(&self.file, || Key::generate(entropy))?
            }
            None if sealed == 0 => {
                return Err(ConfigError::new(
                    &self.name(),
                    "this file does not exist, CB_VAULT_KEY is not set, and no stored secret needs that key",
                    "Put the file back; another server of this database has the same file. If it is lost, start the server once (cb serve) with its data folder; it creates a new key",
                ));
            }
            None => {
                let wanted = current(rows).map_or_else(String::new, |row| {
                    format!(" the vault needs the root key with the fingerprint {},", row.root_fingerprint)
                });
                return Err(self.refuse(format!(
                    "this file does not exist, CB_VAULT_KEY is not set,{wanted} and secrets are stored ({sealed})"
                )));
            }
        };
        parse(&self.name(), &text)
    }

    pub(super) fn unborn(&self) -> ConfigError {
        ConfigError::new(
            &self.name(),
            "the vault has no key yet",
            "Start the server once (cb serve), which creates the key, and run this command again",
        )
    }

    pub(super) fn refuse(&self, reason: String) -> ConfigError {
        ConfigError::new(
            &self.name(),
            reason,
            format!(
                "Put back the key that this database needs: your copy of {0} or of CB_VAULT_KEY, the file {0} of another server of this database, or the key in an archive of cb backup (tar -xf ARCHIVE vault-key, after age -d if the archive is encrypted). If you do not have the key, move the folder away and restore that archive: cb restore ARCHIVE. No other key can decrypt the stored secrets, and the server does not create a new key while stored secrets need this one",
                self.file.display()
            ),
        )
    }

    pub(super) fn stale(&self, root: &RootKey, rows: &[vault_key::Model]) -> ConfigError {
        let wanted = current(rows).map_or("unknown", |row| row.root_fingerprint.as_str());
        let own = root.fingerprint();
        self.refuse(if own == wanted {
            format!(
                "it has the right fingerprint, {own}, but the vault's current key in the database is damaged"
            )
        } else {
            format!(
                "it has the fingerprint {own}, but the vault needs the root key with the fingerprint {wanted}"
            )
        })
    }
}

fn parse(name: &str, text: &Secret) -> Result<RootKey, ConfigError> {
    Key::parse(text).map(RootKey::new).ok_or_else(|| {
        ConfigError::new(
            name,
            NO_KEY,
            format!("Put back the key that this database needs; to create a key for a new database, run: {MAKE_KEY}"),
        )
    })
}

/// The key in `file`, if it is there and is one.
fn readable(file: &Path) -> Option<RootKey> {
    Key::parse(&read_secret(file).ok()??).map(RootKey::new)
}
