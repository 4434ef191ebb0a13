//! The first data key: of a new vault, or of one whose values the root key has sealed itself.

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::{Entropy, Error, Principal, Result};
use cb_store::entities::vault_key;
use cb_store::sea_orm::{ConnectionTrait as _, EntityTrait as _};
use cb_store::{Audit, Store, db, sealed};
use cb_vault::seal::RootKey;
use serde_json::json;

use super::root::Source;
use super::{current, keys, new_key, ring};
use crate::auth::active;

/// Damaged texts that an entry of the audit log names, at most.
const NAMED_MOST: usize = 20;

/// Makes it, and seals anew what the root key had sealed itself, in one transaction.
pub(super) async fn make(store: &Store, root: &RootKey, now: Time, entropy: &dyn Entropy) -> Result<()> {
    let key = new_key(root, entropy.uuid(now), now, entropy);
    let audit = Audit { action: Action::VaultKeyCreated, actor: &Principal::Server, at: now, origin: None };
    let written = store.write(audit, async |tx| {
        // Another process may have been first.
        if !keys(tx.conn()).await?.is_empty() {
            return Err(Error::Stale);
        }
        let ring = ring(root, std::slice::from_ref(&key))
            .ok_or_else(|| Error::Internal("a new key cannot be decrypted".to_owned()))?;
        vault_key::Entity::insert(active(key.clone())).exec(tx.conn()).await.map_err(db)?;
        let (mut resealed, mut damaged, mut named) = (0u64, 0u64, Vec::new());
        let mut texts = sealed::Texts::default();
        while let Some((column, page)) = texts.next(tx.conn()).await? {
            let mut changes = Vec::new();
            for (row, old) in page {
                let place = column.place(&row);
                // One that did not open before does not now; it stays, and stops the first rotation.
                let Ok(secret) = ring.open(place, &old) else {
                    damaged += 1;
                    if named.len() < NAMED_MOST {
                        named.push(format!("{} {row}", column.field));
                    }
                    continue;
                };
                let new = ring.seal(place, &secret, now, entropy)?;
                changes.push(sealed::Change { row, old, new });
            }
            let on = tx.conn().get_database_backend();
            resealed += column.replacement(on, changes).run(tx.conn()).await?;
        }
        if resealed == 0 && damaged > 0 {
            return Err(Error::Conflict(format!(
                "it cannot decrypt any of the stored secrets ({damaged}); its fingerprint is {}, but the fingerprint of the right key is unknown, because these secrets are from a version without fingerprints",
                root.fingerprint()
            )));
        }
        tx.about("vault_key", key.id);
        tx.detail(json!({ "to": key.id, "resealed": resealed, "damaged": damaged, "damaged_rows": named }));
        Ok(())
    });
    match written.await {
        Ok(_) | Err(Error::Stale) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a root key and a data key in the place of those that nobody can open any more. Where something is sealed after all, or
/// another process has been first, nothing changes.
pub(super) async fn instead_of_lost(
    store: &Store,
    source: &Source,
    now: Time,
    entropy: &dyn Entropy,
) -> Result<()> {
    let next = source.next(store, entropy).await?;
    if !source.is_lost(store) {
        return Ok(());
    }
    let key = new_key(&next.key, entropy.uuid(now), now, entropy);
    let to = key.root_fingerprint.clone();
    let audit = Audit { action: Action::VaultRootReplaced, actor: &Principal::Server, at: now, origin: None };
    let written = store.write(audit, async |tx| {
        if sealed::count(tx.conn()).await? > 0 {
            return Err(Error::Stale);
        }
        source.stage(&next)?;
        let lost = keys(tx.conn()).await?;
        let from = current(&lost).map(|row| row.root_fingerprint.clone());
        vault_key::Entity::delete_many().exec(tx.conn()).await.map_err(db)?;
        vault_key::Entity::insert(active(key.clone())).exec(tx.conn()).await.map_err(db)?;
        tx.about("vault_key", key.id);
        tx.detail(json!({ "from": from, "to": key.root_fingerprint, "keys_removed": lost.len() }));
        Ok(from)
    });
    let written = written.await;
    let settled = source.finish(store, &next).await;
    match written {
        Ok((from, _)) => tracing::warn!(
            from,
            to,
            "the vault's root key was lost, but no stored secret needed it, so the server created a new one. Keep a copy of it; other servers of this database need it too"
        ),
        Err(Error::Stale) => {}
        Err(error) => return Err(error),
    }
    settled
}
