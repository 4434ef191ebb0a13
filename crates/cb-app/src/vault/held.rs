//! Whether a copy of the database can be opened: which root key it needs, and whether everything that is sealed opens.

use std::sync::Arc;

use cb_core::config::Config;
use cb_core::{Result, Secret};
use cb_store::{Store, sealed};
use cb_vault::seal::Ring;

use super::root::Source;
use super::{current, keys, ring, shut};
use crate::start_error::StartError;

/// The root key that fits.
pub(crate) struct Held {
    pub fingerprint: String,
    /// What stands in the file; none: the operator gives the key by a setting.
    pub text: Option<Secret>,
    ring: Arc<Ring>,
}

/// No root key fits.
pub(crate) struct Unfit {
    /// There is no key, and a server that starts makes a new one, because nothing is sealed.
    pub replaceable: bool,
    /// Fingerprints of those that were tried.
    pub tried: Vec<String>,
    pub wanted: String,
}

/// Finds the root key of `store` among those of `config`.
pub(crate) async fn held(config: &Config, store: &Store) -> Result<Result<Held, Unfit>, StartError> {
    let rows = keys(store.reader()).await.map_err(StartError::Read)?;
    let source = Source::of(config);
    let mut tried = Vec::new();
    for (root, text) in source.candidates()? {
        let fingerprint = root.fingerprint();
        if let Some(ring) = ring(&root, &rows) {
            return Ok(Ok(Held { fingerprint, text, ring: Arc::new(ring) }));
        }
        tried.push(fingerprint);
    }
    let sealed = sealed::count(store.reader()).await.map_err(StartError::Read)?;
    let wanted = current(&rows).map_or_else(|| "unknown".to_owned(), |row| row.root_fingerprint.clone());
    Ok(Err(Unfit { replaceable: sealed == 0 && source.is_lost(store), tried, wanted }))
}

impl Held {
    /// The first sealed text that does not open; none when all do.
    pub(crate) async fn shut(&self, store: &Store) -> Result<Option<String>> {
        let found = shut(store.reader(), &self.ring).await?;
        Ok(found.map(|(column, row)| {
            format!(
                "{}.{} of the row {row} cannot be decrypted with the vault's keys",
                column.table, column.column
            )
        }))
    }
}
