//! The checkpoint in the data folder, which whoever holds the database alone cannot reach. [`Beside`] alone writes it, and never backwards:
//! one that the database contradicts, or that cannot be used, is set aside and held against the log until an operator accepts that
//! (`cb audit-log accept-restore`).

use cb_core::audit::Action;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cb_core::audit::{Checkpoint, Claim};
use cb_core::clock::fixed_width;
use cb_core::{Error, Permission, Principal, Result, objects};
use cb_store::Store;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::metrics::told::Told;
use crate::notify::news;

/// The newest checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "audit-checkpoint.json";
/// The newest one that the database contradicts.
pub(crate) const SET_ASIDE_FILE: &str = "audit-checkpoint.contradicted.json";
/// The newest one that could not be used.
pub(crate) const DAMAGED_FILE: &str = "audit-checkpoint.damaged";

/// What was set aside before stays beside it, numbered from 1, up to this.
const EARLIER_MOST: usize = 50;

fn earlier(name: &str, number: usize) -> String {
    match name.strip_suffix(".json") {
        Some(stem) => format!("{stem}-{number}.json"),
        None => format!("{name}-{number}"),
    }
}

/// The files of `folder` that were set aside under `name` and are still held against the log, the first one first.
pub(crate) fn set_aside(folder: &Path, name: &str) -> Vec<String> {
    let names = (1..=EARLIER_MOST).map(|number| earlier(name, number)).chain([name.to_owned()]);
    names.filter(|name| folder.join(name).symlink_metadata().is_ok()).collect()
}

/// The files of one data folder. Nothing else writes them while a server runs.
pub(crate) struct Beside {
    folder: PathBuf,
    /// Two checkpoints at once could write the older one last. Holds what was told last, so that a folder which cannot be written to does
    /// not tell it each hour.
    turn: Mutex<Option<String>>,
}

impl Beside {
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), turn: Mutex::new(None) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes over nothing that was set aside before. Otherwise somebody who changes the database twice would hide what was lost first.
    fn move_to(&self, name: &str) -> Result<()> {
        let is_there = |name: &str| self.folder.join(name).symlink_metadata().is_ok();
        let rename = |from: &str, to: &str| std::fs::rename(self.folder.join(from), self.folder.join(to));
        let mut free = (1..=EARLIER_MOST).map(|number| earlier(name, number)).filter(|name| !is_there(name));
        let before = match free.next() {
            Some(number) if is_there(name) => rename(name, &number),
            _ => Ok(()),
        };
        before
            .and_then(|()| rename(CHECKPOINT_FILE, name))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|e| Error::Internal(format!("{CHECKPOINT_FILE} cannot be renamed to {name}: {e}")))
    }

    /// A checkpoint that cannot be written beside the database is in the database all the same.
    fn write(&self, checkpoint: &Checkpoint) {
        let file = self.folder.join(CHECKPOINT_FILE);
        // The caller has set such a file aside, unless it could not be read then.
        let forward = match read_checkpoint(&file) {
            Ok(kept) => kept.is_none_or(|kept| kept.seq <= checkpoint.seq),
            Err(_) => false,
        };
        if !forward {
            tracing::error!(
                file = %file.display(),
                "the server did not save the audit log's newest checkpoint in the data folder, because the checkpoint there is newer or cannot be read. Run: cb audit-log verify"
            );
            return;
        }
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
            tracing::warn!(file = %file.display(), %error, "the audit log's checkpoint cannot be saved in the data folder");
        }
    }
}

/// Whether the log matches what this server has signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditStanding)]
pub struct StandingOut {
    /// A checkpoint that this server signed and that does not match the database, because someone restored an older state
    /// or changed the database. Null if everything matches.
    #[schema(required)]
    pub contradicted: Option<Checkpoint>,
}

pub async fn standing(ctx: &Ctx) -> Result<StandingOut> {
    ctx.authorize(Permission::AuditRead)?;
    Ok(StandingOut { contradicted: ctx.app().contradicted().await? })
}

