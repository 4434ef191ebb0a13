//! Writes an archive: copies the database, verifies the copy, writes the archive beside its place, reads it back, and only
//! then moves it there.

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cb_core::audit::Checkpoint;
use cb_core::clock::fixed_width;
use cb_core::config::Config;
use cb_core::{Clock, Entropy, hex};
use cb_store::Store;
use cb_store::backup::DATABASE_FILE;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::archive::{self, Head, Listed, Manifest};
use super::cipher::{self, Protection};
use super::examine::{Examined, examine, signing_key};
use super::files::{self, AUDIT_KEY, Create as _, JWT_SECRET, Small, VAULT_KEY, unwritable};
use super::scratch::Scratch;
use super::{BackupError, Until, blocking, refused, unless_stopped};
use crate::audit::{CHECKPOINT_FILE, SET_ASIDE_FILE, damage, read_checkpoint, set_aside};
use crate::jumps::follow_at_start;
use crate::kept::no_audit_key;
use crate::shared::compare_audit_key;
use crate::vault::Unfit;

/// Where an archive is written to, and how.
pub struct Target {
    pub file: PathBuf,
    /// Take the place of a file that is there.
    pub force: bool,
    pub protection: Protection,
    /// Also where the audit log or a stored secret does not verify.
    pub damaged: bool,
}

/// An archive that was written.
#[derive(Debug)]
pub struct Made {
    pub size: u64,
    pub took: Duration,
    pub head: Head,
    pub assets: u64,
    pub missing: Vec<String>,
    pub flaws: Vec<String>,
}

/// Writes an archive, beside a running server or without one. When `stop` is cancelled the target stays as it was.
pub async fn make(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
    target: Target,
    stop: &CancellationToken,
) -> Result<Made, BackupError> {
    let began = Instant::now();
    let data = config.data_dir.clone();
    let folder = judge(&target, &data)?;
    if !data.is_dir() {
        return Err(refused(format!(
            "The folder {} does not exist. Set CB_DATA_DIR to the data folder of the server",
            data.display()
        )));
    }
    let store = match &config.db_url {
        Some(url) => unless_stopped(stop, Store::attach_postgres(url)).await?,
        None => unless_stopped(stop, Store::attach_sqlite(&data)).await?,
    };
    unless_stopped(stop, follow_at_start(&store, &**clock)).await?;
    // Read before the copy, so that nothing in the folder is newer than the copy.
    let checkpoint = read_checkpoint(&data.join(CHECKPOINT_FILE));
    let aside = set_aside(&data, SET_ASIDE_FILE).into_iter().map(|name| read_checkpoint(&data.join(name)));
    let aside: Vec<_> = aside.collect();
    let damage = damage(&data);
    let (mut small, mut missing) = kept(config)?;
    let key = small.iter().find(|(name, _)| name == AUDIT_KEY).map(|(_, bytes)| signing_key(bytes));
    let key = key.ok_or_else(|| refused(no_audit_key(&data).to_string()))??;
    unless_stopped(stop, compare_audit_key(&store, &data, &key.public())).await?;
    // A folder without a database and keys stays as it is: a restore may go into it.
    let lock = one_at_a_time(&data)?;
    let work = Work::begin(&target, folder, &data, entropy, lock)?;
    let copy = work.copy.folder.clone();
    let engine = store.engine().to_owned();
    let copied = unless_stopped(stop, async {
        store.copy_to(&copy).await.map_err(|e| files::not_copied(&copy, config.db_url.is_some(), e))
    });
    copied.await?;
    // The copy is verified by itself: an error here says nothing about it.
    let _ = store.close().await;

    let unfit = |why: Unfit| {
        if why.replaceable {
            return refused(
                "The vault's root key is lost, but no stored secret needs it. Start the server once (cb serve), which creates a new root key, and run this command again",
            );
        }
        refused(format!(
            "The vault's root key does not match the database: the database needs the key with the fingerprint {}, but {}. Put back the right key first; without it, no secret of the backup can be decrypted",
            why.wanted,
            if why.tried.is_empty() {
                "there is no key".to_owned()
            } else {
                format!("there is only a key with the fingerprint {}", why.tried.join(", "))
            }
        ))
    };
    let beside = || aside.iter().chain([&checkpoint]);
    let signed: Vec<Checkpoint> = beside().flatten().flatten().cloned().collect();
    let Examined { schema, head, assets, root, mut flaws, .. } =
        unless_stopped(stop, examine(&copy, config, &key, &signed, unfit)).await.map_err(|e| {
            e.of_database(|reason| {
                format!("The copy of the database cannot be used: {reason}. Run this command again")
            })
        })?;
    flaws.extend(beside().filter_map(|read| read.as_ref().err().cloned()));
    flaws.extend(damage);
    if !flaws.is_empty() && !target.damaged {
        return Err(refused(format!(
            "No archive was written, because the data could not be verified: {}. Find out why. To back up the data as it is, run this command again with --damaged",
            flaws.join("; ")
        )));
    }
    match root.text {
        Some(text) => {
            let mut bytes = Zeroizing::new(text.expose().trim().as_bytes().to_vec());
            bytes.push(b'\n');
            small.push((VAULT_KEY.to_owned(), bytes));
        }
        None => missing.push(format!("the root key of CB_VAULT_KEY (fingerprint {})", root.fingerprint)),
    }
    if let Ok(Some(signed)) = &checkpoint {
        let text = serde_json::to_vec(signed).map_err(cb_core::Error::internal)?;
        small.push((CHECKPOINT_FILE.to_owned(), Zeroizing::new(text)));
    }

    let manifest = Manifest {
        format: archive::FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        engine,
        created_at: fixed_width(clock.now()),
        head: head.clone(),
        root_key_fingerprint: root.fingerprint,
        assets,
        missing: missing.clone(),
        flaws: flaws.clone(),
        files: Vec::new(),
    };
    let size = blocking(stop, move |stop| write(&work, &target, manifest, &small, stop)).await?;
    Ok(Made { size, took: began.elapsed(), head, assets, missing, flaws })
}

