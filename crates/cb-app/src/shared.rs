//! The secrets that all servers of one database must share: what signs sessions, and what signs the audit log. The third one, the root
//! key of the vault, is compared by what it opens (`vault.rs`).
//!
//! Every server on PostgreSQL compares, with Redis and NATS or without: two servers are two servers. In a cluster the audit key is in
//! the database too, sealed by the vault, and each server keeps it in a file as well: a backup and `cb audit-log verify` read it there.
//! The row `installation` is no secret: with it a copy of the database, whose servers have the same secrets, has other names and keys in
//! Redis and NATS. Of the secret that signs sessions the database has a fingerprint only, keyed with the audit key, so that nobody can try secrets
//! against it who has only the database. Files are written after the commit. See docs/adr/0018-what-servers-share.md.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cb_core::config::{Config, ConfigError};
use cb_core::{Entropy, Error, Result, Secret};
use cb_store::bookkeeping::{Joining, Watch};
use cb_store::entities::{server, shared_secret};
use cb_store::{Store, sealed};
use cb_vault::checkpoint::{CheckpointKey, PublicKey};

use crate::kept::{Secrets, kept_secret, no_audit_key, read_secret};
use crate::start_error::StartError;
use crate::vault::Vault;

const AUDIT: &str = "audit-key";
const JWT: &str = "jwt-secret";
const INSTALLATION: &str = "installation";

pub(crate) struct Shared {
    /// Signs sessions.
    pub jwt: Secret,
    /// Signs the audit log.
    pub audit: CheckpointKey,
    /// Names this database among its copies; empty for who tells other servers nothing.
    pub installation: String,
}

/// Who asks for them.
pub(crate) enum Asks {
    /// A server that starts, with its row.
    Server(Box<server::Model>),
    /// A command beside one, or in its place.
    Command(Secrets),
}

/// Why a server is refused.
enum No {
    Ever(StartError),
    /// Only because of servers that run with other secrets.
    WhileTheyRun(ConfigError),
}

impl From<StartError> for No {
    fn from(why: StartError) -> Self {
        Self::Ever(why)
    }
}

impl From<ConfigError> for No {
    fn from(why: ConfigError) -> Self {
        Self::Ever(why.into())
    }
}

impl From<No> for StartError {
    fn from(no: No) -> Self {
        match no {
            No::Ever(why) => why,
            No::WhileTheyRun(why) => why.into(),
        }
    }
}

/// Whether there is an audit key at all. A command says so first: where none is, no server has run.
pub(crate) async fn look(config: &Config, store: &Store, secrets: Secrets) -> Result<(), StartError> {
    if secrets == Secrets::Make || config.data_dir.join(AUDIT).exists() {
        return Ok(());
    }
    let rows = store.shared_secrets().await.map_err(StartError::Read)?;
    if named(&rows, AUDIT).is_some_and(|row| row.sealed.is_some()) {
        return Ok(());
    }
    Err(no_audit_key(&config.data_dir).into())
}

/// The secrets of this process. Servers of one PostgreSQL compare them first, and one that has others is refused.
pub(crate) async fn secrets(
    config: &Config,
    store: &Store,
    vault: &Vault,
    asks: Asks,
    entropy: &dyn Entropy,
) -> Result<Shared, StartError> {
    let of = Own { config, vault, entropy };
    match asks {
        Asks::Server(me) if config.db_url.is_some() => of.join(store, &me).await,
        Asks::Server(_) => of.alone(Secrets::Make, None),
        Asks::Command(secrets) => {
            let rows = store.shared_secrets().await.map_err(StartError::Read)?;
            let kept = match named(&rows, AUDIT) {
                Some(row) if read_secret(&of.file(AUDIT))?.is_none() => {
                    of.open(store.reader(), row).await.transpose().map_err(StartError::Read)?
                }
                _ => None,
            };
            let shared = of.alone(secrets, kept)?;
            is_of(&rows, &of.file(AUDIT), &shared.audit.public())?;
            Ok(shared)
        }
    }
}

