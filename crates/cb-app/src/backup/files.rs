//! Which files of the data folder belong to a backup beside the database, and how files are written that nobody else may
//! read and that a power cut does not lose.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use cb_core::Error;
use cb_core::config::Config;
use cb_store::backup::DATABASE_FILE;
use zeroize::Zeroizing;

use super::{BackupError, refused};
use crate::audit::CHECKPOINT_FILE;

pub(super) const VAULT_KEY: &str = "vault-key";
pub(super) const AUDIT_KEY: &str = "audit-key";
pub(super) const JWT_SECRET: &str = "jwt-secret";
pub(super) const TLS: &str = "tls";

/// What an archive may hold beside what is in `tls/`.
const FILES: &[&str] = &[DATABASE_FILE, VAULT_KEY, JWT_SECRET, AUDIT_KEY, CHECKPOINT_FILE];

/// The keys that what is written needs, of those that stand in the data folder.
pub(crate) fn needed(config: &Config) -> &'static [&'static str] {
    if config.vault_key.is_some() { &[AUDIT_KEY] } else { &[AUDIT_KEY, VAULT_KEY] }
}

/// Small files by their names, wiped when they are done with.
pub(super) type Small = Vec<(String, Zeroizing<Vec<u8>>)>;

/// The largest file that is read whole, in bytes. Keys and certificates are small.
pub(super) const MOST: u64 = 1024 * 1024;

/// Whether a name in an archive is one that a backup writes: never a path that leads elsewhere.
pub(super) fn belongs(name: &str) -> bool {
    let simple = |name: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(known)
    };
    FILES.contains(&name) || name.strip_prefix("tls/").is_some_and(simple)
}

/// A file's bytes; none where there is no such file.
pub(super) fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, BackupError> {
    let unreadable = |e: io::Error| {
        refused(format!(
            "{} cannot be read ({e}). Run this command as the owner of the data folder",
            file.display()
        ))
    };
    let open = match File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let read = io::Read::read_to_end(&mut io::Read::take(open, MOST + 1), &mut bytes).map_err(unreadable)?;
    if read as u64 > MOST {
        return Err(refused(format!(
            "{} is larger than {MOST} bytes, which is too large for a key or a certificate. Find out what this file is, and move it away",
            file.display()
        )));
    }
    Ok(Some(bytes))
}

/// The files of `tls/` as they were at one moment, because a certificate may be renewed meanwhile.
pub(super) fn certificates(data: &Path) -> Result<Small, BackupError> {
    const TRIES: u32 = 10;
    let all = || {
        let mut all = Small::new();
        let names = match std::fs::read_dir(data.join(TLS)) {
            Ok(names) => names,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(all),
            Err(e) => {
                return Err(refused(format!("{} cannot be read ({e})", data.join(TLS).display())));
            }
        };
        for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let name = format!("{TLS}/{name}");
            // What is being written has another ending.
            if belongs(&name)
                && [".pem", ".key"].iter().any(|end| name.ends_with(end))
                && let Some(bytes) = read(&data.join(&name))?
            {
                all.push((name, bytes));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    };
    let mut before = all()?;
    for _ in 0..TRIES {
        let now = all()?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err(refused(format!(
        "The files in {} changed each time they were read. Run this command again",
        data.join(TLS).display()
    )))
}

pub(super) trait Create {
    /// A new file for the owner's eyes only.
    fn create_private(&self) -> io::Result<File>;
}

impl Create for Path {
    fn create_private(&self) -> io::Result<File> {
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(self)
    }
}

/// A new folder for the owner's eyes only.
pub(super) fn make_private_folder(folder: &Path) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|e| unwritable(folder, &e))
}

/// Makes what was renamed or made in a folder outlast a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> BackupError {
    let shown = path.display();
    refused(match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!(
                "{shown} cannot be written, because the disk is full. Free some space there, or choose another place"
            )
        }
        _ => format!(
            "{shown} cannot be written ({error}). Check the disk, and check that this user is allowed to write there"
        ),
    })
}

/// Why the database could not be copied into `folder`.
pub(super) fn not_copied(folder: &Path, from_postgres: bool, error: Error) -> BackupError {
    let shown = folder.parent().unwrap_or(folder).display();
    match error {
        Error::StorageFull(_) => refused(format!(
            "The disk of {shown} has no room for a copy of the database. Free some space there; the copy needs as much room as the database"
        )),
        // SQLite says the same of a target that fails and of a source that is locked: the target can be tried.
        Error::Unavailable(_) => match tried(folder) {
            Err(error) => unwritable(folder, &error),
            Ok(()) if from_postgres => refused(
                "The database of CB_DB_URL could not be copied, because it does not answer or closed the connection. No archive was written. Check that PostgreSQL is running, and run this command again",
            ),
            Ok(()) => refused(format!(
                "The database could not be copied into {shown}. Either the database is locked or does not answer, or that disk failed or does not allow a file of this size. Check both, and run this command again"
            )),
        },
        other => refused(format!("The database could not be copied into {shown}: {other}")),
    }
}

/// Writes a little into `folder`.
fn tried(folder: &Path) -> io::Result<()> {
    let file = folder.join("tried");
    let mut open = file.create_private()?;
    let written = io::Write::write_all(&mut open, &[0; 4096]).and_then(|()| open.sync_all());
    std::fs::remove_file(&file)?;
    written
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cb_core::Error;

    use super::not_copied;

    #[test]
    fn a_copy_that_fails_names_the_folder_of_the_copy() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("copy");
        let why = |folder: &Path, error: Error| not_copied(folder, false, error).to_string();
        let text = || "The disk of the database is full".to_owned();
        let full = why(&folder, Error::StorageFull(text()));
        let beside = format!("The disk of {} has no room for a copy", dir.path().display());
        assert!(full.starts_with(&beside) && !full.contains("disk of the database"), "{full}");
        // There is no such folder.
        let gone = why(&folder, Error::Unavailable(text()));
        assert!(gone.contains("cannot be written") && gone.contains("Check the disk"), "{gone}");
        std::fs::create_dir(&folder).expect("made");
        let away = why(&folder, Error::Unavailable(text()));
        assert!(away.contains("Either the database is locked or does not answer"), "{away}");
        let away = not_copied(&folder, true, Error::Unavailable(text())).to_string();
        assert!(away.contains("CB_DB_URL") && away.contains("No archive was written"), "{away}");
        assert_eq!(std::fs::read_dir(&folder).expect("reads").count(), 0);
    }
}
