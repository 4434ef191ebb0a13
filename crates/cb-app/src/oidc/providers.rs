//! The providers, by administrators.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{CredentialId, ProviderId};
use cb_core::{Error, Patch, Permission, Result, Role, Secret};
use cb_net::http::Pin;
use cb_store::entities::{oidc_provider, user, user_identity};
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_store::sealed::CLIENT_SECRET;
use cb_store::{WriteTx, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::protocol::{Key, Provider, WELL_KNOWN, same_issuer};
use crate::app::App;
use crate::auth::sessions::{self, Kept};
use crate::auth::{Site, Without, active, own, stays_reachable};
use crate::credentials::{self, Kind as CredentialKind};
use crate::ctx::Ctx;
use crate::input;

/// Providers that there can be.
const PROVIDERS_MOST: u64 = 20;
pub(crate) const GROUPS_MOST: usize = 50;
pub(crate) const SCOPES_MOST: usize = 20;
pub(crate) const NAME_MOST: usize = 64;
pub(crate) const CLIENT_ID_MOST: usize = 256;
pub(crate) const CLIENT_SECRET_MOST: usize = 1024;
pub(crate) const CLAIM_MOST: usize = 128;
const TAKEN: (&str, &str) = ("slug", "Another provider already has this slug. Choose another slug.");

/// Members of this group get this role. A member of several groups gets the highest role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleGroup {
    #[schema(example = "homelab-admins")]
    pub group: String,
    pub role: Role,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OidcProvider)]
pub struct ProviderOut {
    pub id: ProviderId,
    pub slug: String,
    pub name: String,
    pub issuer: String,
    /// The client ID of the credential, if the provider uses one.
    pub client_id: String,
    /// Whether the provider has a client secret of its own.
    pub has_client_secret: bool,
    /// The credential that contains the client ID and the client secret, used instead of the fields here.
    #[schema(required)]
    pub credential_id: Option<CredentialId>,
    pub scopes: Vec<String>,
    pub groups_claim: String,
    pub role_groups: Vec<RoleGroup>,
    #[schema(required)]
    pub default_role: Option<Role>,
    pub create_users: bool,
    pub enabled: bool,
    #[schema(required)]
    pub certificate_sha256: Option<String>,
    /// The URI to register at the provider, for the server name of this request.
    pub redirect_uri: String,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OidcProviderIn)]
pub struct ProviderIn {
    /// Part of the redirect URI, so it cannot be changed later.
    #[schema(example = "authentik")]
    pub slug: String,
    #[schema(example = "Authentik")]
    pub name: String,
    #[schema(example = "https://id.example.lan/application/o/circuit-breaker/")]
    pub issuer: String,
    /// Required unless a credential contains it.
    pub client_id: Option<String>,
    /// Write-only. Leave it out for a public client.
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Secret>,
    /// A credential of the kind `oidc_client`, used instead of `client_id` and `client_secret`. Its hosts must include
    /// the host of the issuer.
    pub credential_id: Option<CredentialId>,
    /// `openid`, `profile` and `email` if absent.
    pub scopes: Option<Vec<String>>,
    /// `groups` if absent.
    pub groups_claim: Option<String>,
    #[serde(default)]
    pub role_groups: Vec<RoleGroup>,
    /// The role of people who are in none of the groups; without it they have no access.
    pub default_role: Option<Role>,
    /// Whether the server creates a user for a person who is new here; otherwise only connected accounts can sign in.
    #[serde(default)]
    pub create_users: bool,
    pub enabled: Option<bool>,
    /// The fingerprint of its certificate, if this server does not trust the issuer.
    pub certificate_sha256: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OidcProviderPatch)]
pub struct ProviderPatch {
    pub name: Option<String>,
    /// A change must include the client secret again.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client_secret: Patch<Secret>,
    /// Replaces `client_id` and `client_secret`.
    #[serde(default)]
    #[schema(value_type = Option<CredentialId>)]
    pub credential_id: Patch<CredentialId>,
    pub scopes: Option<Vec<String>>,
    pub groups_claim: Option<String>,
    pub role_groups: Option<Vec<RoleGroup>>,
    #[serde(default)]
    #[schema(value_type = Option<Role>)]
    pub default_role: Patch<Role>,
    pub create_users: Option<bool>,
    pub enabled: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub certificate_sha256: Patch<String>,
}