/// Refuses the audit key of a data folder that is not the one of the servers of `store`.
pub async fn compare_audit_key(store: &Store, data: &Path, key: &PublicKey) -> Result<(), StartError> {
    let rows = store.shared_secrets().await.map_err(StartError::Read)?;
    Ok(is_of(&rows, &data.join(AUDIT), key)?)
}

fn is_of(rows: &[shared_secret::Model], file: &Path, key: &PublicKey) -> Result<(), ConfigError> {
    match named(rows, AUDIT) {
        Some(row) if row.fingerprint != key.id() => {
            Err(other_audit_key(file, &key.id(), &row.fingerprint, row.sealed.is_some()))
        }
        _ => Ok(()),
    }
}

/// Whether the secret that signs sessions here is the one of the other servers; nothing where no server has said which one that is.
pub(crate) fn jwt_fits(rows: &[shared_secret::Model], audit: &CheckpointKey, own: &Secret) -> Option<bool> {
    named(rows, JWT).map(|row| row.fingerprint == audit.fingerprint_of(JWT, own))
}

fn named<'a>(rows: &'a [shared_secret::Model], name: &str) -> Option<&'a shared_secret::Model> {
    rows.iter().find(|row| row.name == name)
}

/// A secret, and whether it is to be written into its file once all servers know of it.
struct Agreed<T> {
    secret: T,
    write: Option<Secret>,
}

struct Own<'a> {
    config: &'a Config,
    vault: &'a Vault,
    entropy: &'a dyn Entropy,
}

