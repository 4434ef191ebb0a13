//! Why the application does not start.

use cb_core::Error;
use cb_core::config::ConfigError;
use cb_store::OpenError;

/// Why the application cannot start, and what to do about it; one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(
        "the database cannot be read: {0}. Start the server again; if the error remains, restore a backup"
    )]
    Read(Error),
}