/// The result of a test of a provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OidcProviderTest)]
pub struct ProviderTest {
    pub ok: bool,
    #[schema(required)]
    pub issuer: Option<String>,
    #[schema(required)]
    pub authorization_endpoint: Option<String>,
    /// How the provider spells its issuer, if that differs from the entered issuer only in the final slash, upper or
    /// lower case, or the port 443.
    #[schema(required)]
    pub own_spelling: Option<String>,
    /// Why it cannot be used.
    #[schema(required)]
    pub reason: Option<String>,
}

/// A way to sign in, as the sign-in page shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OidcProviderName)]
pub struct ProviderName {
    pub slug: String,
    pub name: String,
}

/// The enabled ones, by name; for anybody.
pub async fn offered(app: &App) -> Result<Vec<ProviderName>> {
    let rows = oidc_provider::Entity::find()
        .filter(oidc_provider::Column::Enabled.eq(true))
        .order_by_asc(oidc_provider::Column::Name)
        .all(app.store().reader())
        .await
        .map_err(db)?;
    Ok(rows.into_iter().map(|row| ProviderName { slug: row.slug, name: row.name }).collect())
}

pub async fn list(ctx: &Ctx, site: &Site) -> Result<Vec<ProviderOut>> {
    let conn = ctx.read(Permission::UsersRead)?;
    let rows = oidc_provider::Entity::find().order_by_asc(oidc_provider::Column::Slug).all(conn);
    rows.await.map_err(db)?.into_iter().map(|row| out(row, site)).collect()
}

pub async fn get(ctx: &Ctx, site: &Site, id: ProviderId) -> Result<ProviderOut> {
    out(find(ctx.read(Permission::UsersRead)?, id).await?, site)
}

pub async fn create(ctx: &Ctx, site: &Site, given: ProviderIn) -> Result<ProviderOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    let now = ctx.now();
    let scopes = given.scopes.unwrap_or_else(|| ["openid", "profile", "email"].map(str::to_owned).to_vec());
    let mut wrong = Violations::new();
    let slug_ok = (1..=32).contains(&given.slug.len())
        && given.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    wrong.require(slug_ok, "slug", "Use 1 to 32 characters: lowercase letters, digits and hyphens.");
    let mut row = oidc_provider::Model {
        id: ctx.new_id(),
        slug: given.slug,
        name: String::new(),
        issuer: String::new(),
        client_id: String::new(),
        client_secret: None,
        credential_id: given.credential_id.map(|id| id.0),
        scopes: json!(scopes),
        groups_claim: given.groups_claim.unwrap_or_else(|| "groups".to_owned()),
        role_groups: json!(given.role_groups),
        default_role: given.default_role.map(|r| r.as_str().to_owned()),
        create_users: given.create_users,
        enabled: given.enabled.unwrap_or(true),
        certificate_sha256: given.certificate_sha256,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    judge_secret(&mut wrong, given.client_secret.as_ref());
    wrong.require(
        given.credential_id.is_none() || (given.client_secret.is_none() && given.client_id.is_none()),
        "credential_id",
        "The credential already contains the client ID and the client secret. Leave those two empty, or choose no credential.",
    );
    row.name = given.name;
    row.issuer = given.issuer;
    row.client_id = given.client_id.unwrap_or_default();
    let mut row = judged(wrong, row)?;
    ctx.write(Permission::UsersWrite, Action::OidcProviderCreated, async |tx| {
        if oidc_provider::Entity::find().count(tx.conn()).await.map_err(db)? >= PROVIDERS_MOST {
            return Err(Error::Conflict(format!(
                "There are already {PROVIDERS_MOST} providers, which is the limit. Delete one first."
            )));
        }
        row.client_secret = sealed(ctx, tx, row.id, given.client_secret.as_ref()).await?;
        with_credential(tx, &mut row).await?;
        oidc_provider::Entity::insert(active(row.clone()))
            .exec(tx.conn())
            .await
            .map_err(|e| taken(&e, TAKEN))?;
        tx.about("oidc_provider", row.id);
        tx.detail(shown(&row));
        out(row, site)
    })
    .await
}