impl Own<'_> {
    fn file(&self, name: &str) -> PathBuf {
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
        Ok(Shared { jwt, audit: parsed(&file, &audit)?, installation: String::new() })
    }

    /// Compares, and adds this server to the others. A row that is old, or has this server's own ID, may be what a run left that was
    /// killed: then nobody renews it, and once this server has watched that, it counts no more. A row that is renewed is another server,
    /// which was cut off, or has a copy of this folder.
    async fn join(&self, store: &Store, me: &server::Model) -> Result<Shared, StartError> {
        const BETWEEN: Duration = Duration::from_millis(500);
        let (mut watch, mut told) = (Watch::default(), false);
        loop {
            let (mut agreed, mut unclear) = (None, false);
            let joined = store.join(me.clone(), &mut watch, async |joining: &Joining| {
                unclear = joining.unclear;
                Ok(match Box::pin(self.agree(joining, me)).await {
                    Ok(all) => {
                        agreed = Some(all);
                        Ok(())
                    }
                    Err(No::Ever(StartError::Read(error))) => return Err(error),
                    Err(no) => Err(no),
                })
            });
            match (joined.await.map_err(StartError::Read)?, agreed) {
                (Ok(()), Some((audit, jwt, installation))) => {
                    // Not before: a file of a server that was refused would disagree with the others later.
                    let kept = self.keep(AUDIT, audit.write).and_then(|()| self.keep(JWT, jwt.write));
                    if kept.is_err() {
                        let _ = store.server_left(&me.id, &me.run).await;
                    }
                    kept?;
                    return Ok(Shared { jwt: jwt.secret, audit: audit.secret, installation });
                }
                (Err(No::WhileTheyRun(_)), _) if unclear => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!(
                            "servers of this database have other secrets than this one; this server watches for up to half a minute whether they still run"
                        );
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
                (Err(no), _) => return Err(no.into()),
                (Ok(()), None) => {
                    return Err(StartError::Read(Error::Internal("no secrets were agreed on".to_owned())));
                }
            }
        }
    }

    fn keep(&self, name: &str, text: Option<Secret>) -> Result<(), ConfigError> {
        text.map_or(Ok(()), |text| kept_secret(&self.file(name), || text.expose().to_owned()).map(drop))
    }

    async fn agree(
        &self,
        joining: &Joining,
        me: &server::Model,
    ) -> Result<(Agreed<CheckpointKey>, Agreed<Secret>, String), No> {
        let audit = self.audit_key(joining, me).await?;
        let jwt = self.jwt_secret(joining, me, &audit.secret).await?;
        let installation = self.installation(joining, me).await.map_err(StartError::Read)?;
        Ok((audit, jwt, installation))
    }

    /// Made by the first server. An archive and `cb store copy` leave it out, so what is restored or copied gets another one.
    async fn installation(&self, joining: &Joining, me: &server::Model) -> Result<String> {
        if let Some(row) = named(&joining.shared, INSTALLATION) {
            return Ok(row.fingerprint.clone());
        }
        let row = shared_secret::Model {
            id: self.entropy.uuid(me.started_at),
            name: INSTALLATION.to_owned(),
            fingerprint: self.entropy.token(),
            sealed: None,
            since: me.started_at,
        };
        joining.share(row.clone()).await?;
        Ok(row.fingerprint)
    }

    async fn audit_key(&self, joining: &Joining, me: &server::Model) -> Result<Agreed<CheckpointKey>, No> {
        let (file, cluster) = (self.file(AUDIT), self.config.cluster.is_some());
        let row = named(&joining.shared, AUDIT);
        let opened = match row {
            Some(row) => self.open(joining.conn(), row).await,
            None => None,
        };
        let sealed = row.filter(|row| row.sealed.is_some());
        let theirs = row.filter(|_| !joining.others.is_empty());
        let read = read_secret(&file)
            .and_then(|text| text.map(|text| parsed(&file, &text).map(|key| (key, text))).transpose());
        // What is in the file helps nobody when the right key is at hand.
        let own = read.map_err(|why| match &opened {
            Some(Ok(_)) => ConfigError { mend: moved_away(&file), ..why },
            _ => why,
        })?;
        let is_known = |key: &CheckpointKey| row.is_some_and(|row| row.fingerprint == key.public().id());
        // The key that this database needs. A server alone may make a new one in the place of one that is lost.
        let wanted = match sealed.or(theirs) {
            Some(row) => Some(row.fingerprint.clone()),
            None if cluster && !own.as_ref().is_some_and(|(key, _)| is_known(key)) => {
                joining.signer().await.map_err(StartError::Read)?
            }
            None => None,
        };
        let no = |why| match sealed {
            None if theirs.is_some() => No::WhileTheyRun(why),
            _ => why.into(),
        };
        let (key, text, write) = match (own, opened.as_ref(), wanted) {
            (Some((key, text)), _, wanted) => {
                let own = key.public().id();
                if let Some(wanted) = wanted.filter(|wanted| *wanted != own) {
                    return Err(no(other_audit_key(&file, &own, &wanted, sealed.is_some())));
                }
                (key, text, false)
            }
            (None, Some(Ok(text)), _) => (parsed(&file, text)?, text.clone(), true),
            (None, opened, Some(wanted)) => {
                return Err(no(missing_audit_key(&file, &wanted, opened.is_some())));
            }
            (None, _, None) => {
                let text = Secret::new(CheckpointKey::generate(self.entropy));
                (parsed(&file, &text)?, text, true)
            }
        };
        // It is sealed anew where nobody can open it any more.
        if !is_known(&key) || (cluster && !matches!(opened, Some(Ok(_)))) {
            self.share_audit_key(joining, me, &key, cluster.then_some(&text))
                .await
                .map_err(StartError::Read)?;
        }
        Ok(Agreed { secret: key, write: write.then_some(text) })
    }

    async fn open(
        &self,
        conn: &impl cb_store::sea_orm::ConnectionTrait,
        row: &shared_secret::Model,
    ) -> Option<Result<Secret>> {
        let sealed = row.sealed.as_deref()?;
        Some(self.vault.unseal(conn, sealed::SHARED_SECRET.place(&row.id), sealed).await)
    }

    /// Says which key it is; and in a cluster (`text`) puts it where the others take it from.
    async fn share_audit_key(
        &self,
        joining: &Joining,
        me: &server::Model,
        key: &CheckpointKey,
        text: Option<&Secret>,
    ) -> Result<()> {
        let before = named(&joining.shared, AUDIT);
        let id = before.map_or_else(|| self.entropy.uuid(me.started_at), |row| row.id);
        let sealed = match text {
            Some(text) => {
                let place = sealed::SHARED_SECRET.place(&id);
                Some(self.vault.seal(joining.conn(), place, text, me.started_at, self.entropy).await?)
            }
            None => None,
        };
        let fingerprint = key.public().id();
        let row =
            shared_secret::Model { id, name: AUDIT.to_owned(), fingerprint, sealed, since: me.started_at };
        joining.share(row).await
    }

    async fn jwt_secret(
        &self,
        joining: &Joining,
        me: &server::Model,
        audit: &CheckpointKey,
    ) -> Result<Agreed<Secret>, No> {
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
        let fits = |own: &Secret| jwt_fits(&joining.shared, audit, own).unwrap_or(false);
        let (secret, write) = match own {
            Some(own) if fits(&own) => return Ok(Agreed { secret: own, write: None }),
            own if shared.is_some() && !joining.others.is_empty() => {
                return Err(No::WhileTheyRun(refused_jwt(&here, own.is_some(), me, &joining.others)));
            }
            Some(own) => (own, false),
            None => (Secret::new(self.entropy.token()), true),
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
        let write = write.then(|| secret.clone());
        Ok(Agreed { secret, write })
    }
}

