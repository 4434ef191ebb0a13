//! Private folders for what is half done: the copy of the database, and the archive until it is whole.
//!
//! Each is `.cb-backup-` and a random number, beside the target or in the data folder. Its owner holds a lock on the file `lock` in it
//! and removes the folder at the end. A folder whose lock nobody holds was left by a killed backup: the next backup there, or the
//! server when it starts, removes it. A folder that another user made, or that others can open, is not ours and stays.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cb_core::{Entropy, hex};

use super::files::{self, Create as _, unwritable};
use super::{BackupError, refused};

const PREFIX: &str = ".cb-backup-";
const LOCK: &str = "lock";
const RANDOM: usize = 8;

pub(super) struct Scratch {
    pub folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a new folder in `parent`, and first removes there what killed backups have left.
    pub fn make(parent: &Path, entropy: &dyn Entropy) -> Result<Self, BackupError> {
        const TRIES: u32 = 10;
        sweep(parent);
        for _ in 0..TRIES {
            let mut random = [0; RANDOM];
            entropy.fill(&mut random);
            let folder = parent.join(format!("{PREFIX}{}", hex(&random)));
            files::make_private_folder(&folder)?;
            if let Some(lock) = own(&folder).map_err(|e| unwritable(&folder, &e))? {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(refused(format!(
            "Another program keeps deleting the temporary folders of this backup in {}. Write the archive to another folder",
            parent.display()
        )))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next backup.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Takes the lock of a folder that was just made; none when another backup removed the folder meanwhile.
fn own(folder: &Path) -> io::Result<Option<File>> {
    let file = folder.join(LOCK);
    let lock = match file.create_private() {
        Ok(lock) => lock,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            let _ = std::fs::remove_dir(folder);
            return Err(e);
        }
    };
    // A file system without locks: then nobody else can lock it either, and it is not removed.
    let taken = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    Ok((!taken && file.exists()).then_some(lock))
}

/// Whether `name` is one that [`Scratch`] gives.
pub(super) fn is_one(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|random| {
        random.len() == 2 * RANDOM && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Removes from `parent` the folders whose owners are dead.
pub(super) fn sweep(parent: &Path) {
    let Ok(us) = std::fs::metadata("/proc/self").map(|own| own.uid()) else { return };
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let folder = entry.path();
        let ours = entry.file_name().to_str().is_some_and(is_one)
            && folder
                .symlink_metadata()
                .is_ok_and(|about| about.is_dir() && about.uid() == us && about.mode() % 0o100 == 0);
        if !ours {
            continue;
        }
        match File::options().write(true).open(folder.join(LOCK)) {
            Ok(lock) if lock.try_lock().is_ok() => _ = std::fs::remove_dir_all(&folder),
            // It was killed before it made its lock, or is about to make it. Only an empty folder is removed.
            Err(e) if e.kind() == ErrorKind::NotFound => _ = std::fs::remove_dir(&folder),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use cb_core::OsEntropy;

    use super::{Scratch, sweep};

    fn leave(parent: &Path, name: &str, mode: u32) {
        let folder = parent.join(name);
        std::fs::create_dir(&folder).expect("made");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).expect("set");
        std::fs::write(folder.join("lock"), "").expect("written");
        std::fs::write(folder.join("circuit-breaker.db"), "everything").expect("written");
    }

    #[test]
    fn only_what_a_dead_backup_of_ours_has_left_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let there = |name: &str| dir.path().join(name).exists();
        let living = Scratch::make(dir.path(), &OsEntropy).expect("made");
        let (dead, open) = (".cb-backup-0123456789abcdef", ".cb-backup-0123456789abcde0");
        let (other, long) = (".cb-backup-mine", ".cb-backup-0123456789abcdef0");
        leave(dir.path(), dead, 0o700);
        leave(dir.path(), open, 0o755);
        leave(dir.path(), other, 0o700);
        leave(dir.path(), long, 0o700);
        let target = dir.path().join("elsewhere");
        leave(dir.path(), "elsewhere", 0o700);
        std::os::unix::fs::symlink(&target, dir.path().join(".cb-backup-00000000000000aa")).expect("linked");
        std::fs::create_dir(dir.path().join(".cb-backup-00000000000000bb")).expect("made");
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dir.path().join(".cb-backup-00000000000000bb"), private).expect("set");
        sweep(dir.path());
        assert!(!there(dead) && !there(".cb-backup-00000000000000bb"));
        assert!(living.folder.join("lock").exists(), "its owner lives");
        assert!(there(open) && there(other) && there(long) && target.join("circuit-breaker.db").exists());
        let folder = living.folder.clone();
        drop(living);
        assert!(!folder.exists());
    }
}
