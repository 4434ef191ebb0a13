//! The secrets that all servers of one database must share: what signs sessions, and what signs the audit log. The third one, the root
//! key of the vault, is compared by what it opens (`vault.rs`).
//!
//! Where servers share a database, the audit key is in it, sealed by the vault, and each server keeps it in a file as well: a
//! backup and `cb audit-log verify` read it there. Of the secret that signs sessions the database has a fingerprint only, keyed with
//! the audit key, so that nobody can try secrets against it who has only the database. See docs/adr/0018-what-servers-share.md.

use std::path::Path;

use cb_core::config::{Config, ConfigError};
use cb_core::{Entropy, Error, Result, Secret};
use cb_store::bookkeeping::Joining;
use cb_store::entities::{server, shared_secret};
use cb_store::{Store, sealed};
use cb_vault::checkpoint::CheckpointKey;

use crate::kept::{Secrets, kept_secret, no_audit_key, read_secret};
use crate::start_error::StartError;
use crate::vault::Vault;

const AUDIT: &str = "audit-key";
const JWT: &str = "jwt-secret";

pub(crate) struct Shared {
    /// Signs sessions.
    pub jwt: Secret,
    /// Signs the audit log.
    pub audit: CheckpointKey,
}

/// Who asks for them.
pub(crate) enum Asks {
    /// A server that starts, with its row.
    Server(Box<server::Model>),
    /// A command beside one, or in its place.
    Command(Secrets),
}

/// Whether there is an audit key at all. A command says so first: where none is, no server has run.
pub(crate) async fn look(config: &Config, store: &Store, secrets: Secrets) -> Result<(), StartError> {
    if secrets == Secrets::AsTheyAre
        && !config.data_dir.join(AUDIT).exists()
        && store.shared_secrets().await.map_err(StartError::Read)?.is_empty()
    {
        return Err(no_audit_key(&config.data_dir).into());
    }
    Ok(())
}

/// The secrets of this process. Where servers share the database they are compared first, and a server that has others is refused.
pub(crate) async fn secrets(
    config: &Config,
    store: &Store,
    vault: &Vault,
    asks: Asks,
    entropy: &dyn Entropy,
) -> Result<Shared, StartError> {
    let rows = store.shared_secrets().await.map_err(StartError::Read)?;
    let of = Own { config, vault, entropy };
    match asks {
        Asks::Server(me) if config.cluster.is_some() || !rows.is_empty() => {
            let mut agreed = None;
            let joined = store.join((*me).clone(), async |joining: &Joining| {
                Ok(match Box::pin(of.agree(joining, &me)).await {
                    Ok(shared) => {
                        agreed = Some(shared);
                        Ok(())
                    }
                    Err(StartError::Read(error)) => return Err(error),
                    Err(refused) => Err(refused),
                })
            });
            joined.await.map_err(StartError::Read)??;
            agreed.ok_or_else(|| StartError::Read(Error::Internal("no secrets were agreed on".to_owned())))
        }
        Asks::Server(_) => of.alone(Secrets::Make, None),
        Asks::Command(secrets) => {
            let kept = named(&rows, AUDIT);
            let kept = match kept {
                Some(row) if read_secret(&of.file(AUDIT))?.is_none() => {
                    of.open(store.reader(), row).await.transpose().map_err(StartError::Read)?
                }
                _ => None,
            };
            of.alone(secrets, kept)
        }
    }
}

fn named<'a>(rows: &'a [shared_secret::Model], name: &str) -> Option<&'a shared_secret::Model> {
    rows.iter().find(|row| row.name == name)
}

struct Own<'a> {
    config: &'a Config,
    vault: &'a Vault,
    entropy: &'a dyn Entropy,
}

