//! Which files of the data folder belong to a backup beside the database, and how files are written that nobody else may
//! read and that a power cut does not lose.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use cb_core::Error;
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

/// Small files by their names, wiped when they are done with.
pub(super) type Small = Vec<(String, Zeroizing<Vec<u8>>)>;

/// The largest file that is read whole; keys and certificates are small.
const MOST: u64 = 1024 * 1024;

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
        refused(format!("{} cannot be read ({e}). Run this as the user of the data folder", file.display()))
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
            "{} is too large for a key or a certificate. See what it is",
            file.display()
        )));
    }
    Ok(Some(bytes))
}

/// The files of `tls/`, such as they all were at one moment: a certificate may be renewed meanwhile.
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
    Err(refused(format!("The files in {} change all the time. Try again", data.join(TLS).display())))
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
            format!("{shown} cannot be written, for the disk is full. Free space there, or use another place")
        }
        _ => format!("{shown} cannot be written ({error}). See that this user may write there"),
    })
}

/// A copy of the database that could not be written.
pub(super) fn not_copied(folder: &Path, error: Error) -> BackupError {
    match error {
        Error::Internal(why) if why.contains("full") => {
            unwritable(folder, &io::Error::from(ErrorKind::StorageFull))
        }
        other => refused(format!("The database cannot be copied into {}: {other}", folder.display())),
    }
}
