//! Using a credential: the only way to its secret. The host is looked at first, the use is noted, then the secret is opened.

use std::collections::BTreeMap;

use cb_core::error::sentence;
use cb_core::form::{Public, Secrets};
use cb_core::ids::{CredentialId, CredentialUseId};
use cb_core::{Error, Permission, Principal, Result, Secret};
use cb_net::http::{Pin, Tls};
use cb_store::db;
use cb_store::entities::{credential, credential_use, oidc_provider};
use cb_store::sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_store::sealed::CREDENTIAL;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::hosts::Hosts;
use super::kinds::Kind;
use super::{find, kind_of, public_of};
use crate::app::App;
use crate::ctx::Ctx;
use crate::page::{self, List, Page, Sort};

/// Uses of one credential that are remembered, the newest.
const KEPT: u64 = 1_000;

/// By whom or what, and what for.
#[derive(Debug, Clone)]
pub(crate) struct UsedBy {
    /// `user`, `operator`, `system`, or what names the credential: `oidc_provider`, `channel`.
    pub kind: &'static str,
    pub id: Option<Uuid>,
    pub name: String,
    pub purpose: &'static str,
}

impl UsedBy {
    pub(crate) fn principal(who: &Principal, purpose: &'static str) -> Self {
        Self { kind: who.kind(), id: who.id(), name: who.name(), purpose }
    }
}

/// A credential that may be sent to `host` at `port`, and to no other place.
pub(crate) struct Opened {
    pub kind: Kind,
    /// As it is to be connected to.
    pub host: String,
    pub port: u16,
    pub public: Public,
    secrets: Secrets,
    certificate: Option<Pin>,
    pub host_key_sha256: Option<String>,
    entry: Uuid,
}

impl Opened {
    /// A field of its kind; none: it was not given.
    pub fn secret(&self, field: &str) -> Option<&Secret> {
        self.secrets.get(field)
    }

    /// Whom to trust there.
    pub fn tls(&self) -> Tls {
        self.certificate.map_or(Tls::System, Tls::Pinned)
    }

    /// Notes what became of the use.
    pub async fn ended(&self, app: &App, ok: bool) -> Result<()> {
        app.store().credential_use_ended(self.entry, ok).await
    }
}

/// Opens a credential for one use at `host` and `port`: refused when it is of another kind or was not typed for that place. What became of
/// the use is told with [`Opened::ended`].
pub(crate) async fn open(
    app: &App,
    id: CredentialId,
    kind: Kind,
    host: &str,
    port: u16,
    user: UsedBy,
) -> Result<Opened> {
    let row = find(app.store().reader(), id).await?;
    let its = kind_of(&row)?;
    if its != kind {
        let (name, is, wanted) = (&row.name, its.as_str(), kind.as_str());
        return Err(Error::Conflict(format!("The credential {name} is of the kind {is}, not {wanted}.")));
    }
    let host = covered(&row, host, port)?;
    let entry = credential_use::Model {
        id: app.new_id(),
        credential_id: row.id,
        at: app.now(),
        user_kind: user.kind.to_owned(),
        user_id: user.id,
        user_name: user.name,
        host: host.clone(),
        port: Some(i32::from(port)),
        purpose: user.purpose.to_owned(),
        ok: None,
    };
    let entry_id = entry.id;
    app.store().credential_used(entry, KEPT).await?;
    Ok(Opened {
        kind,
        host,
        port,
        public: public_of(&row)?,
        secrets: secrets(app, &row).await?,
        certificate: row
            .certificate_sha256
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|reason: &str| Error::Internal(format!("the pin of credential {}: {reason}", row.id)))?,
        host_key_sha256: row.host_key_sha256,
        entry: entry_id,
    })
}

/// What names a credential asks this when it is written: whether it is of that kind and may be sent to `host` at `port`. Answers its
/// public fields; what is wrong is noted under `field`.
pub(crate) async fn named(
    conn: &impl ConnectionTrait,
    id: CredentialId,
    kind: Kind,
    host: &str,
    port: u16,
    field: &str,
) -> Result<Public> {
    let row = match find(conn, id).await {
        Err(Error::NotFound) => {
            return Err(Error::invalid(field, "This credential does not exist. Choose another one."));
        }
        other => other?,
    };
    if kind_of(&row)? != kind {
        return Err(Error::invalid(field, format!("Choose a credential of the kind {}.", kind.as_str())));
    }
    if covered(&row, host, port).is_err() {
        let reason = format!(
            "The credential does not allow sending to {host} on port {port}. Add {} to its hosts.",
            destination(host, port)
        );
        return Err(Error::invalid(field, sentence(reason.chars().take(300).collect::<String>())));
    }
    public_of(&row)
}

