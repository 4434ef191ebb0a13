//! The format of an archive: a tar with the manifest first, then the files that it lists, and last a checksum of every byte
//! before it. So a reader notices every byte that is missing or changed.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use cb_core::hex;
use cb_store::backup::DATABASE_FILE;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::files::{self, Create as _};
use super::{BackupError, refused};

pub(super) const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const CHECKSUM: &str = "checksum.sha256";
const BLOCK: usize = 512;
/// The checksum's entry and the end of the archive.
const TAIL: usize = 2 * BLOCK + 2 * BLOCK;
const MANIFEST_MOST: u64 = 1024 * 1024;

/// The last entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: i64,
    pub hash: String,
}

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The newest migration of the database.
    pub schema: String,
    /// The database it was taken from: `sqlite` or `postgresql`. The archive holds a SQLite database in either case.
    pub engine: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub head: Head,
    /// Of the root key that the vault is wrapped by.
    pub root_key_fingerprint: String,
    pub assets: u64,
    /// What is needed and not in the archive, each as a sentence.
    pub missing: Vec<String>,
    /// What did not verify when it was written.
    pub flaws: Vec<String>,
    pub files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// Whether these are the first bytes of an archive.
pub(super) fn begins(with: &[u8]) -> bool {
    with.starts_with(MANIFEST.as_bytes())
}

/// Writes the archive. `contents` gives each file of the manifest, in its order.
pub(super) fn write(
    out: &mut dyn Write,
    manifest: &Manifest,
    mut contents: impl FnMut(&Listed) -> io::Result<Box<dyn Read>>,
) -> io::Result<()> {
    let mut out = Hashing { inner: out, digest: Sha256::new() };
    let text = serde_json::to_vec_pretty(manifest)?;
    entry(&mut out, MANIFEST, text.len() as u64, &mut text.as_slice())?;
    for file in &manifest.files {
        entry(&mut out, &file.name, file.size, &mut *contents(file)?)?;
    }
    let Hashing { inner, digest } = out;
    inner.write_all(&tail(&digest.finalize())?)
}

fn entry(out: &mut dyn Write, name: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    if io::copy(content, out)? != size {
        return Err(io::Error::other(format!("{name} changed while it was read")));
    }
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.write_all(&[0; BLOCK][over..])?;
    }
    Ok(())
}

/// What an archive ends with: known to the byte from the digest of what is before it.
fn tail(digest: &[u8]) -> io::Result<Vec<u8>> {
    let mut tail = Vec::with_capacity(TAIL);
    let text = hex(digest) + "\n";
    entry(&mut tail, CHECKSUM, text.len() as u64, &mut text.as_bytes())?;
    tail.resize(TAIL, 0);
    Ok(tail)
}

struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Gives everything but the tail, which it keeps back, and computes the checksum of what it gives.
struct ButTheTail<R> {
    inner: R,
    held: Vec<u8>,
    digest: Sha256,
}

impl<R: Read> ButTheTail<R> {
    /// Holds more than `least` bytes; false where there are no more.
    fn holds_more_than(&mut self, least: usize) -> io::Result<bool> {
        const AT_ONCE: usize = 128 * 1024;
        while self.held.len() <= least {
            let had = self.held.len();
            self.held.resize(had + AT_ONCE, 0);
            let read = self.inner.read(&mut self.held[had..]);
            self.held.truncate(had + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => return Ok(false),
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
        }
        Ok(true)
    }

    /// The first bytes, at most so many, which are still to be read.
    fn first(&mut self, most: usize) -> io::Result<&[u8]> {
        self.holds_more_than(most)?;
        Ok(&self.held[..most.min(self.held.len())])
    }
}

impl<R: Read> Read for ButTheTail<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.holds_more_than(TAIL)? {
            return Ok(0);
        }
        let count = (self.held.len() - TAIL).min(into.len());
        into[..count].copy_from_slice(&self.held[..count]);
        self.digest.update(&self.held[..count]);
        self.held.drain(..count);
        Ok(count)
    }
}

const TORN: &str = "The archive is damaged: a part of it is missing, or someone changed it. Use another copy of it, or an older backup";

/// The refusal of an archive that is not whole.
fn torn(why: &io::Error) -> BackupError {
    refused(format!("{TORN} ({why})"))
}

