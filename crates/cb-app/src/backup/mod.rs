//! One file that brings everything back: the database, and the keys and certificates beside it; and the refusal to
//! start over a database that is older than its folder.
//!
//! - `archive` knows the file's format, `cipher` its encryption, `files` which files of the data folder belong into it.
//! - `make` writes an archive, `restore` puts one into an empty place. Both verify with `examine`, before anything is moved.
//! - `place` owns the folder that is restored into: whatever is cut short, it is empty or whole.
//! - `rollback` compares the database with the newest signed checkpoint in the folder.
//!
//! To add a file: a line of `FILES` in `files.rs`. See docs/adr/0012-backup.md.

mod archive;
mod cipher;
mod examine;
mod files;
mod make;
mod place;
mod restore;
mod rollback;

use cb_core::Error;
use cb_core::config::ConfigError;
use cb_store::OpenError;

pub use archive::{Head, Manifest};
pub use cipher::{Keys, Protection};
pub use make::{Made, Target, make};
pub(crate) use place::settle;
pub use restore::{Outcome, Restored, restore};
pub(crate) use rollback::guard;
pub use rollback::{Accepted, accept};

use crate::app::StartError;

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
    #[error("{0}")]
    Failed(#[from] Error),
}

/// What was found wrong.
fn refused(text: impl Into<String>) -> BackupError {
    BackupError::Refused(text.into())
}

/// Work on files, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}
