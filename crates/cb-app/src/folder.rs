//! Who else can read the data folder. Everything in it is for the server's user alone: the database holds all that was found, the other
//! files are keys.
//!
//! Invariants: a file that this program makes has mode 0600 from its first byte; one that has come with another mode, from an earlier
//! version or by somebody's copy, gets it at the next start. The folder itself is the operator's: it is told, not changed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The folders whose files are ours: the data folder itself, and these below it.
const BELOW: [&str; 1] = ["tls"];
/// Files that are looked at. There are about twenty.
const FILES_MOST: usize = 10_000;
const OTHERS: u32 = 0o077;

/// Something in the data folder, or the folder itself, that others than its owner can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub path: PathBuf,
    pub mode: u32,
    pub is_folder: bool,
}

impl Open {
    /// What is open, and what others can do with it.
    pub fn told(&self) -> String {
        if self.is_folder { format!("{self}. {}", self.reach()) } else { self.to_string() }
    }

    /// What others can do with a folder whose files are closed to them.
    fn reach(&self) -> &'static str {
        // In a sticky folder everybody removes their own files only.
        let (writes, sticky) = (self.mode & 0o022 != 0, self.mode & 0o1000 != 0);
        match (writes, sticky) {
            (false, _) => "They cannot open the files in it, but they can see their names",
            (true, true) => "They cannot open the files in it, but they can see their names and add files",
            (true, false) => {
                "They cannot open the files in it, but they can see their names, delete the files and put other files in their place"
            }
        }
    }

    /// What to do about it.
    pub fn mend(&self) -> String {
        let mode = if self.is_folder { "700" } else { "600" };
        format!("chmod {mode} {}", self.path.display())
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_folder { "The folder" } else { "The file" };
        write!(f, "{what} {} is open to other users (mode {:04o})", self.path.display(), self.mode)
    }
}

/// Everything in `data` that others can use, the folder first.
pub fn open_to_others(data: &Path) -> io::Result<Vec<Open>> {
    let mut found = Vec::new();
    note(&mut found, data, &fs::metadata(data)?);
    let folders = std::iter::once(data.to_owned()).chain(BELOW.iter().map(|name| data.join(name)));
    for folder in folders {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries.take(FILES_MOST) {
            let entry = entry?;
            // It may be gone by now: SQLite removes its log when the last one closes it.
            let Ok(facts) = entry.metadata() else { continue };
            let ours =
                facts.is_dir() && folder == data && BELOW.iter().any(|name| entry.file_name() == *name);
            if facts.is_file() || ours {
                note(&mut found, &entry.path(), &facts);
            }
        }
    }
    Ok(found)
}

fn note(found: &mut Vec<Open>, path: &Path, facts: &fs::Metadata) {
    let mode = facts.mode() & 0o7777;
    if mode & OTHERS != 0 {
        found.push(Open { path: path.to_owned(), mode, is_folder: facts.is_dir() });
    }
}

/// Shuts the files to others, and says what stays open.
pub(crate) fn shut(data: &Path) {
    let found = match open_to_others(data) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(folder = %data.display(), %error, "the server cannot find out who can read the data folder");
            return;
        }
    };
    for open in found {
        if open.path == data {
            tracing::warn!("{}. Run: {}", open.told(), open.mend());
            continue;
        }
        match shut_one(&open) {
            Ok(()) => tracing::warn!("{open}. The server has removed their access"),
            Err(error) => {
                tracing::warn!(
                    "{open}, and the server cannot remove their access ({error}). Run: {}",
                    open.mend()
                );
            }
        }
    }
}

fn shut_one(open: &Open) -> io::Result<()> {
    // What was looked at, and not what a link leads to.
    let (before, file) = (fs::symlink_metadata(&open.path)?, File::open(&open.path)?);
    let after = file.metadata()?;
    if (before.dev(), before.ino()) != (after.dev(), after.ino()) {
        return Err(io::Error::other("it was replaced meanwhile"));
    }
    file.set_permissions(Permissions::from_mode(open.mode & !OTHERS))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    use super::{Open, open_to_others, shut};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn a_folder_that_others_write_to_says_that_they_can_replace_files() {
        for (mode, replaces, adds) in [
            (0o755, false, false),
            (0o777, true, false),
            (0o770, true, false),
            (0o702, true, false),
            (0o1777, false, true),
        ] {
            let open = Open { path: "data".into(), mode, is_folder: true };
            assert_eq!(open.reach().contains("put other files in their place"), replaces, "{mode:o}");
            assert_eq!(open.reach().contains("and add files"), adds, "{mode:o}");
        }
    }

    #[test]
    fn files_are_shut_and_the_folder_and_what_is_elsewhere_stay_as_they_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let (data, outside) = (dir.path().join("data"), dir.path().join("outside"));
        for folder in [data.clone(), data.join("tls"), data.join("somebody's")] {
            fs::create_dir(&folder).expect("made");
            fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("set");
        }
        let files = ["circuit-breaker.db", "circuit-breaker.db-wal", "vault-key", "tls/ca.key", "tls/ca.pem"];
        let paths: Vec<_> = files.iter().map(|name| data.join(name)).collect();
        let theirs = data.join("somebody's/file");
        for path in paths.iter().chain([&outside, &theirs]) {
            fs::write(path, "x").expect("written");
            fs::set_permissions(path, Permissions::from_mode(0o644)).expect("set");
        }
        symlink(&outside, data.join("link")).expect("made");
        let found = open_to_others(&data).expect("looked");
        assert_eq!(found.len(), 7, "{found:?}");
        assert!(found[0].path == data && found[0].mend() == format!("chmod 700 {}", data.display()));
        shut(&data);
        for path in &paths {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
        assert_eq!(mode(&data.join("tls")), 0o700);
        assert_eq!((mode(&data), mode(&outside), mode(&theirs)), (0o755, 0o644, 0o644));
        assert_eq!(open_to_others(&data).expect("looked").len(), 1);
    }
}