/// Whether the target can be written, and the folder it is in.
fn judge(target: &Target, data: &Path) -> Result<PathBuf, BackupError> {
    let shown = target.file.display();
    if target.file.is_dir() {
        return Err(refused(format!("{shown} is a folder. Give the name of a file in it")));
    }
    if target.file.file_name().is_none() {
        return Err(refused(format!(
            "{shown} is not the name of a file. Give the name of the file to write"
        )));
    }
    if let Ok(there) = target.file.symlink_metadata() {
        if !there.is_file() {
            return Err(refused(format!(
                "{shown} is a link, a pipe or a device, which a backup does not replace. Choose another name"
            )));
        }
        if !target.force {
            return Err(refused(format!(
                "{shown} already exists. Choose another name, or replace the file with --force"
            )));
        }
        if there.len() > 0 && !is_archive(&target.file).map_err(|e| unwritable(&target.file, &e))? {
            return Err(refused(format!(
                "{shown} is not a backup, and --force replaces only an older backup. Choose another name, or delete this file first"
            )));
        }
    }
    let folder = target.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    if !folder.is_dir() {
        return Err(refused(format!("The folder {} does not exist. Create it first", folder.display())));
    }
    let inside = folder.canonicalize().ok().zip(data.canonicalize().ok());
    if inside.is_some_and(|(folder, data)| folder.starts_with(data)) {
        return Err(refused(format!(
            "{shown} is in the data folder, where it would be lost together with the data. Choose a file elsewhere"
        )));
    }
    Ok(folder)
}

/// Whether a file begins as a backup does, encrypted or not.
fn is_archive(file: &Path) -> io::Result<bool> {
    let mut begins = Vec::new();
    File::open(file)?.take(64).read_to_end(&mut begins)?;
    Ok(cipher::begins(&begins) || archive::begins(&begins))
}

