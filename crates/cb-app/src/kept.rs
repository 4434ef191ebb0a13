//! Keys and secrets that stand in files of the data folder, and the folder's lock.
//!
//! Invariants: a file is written beside its place and moved there, so that a crash leaves the whole secret or none; it has mode 0600
//! from its first byte.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use cb_core::Secret;
use cb_core::config::ConfigError;
use cb_store::LOCK_FILE;

/// What is done about secrets that are not in the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// They are made: this process is the only one that may.
    Make,
    /// They are the server's, which makes them at its first start.
    AsTheyAre,
}

/// Makes the folder if needed, sees that it can be written to, and takes it for this process.
pub(crate) fn open_data_dir(dir: &Path) -> Result<File, ConfigError> {
    let refuse = |reason: String, mend: String| ConfigError::new("CB_DATA_DIR", reason, mend);
    let shown = dir.display();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| {
        refuse(
            format!("{shown} cannot be created ({e})"),
            format!("Create it for the user that runs the server: install -d -m 700 -o USER {shown}, where USER is that user"),
        )
    })?;
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK_FILE));
    let file = file.map_err(|e| match e.kind() {
        ErrorKind::StorageFull => refuse(
            format!("the disk that holds {shown} is full"),
            "Free some space there, or set CB_DATA_DIR to another folder".to_owned(),
        ),
        _ => refuse(
            format!("{shown} cannot be written to ({e})"),
            format!("Run this command as the user that runs the server, or make that user the owner of the folder: chown -R USER {shown} && chmod 700 {shown}, where USER is that user"),
        ),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(refuse(
            format!("another server or a restore is using {shown}"),
            "Stop it, wait until it ends, or set CB_DATA_DIR to another folder".to_owned(),
        )),
        Err(std::fs::TryLockError::Error(e)) => Err(refuse(
            format!("{shown} cannot be locked ({e})"),
            "Move the folder to a local disk".to_owned(),
        )),
    }
}

/// Why nothing is done in a folder without this key.
pub(crate) fn no_audit_key(data: &Path) -> ConfigError {
    ConfigError::new(
        &data.join("audit-key").display().to_string(),
        "this file does not exist",
        "Put the file back: every archive of cb backup contains it (tar -xf ARCHIVE audit-key). If no server has run here before, start the server (cb serve). If the key is lost, the server creates a new one when it starts, but then the signatures of the old key can no longer be verified",
    )
}

/// The secret in `file`, or a new one written there for the owner's eyes only.
pub(crate) fn kept_secret(file: &Path, make: impl FnOnce() -> String) -> Result<Secret, ConfigError> {
    if let Some(kept) = read_secret(file)? {
        return Ok(kept);
    }
    let secret = Secret::new(make());
    // Written beside and moved, so that a crash never leaves half a secret.
    let fresh = file.with_extension("new");
    remove(&fresh);
    let written =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).and_then(|mut f| {
            f.write_all(secret.expose().as_bytes())?;
            f.write_all(b"\n")?;
            f.sync_all()?;
            std::fs::rename(&fresh, file)?;
            // A power cut must not take it away when something has been sealed with it.
            File::open(file.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
        });
    written.map_err(|e| unusable(file, format!("it cannot be written ({e})")))?;
    Ok(secret)
}

/// The secret in `file`; none where there is no such file.
pub(crate) fn read_secret(file: &Path) -> Result<Option<Secret>, ConfigError> {
    let mut open = match File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(file, format!("it cannot be opened ({e})"))),
    };
    let mut text = String::new();
    std::io::Read::take(&mut open, 4096)
        .read_to_string(&mut text)
        .map_err(|e| unusable(file, format!("it cannot be read ({e})")))?;
    match Secret::new(text).expose().trim() {
        "" => Err(unusable(file, "it is empty".to_owned())),
        kept => Ok(Some(Secret::new(kept.to_owned()))),
    }
}

pub(crate) fn unusable(file: &Path, reason: String) -> ConfigError {
    let shown = file.display();
    ConfigError::new(
        &shown.to_string(),
        reason,
        // What it has sealed or signed could not be opened or verified any more.
        if file.file_name().is_some_and(|name| name == "vault-key" || name == "audit-key") {
            format!(
                "Make it readable for the user that runs the server, or restore it from a backup: {shown}"
            )
        } else {
            format!(
                "Make it readable for the user that runs the server, or delete it, and the next start creates a new one: rm {shown}"
            )
        },
    )
}

pub(crate) fn remove(file: &Path) {
    if let Err(e) = std::fs::remove_file(file)
        && e.kind() != ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), error = %e, "a file that is no longer needed cannot be deleted");
    }
}