pub async fn update(
    ctx: &Ctx,
    site: &Site,
    id: ProviderId,
    patch: ProviderPatch,
    version: Option<i64>,
) -> Result<ProviderOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::UsersWrite, Action::OidcProviderUpdated, async |tx| {
        let before = find(tx.conn(), id).await?;
        input::expect_version(before.version, version)?;
        let mut wrong = Violations::new();
        let mut row = before.clone();
        // A secret is not sent to another place than the one that it was typed for.
        let moved = patch.issuer.as_ref().is_some_and(|i| !same_issuer(&typed(i), &before.issuer));
        let pin = patch.certificate_sha256.clone().change();
        let trusts_another = pin.is_some_and(|pin| spelled(pin.as_deref()) != before.certificate_sha256);
        let secret_given = patch.client_secret.clone().change();
        let given = secret_given.is_some() || matches!(patch.credential_id, Patch::Set(_));
        for (changes, why) in [
            (moved, "Enter the client secret again, because you change the issuer."),
            (trusts_another, "Enter the client secret again, because you change the certificate."),
        ] {
            wrong.require(!changes || given || before.client_secret.is_none(), "client_secret", why);
        }
        wrong.require(
            !trusts_another || given || before.credential_id.is_none(),
            "credential_id",
            "Choose the credential again, because you change the certificate.",
        );
        if let Some(secret) = &secret_given {
            judge_secret(&mut wrong, secret.as_ref());
            row.client_secret = sealed(ctx, tx, row.id, secret.as_ref()).await?;
        }
        if let Some(credential) = patch.credential_id.change() {
            row.credential_id = credential.map(|id| id.0);
            if credential.is_some() {
                row.client_secret = None;
            }
        }
        wrong.require(
            row.credential_id.is_none()
                || (patch.client_id.is_none() && !matches!(secret_given, Some(Some(_)))),
            "credential_id",
            "The credential already contains the client ID and the client secret. Remove the credential before you enter others.",
        );
        row.name = patch.name.unwrap_or(row.name);
        row.issuer = patch.issuer.unwrap_or(row.issuer);
        row.client_id = patch.client_id.unwrap_or(row.client_id);
        row.scopes = patch.scopes.map_or(row.scopes, |s| json!(s));
        row.groups_claim = patch.groups_claim.unwrap_or(row.groups_claim);
        row.role_groups = patch.role_groups.map_or(row.role_groups, |g| json!(g));
        if let Some(role) = patch.default_role.change() {
            row.default_role = role.map(|r| r.as_str().to_owned());
        }
        row.create_users = patch.create_users.unwrap_or(row.create_users);
        row.enabled = patch.enabled.unwrap_or(row.enabled);
        if let Some(pin) = patch.certificate_sha256.change() {
            row.certificate_sha256 = pin;
        }
        row.version += 1;
        row.updated_at = ctx.now();
        let mut row = judged(wrong, row)?;
        with_credential(tx, &mut row).await?;
        if !same_issuer(&row.issuer, &before.issuer) {
            // Whoever somebody was at the old one says nothing of the new one.
            let linked = user_identity::Entity::find().filter(user_identity::Column::ProviderId.eq(row.id));
            if linked.count(tx.conn()).await.map_err(db)? > 0 {
                return Err(Error::taken(
                    "issuer",
                    "Accounts of this issuer are connected to users. Add the new issuer as another provider.",
                ));
            }
        }
        let mut detail = json!({ "from": shown(&before), "to": shown(&row) });
        detail["client_secret_changed"] = json!(secret_given.is_some());
        active(row.clone()).update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("oidc_provider", row.id);
        tx.detail(detail);
        out(row, site)
    })
    .await
}

/// Its links go with it, and the sessions of those who had one end.
pub async fn delete(ctx: &Ctx, id: ProviderId, version: Option<i64>) -> Result<()> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::UsersWrite, Action::OidcProviderDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let linked = user_identity::Entity::find().filter(user_identity::Column::ProviderId.eq(row.id));
        let linked = linked.all(tx.conn()).await.map_err(db)?;
        tx.about("oidc_provider", row.id);
        let mut detail = shown(&row);
        detail["linked_users"] = json!(linked.len());
        tx.detail(detail);
        for identity in linked {
            let user = user::Entity::find_by_id(identity.user_id).one(tx.conn()).await.map_err(db)?;
            let Some(user) = user else { continue };
            if own(tx.conn(), ctx).await.is_ok_and(|me| me.id == user.id) {
                stays_reachable(tx.conn(), &user, Without::Identity).await?;
            }
            sessions::revoke(ctx, tx, user, Kept::Tokens).await?;
        }
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// Asks the provider for its description, now.
pub async fn test(ctx: &Ctx, id: ProviderId) -> Result<ProviderTest> {
    ctx.authorize(Permission::UsersWrite)?;
    let row = find(ctx.store().reader(), id).await?;
    let provider = opened(ctx.app(), &row).await?;
    let answer = match provider.describe(ctx.app(), true).await {
        Ok(known) => provider.reaches(ctx.app(), &known).await.map(|()| known),
        Err(reason) => Err(reason),
    };
    let own_spelling = if answer.is_ok() { None } else { provider.own_spelling(ctx.app()).await };
    ctx.write(Permission::UsersWrite, Action::OidcProviderTested, async |tx| {
        tx.about("oidc_provider", row.id);
        tx.detail(json!({ "slug": row.slug, "ok": answer.is_ok() }));
        Ok(match &answer {
            Ok(known) => ProviderTest {
                ok: true,
                issuer: Some(known.issuer().to_string()),
                authorization_endpoint: Some(known.authorization_endpoint().to_string()),
                own_spelling: None,
                reason: None,
            },
            Err(reason) => ProviderTest {
                ok: false,
                issuer: None,
                authorization_endpoint: None,
                own_spelling: own_spelling.clone(),
                reason: Some(reason.clone()),
            },
        })
    })
    .await
}