/// One backup of a folder at a time: two would read the same disk against each other.
fn one_at_a_time(data: &Path) -> Result<File, BackupError> {
    let file = data.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).mode(0o600).open(&file);
    let open = open.map_err(|e| unwritable(&file, &e))?;
    match open.try_lock() {
        Ok(()) => Ok(open),
        Err(TryLockError::WouldBlock) => {
            Err(refused("Another cb backup of this folder is running. Wait until it ends"))
        }
        Err(TryLockError::Error(e)) => Err(unwritable(&file, &e)),
    }
}

/// The files beside the database that a restore needs, and what else it needs that only the settings hold.
fn kept(config: &Config) -> Result<(Small, Vec<String>), BackupError> {
    let (data, mut small, mut missing) = (&config.data_dir, Small::new(), Vec::new());
    for name in [JWT_SECRET, AUDIT_KEY] {
        if let Some(bytes) = files::read(&data.join(name))? {
            small.push((name.to_owned(), bytes));
        }
    }
    if config.jwt_secret.is_some() {
        missing.push("CB_JWT_SECRET".to_owned());
    }
    small.extend(files::certificates(data)?);
    if config.tls.is_some() {
        missing.push("the certificate of CB_TLS_CERT".to_owned());
    }
    Ok((small, missing))
}

/// What is half done. Dropped, it is removed.
struct Work {
    copy: Scratch,
    /// Where the copy is not to be: it is not encrypted, so beside an encrypted archive it stays where the database is.
    beside: Option<Scratch>,
    /// The target's folder.
    folder: PathBuf,
    _lock: File,
}

impl Work {
    fn begin(
        target: &Target,
        folder: PathBuf,
        data: &Path,
        entropy: &dyn Entropy,
        lock: File,
    ) -> Result<Self, BackupError> {
        let beside = Scratch::make(&folder, entropy)?;
        let (copy, beside) = if target.protection.encrypts() {
            (Scratch::make(data, entropy)?, Some(beside))
        } else {
            (beside, None)
        };
        Ok(Self { copy, beside, folder, _lock: lock })
    }

    /// Takes the target's place when it is whole.
    fn archive(&self) -> PathBuf {
        self.beside.as_ref().unwrap_or(&self.copy).folder.join("archive")
    }
}

fn write(
    work: &Work,
    target: &Target,
    mut manifest: Manifest,
    small: &Small,
    stop: &CancellationToken,
) -> Result<u64, BackupError> {
    let (copy, fresh) = (work.copy.folder.join(DATABASE_FILE), work.archive());
    whole(&work.copy.folder)?;
    let unreadable =
        |e: io::Error| refused(format!("{} cannot be read ({e}). Check the disk", copy.display()));
    let (size, sha256) = digest(&mut File::open(&copy).map_err(unreadable)?, stop).map_err(unreadable)?;
    manifest.files.push(Listed { name: DATABASE_FILE.to_owned(), size, sha256 });
    for (name, bytes) in small {
        let (size, sha256) = digest(&mut bytes.as_slice(), stop).map_err(unreadable)?;
        manifest.files.push(Listed { name: name.clone(), size, sha256 });
    }
    let failed = |e: io::Error| unwritable(&target.file, &e);
    let out = fresh.create_private().map_err(failed)?;
    let mut out = Paced { inner: out, pending: 0, digest: Sha256::new() };
    let contents = |file: &Listed| -> io::Result<Box<dyn Read>> {
        match small.iter().find(|(name, _)| *name == file.name) {
            Some((_, bytes)) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Ok(Box::new(BufReader::with_capacity(CHUNK, File::open(&copy)?))),
        }
    };
    let mut buffered = BufWriter::with_capacity(CHUNK, Until { inner: &mut out, stop });
    let written = target.protection.wrap(&mut buffered, |out| archive::write(out, &manifest, contents));
    written.and_then(|()| buffered.flush()).map_err(failed)?;
    drop(buffered);
    let Paced { inner, digest: wrote, .. } = out;
    inner.sync_all().map_err(failed)?;
    read_back(&fresh, target, &manifest, &hex(&wrote.finalize()), stop)?;
    let size = inner.metadata().map_err(failed)?.len();
    if stop.is_cancelled() {
        return Err(BackupError::Stopped);
    }
    std::fs::rename(&fresh, &target.file).map_err(|e| unwritable(&target.file, &e))?;
    // From here on the target is the new archive, whether somebody stops it or not.
    match files::sync_folder(&work.folder) {
        Ok(()) => Ok(size),
        Err(e) => Err(refused(format!(
            "{} is complete, but the disk did not confirm the name of the file ({e}), so the file may be lost when the power fails. Check the disk",
            target.file.display()
        ))),
    }
}

