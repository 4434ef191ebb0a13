//! Whether the database still waits for its first administrator, and the one-time code that makes one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use cb_core::config::{Config, ConfigError};
use cb_core::{Result, Secret};
use cb_store::entities::setting;
use cb_store::sea_orm::EntityTrait as _;
use cb_store::{Store, db};

use crate::kept::{kept_secret, remove};

pub(crate) struct Gate {
    /// Setup is completed once and never taken back. Until then only the database knows: another server may complete it.
    done: AtomicBool,
    code: Mutex<Option<Secret>>,
    file: PathBuf,
    given: bool,
}

impl Gate {
    /// `make`: a code that nobody gave is made by `fresh` and kept in the data folder.
    pub fn new(
        config: &Config,
        make: bool,
        done: bool,
        fresh: impl FnOnce() -> String,
    ) -> Result<Self, ConfigError> {
        let file = config.data_dir.join("setup-code");
        let code = match &config.setup_code {
            _ if done => {
                remove(&file);
                None
            }
            Some(given) => Some(given.clone()),
            None if make => Some(kept_secret(&file, fresh)?),
            None => None,
        };
        let given = config.setup_code.is_some();
        Ok(Self { done: AtomicBool::new(done), code: Mutex::new(code), file, given })
    }

    /// Asks the database until it says that setup is completed.
    pub async fn is_done(&self, store: &Store) -> Result<bool> {
        if self.done.load(Ordering::Acquire) {
            return Ok(true);
        }
        if !is_done_in(store).await? {
            return Ok(false);
        }
        // What another server has committed a moment ago may still be lost when PostgreSQL crashes. The latch waits for the disk.
        store.durable_audit_head().await?;
        let done = is_done_in(store).await?;
        if done {
            self.shut();
        }
        Ok(done)
    }

    /// Nobody can set up again: the code is gone from memory and disk.
    pub fn shut(&self) {
        self.done.store(true, Ordering::Release);
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = None;
        remove(&self.file);
    }

    pub fn code(&self) -> Option<(Secret, Option<&Path>)> {
        let code = self.code.lock().unwrap_or_else(PoisonError::into_inner).clone();
        code.map(|code| (code, (!self.given).then_some(self.file.as_path())))
    }
}

pub(crate) async fn is_done_in(store: &Store) -> Result<bool> {
    let settings = setting::Entity::find_by_id(1).one(store.reader()).await.map_err(db)?;
    Ok(settings.is_some_and(|s| s.auth_enabled))
}
