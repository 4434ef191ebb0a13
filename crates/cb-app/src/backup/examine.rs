//! Verifies a database, or a copy of one by opening it, as a restore would.

use std::path::Path;

use cb_core::audit::Checkpoint;
use cb_core::config::Config;
use cb_core::{Error, Secret};
use cb_store::entities::{asset, setting};
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_store::{Store, db, sealed};
use cb_vault::checkpoint::CheckpointKey;

use super::archive::Head;
use super::files::AUDIT_KEY;
use super::{BackupError, refused};
use crate::audit;
use crate::vault::{Held, Unfit, held};

pub(super) struct Examined {
    pub schema: String,
    pub head: Head,
    pub assets: u64,
    /// Entries of the audit log that were verified.
    pub entries: i64,
    /// Signed checkpoints that they were compared with.
    pub checkpoints: usize,
    /// Sealed texts that a copy takes with it. All of them open, unless a flaw says otherwise.
    pub sealed: i64,
    pub root: Held,
    /// What does not verify, and does not keep the copy from being used.
    pub flaws: Vec<String>,
}

/// The signing key of the audit log, as its file holds it.
pub(super) fn signing_key(text: &[u8]) -> Result<CheckpointKey, BackupError> {
    let text = Secret::new(String::from_utf8_lossy(text).into_owned());
    CheckpointKey::parse(&text).ok_or_else(|| {
        refused(format!("The file {AUDIT_KEY} does not contain a signing key. Put back the original file"))
    })
}

/// The copy in `folder`, which is brought to this program's schema. `config` says where its root key is, `unfit` what to
/// answer when it is another.
pub(super) async fn examine(
    folder: &Path,
    config: &Config,
    key: &CheckpointKey,
    kept: &[Checkpoint],
    unfit: impl FnOnce(Unfit) -> BackupError,
) -> Result<Examined, BackupError> {
    let store = Store::open_sqlite(folder).await?;
    let examined = verify(&store, config, key, kept, unfit).await;
    store.close().await?;
    examined
}

/// A database that is open already, which is only read.
pub(super) async fn verify(
    store: &Store,
    config: &Config,
    key: &CheckpointKey,
    kept: &[Checkpoint],
    unfit: impl FnOnce(Unfit) -> BackupError,
) -> Result<Examined, BackupError> {
    let settings = setting::Entity::find_by_id(1).one(store.reader()).await.map_err(db)?;
    if !settings.is_some_and(|settings| settings.auth_enabled) {
        return Err(refused(
            "Setup was not completed in this database, so there is nothing to copy. Complete setup first",
        ));
    }
    if let Some(why) = store.dangling().await? {
        return Err(refused(format!("The database is damaged: {why}")));
    }
    let mut flaws = Vec::new();
    let public = key.public();
    if kept.iter().any(|one| one.key_id != public.id()) {
        flaws.push(format!("{} was not signed with the key in {AUDIT_KEY}", audit::CHECKPOINT_FILE));
    }
    let verdict = audit::examine(store, Some(&public), kept, None).await?;
    if let Some(why) = verdict.reason {
        flaws.push(match verdict.broken_at {
            Some(seq) => format!("the audit log does not verify at entry {seq}: {why}"),
            None => format!("the audit log does not verify: {why}"),
        });
    }
    let root = match held(config, store).await? {
        Ok(root) => root,
        Err(why) => return Err(unfit(why)),
    };
    flaws.extend(root.shut(store).await?);
    let (seq, hash) = store
        .audit_head()
        .await?
        .ok_or_else(|| Error::Internal("the audit log of the copy is empty".to_owned()))?;
    let assets = asset::Entity::find().count(store.reader()).await.map_err(db)?;
    Ok(Examined {
        schema: store.schema().await?,
        head: Head { seq, hash },
        assets,
        entries: verdict.entries,
        checkpoints: verdict.checkpoints,
        sealed: sealed::count_of_copy(store.reader()).await?,
        root,
        flaws,
    })
}
