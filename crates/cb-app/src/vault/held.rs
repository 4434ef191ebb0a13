//! Whether a copy of the database can be opened: which root key it needs, and whether everything that is sealed opens.

use std::sync::Arc;

use cb_core::config::Config;
use cb_core::{Result, Secret};
use cb_store::Store;
use cb_vault::fernet::Key;
use cb_vault::seal::{Ring, RootKey};

use super::root::Source;
use super::{current, keys, ring, shut};

/// The root key that fits.
pub(crate) struct Held {
    pub fingerprint: String,
    /// What stands in the file; none: the operator gives the key by a setting.
    pub text: Option<Secret>,
    ring: Arc<Ring>,
}

/// No root key fits.
pub(crate) struct Unfit {
    /// Fingerprints of those that were tried.
    pub tried: Vec<String>,
    pub wanted: String,
}

/// Finds the root key of `store` among those of `config`.
pub(crate) async fn held(config: &Config, store: &Store) -> Result<Result<Held, Unfit>> {
    let rows = keys(store.reader()).await?;
    let mut tried = Vec::new();
    for (text, given) in Source::of(config).texts() {
        let Some(root) = Key::parse(&text).map(RootKey::new) else { continue };
        let fingerprint = root.fingerprint();
        if let Some(ring) = ring(&root, &rows) {
            return Ok(Ok(Held { fingerprint, text: (!given).then_some(text), ring: Arc::new(ring) }));
        }
        tried.push(fingerprint);
    }
    let wanted = current(&rows).map_or_else(|| "unknown".to_owned(), |row| row.root_fingerprint.clone());
    Ok(Err(Unfit { tried, wanted }))
}

impl Held {
    /// The first sealed text that does not open; none when all do.
    pub(crate) async fn shut(&self, store: &Store) -> Result<Option<String>> {
        let found = shut(store.reader(), &self.ring).await?;
        Ok(found.map(|(column, row)| {
            format!("{}.{} of the row {row} does not open with the vault's keys", column.table, column.column)
        }))
    }
}