impl Own<'_> {
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.config.data_dir.join(name)
    }

    /// Those of the data folder and the settings. `kept` is the audit key where the folder has none and the database does.
    fn alone(&self, secrets: Secrets, kept: Option<Secret>) -> Result<Shared, StartError> {
        let file = self.file(AUDIT);
        let audit = match (kept, secrets) {
            (Some(kept), _) => kept,
            (None, Secrets::AsTheyAre) if !file.exists() => {
                return Err(no_audit_key(&self.config.data_dir).into());
            }
            (None, _) => kept_secret(&file, || CheckpointKey::generate(self.entropy))?,
        };
        let jwt = match (&self.config.jwt_secret, secrets) {
            (Some(given), _) => given.clone(),
            (None, Secrets::Make) => kept_secret(&self.file(JWT), || self.entropy.token())?,
            // Nobody needs it after this process.
            (None, Secrets::AsTheyAre) => {
                read_secret(&self.file(JWT))?.unwrap_or_else(|| Secret::new(self.entropy.token()))
            }
        };
        Ok(Shared { jwt, audit: parsed(&file, &audit)? })
    }

    async fn agree(&self, joining: &Joining, me: &server::Model) -> Result<Shared, StartError> {
        let audit = self.audit_key(joining, me).await?;
        let jwt = self.jwt_secret(joining, me, &audit).await?;
        Ok(Shared { jwt, audit })
    }

    async fn audit_key(&self, joining: &Joining, me: &server::Model) -> Result<CheckpointKey, StartError> {
        let file = self.file(AUDIT);
        let shared = named(&joining.shared, AUDIT);
        let own = read_secret(&file)?;
        let own = own.map(|text| Ok::<_, StartError>((parsed(&file, &text)?, text))).transpose()?;
        let (row, opened) = match shared {
            None => (None, None),
            Some(row) => (Some(row), self.open(joining.conn(), row).await),
        };
        match (row, own, opened) {
            (Some(row), Some((key, _)), _) if key.public().id() != row.fingerprint => {
                Err(other_audit_key(&file, &key.public().id(), &row.fingerprint).into())
            }
            (Some(_), Some((key, _)), Some(Ok(_))) => Ok(key),
            (Some(_), None, Some(Ok(text))) => {
                let text = kept_secret(&file, || text.expose().to_owned())?;
                Ok(parsed(&file, &text)?)
            }
            (Some(_), None, Some(Err(_)) | None) => Err(ConfigError::new(
                &file.display().to_string(),
                "this file does not exist, and the copy in the database cannot be decrypted with the vault's keys",
                "Put the file back: every other server of this database has the same file, and every archive of cb backup contains it (tar -xf ARCHIVE audit-key)",
            )
            .into()),
            // There is none yet, or one that nobody can open any more.
            (_, Some((key, text)), _) => {
                self.seal(joining, me, &key, &text).await?;
                Ok(key)
            }
            (None, None, _) => {
                let text = kept_secret(&file, || CheckpointKey::generate(self.entropy))?;
                let key = parsed(&file, &text)?;
                self.seal(joining, me, &key, &text).await?;
                Ok(key)
            }
        }
    }

    async fn open(
        &self,
        conn: &impl cb_store::sea_orm::ConnectionTrait,
        row: &shared_secret::Model,
    ) -> Option<Result<Secret>> {
        let sealed = row.sealed.as_deref()?;
        Some(self.vault.unseal(conn, sealed::SHARED_SECRET.place(&row.id), sealed).await)
    }

    async fn seal(
        &self,
        joining: &Joining,
        me: &server::Model,
        key: &CheckpointKey,
        text: &Secret,
    ) -> Result<(), StartError> {
        let before = named(&joining.shared, AUDIT);
        let id = before.map_or_else(|| self.entropy.uuid(me.started_at), |row| row.id);
        let place = sealed::SHARED_SECRET.place(&id);
        let sealed = self.vault.seal(joining.conn(), place, text, me.started_at, self.entropy).await;
        let row = shared_secret::Model {
            id,
            name: AUDIT.to_owned(),
            fingerprint: key.public().id(),
            sealed: Some(sealed.map_err(StartError::Read)?),
            since: me.started_at,
        };
        joining.share(row).await.map_err(StartError::Read)
    }

    async fn jwt_secret(
        &self,
        joining: &Joining,
        me: &server::Model,
        audit: &CheckpointKey,
    ) -> Result<Secret, StartError> {
        let file = self.file(JWT);
        let own = match &self.config.jwt_secret {
            Some(given) => Some(given.clone()),
            None => read_secret(&file)?,
        };
        let shared = named(&joining.shared, JWT);
        let here = match self.config.jwt_secret {
            Some(_) => "CB_JWT_SECRET".to_owned(),
            None => file.display().to_string(),
        };
        let fits = |own: &Secret| shared.is_some_and(|row| row.fingerprint == audit.fingerprint_of(JWT, own));
        let secret = match own {
            Some(own) if fits(&own) => return Ok(own),
            own if shared.is_some() && !joining.others.is_empty() => {
                return Err(refused_jwt(&here, own.is_some(), &joining.others).into());
            }
            Some(own) => own,
            None => kept_secret(&file, || self.entropy.token())?,
        };
        if shared.is_some() {
            tracing::warn!(
                "the secret that signs sessions ({here}) is new, and no other server runs, so from now on all servers of this database need it; everybody signs in again"
            );
        }
        let row = shared_secret::Model {
            id: shared.map_or_else(|| self.entropy.uuid(me.started_at), |row| row.id),
            name: JWT.to_owned(),
            fingerprint: audit.fingerprint_of(JWT, &secret),
            sealed: None,
            since: me.started_at,
        };
        joining.share(row).await.map_err(StartError::Read)?;
        Ok(secret)
    }
}

fn parsed(file: &Path, text: &Secret) -> Result<CheckpointKey, ConfigError> {
    CheckpointKey::parse(text).ok_or_else(|| {
        ConfigError::new(
            &file.display().to_string(),
            "it does not contain a signing key",
            "Put back the original file, or delete it; the next start then creates a new one",
        )
    })
}

fn other_audit_key(file: &Path, own: &str, wanted: &str) -> ConfigError {
    let shown = file.display();
    ConfigError::new(
        &shown.to_string(),
        format!(
            "it is not the audit key that the other servers of this database use (its ID is {own} instead of {wanted})"
        ),
        format!(
            "Move the file away and start the server again: mv {shown} {shown}.other. The server then takes the key from the database"
        ),
    )
}

fn refused_jwt(here: &str, is_there: bool, others: &[server::Model]) -> ConfigError {
    let mut hosts: Vec<&str> = others.iter().map(|row| row.host.as_str()).collect();
    hosts.dedup();
    hosts.truncate(5);
    let hosts = hosts.join(", ");
    let reason = if is_there {
        format!(
            "it is not the secret that the other servers of this database use to sign sessions (they run on {hosts})"
        )
    } else {
        format!(
            "this file does not exist and CB_JWT_SECRET is not set, but the other servers of this database share a secret that signs sessions (they run on {hosts})"
        )
    };
    ConfigError::new(
        here,
        reason,
        "Set CB_JWT_SECRET to the same value on every server, or copy the file jwt-secret from the data folder of another server. To change the secret, stop every server, and start them again with the new one",
    )
}
