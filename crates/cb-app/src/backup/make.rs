//! Writes an archive: copies the database, verifies the copy, writes the archive beside its place, reads it back, and only
//! then moves it there.

use std::fs::{File, TryLockError};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cb_core::clock::fixed_width;
use cb_core::config::Config;
use cb_core::{Clock, hex};
use cb_store::Store;
use cb_store::backup::DATABASE_FILE;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::archive::{self, Head, Listed, Manifest};
use super::cipher::Protection;
use super::examine::{Examined, examine, signing_key};
use super::files::{self, AUDIT_KEY, Create as _, JWT_SECRET, Small, VAULT_KEY, unwritable};
use super::{BackupError, blocking, refused};
use crate::audit::{CHECKPOINT_FILE, read_checkpoint};
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

/// Beside a server that may be running, and without one.
pub async fn make(config: &Config, clock: &Arc<dyn Clock>, target: Target) -> Result<Made, BackupError> {
    let began = Instant::now();
    let data = config.data_dir.clone();
    let folder = judge(&target)?;
    let _one = one_at_a_time(&data)?;
    // Before the database: then nothing in the folder is newer than the copy.
    let checkpoint = read_checkpoint(&data.join(CHECKPOINT_FILE));
    let (mut small, mut missing) = kept(config)?;
    let store = match &config.db_url {
        Some(url) => Store::attach_postgres(url).await?,
        None => Store::attach_sqlite(&data).await?,
    };
    let work = Work::begin(&target, &folder, &data)?;
    let engine = store.engine().to_owned();
    let copied = store.copy_to(&work.folder).await.map_err(|e| files::not_copied(&work.folder, e));
    store.close().await?;
    copied?;

    let key = small.iter().find(|(name, _)| name == AUDIT_KEY).map(|(_, bytes)| signing_key(bytes));
    let key = key.ok_or_else(|| {
        refused(format!(
            "There is no {AUDIT_KEY} in {}. Start the server there once (cb serve)",
            data.display()
        ))
    })??;
    let unfit = |why: Unfit| {
        refused(format!(
            "The vault's root key does not fit the database: the fingerprint {} is needed, and there is {}. Put back the right key first; a backup without it opens no secret",
            why.wanted,
            if why.tried.is_empty() { "no key".to_owned() } else { why.tried.join(", ") }
        ))
    };
    let signed = checkpoint.as_ref().ok().and_then(Option::as_ref);
    let Examined { schema, head, assets, root, mut flaws } =
        examine(&work.folder, config, &key, signed, unfit).await?;
    flaws.extend(checkpoint.as_ref().err().cloned());
    if !flaws.is_empty() && !target.damaged {
        return Err(refused(format!(
            "There is no backup, for what would be in it does not verify: {}. Find out why; to keep it as it is, run this again with --damaged",
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
    let size = blocking(move || write(&work, &target, manifest, &small)).await?;
    Ok(Made { size, took: began.elapsed(), head, assets, missing, flaws })
}

/// Whether the target can be written, and the folder it is in.
fn judge(target: &Target) -> Result<PathBuf, BackupError> {
    let shown = target.file.display();
    if target.file.is_dir() {
        return Err(refused(format!("{shown} is a folder. Name a file in it")));
    }
    if target.file.file_name().is_none() {
        return Err(refused(format!("{shown} is no name of a file. Name the file to be written")));
    }
    if target.file.symlink_metadata().is_ok() && !target.force {
        return Err(refused(format!(
            "{shown} is there already. Choose another name, or replace it with --force"
        )));
    }
    let folder = target.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    if !folder.is_dir() {
        return Err(refused(format!("There is no folder {}. Make it first", folder.display())));
    }
    Ok(folder)
}

/// Held while a backup is written: what another one has left is not in use.
fn one_at_a_time(data: &Path) -> Result<File, BackupError> {
    let file = data.join("backup.lock");
    if !data.is_dir() {
        return Err(refused(format!(
            "There is no folder {}. Set CB_DATA_DIR to the server's folder",
            data.display()
        )));
    }
    let open = File::options().create(true).truncate(false).write(true).mode(0o600).open(&file);
    let open = open.map_err(|e| unwritable(&file, &e))?;
    match open.try_lock() {
        Ok(()) => Ok(open),
        Err(TryLockError::WouldBlock) => {
            Err(refused("Another cb backup of this folder is running. Wait until it has ended"))
        }
        Err(TryLockError::Error(e)) => Err(unwritable(&file, &e)),
    }
}

/// The files beside the database that a restore needs, and what it needs and is not in a file of ours.
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

/// What is half done: removed when it is over, however it ends.
struct Work {
    /// Holds the copy of the database.
    folder: PathBuf,
    /// Takes the target's place when it is whole.
    fresh: PathBuf,
    /// The target's folder.
    beside: PathBuf,
}

impl Work {
    fn begin(target: &Target, beside: &Path, data: &Path) -> Result<Self, BackupError> {
        let named = |ending: &str| {
            let mut name = target.file.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        // The copy is not encrypted: where the archive is to be, it stays where the database is.
        let folder = if target.protection.encrypts() { data.join(".backup") } else { named(".new.d") };
        let work = Self { folder, fresh: named(".new"), beside: beside.to_path_buf() };
        work.clear();
        files::make_private_folder(&work.folder)?;
        Ok(work)
    }

    fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.fresh);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(work: &Work, target: &Target, mut manifest: Manifest, small: &Small) -> Result<u64, BackupError> {
    let copy = work.folder.join(DATABASE_FILE);
    let unreadable = |e: io::Error| unwritable(&work.folder, &e);
    let (size, sha256) = digest(&mut File::open(&copy).map_err(unreadable)?).map_err(unreadable)?;
    manifest.files.push(Listed { name: DATABASE_FILE.to_owned(), size, sha256 });
    for (name, bytes) in small {
        let (size, sha256) = digest(&mut bytes.as_slice()).map_err(unreadable)?;
        manifest.files.push(Listed { name: name.clone(), size, sha256 });
    }
    let full = |e: io::Error| unwritable(&work.fresh, &e);
    let out = work.fresh.create_private().map_err(full)?;
    let mut out = Paced { inner: out, pending: 0, digest: Sha256::new() };
    let contents = |file: &Listed| -> io::Result<Box<dyn Read>> {
        match small.iter().find(|(name, _)| *name == file.name) {
            Some((_, bytes)) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Ok(Box::new(BufReader::with_capacity(CHUNK, File::open(&copy)?))),
        }
    };
    let mut buffered = BufWriter::with_capacity(CHUNK, &mut out);
    let written = target.protection.wrap(&mut buffered, |out| archive::write(out, &manifest, contents));
    written.and_then(|()| buffered.flush()).map_err(full)?;
    drop(buffered);
    let Paced { inner, digest: wrote, .. } = out;
    inner.sync_all().map_err(full)?;
    read_back(work, target, &manifest, &hex(&wrote.finalize()))?;
    let size = inner.metadata().map_err(full)?.len();
    std::fs::rename(&work.fresh, &target.file)
        .and_then(|()| files::sync_folder(&work.beside))
        .map_err(|e| unwritable(&target.file, &e))?;
    Ok(size)
}

/// What stands there is what was written, and opens as a restore opens it, as far as we have the key.
fn read_back(work: &Work, target: &Target, manifest: &Manifest, wrote: &str) -> Result<(), BackupError> {
    let full = |e: io::Error| unwritable(&work.fresh, &e);
    let open = || File::open(&work.fresh).map_err(full);
    if digest(&mut open()?).map_err(full)?.1 != wrote {
        return Err(refused(format!(
            "{} reads back otherwise than it was written. See to that disk",
            work.fresh.display()
        )));
    }
    if let Some(keys) = target.protection.keys() {
        let (mut inside, _) = keys.open(BufReader::with_capacity(CHUNK, open()?))?;
        if archive::read(&mut inside, None)? != *manifest {
            return Err(refused("The archive reads back otherwise than it was written. Try again"));
        }
    }
    Ok(())
}

const CHUNK: usize = 256 * 1024;

fn digest(from: &mut dyn Read) -> io::Result<(u64, String)> {
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

/// Writes such that the disk never has much to catch up with: the server's commits wait for the same disk.
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
