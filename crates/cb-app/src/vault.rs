//! The vault: data keys in the database, wrapped by the root key, which is not; and their rotation. See
//! docs/adr/0010-vault-envelope.md.

use std::sync::{Arc, PoisonError, RwLock};

use cb_core::clock::Time;
use cb_core::config::Config;
use cb_core::{Entropy, Error, Result, Secret};
use cb_store::entities::{setting, vault_key};
use cb_store::sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_store::sealed::Replacement;
use cb_store::{Store, WriteTx, db, sealed};
use cb_vault::seal::{Place, Ring, RootKey};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::app::App;
use crate::kept::Secrets;
use crate::start_error::StartError;

mod first;
mod held;
mod rewrap;
mod root;
mod rotation;
mod schedule;
mod status;

pub(crate) use held::{Held, Unfit, held};
pub use rewrap::{Rewrapped, rewrap};
use root::Source;
pub use rotation::{rotate, rotate_if_due};
pub use schedule::{look, look_here};
pub use status::{KeyOut, VaultLookResult, VaultOut, status};

/// The keys of this process, as the database last had them.
pub(crate) struct Vault {
    source: Source,
    ring: RwLock<Arc<Ring>>,
    /// One reload at a time, however many ask.
    reload: Mutex<()>,
}

impl Vault {
    /// Opens it with the root key, or makes its first data key. A root key that does not fit is refused, and none is made
    /// where something is sealed already. Where nothing is, a server (`serves`) replaces one that is lost.
    pub(crate) async fn open(
        config: &Config,
        store: &Store,
        secrets: Secrets,
        serves: bool,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Result<Self, StartError> {
        let source = Source::of(config);
        source.settle(store).await.map_err(StartError::Read)?;
        let mut rows = keys(store.reader()).await.map_err(StartError::Read)?;
        let sealed = sealed::count(store.reader()).await.map_err(StartError::Read)?;
        if rows.is_empty() && sealed == 0 && secrets == Secrets::AsTheyAre {
            return Err(source.unborn().into());
        }
        if rows.is_empty() {
            let root = source.first(&rows, sealed, entropy)?;
            first::make(store, &root, now, entropy).await.map_err(|error| match error {
                Error::Conflict(reason) => source.refuse(reason).into(),
                other => StartError::Read(other),
            })?;
            rows = keys(store.reader()).await.map_err(StartError::Read)?;
        }
        let mut found = fitting(&source.candidates()?, &rows);
        if found.is_none() && serves && sealed == 0 && source.is_lost(store) {
            first::instead_of_lost(store, &source, now, entropy).await.map_err(StartError::Read)?;
        }
        if found.is_none() {
            // Another process may have changed the root key between the two reads.
            rows = keys(store.reader()).await.map_err(StartError::Read)?;
            found = fitting(&source.candidates()?, &rows);
        }
        let Some(ring) = found else {
            let root = source.first(&rows, sealed, entropy)?;
            return Err(source.stale(&root, &rows).into());
        };
        for row in rows.iter().filter(|row| !ring.knows(&row.id)) {
            tracing::warn!(key = %row.id, "a retired vault key cannot be decrypted; the secrets that only this key encrypts are lost");
        }
        Ok(Self { source, ring: RwLock::new(Arc::new(ring)), reload: Mutex::default() })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn swap(&self, ring: impl Into<Arc<Ring>>) -> Arc<Ring> {
        let ring = ring.into();
        let (had, has) = (self.ring().root().fingerprint(), ring.root().fingerprint());
        if had != has {
            tracing::info!(
                fingerprint = has,
                "the vault's root key was changed; the server now uses the new key"
            );
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring.clone();
        ring
    }

    /// As the database has it now; with the root key that this process remembers, or that stands now where it came from.
    async fn load(&self, conn: &impl ConnectionTrait) -> Result<Ring> {
        let rows = keys(conn).await?;
        let known = self.ring();
        if let Some(ring) = ring(known.root(), &rows) {
            return Ok(ring);
        }
        let stand = self.source.candidates().map_err(|e| Error::Unavailable(e.to_string()))?;
        let found = fitting(&stand, &rows).ok_or_else(|| {
            Error::Unavailable(format!(
                "the vault's root key was changed, but this process still has the old key (fingerprint {}; the new fingerprint is {}). {}, then start this process again",
                known.root().fingerprint(),
                current(&rows).map_or("unknown", |row| row.root_fingerprint.as_str()),
                match self.source.file() {
                    None => "Set CB_VAULT_KEY to the new key".to_owned(),
                    Some(file) => format!("Put the new key into {}", file.display()),
                }
            ))
        })?;
        Ok(found)
    }

    /// Takes up a root key that another process has changed to, before it is needed.
    async fn notice_new_root(&self, conn: &impl ConnectionTrait) -> Result<()> {
        let rows = keys(conn).await?;
        let wrapped_by = current(&rows).map(|row| row.root_fingerprint.as_str());
        if wrapped_by != Some(self.ring().root().fingerprint().as_str()) {
            self.swap(self.load(conn).await?);
        }
        Ok(())
    }
}

/// Takes up a root key that another process has changed to, before it is needed.
pub(crate) async fn notice_new_root(app: &App) -> Result<()> {
    app.vault().notice_new_root(app.store().reader()).await
}

impl Vault {
    /// For a row that is written in this transaction. The writers' lock is held, so the current key is the current one: what
    /// another process has rotated meanwhile is noticed here.
    pub(crate) async fn seal(
        &self,
        conn: &impl ConnectionTrait,
        place: Place<'_>,
        secret: &Secret,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Result<String> {
        let current = vault_key::Entity::find()
            .filter(vault_key::Column::RetiredAt.is_null())
            .one(conn)
            .await
            .map_err(db)?
            .ok_or_else(no_current_key)?;
        let mut ring = self.ring();
        if ring.current() != current.id {
            ring = self.swap(self.load(conn).await?);
        }
        ring.seal(place, secret, now, entropy)
    }

    /// Opens what any process has sealed: a key that is not known here is looked for in the database, once.
    pub(crate) async fn unseal(
        &self,
        conn: &impl ConnectionTrait,
        place: Place<'_>,
        sealed: &str,
    ) -> Result<Secret> {
        let unknown = |ring: &Ring| cb_vault::seal::key_of(sealed).is_some_and(|key| !ring.knows(&key));
        let mut ring = self.ring();
        if unknown(&ring) {
            let _one = self.reload.lock().await;
            ring = self.ring();
            if unknown(&ring) {
                ring = self.swap(self.load(conn).await?);
            }
        }
        ring.open(place, sealed)
    }
}

impl App {
    pub(crate) async fn seal(&self, tx: &WriteTx, place: Place<'_>, secret: &Secret) -> Result<String> {
        self.vault().seal(tx.conn(), place, secret, self.now(), self.entropy()).await
    }

    /// For what is never stored: a retired key does for the minutes that it lives.
    pub(crate) fn seal_for_minutes(&self, place: Place<'_>, secret: &Secret) -> Result<String> {
        self.vault().ring().seal(place, secret, self.now(), self.entropy())
    }

    pub(crate) async fn unseal(&self, place: Place<'_>, sealed: &str) -> Result<Secret> {
        self.vault().unseal(self.store().reader(), place, sealed).await
    }
}

/// Opens every sealed text before anything changes, and refuses to go on when one does not. The caller holds the writers' lock.
async fn probe(beside: &impl ConnectionTrait, ring: &Arc<Ring>) -> Result<()> {
    match shut(beside, ring).await? {
        None => Ok(()),
        Some((column, row)) => Err(does_not_open(column, row)),
    }
}

fn does_not_open(column: &sealed::SealedColumn, row: Uuid) -> Error {
    Error::Conflict(format!(
        "{}.{} of the row {row} cannot be decrypted with the vault's keys, so nothing was changed; enter that secret again, or delete it",
        column.table, column.column
    ))
}

/// Opens every sealed text, and names the first that does not. On a thread of its own, while the database reads on.
async fn shut(
    conn: &impl ConnectionTrait,
    ring: &Arc<Ring>,
) -> Result<Option<(&'static sealed::SealedColumn, Uuid)>> {
    let (mut texts, mut opening) = (sealed::Texts::default(), None);
    loop {
        let page = texts.next(conn).await?;
        let ring = ring.clone();
        let next = page.map(|(column, page)| {
            spawn_blocking(move || {
                let shut = page.iter().find(|(row, text)| ring.open(column.place(row), text).is_err());
                shut.map(|(row, _)| (column, *row))
            })
        });
        if let Some(opening) = std::mem::replace(&mut opening, next)
            && let Some(found) = opening.await.map_err(Error::internal)?
        {
            return Ok(Some(found));
        }
        if opening.is_none() {
            return Ok(None);
        }
    }
}

/// Seals the texts that `wanted` chooses anew; answers how many.
///
/// Three pages are under way: one is read, one is sealed on a thread of its own, and one is written. They are read `beside` the
/// transaction, in a snapshot taken since it holds the writers' lock: nobody else changes what is read, and each text must stand where
/// it was read.
async fn reseal(
    beside: &impl ConnectionTrait,
    tx: &WriteTx,
    old: &Arc<Ring>,
    new: &Arc<Ring>,
    wanted: fn(&str) -> bool,
    now: Time,
    entropy: Arc<dyn Entropy>,
) -> Result<u64> {
    let on = tx.conn().get_database_backend();
    let mut texts = sealed::Texts::default();
    let mut page = texts.next(beside).await?;
    let (mut count, mut sealed) = (0, None::<Replacement>);
    while page.is_some() || sealed.is_some() {
        let (old, new, entropy) = (old.clone(), new.clone(), entropy.clone());
        let sealing = page.take().map(|(column, page)| {
            spawn_blocking(move || {
                let anew = |(row, text): (Uuid, String)| {
                    let place = column.place(&row);
                    let secret = old.open(place, &text).map_err(|_| does_not_open(column, row))?;
                    let fresh = new.seal(place, &secret, now, &*entropy)?;
                    Ok(sealed::Change { row, old: text, new: fresh })
                };
                let changes = page.into_iter().filter(|(_, text)| wanted(text)).map(anew);
                changes.collect::<Result<Vec<_>>>().map(|changes| column.replacement(on, changes))
            })
        });
        let reading = async { if sealing.is_some() { texts.next(beside).await } else { Ok(None) } };
        let writing = async {
            match sealed.take() {
                Some(replacement) => replacement.run(tx.conn()).await,
                None => Ok(0),
            }
        };
        let (next, written) = tokio::try_join!(reading, writing)?;
        count += written;
        page = next;
        if let Some(sealing) = sealing {
            sealed = Some(sealing.await.map_err(Error::internal)??);
        }
    }
    Ok(count)
}

fn new_key(root: &RootKey, id: Uuid, now: Time, entropy: &dyn Entropy) -> vault_key::Model {
    vault_key::Model {
        id,
        wrapped: root.new_key(&id, now, entropy),
        root_fingerprint: root.fingerprint(),
        created_at: now,
        retired_at: None,
    }
}

/// Newest first.
async fn keys(conn: &impl ConnectionTrait) -> Result<Vec<vault_key::Model>> {
    let newest_first = vault_key::Entity::find()
        .order_by_desc(vault_key::Column::CreatedAt)
        .order_by_desc(vault_key::Column::Id);
    newest_first.all(conn).await.map_err(db)
}

fn current(rows: &[vault_key::Model]) -> Option<&vault_key::Model> {
    rows.iter().find(|row| row.retired_at.is_none())
}

fn no_current_key() -> Error {
    Error::Internal("the vault has no current key".to_owned())
}

fn ring(root: &RootKey, rows: &[vault_key::Model]) -> Option<Ring> {
    let current = current(rows)?;
    Ring::unwrap(root, current.id, rows.iter().map(|row| (&row.id, row.wrapped.as_str())))
}

fn fitting(roots: &[(RootKey, Option<Secret>)], rows: &[vault_key::Model]) -> Option<Ring> {
    roots.iter().find_map(|(root, _)| ring(root, rows))
}

async fn settings(conn: &impl ConnectionTrait) -> Result<setting::Model> {
    setting::Entity::find_by_id(1).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}