impl App {
    /// Signs the head as it is now, into the database and beside it.
    ///
    /// Not before setup: the file in the data folder also says that the folder has been in use, see [`crate::backup`].
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        if self.setup_required().await? {
            return Ok(());
        }
        let beside = self.beside_database();
        let mut told = beside.turn.lock().await;
        // Read before the kept checkpoint is compared: a database that is put back in between is seen then.
        let Some(mut head) = self.store().durable_audit_head().await? else { return Ok(()) };
        match self.kept(CHECKPOINT_FILE) {
            Kept::Own(kept) if goes_back(&kept, &head) || contradicts(self.store(), &kept).await? => {
                self.put_aside(&mut told, &kept, head.0).await?;
                head = self.store().durable_audit_head().await?.unwrap_or(head);
            }
            Kept::Unusable(why) => {
                self.put_away(&mut told, &why).await?;
                head = self.store().durable_audit_head().await?.unwrap_or(head);
            }
            Kept::Nothing | Kept::Own(_) | Kept::Unreadable => {}
        }
        let (seq, hash) = head;
        // Another server may have signed it. Each folder has its own, or it would go on with an older database.
        let is_signed = self.store().last_checkpoint().await?.is_some_and(|last| last.seq == seq);
        let is_beside = matches!(self.kept(CHECKPOINT_FILE), Kept::Own(one) if one.seq == seq);
        if is_signed && is_beside {
            return Ok(());
        }
        let checkpoint = self.checkpoint_key().sign(Claim::Checkpoint, seq, &hash, &fixed_width(self.now()));
        self.store().keep_checkpoint(&checkpoint).await?;
        if !is_beside {
            beside.write(&checkpoint);
        }
        Ok(())
    }

    /// Tells it first: after a kill in between it is told once more rather than never.
    async fn put_aside(&self, told: &mut Option<String>, kept: &Checkpoint, head: i64) -> Result<()> {
        let what = format!("{} {}", kept.seq, kept.hash);
        if told.as_ref() != Some(&what) {
            tracing::error!(
                signed = kept.seq,
                signed_at = %kept.at,
                log_ends_at = head,
                "the database does not match the audit log that this server has signed, because someone restored an older state or changed the database; see \"A database that is older than its folder\" in the operations page"
            );
            let ctx = self.own_ctx(Principal::Server);
            ctx.record(Action::CheckpointContradicted, async |tx| {
                tx.detail(json!({
                    "signed": { "seq": kept.seq, "hash": kept.hash, "at": kept.at },
                    "log_ended_at": head,
                }));
                news::checkpoint_contradicted(&ctx, tx, kept, head).await
            })
            .await?;
            *told = Some(what);
        }
        self.beside_database().move_to(SET_ASIDE_FILE)?;
        *told = None;
        Ok(())
    }

    /// Somebody has made it what it is: that is evidence, and not written over.
    async fn put_away(&self, told: &mut Option<String>, why: &str) -> Result<()> {
        if told.as_deref() != Some(why) {
            tracing::error!(%why, "the audit log's checkpoint in the data folder cannot be used; the server moved it aside");
            let ctx = self.own_ctx(Principal::Server);
            ctx.record(Action::CheckpointDamaged, async |tx| {
                tx.detail(json!({ "reason": why }));
                news::checkpoint_damaged(&ctx, tx).await
            })
            .await?;
            *told = Some(why.to_owned());
        }
        self.beside_database().move_to(DAMAGED_FILE)?;
        // What is found there after that is another one.
        *told = None;
        Ok(())
    }

    /// The checkpoint that the database contradicts now: the first that was set aside, or the kept one, which the next checkpoint sets
    /// aside; then what other servers hold. One that cannot be used is for [`super::verify`] to tell.
    async fn contradicted(&self) -> Result<Option<Checkpoint>> {
        let others = self.checkpoints_of_others().await?.into_iter().map(|(_, one)| one);
        let mut seen = BTreeSet::new();
        for one in self.held_checkpoints(EARLIER_MOST + 2).into_iter().chain(others) {
            // Most servers hold the same.
            if seen.insert((one.seq, one.hash.clone())) && contradicts(self.store(), &one).await? {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// Those in the data folder: the ones that were set aside, the first one first, and the kept one.
    pub(crate) fn held_checkpoints(&self, most: usize) -> Vec<Checkpoint> {
        let aside = set_aside(self.beside_database().folder(), SET_ASIDE_FILE);
        let names = aside.iter().map(String::as_str).chain([CHECKPOINT_FILE]);
        let own =
            names.filter_map(|name| if let Kept::Own(one) = self.kept(name) { Some(one) } else { None });
        own.take(most).collect()
    }

    /// What other servers have signed and hold, as they told it, with the name of the machine; also those that do not run any more.
    pub(crate) async fn checkpoints_of_others(&self) -> Result<Vec<(String, Checkpoint)>> {
        let rows = self.store().servers(self.now()).await?;
        let others = rows.into_iter().map(|(row, _)| row).filter(|row| row.id != self.server());
        let own = self.checkpoint_key().public();
        let is_ours = |one: &Checkpoint| one.key_id == own.id() && own.verifies(Claim::Checkpoint, one);
        let signed = others.filter_map(|row| Some((Told::of(&row)?, row.host)));
        let each =
            signed.flat_map(|(told, host)| told.signed.into_iter().map(move |one| (host.clone(), one)));
        Ok(each.filter(|(_, one)| is_ours(one)).collect())
    }

    fn kept(&self, name: &str) -> Kept {
        let file = self.beside_database().folder.join(name);
        let own = self.checkpoint_key().public();
        match read_checkpoint(&file) {
            Ok(None) => Kept::Nothing,
            Ok(Some(one)) if own.id() == one.key_id && own.verifies(Claim::Checkpoint, &one) => {
                Kept::Own(one)
            }
            Ok(Some(_)) => Kept::Unusable(damaged(&file, "this server did not sign this content")),
            // The disk or the rights may be put in order; nothing is lost until then.
            Err(_) if !is_readable(&file) => Kept::Unreadable,
            Err(why) => Kept::Unusable(why),
        }
    }
}

/// What a file of the folder holds.
enum Kept {
    Nothing,
    Own(Checkpoint),
    /// It is no checkpoint of this server's.
    Unusable(String),
    Unreadable,
}

fn is_readable(file: &Path) -> bool {
    File::open(file).and_then(|mut open| open.read(&mut [0])).is_ok()
}

/// A log only grows, so its head is never before what was signed.
fn goes_back(kept: &Checkpoint, (seq, hash): &(i64, String)) -> bool {
    kept.seq > *seq || (kept.seq == *seq && kept.hash != *hash)
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
    objects::from_slice(&text).map(Some).map_err(|e| damaged(e.to_string()))
}

pub(super) fn damaged(file: &Path, why: &str) -> String {
    let name = file.file_name().unwrap_or_default().display();
    format!(
        "{name} in the data folder cannot be used ({why}). Find out who changed it, then stop the server and run: {ACCEPT}"
    )
}

const ACCEPT: &str = "cb audit-log accept-restore";

/// What is to be said of a checkpoint that was set aside because it could not be used.
pub(crate) fn damage(folder: &Path) -> Option<String> {
    let newest = set_aside(folder, DAMAGED_FILE).pop()?;
    Some(damaged(&folder.join(newest), "the server found it damaged and moved it aside"))
}

/// Which file holds the checkpoint that `store` contradicts, and what to do about it.
pub(super) async fn mend(store: &Store, folder: &Path) -> Result<Option<String>> {
    for (file, one) in all(folder).0 {
        if contradicts(store, &one).await? {
            let name = file.file_name().unwrap_or_default().display();
            return Ok(Some(format!(
                "{name} in the data folder contains entry {}, which the server signed on {}, and the database does not match it. If you restored an older database, stop the server and run: {ACCEPT}",
                one.seq, one.at
            )));
        }
    }
    Ok(None)
}

/// Every checkpoint of a data folder, and what is wrong with the first that cannot be read.
pub(super) fn all(folder: &Path) -> (Vec<(PathBuf, Checkpoint)>, Option<String>) {
    let (mut found, mut damage) = (Vec::new(), damage(folder));
    for name in [CHECKPOINT_FILE.to_owned()].into_iter().chain(set_aside(folder, SET_ASIDE_FILE)) {
        let file = folder.join(name);
        match read_checkpoint(&file) {
            Ok(Some(one)) => found.push((file, one)),
            Ok(None) => {}
            Err(why) => damage = damage.or(Some(why)),
        }
    }
    (found, damage)
}

#[cfg(test)]
mod tests {
    use cb_core::audit::Checkpoint;

    use super::{
        Beside, CHECKPOINT_FILE, EARLIER_MOST, SET_ASIDE_FILE, goes_back, read_checkpoint, set_aside,
    };

    fn of(seq: i64, hash: &str) -> Checkpoint {
        let (at, key_id, signature) = Default::default();
        Checkpoint { seq, hash: hash.to_owned(), at, key_id, signature }
    }

    #[test]
    fn the_file_never_moves_backwards_whoever_calls() {
        let dir = tempfile::tempdir().expect("a folder");
        let beside = Beside::of(dir.path());
        let file = dir.path().join(CHECKPOINT_FILE);
        let kept = || read_checkpoint(&file).expect("reads").expect("one").seq;
        for (written, stays) in [(7, 7), (9, 9), (8, 9), (9, 9), (12, 12)] {
            beside.write(&of(written, "ab"));
            assert_eq!(kept(), stays);
        }
        std::fs::write(&file, "x").expect("written");
        beside.write(&of(20, "ab"));
        assert_eq!(std::fs::read(&file).expect("reads"), b"x", "evidence");
    }

    #[test]
    fn what_was_set_aside_is_never_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let beside = Beside::of(dir.path());
        for n in 0..EARLIER_MOST + 3 {
            std::fs::write(dir.path().join(CHECKPOINT_FILE), n.to_string()).expect("written");
            beside.move_to(SET_ASIDE_FILE).expect("moved");
        }
        let names = set_aside(dir.path(), SET_ASIDE_FILE);
        let texts: Vec<_> =
            names.iter().map(|name| std::fs::read_to_string(dir.path().join(name)).expect("reads")).collect();
        let newest = (EARLIER_MOST + 2).to_string();
        let kept: Vec<_> = (0..EARLIER_MOST).map(|n| n.to_string()).chain([newest]).collect();
        assert_eq!(texts, kept, "the first ones and the newest");
        assert_eq!(names[0], "audit-checkpoint.contradicted-1.json");
    }

    #[test]
    fn a_head_before_what_was_signed_goes_back() {
        let head = (7, "ab".to_owned());
        assert!(goes_back(&of(8, "ab"), &head) && goes_back(&of(7, "cd"), &head));
        assert!(!goes_back(&of(7, "ab"), &head) && !goes_back(&of(6, "cd"), &head));
    }
}