/// The enabled provider of this slug.
pub(super) async fn by_slug(conn: &impl ConnectionTrait, slug: &str) -> Result<Option<oidc_provider::Model>> {
    let row = oidc_provider::Entity::find().filter(oidc_provider::Column::Slug.eq(slug)).one(conn);
    Ok(row.await.map_err(db)?.filter(|row| row.enabled))
}

pub(super) async fn opened<'a>(app: &App, row: &'a oidc_provider::Model) -> Result<Provider<'a>> {
    let key = match (row.credential_id, &row.client_secret) {
        (Some(id), _) => Key::Credential(id.into()),
        (None, Some(sealed)) => Key::Own(app.unseal(CLIENT_SECRET.place(&row.id), sealed).await?),
        (None, None) => Key::None,
    };
    Ok(Provider { row, key })
}

/// The id of the client is the credential's, wherever it is changed.
pub(crate) async fn follow(tx: &WriteTx, credential: Uuid, client_id: &str) -> Result<()> {
    oidc_provider::Entity::update_many()
        .col_expr(oidc_provider::Column::ClientId, Expr::value(client_id))
        .filter(oidc_provider::Column::CredentialId.eq(credential))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}

/// Takes the client's id from the credential, if it names one that may be sent to the issuer.
async fn with_credential(tx: &WriteTx, row: &mut oidc_provider::Model) -> Result<()> {
    let Some(id) = row.credential_id else { return Ok(()) };
    let url = Url::parse(&row.issuer).map_err(Error::internal)?;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    let kind = CredentialKind::OidcClient;
    let public = credentials::named(tx.conn(), id.into(), kind, host, port, "credential_id");
    row.client_id = public.await?.remove("client_id").unwrap_or_default();
    Ok(())
}

/// The role that a member of these groups has; none when the provider gives them no access.
pub(super) fn role_of(row: &oidc_provider::Model, groups: &[String]) -> Option<Role> {
    let table: Vec<RoleGroup> = serde_json::from_value(row.role_groups.clone()).unwrap_or_default();
    let by_group = table.iter().filter(|g| groups.contains(&g.group)).map(|g| g.role);
    let rank = |role: &Role| Role::ALL.iter().position(|r| r == role);
    by_group.max_by_key(rank).or_else(|| row.default_role.as_deref().and_then(Role::parse))
}

/// Those of the groups that give a role.
pub(super) fn mapped(row: &oidc_provider::Model, groups: &[String]) -> Vec<String> {
    let table: Vec<RoleGroup> = serde_json::from_value(row.role_groups.clone()).unwrap_or_default();
    table.into_iter().map(|mapped| mapped.group).filter(|group| groups.contains(group)).collect()
}

/// Where the provider sends people back to.
pub(super) fn redirect(site: &Site, slug: &str) -> Result<Url> {
    site.address(&format!("/api/v1/auth/oidc/{slug}/callback"))
}

/// Within the transaction that writes the row, so that no rotation comes between.
async fn sealed(ctx: &Ctx, tx: &WriteTx, id: Uuid, secret: Option<&Secret>) -> Result<Option<String>> {
    match secret {
        Some(secret) => Ok(Some(ctx.app().seal(tx, CLIENT_SECRET.place(&id), secret).await?)),
        None => Ok(None),
    }
}

fn judge_secret(wrong: &mut Violations, secret: Option<&Secret>) {
    let Some(secret) = secret else { return };
    let fits = !secret.expose().trim().is_empty()
        && secret.expose().chars().count() <= CLIENT_SECRET_MOST
        && !secret.expose().chars().any(char::is_control);
    wrong.require(fits, "client_secret", "Use 1 to 1,024 characters without line breaks.");
}