/// Refuses a copy whose last changes lie in a file beside it, which is not archived.
fn whole(folder: &Path) -> Result<(), BackupError> {
    for ending in ["-wal", "-journal"] {
        let beside = folder.join(format!("{DATABASE_FILE}{ending}"));
        let size = match beside.metadata() {
            Ok(about) => about.len(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => {
                return Err(refused(format!("{} cannot be read ({e}). Check the disk", beside.display())));
            }
        };
        if size > 0 {
            return Err(refused(format!(
                "The copy of the database is not complete: SQLite could not write the content of {} into it. Check the free space on that disk, and run this command again",
                beside.display()
            )));
        }
    }
    Ok(())
}

/// Compares the archive on the disk with what was written, and opens it as a restore does, if this process has the key.
fn read_back(
    fresh: &Path,
    target: &Target,
    manifest: &Manifest,
    wrote: &str,
    stop: &CancellationToken,
) -> Result<(), BackupError> {
    let differs = || {
        refused(format!(
            "The disk does not return the bytes that were written to {}. Check the disk, or write the archive to another disk",
            target.file.display()
        ))
    };
    let unreadable =
        |e: io::Error| refused(format!("{} cannot be read ({e}). Check the disk", fresh.display()));
    let open = || File::open(fresh).map_err(unreadable);
    if digest(&mut open()?, stop).map_err(unreadable)?.1 != wrote {
        return Err(differs());
    }
    if let Some(keys) = target.protection.keys() {
        let input = Until { inner: BufReader::with_capacity(CHUNK, open()?), stop };
        let (mut inside, _) = keys.open(input)?;
        if archive::read(&mut inside, None)? != *manifest {
            return Err(differs());
        }
    }
    Ok(())
}

/// In the data folder.
pub(super) const LOCK: &str = "backup.lock";
const CHUNK: usize = 256 * 1024;

fn digest(from: &mut dyn Read, stop: &CancellationToken) -> io::Result<(u64, String)> {
    let mut from = Until { inner: from, stop };
    let (mut digest, mut buffer, mut size) = (Sha256::new(), vec![0; CHUNK], 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((size, hex(&digest.finalize()))),
            Ok(read) => {
                digest.update(&buffer[..read]);
                size += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Tells the disk to keep up every few megabytes, because the server's commits wait for the same disk.
struct Paced {
    inner: File,
    pending: usize,
    digest: Sha256,
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const AT_ONCE: usize = 4 * 1024 * 1024;
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.pending += written;
        if self.pending >= AT_ONCE {
            self.inner.sync_data()?;
            self.pending = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{DATABASE_FILE, whole};

    #[test]
    fn a_copy_with_changes_beside_it_is_not_archived() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |ending: &str, text: &str| {
            std::fs::write(dir.path().join(format!("{DATABASE_FILE}{ending}")), text).expect("written");
        };
        write("", "the database");
        write("-wal", "");
        whole(dir.path()).expect("an empty log holds nothing");
        for ending in ["-wal", "-journal"] {
            write(ending, "changes");
            let why = whole(dir.path()).expect_err("not whole").to_string();
            assert!(why.contains("is not complete") && why.contains(ending), "{why}");
            write(ending, "");
        }
    }
}
