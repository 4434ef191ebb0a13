//! Credentials: what devices and services ask for. A secret comes in and never out again; it is sent only to the hosts that it
//! was typed for, and every use stands in its log.
//!
//! Owns: the [kinds], where a secret may go (`hosts.rs`), its [uses], and the [test]. Invariants: [`uses::open`] is the
//! only way to a secret, and looks at the host first; whatever sends a secret to more places, or to somebody else there, needs
//! the secret itself in the same change.

use cb_core::audit::Action;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cb_core::error::Violations;
use cb_core::form::{Public, Secrets};
use cb_core::ids::CredentialId;
use cb_core::{Error, Patch, Permission, Result, Secret};
use cb_net::http::Pin;
use cb_store::entities::credential;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _,
};
use cb_store::sealed::CREDENTIAL;
use cb_store::{WriteTx, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort, contains};

mod hosts;
pub(crate) use hosts::HOSTS_MOST;
pub mod kinds;
pub mod test;
pub mod uses;

use hosts::Hosts;
use kinds::Pinned;
pub use kinds::{Kind, KindOut};
pub(crate) use uses::{Opened, UsedBy, named, open};
pub use uses::{UseOut, UserOut};

/// Credentials that there can be.
const CREDENTIALS_MOST: u64 = 1_000;
const TAKEN: (&str, &str) = ("name", "A credential with this name already exists.");

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub struct CredentialOut {
    pub id: CredentialId,
    pub name: String,
    pub kind: Kind,
    pub public: BTreeMap<String, String>,
    pub has_secret: bool,
    /// The hosts to which the secret may be sent; without a port, to the usual ports of its kind.
    pub hosts: Vec<String>,
    #[schema(required)]
    pub certificate_sha256: Option<String>,
    /// In the form that OpenSSH uses.
    #[schema(required)]
    pub host_key_sha256: Option<String>,
    pub used_by: Vec<UserOut>,
    pub secret_changed_at: DateTime<Utc>,
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CredentialIn)]
pub struct CredentialIn {
    #[schema(example = "Switches, read only")]
    pub name: String,
    pub kind: Kind,
    /// The fields of its kind; see `/credential-kinds`.
    #[serde(default)]
    pub public: BTreeMap<String, String>,
    /// Write-only.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    pub secret: BTreeMap<String, Secret>,
    /// Names, addresses and ranges to which the secret may be sent, each with a port (`nas.lan:8443`) or a range of ports
    /// if they are not the usual ones of the kind.
    #[schema(example = json!(["10.0.0.0/24", "nas.lan:8443"]))]
    pub hosts: Vec<String>,
    /// The fingerprint of the certificate there, if this server does not trust its issuer.
    pub certificate_sha256: Option<String>,
    /// The fingerprint of the host key there, `SHA256:…`. Without it, nothing is sent over SSH.
    pub host_key_sha256: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CredentialPatch)]
pub struct CredentialPatch {
    pub name: Option<String>,
    /// The complete set of public fields.
    pub public: Option<BTreeMap<String, String>>,
    /// The complete set of secret fields.
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    pub secret: Option<BTreeMap<String, Secret>>,
    /// Additional hosts, wider ranges and additional ports need the secret again.
    pub hosts: Option<Vec<String>>,
    /// A change must include the secret again.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub certificate_sha256: Patch<String>,
    /// A change must include the secret again. The first fingerprint does not need it, because nothing was sent before.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub host_key_sha256: Patch<String>,
}

/// Every kind with its fields.
pub fn kinds(ctx: &Ctx) -> Result<Vec<KindOut>> {
    ctx.authorize(Permission::CredentialsRead)?;
    Ok(Kind::ALL.into_iter().map(Kind::described).collect())
}