/// Reads an archive to its last byte. `into` is the folder that its files are written to; none: it is only looked through.
/// Nothing of it can be trusted before the answer.
///
/// Every entry is taken as it is written. A tar's extensions (long names, sparse files, links) are refused: a backup writes none, and
/// they make a small archive write where and as much as it likes.
pub(super) fn read(input: &mut dyn Read, into: Option<&Path>) -> Result<Manifest, BackupError> {
    let mut input = ButTheTail { inner: input, held: Vec::new(), digest: Sha256::new() };
    // An archive begins with the header of its manifest, whatever has become of the rest.
    let begins = input.first(MANIFEST.len()).map_err(|e| torn(&e))?;
    if begins.is_empty() {
        return Err(refused("The archive is an empty file. Use another copy of it, or an older backup"));
    }
    if !MANIFEST.as_bytes().starts_with(begins) {
        return Err(not_one());
    }
    let mut archive = tar::Archive::new(&mut input);
    let mut entries = archive.entries().map_err(|e| torn(&e))?.raw(true);
    let manifest = match entries.next() {
        Some(Ok(mut first)) if is_file(&first) && first.path_bytes() == MANIFEST.as_bytes() => {
            let mut text = Vec::new();
            first.by_ref().take(MANIFEST_MOST).read_to_end(&mut text).map_err(|e| torn(&e))?;
            understood(&text)?
        }
        Some(Ok(_)) => return Err(not_one()),
        None => return Err(refused(TORN)),
        // A file without a tar header is not ours. One with a header that ends too early is torn.
        Some(Err(e)) => return Err(if e.kind() == io::ErrorKind::Other { not_one() } else { torn(&e) }),
    };
    let mut missing: BTreeMap<&str, &Listed> =
        manifest.files.iter().map(|file| (file.name.as_str(), file)).collect();
    for entry in entries {
        let mut entry = entry.map_err(|e| torn(&e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let listed = missing.remove(name.as_str()).filter(|_| is_file(&entry) && files::belongs(&name));
        let fits =
            |file: &&Listed| file.size == entry.size() && (file.size <= files::MOST || name == DATABASE_FILE);
        let Some(listed) = listed.filter(fits) else {
            return Err(refused(format!("{TORN} ({name} does not match its manifest)")));
        };
        let mut digest = Hashing { inner: io::sink(), digest: Sha256::new() };
        match into {
            None => io::copy(&mut entry, &mut digest).map_err(|e| torn(&e))?,
            Some(folder) => {
                let file = folder.join(&name);
                let mut open = file.create_private().map_err(|e| files::unwritable(&file, &e))?;
                let copied = copy(&mut entry, &mut open, &mut digest, &file)?;
                open.sync_all().map_err(|e| files::unwritable(&file, &e))?;
                copied
            }
        };
        if hex(&digest.digest.finalize()) != listed.sha256 {
            return Err(refused(format!("{TORN} ({name} does not have its checksum)")));
        }
    }
    if let Some(name) = missing.into_keys().next() {
        return Err(refused(format!("{TORN} ({name} is missing)")));
    }
    io::copy(&mut input, &mut io::sink()).map_err(|e| torn(&e))?;
    let whole = tail(&input.digest.finalize()).is_ok_and(|tail| tail == input.held);
    if whole { Ok(manifest) } else { Err(refused(TORN)) }
}

fn is_file(entry: &tar::Entry<'_, impl Read>) -> bool {
    entry.header().entry_type() == EntryType::Regular
}

/// Tells a failure of the archive from one of the place.
fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    digest: &mut dyn Write,
    file: &Path,
) -> Result<u64, BackupError> {
    let (mut buffer, mut count) = (vec![0; 128 * 1024], 0);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(count),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(torn(&e)),
        };
        to.write_all(&buffer[..read]).map_err(|e| files::unwritable(file, &e))?;
        digest.write_all(&buffer[..read]).map_err(|e| torn(&e))?;
        count += read as u64;
    }
}

fn not_one() -> BackupError {
    refused("This file is not an archive of cb backup. Give the name of the file that cb backup wrote")
}