fn parsed(file: &Path, text: &Secret) -> Result<CheckpointKey, ConfigError> {
    CheckpointKey::parse(text).ok_or_else(|| {
        ConfigError::new(
            &file.display().to_string(),
            "it does not contain a signing key",
            format!(
                "Put back the original file: every archive of cb backup contains it. If you do not have it, move this one away and start the server again: mv {0} {0}.other. The server then takes the key from the database, or says where to find it. A server that works alone creates a new one, and the signatures of the old key can no longer be verified",
                file.display()
            ),
        )
    })
}

const PUT_BACK: &str = "Every other server of this database has the right file in its data folder, and every archive of cb backup contains it";

/// The cure where the database has the right key.
fn moved_away(file: &Path) -> String {
    let shown = file.display();
    format!(
        "Move the file away and start the server again: mv {shown} {shown}.other. The server then takes the key from the database"
    )
}

fn other_audit_key(file: &Path, own: &str, wanted: &str, sealed: bool) -> ConfigError {
    let (shown, folder) = (file.display(), file.parent().unwrap_or(file).display());
    let mend = if sealed {
        moved_away(file)
    } else {
        format!(
            "{PUT_BACK}. Move this one away and put the right one in its place: mv {shown} {shown}.other && tar -xf ARCHIVE -C {folder} audit-key"
        )
    };
    ConfigError::new(
        &shown.to_string(),
        format!("it is not the audit key of this database (its ID is {own} instead of {wanted})"),
        mend,
    )
}

/// `shut`: the database has it, and the vault cannot open it.
fn missing_audit_key(file: &Path, wanted: &str, shut: bool) -> ConfigError {
    let put_back = format!("tar -xf ARCHIVE -C {} audit-key", file.parent().unwrap_or(file).display());
    let (reason, mend) = if shut {
        (
            "the copy in the database cannot be decrypted with the vault's keys",
            format!("{PUT_BACK}: {put_back}"),
        )
    } else {
        (
            "the servers of this database have not put it into the database",
            format!(
                "Start the server that has the file in its data folder: it puts the key into the database, and then this server takes it from there. Every archive of cb backup contains the file too: {put_back}. If it is lost, start one server once without CB_REDIS_URL and CB_NATS_URL: it creates a new key, and then the signatures of the old key can no longer be verified"
            ),
        )
    };
    ConfigError::new(
        &file.display().to_string(),
        format!(
            "this file does not exist, this database needs the audit key with the ID {wanted}, and {reason}"
        ),
        mend,
    )
}

fn refused_jwt(here: &str, is_there: bool, me: &server::Model, others: &[server::Model]) -> ConfigError {
    // A copied folder.
    let twin = if others.iter().any(|row| row.id == me.id) {
        ". One of them has the server-id of this folder: delete the file server-id in one of the two data folders"
    } else {
        ""
    };
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
        format!(
            "Set CB_JWT_SECRET to the same value on every server, or copy the file jwt-secret from the data folder of another server. To change the secret, stop every server, and start them again with the new one{twin}"
        ),
    )
}