/// An issuer as people type it: often it is the address of the provider's description.
fn typed(issuer: &str) -> String {
    let issuer = issuer.trim();
    issuer.trim_end_matches('/').strip_suffix(WELL_KNOWN).unwrap_or(issuer).to_owned()
}

/// A pin as it is kept; one that is none stays as it is.
fn spelled(pin: Option<&str>) -> Option<String> {
    pin.map(|text| text.trim().parse::<Pin>().map_or_else(|_| text.to_owned(), |pin| pin.to_string()))
}

/// The row with its texts trimmed, or everything that is wrong with it.
fn judged(mut wrong: Violations, mut row: oidc_provider::Model) -> Result<oidc_provider::Model> {
    row.name = input::line(&mut wrong, "name", &row.name, NAME_MOST).unwrap_or_default();
    if row.credential_id.is_none() {
        row.client_id =
            input::line(&mut wrong, "client_id", &row.client_id, CLIENT_ID_MOST).unwrap_or_default();
    }
    row.groups_claim =
        input::line(&mut wrong, "groups_claim", &row.groups_claim, CLAIM_MOST).unwrap_or_default();
    row.issuer = input::line(&mut wrong, "issuer", &typed(&row.issuer), 512).unwrap_or_default();
    // OpenID Connect Discovery 1.0, section 3: https, no query, no fragment.
    let issuer = Url::parse(&row.issuer).ok().filter(|u| {
        u.scheme() == "https"
            && u.has_host()
            && u.query().is_none()
            && u.fragment().is_none()
            && u.username().is_empty()
            && u.password().is_none()
    });
    wrong.require(
        issuer.is_some(),
        "issuer",
        "Enter an https:// address without a query, exactly as the provider spells it.",
    );
    let scopes: Vec<String> = serde_json::from_value(row.scopes.clone()).unwrap_or_default();
    // RFC 6749, 3.3.
    let scope = |s: &String| {
        (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    wrong.require(
        scopes.len() <= SCOPES_MOST && scopes.iter().all(scope),
        "scopes",
        "Enter at most 20 words without spaces.",
    );
    wrong.require(scopes.iter().any(|s| s == "openid"), "scopes", "Add the scope openid.");
    let groups: Vec<RoleGroup> = serde_json::from_value(row.role_groups.clone()).unwrap_or_default();
    let named = |g: &RoleGroup| {
        !g.group.trim().is_empty()
            && g.group.chars().count() <= input::NAME_MAX
            && !g.group.chars().any(char::is_control)
    };
    wrong.require(
        groups.len() <= GROUPS_MOST && groups.iter().all(named),
        "role_groups",
        "Enter at most 50 groups, each with a name of at most 200 characters.",
    );
    wrong.require(
        !row.create_users || row.default_role.is_some() || !groups.is_empty(),
        "default_role",
        "Choose a role, or give a group a role. The provider creates users, and each of them needs one.",
    );
    if let Some(text) = row.certificate_sha256.as_deref() {
        match text.trim().parse::<Pin>() {
            Ok(pin) => row.certificate_sha256 = Some(pin.to_string()),
            Err(reason) => wrong.add("certificate_sha256", reason),
        }
    }
    wrong.into_result()?;
    Ok(row)
}

/// What the log shows of it.
fn shown(row: &oidc_provider::Model) -> Value {
    json!({
        "slug": row.slug, "name": row.name, "issuer": row.issuer, "client_id": row.client_id,
        "scopes": row.scopes, "groups_claim": row.groups_claim, "role_groups": row.role_groups,
        "default_role": row.default_role, "create_users": row.create_users, "enabled": row.enabled,
        "certificate_sha256": row.certificate_sha256, "credential_id": row.credential_id,
    })
}

async fn find(conn: &impl ConnectionTrait, id: ProviderId) -> Result<oidc_provider::Model> {
    oidc_provider::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

fn out(row: oidc_provider::Model, site: &Site) -> Result<ProviderOut> {
    Ok(ProviderOut {
        redirect_uri: redirect(site, &row.slug)?.into(),
        id: row.id.into(),
        slug: row.slug,
        name: row.name,
        issuer: row.issuer,
        client_id: row.client_id,
        has_client_secret: row.client_secret.is_some(),
        credential_id: row.credential_id.map(Into::into),
        scopes: serde_json::from_value(row.scopes).map_err(Error::internal)?,
        groups_claim: row.groups_claim,
        role_groups: serde_json::from_value(row.role_groups).map_err(Error::internal)?,
        default_role: row.default_role.as_deref().and_then(Role::parse),
        create_users: row.create_users,
        enabled: row.enabled,
        certificate_sha256: row.certificate_sha256,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