fn understood(text: &[u8]) -> Result<Manifest, BackupError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
        program: String,
    }
    let torn = |e: serde_json::Error| torn(&e.into());
    let Format { format, program } = serde_json::from_slice(text).map_err(torn)?;
    if format != FORMAT {
        return Err(refused(format!(
            "The archive has the format {format}, but this program knows only the format {FORMAT}. Use version {program} of cb, which wrote the archive, or a later version"
        )));
    }
    serde_json::from_slice(text).map_err(torn)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use cb_core::hex;
    use sha2::{Digest as _, Sha256};
    use tar::{EntryType, Header};

    use super::{DATABASE_FILE, Head, Listed, MANIFEST, Manifest, read, tail, write};

    const KEY: &[u8] = b"a signing secret\n";

    fn listed(name: &str, content: &[u8]) -> Listed {
        let sha256 = hex(&Sha256::digest(content));
        Listed { name: name.to_owned(), size: content.len() as u64, sha256 }
    }

    fn manifest(files: Vec<Listed>) -> Manifest {
        Manifest {
            format: super::FORMAT,
            program: "0.1.0".to_owned(),
            schema: "m0011_hooks".to_owned(),
            engine: "sqlite".to_owned(),
            created_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            head: Head { seq: 3, hash: "ab".to_owned() },
            root_key_fingerprint: "cd".to_owned(),
            assets: 0,
            missing: Vec::new(),
            flaws: Vec::new(),
            files,
        }
    }

    fn archive() -> Vec<u8> {
        let mut out = Vec::new();
        let manifest = manifest(vec![listed("jwt-secret", KEY)]);
        write(&mut out, &manifest, |_| Ok(Box::new(KEY) as Box<dyn Read>)).expect("written");
        out
    }

    #[test]
    fn it_comes_back_as_it_was_and_any_tar_opens_it() {
        let archive = archive();
        let dir = tempfile::tempdir().expect("a folder");
        let manifest = read(&mut archive.as_slice(), Some(dir.path())).expect("whole");
        assert_eq!(manifest.head, Head { seq: 3, hash: "ab".to_owned() });
        assert_eq!(std::fs::read(dir.path().join("jwt-secret")).expect("there"), KEY);
        let mut plain = tar::Archive::new(archive.as_slice());
        let names: Vec<_> = plain
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names, ["manifest.json", "jwt-secret", "checksum.sha256"]);
    }

    #[test]
    fn not_one_byte_of_it_can_be_changed_or_left_out() {
        let archive = archive();
        for at in 0..archive.len() {
            let mut changed = archive.clone();
            changed[at] ^= 0x20;
            assert!(read(&mut changed.as_slice(), None).is_err(), "byte {at} was changed");
            assert!(read(&mut &archive[..at], None).is_err(), "cut off at {at}");
        }
        assert!(read(&mut [archive.as_slice(), &[0]].concat().as_slice(), None).is_err(), "longer");
    }

    /// An entry as no backup writes it.
    fn entry(kind: EntryType, name: &str, content: &[u8], shape: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = Header::new_gnu();
        // Past what the crate thinks of such a name.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        shape(&mut header);
        header.set_cksum();
        let mut entry = header.as_bytes().to_vec();
        entry.extend_from_slice(content);
        entry.resize(entry.len().next_multiple_of(512), 0);
        entry
    }

    /// An archive whose checksum is right, whatever is in it.
    fn forged(files: Vec<Listed>, entries: &[Vec<u8>]) -> Vec<u8> {
        let text = serde_json::to_vec(&manifest(files)).expect("JSON");
        let mut out = entry(EntryType::Regular, MANIFEST, &text, |_| {});
        out.extend(entries.concat());
        let tail = tail(&Sha256::digest(&out)).expect("short");
        out.extend(tail);
        out
    }

    /// Refused, and next to nothing was written anywhere.
    fn refuses(what: &str, archive: &[u8]) {
        let outer = tempfile::tempdir().expect("a folder");
        let dir = outer.path().join("into");
        std::fs::create_dir_all(dir.join("tls")).expect("made");
        let why = read(&mut &*archive, Some(&dir)).expect_err(what).to_string();
        assert!(why.contains("does not match its manifest"), "{what}: {why}");
        let names = |folder: &std::path::Path| std::fs::read_dir(folder).expect("reads").count();
        assert_eq!((names(outer.path()), names(&dir), names(&dir.join("tls"))), (1, 1, 0), "{what}");
    }

    #[test]
    fn what_a_tar_can_do_and_a_backup_does_not_is_refused() {
        let plain = |name: &str, content: &[u8]| entry(EntryType::Regular, name, content, |_| {});
        let whole = forged(vec![listed("jwt-secret", KEY)], &[plain("jwt-secret", KEY)]);
        read(&mut whole.as_slice(), None).expect("the forger writes what is read");

        let zeros = vec![0; 64 * 1024 * 1024];
        let sparse = entry(EntryType::GNUSparse, DATABASE_FILE, &[], |header| {
            let gnu = header.as_gnu_mut().expect("GNU");
            gnu.set_real_size(zeros.len() as u64);
            gnu.sparse[0].set_offset(zeros.len() as u64);
            gnu.sparse[0].set_length(0);
        });
        refuses("a sparse file", &forged(vec![listed(DATABASE_FILE, &zeros)], &[sparse]));
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let text: &[u8] =
                if kind == EntryType::XHeader { b"19 path=jwt-secret\n" } else { b"jwt-secret\0" };
            let named = [entry(kind, "././@LongLink", text, |_| {}), plain("short", KEY)];
            refuses("a name elsewhere", &forged(vec![listed("jwt-secret", KEY)], &named));
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::Fifo] {
            let link = entry(kind, "jwt-secret", &[], |header| {
                header.set_link_name("/etc/passwd").expect("short");
            });
            refuses("a link", &forged(vec![listed("jwt-secret", &[])], &[link]));
        }
        refuses(
            "more than listed",
            &forged(vec![listed("jwt-secret", KEY)], &[plain("jwt-secret", &[KEY, KEY].concat())]),
        );
        let large = vec![b'k'; 1024 * 1024 + 1];
        refuses("a large key", &forged(vec![listed("jwt-secret", &large)], &[plain("jwt-secret", &large)]));
        for name in ["../jwt-secret", "/tmp/jwt-secret", "tls/../../jwt-secret", "tls/.hidden", "lock"] {
            refuses(name, &forged(vec![listed(name, KEY)], &[plain(name, KEY)]));
        }
        let twice = [plain("jwt-secret", KEY), plain("jwt-secret", KEY)];
        let why = read(&mut forged(vec![listed("jwt-secret", KEY)], &twice).as_slice(), None);
        assert!(why.is_err(), "an entry that comes twice");
    }
}
