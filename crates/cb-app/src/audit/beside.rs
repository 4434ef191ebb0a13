//! The checkpoint in the data folder, which whoever holds the database alone cannot reach. It never moves backwards: one that the database
//! contradicts is set aside, and held against the log until an operator accepts the older database (`cb audit-log accept-restore`).

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cb_core::audit::{Checkpoint, Claim};
use cb_core::clock::fixed_width;
use cb_core::{Error, Permission, Principal, Result};
use cb_store::Store;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::notify::news;

/// The newest checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "audit-checkpoint.json";
/// The one that knows most of those that the database contradicts.
pub(crate) const SET_ASIDE_FILE: &str = "audit-checkpoint.contradicted.json";

/// The files of one data folder. Nothing else writes them while a server runs.
pub(crate) struct Beside {
    folder: PathBuf,
    /// Two checkpoints at once could write the older one last.
    turn: Mutex<()>,
}

impl Beside {
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), turn: Mutex::new(()) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn is_there(&self) -> bool {
        self.folder.join(CHECKPOINT_FILE).exists()
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn move_to(&self, name: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(CHECKPOINT_FILE), self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// A checkpoint that cannot be written beside the database stands in it all the same.
    fn write(&self, checkpoint: &Checkpoint) {
        let file = self.folder.join(CHECKPOINT_FILE);
        let fresh = file.with_extension("new");
        let text = serde_json::to_vec(checkpoint).unwrap_or_default();
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut open| open.write_all(&text).and_then(|()| open.sync_all()))
            .and_then(|()| std::fs::rename(&fresh, &file));
        if let Err(error) = written {
            tracing::warn!(file = %file.display(), %error, "the audit log's checkpoint cannot be kept beside the database");
        }
    }
}

/// Whether the log is the one that this server has signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditStanding)]
pub struct StandingOut {
    /// A checkpoint that this server has signed and that the database contradicts: it was put back to an older state, or somebody has
    /// changed it. Null when all is well.
    #[schema(required)]
    pub contradicted: Option<Checkpoint>,
}

pub async fn standing(ctx: &Ctx) -> Result<StandingOut> {
    ctx.authorize(Permission::AuditRead)?;
    Ok(StandingOut { contradicted: ctx.app().set_aside().await? })
}

impl App {
    /// Signs the head as it is now, into the database and beside it.
    ///
    /// Not before setup: the file in the data folder also says that the folder has been in use, see [`crate::backup`].
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        if self.setup_required() {
            return Ok(());
        }
        let beside = self.beside_database();
        let _turn = beside.turn().await;
        match read_checkpoint(&beside.folder.join(CHECKPOINT_FILE)) {
            Ok(Some(kept)) if self.is_contradicted(&kept).await? => self.put_aside(&kept).await?,
            Ok(_) => {}
            // Somebody has made it what it is: that is evidence, and not written over.
            Err(why) => {
                let aside = beside.move_to("audit-checkpoint.damaged");
                tracing::error!(%why, set_aside = aside.is_ok(), "the audit log's checkpoint was damaged");
            }
        }
        let Some((seq, hash)) = self.store().audit_head().await? else { return Ok(()) };
        let signed = self.store().last_checkpoint().await?.is_some_and(|last| last.seq == seq);
        if signed && beside.is_there() {
            return Ok(());
        }
        let checkpoint = self.checkpoint_key().sign(Claim::Checkpoint, seq, &hash, &fixed_width(self.now()));
        self.store().keep_checkpoint(&checkpoint).await?;
        beside.write(&checkpoint);
        Ok(())
    }

    /// Tells it first: whatever happens in between, it is told once more rather than never.
    async fn put_aside(&self, kept: &Checkpoint) -> Result<()> {
        let head = self.store().audit_head().await?.map_or(0, |(seq, _)| seq);
        tracing::error!(
            signed = kept.seq,
            signed_at = %kept.at,
            log_ends_at = head,
            "the database does not have the audit log that this server has signed: it was put back to an older state, or changed; \
             see \"A database that is older than its folder\" in the operations page"
        );
        let ctx = self.own_ctx(Principal::Server);
        ctx.record("checkpoint_contradicted", async |tx| {
            tx.detail(json!({
                "signed": { "seq": kept.seq, "hash": kept.hash, "at": kept.at },
                "log_ended_at": head,
            }));
            news::checkpoint_contradicted(&ctx, tx, kept, head).await
        })
        .await?;
        if self.set_aside().await?.is_some_and(|there| there.seq >= kept.seq) {
            return Ok(());
        }
        self.beside_database().move_to(SET_ASIDE_FILE).map_err(|e| {
            Error::Internal(format!("{CHECKPOINT_FILE} cannot be renamed to {SET_ASIDE_FILE}: {e}"))
        })
    }

    /// The one that was set aside, as long as the database contradicts it. A damaged one is for [`super::verify`] to tell.
    async fn set_aside(&self) -> Result<Option<Checkpoint>> {
        match read_checkpoint(&self.beside_database().folder.join(SET_ASIDE_FILE)) {
            Ok(Some(kept)) if self.is_contradicted(&kept).await? => Ok(Some(kept)),
            _ => Ok(None),
        }
    }

    /// One that this server has not signed says nothing.
    async fn is_contradicted(&self, kept: &Checkpoint) -> Result<bool> {
        let key = self.checkpoint_key().public();
        let own = key.id() == kept.key_id && key.verifies(Claim::Checkpoint, kept);
        Ok(own && contradicts(self.store(), kept).await?)
    }
}

async fn contradicts(store: &Store, kept: &Checkpoint) -> Result<bool> {
    Ok(store.standing(kept.seq).await?.contradicts(kept))
}

/// What is there and is no checkpoint is told: taken for a missing one, it would hide that somebody made it so.
pub(crate) fn read_checkpoint(file: &Path) -> Result<Option<Checkpoint>, String> {
    const MOST: u64 = 64 * 1024;
    let damaged = |why: String| damaged(file, &why);
    let open = match File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(damaged(e.to_string())),
    };
    let mut text = Vec::new();
    open.take(MOST).read_to_end(&mut text).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_slice(&text).map(Some).map_err(|e| damaged(e.to_string()))
}

pub(super) fn damaged(file: &Path, why: &str) -> String {
    let name = file.file_name().unwrap_or_default().display();
    format!("{name} in the data folder cannot be used ({why}): find out who changed it, then move it away")
}

/// Both checkpoints of a data folder, and what is wrong with the first that cannot be read.
pub(super) fn both(folder: &Path) -> (Vec<(PathBuf, Checkpoint)>, Option<String>) {
    let (mut found, mut damage) = (Vec::new(), None);
    for name in [CHECKPOINT_FILE, SET_ASIDE_FILE] {
        let file = folder.join(name);
        match read_checkpoint(&file) {
            Ok(Some(one)) => found.push((file, one)),
            Ok(None) => {}
            Err(why) => damage = damage.or(Some(why)),
        }
    }
    (found, damage)
}
