//! The vault: data keys in the database, wrapped by the root key, which is not; and their rotation. See
//! docs/adr/0010-vault-envelope.md.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::config::{Config, ConfigError};
use cb_core::{Entropy, Error, Permission, Principal, Result, Secret};
use cb_store::entities::{setting, vault_key};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _,
};
use cb_store::sealed::SEALED;
use cb_store::{Audit, Store, WriteTx, db};
use cb_vault::fernet::Key;
use cb_vault::seal::{Place, Ring, RootKey};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, StartError, kept_secret};
use crate::auth::active;
use crate::ctx::Ctx;

/// Damaged texts that an entry of the audit log names, at most.
const NAMED_MOST: usize = 20;

/// The keys of this process, as the database last had them.
pub(crate) struct Vault {
    root: RootKey,
    ring: RwLock<Arc<Ring>>,
    /// One reload at a time, however many ask.
    reload: Mutex<()>,
}

impl Vault {
    /// Opens it with the root key, or makes its first data key. A root key that does not fit is refused, and none is made
    /// where something is sealed already.
    pub(crate) async fn open(
        config: &Config,
        store: &Store,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Result<Self, StartError> {
        let mut rows = keys(store.reader()).await.map_err(StartError::Read)?;
        let sealed = count(store.reader()).await.map_err(StartError::Read)?;
        let source = Source::of(config);
        let root = source.root(&rows, sealed, entropy)?;
        if rows.is_empty() {
            let made = first_key(store, &root, sealed > 0, now, entropy).await;
            made.map_err(|error| match error {
                Error::Conflict(reason) => source.refuse(reason).into(),
                other => StartError::Read(other),
            })?;
            rows = keys(store.reader()).await.map_err(StartError::Read)?;
        }
        let ring = ring(&root, &rows).ok_or_else(|| source.stale(&root, &rows))?;
        for row in rows.iter().filter(|row| !ring.knows(&row.id)) {
            tracing::warn!(key = %row.id, "a retired key of the vault does not open; what only it has sealed is lost");
        }
        Ok(Self { root, ring: RwLock::new(Arc::new(ring)), reload: Mutex::default() })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn swap(&self, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring.clone();
        ring
    }

    async fn load(&self, conn: &impl ConnectionTrait) -> Result<Ring> {
        ring(&self.root, &keys(conn).await?).ok_or_else(|| {
            Error::Internal(format!(
                "the vault's root key was changed; this process has the one with the fingerprint {}: restart it with the new one",
                self.root.fingerprint()
            ))
        })
    }
}

impl App {
    /// For a row that is written in this transaction. The writers' lock is held, so the current key is the current one: what
    /// another process has rotated meanwhile is noticed here.
    pub(crate) async fn seal(&self, tx: &WriteTx, place: Place<'_>, secret: &Secret) -> Result<String> {
        let current = vault_key::Entity::find()
            .filter(vault_key::Column::RetiredAt.is_null())
            .one(tx.conn())
            .await
            .map_err(db)?
            .ok_or_else(|| Error::Internal("the vault has no current key".to_owned()))?;
        let mut ring = self.vault().ring();
        if ring.current() != current.id {
            ring = self.vault().swap(self.vault().load(tx.conn()).await?);
        }
        ring.seal(place, secret, self.now(), self.entropy())
    }

    /// For what is never stored: a retired key does for the minutes that it lives.
    pub(crate) fn seal_for_minutes(&self, place: Place<'_>, secret: &Secret) -> Result<String> {
        self.vault().ring().seal(place, secret, self.now(), self.entropy())
    }

    /// Opens what any process has sealed: a key that is not known here is looked for in the database, once.
    pub(crate) async fn unseal(&self, place: Place<'_>, sealed: &str) -> Result<Secret> {
        let vault = self.vault();
        let unknown = |ring: &Ring| cb_vault::seal::key_of(sealed).is_some_and(|key| !ring.knows(&key));
        let mut ring = vault.ring();
        if unknown(&ring) {
            let _one = vault.reload.lock().await;
            ring = vault.ring();
            if unknown(&ring) {
                ring = vault.swap(vault.load(self.store().reader()).await?);
            }
        }
        ring.open(place, sealed)
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultKey)]
pub struct KeyOut {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    /// Null: it seals.
    #[schema(required)]
    pub retired_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vault)]
pub struct VaultOut {
    pub current_key_id: Uuid,
    /// Of the current key.
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub rotated_at: Option<DateTime<Utc>>,
    /// Null: never by itself.
    #[schema(required)]
    pub rotation_days: Option<i32>,
    #[schema(required)]
    pub next_rotation_at: Option<DateTime<Utc>>,
    /// The newest first.
    pub keys: Vec<KeyOut>,
    /// How many secrets are stored.
    pub sealed: i64,
    /// Tells root keys apart, and nothing about them.
    pub root_fingerprint: String,
}

/// When the key is to be rotated by itself; none: never.
fn due_at(settings: &setting::Model, current: &vault_key::Model) -> Option<Time> {
    let since = settings.vault_key_rotated_at.unwrap_or(current.created_at);
    since.checked_add_signed(TimeDelta::days(settings.vault_key_rotation_days?.into()))
}

async fn settings(conn: &impl ConnectionTrait) -> Result<setting::Model> {
    setting::Entity::find_by_id(1).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

pub async fn status(ctx: &Ctx) -> Result<VaultOut> {
    ctx.authorize(Permission::VaultRead)?;
    let conn = ctx.store().snapshot().await?;
    let rows = keys(&conn).await?;
    let settings = settings(&conn).await?;
    let current = rows.iter().find(|row| row.retired_at.is_none()).ok_or(Error::NotFound)?;
    Ok(VaultOut {
        current_key_id: current.id,
        created_at: current.created_at,
        rotated_at: settings.vault_key_rotated_at,
        rotation_days: settings.vault_key_rotation_days,
        next_rotation_at: due_at(&settings, current),
        sealed: count(&conn).await?,
        root_fingerprint: current.root_fingerprint.clone(),
        keys: rows
            .iter()
            .map(|row| KeyOut { id: row.id, created_at: row.created_at, retired_at: row.retired_at })
            .collect(),
    })
}

/// A new data key, and everything sealed with it, in one transaction; or nothing, when a single text does not open.
pub async fn rotate(ctx: &Ctx) -> Result<VaultOut> {
    ctx.authorize(Permission::VaultWrite)?;
    ctx.require_proof()?;
    turn(ctx, false).await?;
    status(ctx).await
}

/// Rotates if the calendar says so; answers whether it did. Looked at again under the lock: of two processes one rotates.
pub async fn rotate_if_due(app: &App) -> Result<bool> {
    let rows = keys(app.store().reader()).await?;
    let settings = settings(app.store().reader()).await?;
    let current = rows.iter().find(|row| row.retired_at.is_none());
    let due = current.and_then(|current| due_at(&settings, current));
    if due.is_none_or(|at| at > app.now()) {
        return Ok(false);
    }
    turn(&app.own_ctx(Principal::Server), true).await
}

/// When the server starts, for what it has missed, and once a day.
pub(crate) async fn keep_to_schedule(app: App) {
    const EVERY: Duration = Duration::from_hours(24);
    loop {
        match rotate_if_due(&app).await {
            Ok(true) => tracing::info!("the vault's key was rotated, as its age asks for"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the vault's key was not rotated; the next try is in a day");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.stopping().cancelled() => return,
        }
    }
}

/// Answers false when it is only to be done if due, and another process has done it.
async fn turn(ctx: &Ctx, if_due: bool) -> Result<bool> {
    let (app, now) = (ctx.app(), ctx.now());
    let vault = app.vault();
    let turned = ctx
        .record("vault_key_rotated", async |tx| {
            let rows = keys(tx.conn()).await?;
            let settings = settings(tx.conn()).await?;
            let before = rows
                .iter()
                .find(|row| row.retired_at.is_none())
                .ok_or_else(|| Error::Internal("the vault has no current key".to_owned()))?;
            if if_due && due_at(&settings, before).is_none_or(|at| at > now) {
                return Err(Error::Stale);
            }
            // As the database has it now, not as this process remembers it.
            let old = vault.load(tx.conn()).await?;
            probe(tx, &old).await?;
            let mut retired: vault_key::ActiveModel = before.clone().into();
            retired.retired_at = Set(Some(now));
            retired.update(tx.conn()).await.map_err(db)?;
            let fresh = new_key(&vault.root, ctx.new_id(), now, app.entropy());
            vault_key::Entity::insert(active(fresh.clone())).exec(tx.conn()).await.map_err(db)?;
            let new = vault.load(tx.conn()).await?;
            let resealed = reseal(tx, &old, &new, now, app.entropy()).await?;
            let mut change: setting::ActiveModel = settings.into();
            change.vault_key_rotated_at = Set(Some(now));
            change.update(tx.conn()).await.map_err(db)?;
            tx.about("vault_key", fresh.id);
            tx.detail(json!({ "from": before.id, "to": fresh.id, "resealed": resealed }));
            Ok(new)
        })
        .await;
    match turned {
        Ok(new) => {
            vault.swap(new);
            Ok(true)
        }
        Err(Error::Stale) if if_due => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens every sealed text, and names the first that does not.
async fn probe(tx: &WriteTx, ring: &Ring) -> Result<()> {
    for column in SEALED {
        let mut after = None;
        loop {
            let page = column.page(tx.conn(), after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (row, text) in &page {
                if ring.open(column.place(row), text).is_err() {
                    return Err(Error::Conflict(format!(
                        "{}.{} of the row {row} does not open with the vault's keys, so nothing was rotated; type that secret again, or remove it",
                        column.table, column.column
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Seals every text anew, a page at a time; answers how many.
async fn reseal(tx: &WriteTx, old: &Ring, new: &Ring, now: Time, entropy: &dyn Entropy) -> Result<u64> {
    let mut count = 0;
    for column in SEALED {
        let mut after = None;
        loop {
            let page = column.page(tx.conn(), after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (row, text) in &page {
                let place = column.place(row);
                let fresh = new.seal(place, &old.open(place, text)?, now, entropy)?;
                if !column.replace(tx.conn(), *row, text, &fresh).await? {
                    return Err(Error::Internal(format!("{} {row} changed under the lock", column.table)));
                }
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Of a new vault, or of one whose values the root key has sealed itself: these are sealed anew in the same transaction.
async fn first_key(
    store: &Store,
    root: &RootKey,
    in_use: bool,
    now: Time,
    entropy: &dyn Entropy,
) -> Result<()> {
    let key = new_key(root, entropy.uuid(now), now, entropy);
    if !in_use {
        return store.first_vault_key(key).await;
    }
    let audit = Audit { action: "vault_key_created", actor: &Principal::Server, at: now, origin: None };
    let written = store.write(audit, async |tx| {
        // Another process may have been first.
        if !keys(tx.conn()).await?.is_empty() {
            return Err(Error::Stale);
        }
        let ring = ring(root, std::slice::from_ref(&key))
            .ok_or_else(|| Error::Internal("a new key does not open".to_owned()))?;
        vault_key::Entity::insert(active(key.clone())).exec(tx.conn()).await.map_err(db)?;
        let (mut resealed, mut damaged, mut named) = (0u64, 0u64, Vec::new());
        for column in SEALED {
            let mut after = None;
            loop {
                let page = column.page(tx.conn(), after).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                for (row, text) in &page {
                    let place = column.place(row);
                    // One that did not open before does not now; it stays, and stops the first rotation.
                    let Ok(secret) = ring.open(place, text) else {
                        damaged += 1;
                        if named.len() < NAMED_MOST {
                            named.push(format!("{} {row}", column.field));
                        }
                        continue;
                    };
                    let fresh = ring.seal(place, &secret, now, entropy)?;
                    column.replace(tx.conn(), *row, text, &fresh).await?;
                    resealed += 1;
                }
            }
        }
        if resealed == 0 && damaged > 0 {
            return Err(Error::Conflict(format!(
                "it opens none of the {damaged} secrets that are stored; its fingerprint is {}, theirs is not known, for they are older than fingerprints",
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

fn new_key(root: &RootKey, id: Uuid, now: Time, entropy: &dyn Entropy) -> vault_key::Model {
    vault_key::Model {
        id,
        wrapped: root.new_key(&id, now, entropy),
        root_fingerprint: root.fingerprint(),
        created_at: now,
        retired_at: None,
    }
}

async fn keys(conn: &impl ConnectionTrait) -> Result<Vec<vault_key::Model>> {
    let newest_first = vault_key::Entity::find()
        .order_by_desc(vault_key::Column::CreatedAt)
        .order_by_desc(vault_key::Column::Id);
    newest_first.all(conn).await.map_err(db)
}

async fn count(conn: &impl ConnectionTrait) -> Result<i64> {
    let mut sum = 0;
    for column in SEALED {
        sum += column.count(conn).await?;
    }
    Ok(sum)
}

fn ring(root: &RootKey, rows: &[vault_key::Model]) -> Option<Ring> {
    let current = rows.iter().find(|row| row.retired_at.is_none())?;
    Ring::unwrap(root, current.id, rows.iter().map(|row| (&row.id, row.wrapped.as_str())))
}

/// Where the root key comes from.
struct Source<'a> {
    given: Option<&'a Secret>,
    file: PathBuf,
}

impl<'a> Source<'a> {
    fn of(config: &'a Config) -> Self {
        Self { given: config.vault_key.as_ref(), file: config.data_dir.join("vault-key") }
    }

    fn name(&self) -> String {
        match self.given {
            Some(_) => "CB_VAULT_KEY".to_owned(),
            None => self.file.display().to_string(),
        }
    }

    /// Given, or in the file; or made there when nothing needs an older one.
    fn root(
        &self,
        rows: &[vault_key::Model],
        sealed: i64,
        entropy: &dyn Entropy,
    ) -> Result<RootKey, ConfigError> {
        let text = match self.given {
            Some(given) => given.clone(),
            None if self.file.exists() || (rows.is_empty() && sealed == 0) => {
                kept_secret(&self.file, || Key::generate(entropy))?
            }
            None => {
                let wanted = fingerprint(rows).map_or_else(String::new, |f| {
                    format!(" and the vault is wrapped by the one with the fingerprint {f}")
                });
                return Err(self.refuse(format!(
                    "there is no such file, nor CB_VAULT_KEY,{wanted} while {sealed} secrets are stored"
                )));
            }
        };
        Key::parse(&text).map(RootKey::new).ok_or_else(|| {
            ConfigError::new(
                &self.name(),
                "it is not 32 bytes in URL-safe base64",
                "Put back the key that this database was used with; for a new one: openssl rand -base64 32 | tr +/ -_",
            )
        })
    }

    fn refuse(&self, reason: String) -> ConfigError {
        ConfigError::new(
            &self.name(),
            reason,
            format!(
                "Put back the key that this database was used with, from a backup of {} or of CB_VAULT_KEY; no other opens it, and a new one is not made while it is needed",
                self.file.display()
            ),
        )
    }

    fn stale(&self, root: &RootKey, rows: &[vault_key::Model]) -> ConfigError {
        let wanted = fingerprint(rows).unwrap_or("unknown");
        let own = root.fingerprint();
        self.refuse(if own == wanted {
            format!("it has the right fingerprint, {own}, but the vault's current key in the database is damaged")
        } else {
            format!("it has the fingerprint {own}, but the vault is wrapped by the root key with the fingerprint {wanted}")
        })
    }
}

fn fingerprint(rows: &[vault_key::Model]) -> Option<&str> {
    rows.iter().find(|row| row.retired_at.is_none()).map(|row| row.root_fingerprint.as_str())
}