pub async fn list(ctx: &Ctx, list: &List, kind: Option<Kind>) -> Result<Page<CredentialOut>> {
    let conn = ctx.read(Permission::CredentialsRead)?;
    let mut select = credential::Entity::find();
    for word in list.patterns()? {
        let name = cb_store::sea_orm::sea_query::Expr::col((credential::Entity, credential::Column::Name));
        select = select.filter(contains(name, &word));
    }
    if let Some(kind) = kind {
        select = select.filter(credential::Column::Kind.eq(kind.as_str()));
    }
    let sorts = [
        ("name", Sort::text(credential::Column::NameKey)),
        ("kind", Sort::text(credential::Column::Kind)),
        ("last_used_at", Sort::time(credential::Column::LastUsedAt)),
        ("secret_changed_at", Sort::time(credential::Column::SecretChangedAt)),
    ];
    let page = page::page(conn, select, list, credential::Column::Id, &sorts, "name").await?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let mut users = uses::users(conn, &ids).await?;
    let items = page.items.into_iter().map(|row| {
        let used_by = users.remove(&row.id).unwrap_or_default();
        out(row, used_by)
    });
    Ok(Page { items: items.collect::<Result<_>>()?, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: CredentialId) -> Result<CredentialOut> {
    let conn = ctx.read(Permission::CredentialsRead)?;
    shown(conn, find(conn, id).await?).await
}

pub async fn create(ctx: &Ctx, given: CredentialIn) -> Result<CredentialOut> {
    ctx.authorize(Permission::CredentialsWrite)?;
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let kind = given.kind;
    let name = input::line(&mut wrong, "name", &given.name, input::SHORT_MAX).unwrap_or_default();
    let public = kind.public(&mut wrong, &given.public);
    kind.judge_secret(&mut wrong, &public, &given.secret);
    let hosts = Hosts::read(&mut wrong, &given.hosts, kind.ports(&public));
    let certificate_sha256 = certificate(&mut wrong, kind, given.certificate_sha256);
    let host_key_sha256 = host_key(&mut wrong, kind, given.host_key_sha256);
    wrong.into_result()?;
    usable(kind, &given.secret).await?;
    let now = ctx.now();
    let mut row = credential::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        kind: kind.as_str().to_owned(),
        public: json!(public),
        secret: String::new(),
        hosts: hosts.to_json(),
        certificate_sha256,
        host_key_sha256,
        secret_changed_at: now,
        last_used_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    ctx.write(Permission::CredentialsWrite, Action::CredentialCreated, async |tx| {
        if credential::Entity::find().count(tx.conn()).await.map_err(db)? >= CREDENTIALS_MOST {
            let most = format!(
                "There are already {CREDENTIALS_MOST} credentials, which is the limit. Delete one first."
            );
            return Err(Error::Conflict(most));
        }
        row.secret = sealed(ctx, tx, row.id, &given.secret).await?;
        credential::Entity::insert(active(row.clone()))
            .exec(tx.conn())
            .await
            .map_err(|e| taken(&e, TAKEN))?;
        tx.about("credential", row.id);
        tx.detail(told(&row));
        out(row, Vec::new())
    })
    .await
}

pub async fn update(
    ctx: &Ctx,
    id: CredentialId,
    patch: CredentialPatch,
    version: Option<i64>,
) -> Result<CredentialOut> {
    ctx.authorize(Permission::CredentialsWrite)?;
    ctx.require_proof()?;
    if let Some(secret) = &patch.secret {
        usable(kind_of(&find(ctx.store().reader(), id).await?)?, secret).await?;
    }
    ctx.write(Permission::CredentialsWrite, Action::CredentialUpdated, async |tx| {
        let before = find(tx.conn(), id).await?;
        input::expect_version(before.version, version)?;
        let kind = kind_of(&before)?;
        let mut row = before.clone();
        let mut wrong = Violations::new();
        if let Some(name) =
            patch.name.and_then(|name| input::line(&mut wrong, "name", &name, input::SHORT_MAX))
        {
            row.name_key = name_key(&name);
            row.name = name;
        }
        let old = public_of(&before)?;
        let public = match &patch.public {
            Some(given) => kind.public(&mut wrong, given),
            None => old.clone(),
        };
        row.public = json!(public);
        if let Some(pin) = patch.certificate_sha256.change() {
            row.certificate_sha256 = certificate(&mut wrong, kind, pin);
        }
        if let Some(pin) = patch.host_key_sha256.change() {
            row.host_key_sha256 = host_key(&mut wrong, kind, pin);
        }
        let ports = kind.ports(&public);
        let hosts = match &patch.hosts {
            Some(given) => Hosts::read(&mut wrong, given, ports),
            None => Hosts::stored(&before.hosts, ports),
        };
        // A secret is not sent to another place than the one that it was typed for, nor to somebody else there.
        let mut reasons = Vec::new();
        if hosts.widen(&uses::hosts_of(&before)?) {
            reasons.push("it could be sent to more hosts or ports than before");
        }
        row.hosts = hosts.to_json();
        if row.certificate_sha256 != before.certificate_sha256 {
            reasons.push("the trusted certificate changes");
        }
        if before.host_key_sha256.is_some() && row.host_key_sha256 != before.host_key_sha256 {
            reasons.push("the trusted host key changes");
        }
        if kind.rebound(&old, &public).is_some() {
            reasons.push("it would be sent in a different way");
        }
        match &patch.secret {
            Some(secret) => {
                kind.judge_secret(&mut wrong, &public, secret);
                row.secret_changed_at = ctx.now();
            }
            None if !reasons.is_empty() && (kind.has_secret(&old) || kind.has_secret(&public)) => {
                wrong.add("secret", format!("Enter the secret again, because {}.", reasons.join(" and ")));
            }
            None => {}
        }
        wrong.into_result()?;
        if let Some(secret) = &patch.secret {
            row.secret = sealed(ctx, tx, row.id, secret).await?;
        }
        row.version += 1;
        row.updated_at = ctx.now();
        let mut detail = json!({ "from": told(&before), "to": told(&row) });
        detail["secret_changed"] = json!(patch.secret.is_some());
        active(row.clone()).update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        if let Some(client_id) = public.get("client_id") {
            crate::oidc::providers::follow(tx, row.id, client_id).await?;
        }
        tx.about("credential", row.id);
        tx.detail(detail);
        shown(tx.conn(), row).await
    })
    .await
}

/// With its log of uses; not while something names it.
pub async fn delete(ctx: &Ctx, id: CredentialId, version: Option<i64>) -> Result<()> {
    ctx.authorize(Permission::CredentialsWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::CredentialsWrite, Action::CredentialDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let users = uses::users(tx.conn(), &[row.id]).await?.remove(&row.id).unwrap_or_default();
        if !users.is_empty() {
            let names: Vec<String> = users
                .iter()
                .take(10)
                .map(|user| format!("{} {}", user.kind.replace('_', " "), user.name))
                .collect();
            return Err(Error::Conflict(format!(
                "This credential is used by {}. Give these another credential first.",
                names.join(", ")
            )));
        }
        tx.about("credential", row.id);
        tx.detail(told(&row));
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// Within the transaction that writes the row, so that no rotation comes between.
async fn sealed(ctx: &Ctx, tx: &WriteTx, id: Uuid, secret: &Secrets) -> Result<String> {
    let texts: BTreeMap<&str, &str> =
        secret.iter().map(|(name, text)| (name.as_str(), text.expose())).collect();
    let text = Secret::new(serde_json::to_string(&texts).map_err(Error::internal)?);
    ctx.app().seal(tx, CREDENTIAL.place(&id), &text).await
}

/// A key that cannot be read would fail at its first use only.
async fn usable(kind: Kind, secret: &Secrets) -> Result<()> {
    if kind == Kind::SshKey
        && let Some(private) = secret.get("private_key")
        && let Err(reason) = cb_collect::clients::ssh::read_key(private, secret.get("passphrase")).await
    {
        return Err(Error::invalid("secret.private_key", reason));
    }
    Ok(())
}

fn certificate(wrong: &mut Violations, kind: Kind, given: Option<String>) -> Option<String> {
    let given = given.filter(|text| !text.trim().is_empty())?;
    if kind.pin() != Some(Pinned::Certificate) {
        wrong.add(
            "certificate_sha256",
            format!("Leave this field empty. The kind {} does not use it.", kind.as_str()),
        );
        return None;
    }
    match given.trim().parse::<Pin>() {
        Ok(pin) => Some(pin.to_string()),
        Err(reason) => {
            wrong.add("certificate_sha256", reason);
            None
        }
    }
}

fn host_key(wrong: &mut Violations, kind: Kind, given: Option<String>) -> Option<String> {
    let given = given.filter(|text| !text.trim().is_empty())?;
    if kind.pin() != Some(Pinned::HostKey) {
        wrong.add(
            "host_key_sha256",
            format!("Leave this field empty. The kind {} does not use it.", kind.as_str()),
        );
        return None;
    }
    let text = given.trim();
    let hash = text.strip_prefix("SHA256:").unwrap_or(text).trim_end_matches('=');
    match STANDARD_NO_PAD.decode(hash) {
        Ok(bytes) if bytes.len() == 32 => Some(format!("SHA256:{hash}")),
        _ => {
            wrong.add(
                "host_key_sha256",
                "Enter the fingerprint that ssh-keygen -lf shows: SHA256: and 43 characters.",
            );
            None
        }
    }
}

/// What the log shows of it.
fn told(row: &credential::Model) -> Value {
    json!({
        "name": row.name, "kind": row.kind, "public": row.public, "hosts": row.hosts,
        "certificate_sha256": row.certificate_sha256, "host_key_sha256": row.host_key_sha256,
    })
}

async fn find(conn: &impl ConnectionTrait, id: CredentialId) -> Result<credential::Model> {
    credential::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

fn kind_of(row: &credential::Model) -> Result<Kind> {
    Kind::parse(&row.kind).ok_or_else(|| Error::Internal(format!("credential {}: kind {}", row.id, row.kind)))
}

fn public_of(row: &credential::Model) -> Result<Public> {
    serde_json::from_value(row.public.clone()).map_err(Error::internal)
}

async fn shown(conn: &impl ConnectionTrait, row: credential::Model) -> Result<CredentialOut> {
    let used_by = uses::users(conn, &[row.id]).await?.remove(&row.id).unwrap_or_default();
    out(row, used_by)
}

fn out(row: credential::Model, used_by: Vec<UserOut>) -> Result<CredentialOut> {
    let (kind, public) = (kind_of(&row)?, public_of(&row)?);
    Ok(CredentialOut {
        has_secret: kind.has_secret(&public),
        kind,
        public,
        used_by,
        id: row.id.into(),
        name: row.name,
        hosts: serde_json::from_value(row.hosts).map_err(Error::internal)?,
        certificate_sha256: row.certificate_sha256,
        host_key_sha256: row.host_key_sha256,
        secret_changed_at: row.secret_changed_at,
        last_used_at: row.last_used_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