/// The host as it is to be connected to, or why the secret does not go there.
pub(super) fn covered(row: &credential::Model, host: &str, port: u16) -> Result<String> {
    let hosts = hosts_of(row)?;
    hosts.covering(host, port).ok_or_else(|| {
        let typed = hosts.texts().join(", ");
        match hosts.port_at(host) {
            Some(_) => Error::invalid(
                "port",
                format!(
                    "The server sends this secret only to {typed}. An administrator can add {} to the hosts.",
                    destination(host, port)
                ),
            ),
            None => Error::invalid("host", format!("The server sends this secret only to {typed}.")),
        }
    })
}

/// Where the secret may be sent.
pub(super) fn hosts_of(row: &credential::Model) -> Result<Hosts> {
    Ok(Hosts::stored(&row.hosts, kind_of(row)?.ports(&public_of(row)?)))
}

/// As it is typed among the hosts.
fn destination(host: &str, port: u16) -> String {
    let bare = host.trim().trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") }
}

pub(super) async fn secrets(app: &App, row: &credential::Model) -> Result<Secrets> {
    let text = app.unseal(CREDENTIAL.place(&row.id), &row.secret).await?;
    // The error would quote the text.
    serde_json::from_str(text.expose())
        .map_err(|_| Error::Internal(format!("the secret of credential {} is not readable", row.id)))
}

/// Something that uses a credential.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CredentialUser)]
pub struct UserOut {
    /// `oidc_provider`.
    #[schema(value_type = String)]
    pub kind: &'static str,
    pub id: Uuid,
    pub name: String,
}

/// What names each of these credentials. A table that refers to credentials adds its query here.
pub(super) async fn users(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<UserOut>>> {
    let mut all: BTreeMap<Uuid, Vec<UserOut>> = BTreeMap::new();
    let providers = oidc_provider::Entity::find()
        .filter(oidc_provider::Column::CredentialId.is_in(ids.iter().copied()))
        .order_by_asc(oidc_provider::Column::Name)
        .all(conn)
        .await
        .map_err(db)?;
    for row in providers {
        let Some(id) = row.credential_id else { continue };
        all.entry(id).or_default().push(UserOut { kind: "oidc_provider", id: row.id, name: row.name });
    }
    Ok(all)
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialUse)]
pub struct UseOut {
    pub id: CredentialUseId,
    pub at: DateTime<Utc>,
    /// `user`, `operator`, `system`, or what uses the credential, such as `oidc_provider`.
    pub user_kind: String,
    #[schema(required)]
    pub user_id: Option<Uuid>,
    pub user_name: String,
    pub host: String,
    #[schema(required)]
    pub port: Option<i32>,
    pub purpose: String,
    /// Whether the device accepted it; null if unknown.
    #[schema(required)]
    pub ok: Option<bool>,
}

/// Newest first.
pub async fn list(ctx: &Ctx, id: CredentialId, list: &List) -> Result<Page<UseOut>> {
    let conn = ctx.read(Permission::CredentialsRead)?;
    let row = find(conn, id).await?;
    if list.q.as_deref().is_some_and(|q| !q.is_empty()) {
        return Err(Error::invalid("q", "This list has no search. Leave q out."));
    }
    let select = credential_use::Entity::find().filter(credential_use::Column::CredentialId.eq(row.id));
    let sorts = [("at", Sort::time(credential_use::Column::At))];
    let page = page::page(conn, select, list, credential_use::Column::Id, &sorts, "-at").await?;
    Ok(page.map(|row| UseOut {
        id: row.id.into(),
        at: row.at,
        user_kind: row.user_kind,
        user_id: row.user_id,
        user_name: row.user_name,
        host: row.host,
        port: row.port,
        purpose: row.purpose,
        ok: row.ok,
    }))
}
