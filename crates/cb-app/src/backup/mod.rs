//! One file that brings everything back: the database, and the keys and certificates beside it; and the refusal to
//! start over a database that is older than its folder; and the way from one kind of database into the other.
//!
//! - `archive` knows the file's format, `cipher` its encryption, `files` which files of the data folder belong into it.
//! - `make` writes an archive, `restore` puts one into an empty place. Both verify with `examine`, before anything is moved.
//! - `copy` moves the database of a data folder into the other kind of database. The folder stays.
//! - `place` owns the folder that is restored into: whatever is cut short, it is empty or whole.
//! - `scratch` owns the private folders for what is half done, and removes those that a killed backup has left.
//! - `rollback` compares the database with the newest signed checkpoint in the folder.
//!
//! To add a file: a line of `FILES` in `files.rs`. See docs/adr/0012-backup.md.

mod archive;
mod cipher;
mod copy;
mod examine;
mod files;
mod make;
mod place;
mod restore;
mod rollback;
mod scratch;

use std::io::{self, Read, Write};

use cb_core::Error;
use cb_core::config::ConfigError;
use cb_store::OpenError;
use tokio_util::sync::CancellationToken;

pub use archive::{Head, Manifest};
pub use cipher::{Keys, Protection};
pub use copy::{Copied, To, copy};
pub(crate) use files::needed;
pub use make::{Made, Target, make};
pub(crate) use place::settle;
pub use restore::{Outcome, Restored, Source, restore};
pub(crate) use rollback::guard;
pub use rollback::{Accepted, accept};

use crate::start_error::StartError;

/// Why there is no backup or no restore, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{}", .0.plain())]
    Failed(#[from] Error),
    /// The caller cancelled the work; nothing of it was kept.
    #[error("the work was stopped before it was complete")]
    Stopped,
}

impl BackupError {
    /// The same in the words of the caller, where a database could not be opened.
    fn of_database(self, words: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Store(why) => refused(words(why.reason())),
            other => other,
        }
    }
}

/// What was found wrong.
fn refused(text: impl Into<String>) -> BackupError {
    BackupError::Refused(text.into())
}

/// Runs work on files off the async threads. The work asks `stop` between its steps, by [`Until`].
async fn blocking<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce(&CancellationToken) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let asked = stop.clone();
    let done = tokio::task::spawn_blocking(move || work(&asked)).await.map_err(Error::internal)?;
    // A stopped reader or writer reports an I/O error, which says nothing about the disk.
    if done.is_err() && stop.is_cancelled() { Err(BackupError::Stopped) } else { done }
}

/// Runs async work until it ends or `stop` is cancelled. Stopped work is dropped.
fn unless_stopped<T, E: Into<BackupError>>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, BackupError>> {
    // Opening a database is a large future.
    let work = Box::pin(stop.run_until_cancelled(work));
    async move {
        match work.await {
            Some(done) => done.map_err(Into::into),
            None => Err(BackupError::Stopped),
        }
    }
}

/// Reads or writes until `stop` is cancelled.
struct Until<'s, T> {
    inner: T,
    stop: &'s CancellationToken,
}

impl<T> Until<'_, T> {
    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() { Err(io::Error::other("the work was stopped")) } else { Ok(()) }
    }
}

impl<T: Read> Read for Until<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.go_on()?;
        self.inner.read(into)
    }
}

impl<T: Write> Write for Until<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio_util::sync::CancellationToken;

    use super::{BackupError, Until, blocking, refused};

    #[tokio::test]
    async fn work_on_files_ends_when_it_is_stopped() {
        let stop = CancellationToken::new();
        let done = blocking(&stop, |stop| {
            let mut zeros = Until { inner: std::io::repeat(0), stop };
            let mut out = Until { inner: std::io::sink(), stop };
            let mut bytes = [0; 8];
            zeros.read_exact(&mut bytes).expect("nobody has stopped it");
            out.write_all(&bytes).expect("nobody has stopped it");
            stop.cancel();
            assert!(zeros.read(&mut bytes).is_err() && out.write(&bytes).is_err());
            Err::<(), _>(refused("as the work reports an error of a disk"))
        });
        assert!(matches!(done.await, Err(BackupError::Stopped)));
        assert!(blocking(&stop, |_| Ok(())).await.is_ok(), "it was complete before it was stopped");
    }
}
