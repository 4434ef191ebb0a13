//! Users and their roles, by administrators. The database itself keeps the last administrator.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{InviteId, UserId};
use cb_core::{Error, Patch, Permission, Principal, Result, Role, Secret};
use cb_store::entities::{auth_step, user};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::link::LinkPurpose;
use crate::auth::sessions::{self, Kept, OpenSession, Opened, Proof};
use crate::auth::steps::{self, Purpose};
use crate::auth::{UserOut, active, factors, rules};
use crate::ctx::{Ctx, RequestMeta};
use crate::page::{self, List, Page, Sort, contains};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserIn {
    #[schema(example = "grace")]
    pub username: String,
    pub email: Option<String>,
    pub role: Role,
    #[schema(value_type = String)]
    pub password: Secret,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub email: Patch<String>,
    /// Ends the user's sessions. Their API tokens lose the permissions that the new role does not have.
    #[serde(default)]
    pub role: Option<Role>,
    /// Also ends the user's sessions and API tokens.
    #[serde(default)]
    pub disabled: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteIn {
    pub role: Role,
    pub email: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invite)]
pub struct InviteOut {
    pub id: InviteId,
    pub role: Role,
    #[schema(required)]
    pub email: Option<String>,
    pub invited_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// The secret part of a link. It is shown only once; hand it over in a way that you trust.
#[derive(Serialize, ToSchema)]
pub struct LinkOut {
    /// Path and fragment; the browser never sends the fragment.
    #[schema(example = "/invite#…")]
    pub path: String,
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInviteIn {
    #[schema(value_type = String)]
    pub token: Secret,
    pub username: String,
    #[schema(value_type = String)]
    pub password: Secret,
}

/// A role and what it permits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolePermissions)]
pub struct RoleOut {
    pub role: Role,
    pub permissions: Vec<&'static str>,
}

/// The whole table.
pub fn roles(ctx: &Ctx) -> Result<Vec<RoleOut>> {
    ctx.authorize(Permission::SettingsRead)?;
    let permissions =
        |role: Role| Permission::ALL.iter().filter(|p| role.permits(**p)).map(|p| p.as_str()).collect();
    Ok(Role::ALL.into_iter().map(|role| RoleOut { role, permissions: permissions(role) }).collect())
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<UserOut>> {
    let conn = ctx.read(Permission::UsersRead)?;
    let mut select = user::Entity::find();
    for word in list.patterns()? {
        select = select.filter(
            cb_store::sea_orm::Condition::any()
                .add(contains(Expr::col(user::Column::Username), &word))
                .add(contains(Expr::col(user::Column::Email), &word)),
        );
    }
    let sorts = [
        ("username", Sort::text(user::Column::UsernameKey)),
        ("role", Sort::text(user::Column::Role)),
        ("created_at", Sort::time(user::Column::CreatedAt)),
        ("last_login_at", Sort::time(user::Column::LastLoginAt)),
    ];
    Ok(page::page(conn, select, list, user::Column::Id, &sorts, "username").await?.map(Into::into))
}

pub async fn get(ctx: &Ctx, id: UserId) -> Result<UserOut> {
    Ok(find(ctx.read(Permission::UsersRead)?, id).await?.into())
}

pub async fn create(ctx: &Ctx, input: UserIn) -> Result<UserOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    let (username, email, hash) =
        judged(ctx.app(), &input.username, input.email.as_deref(), input.password).await?;
    ctx.write(Permission::UsersWrite, Action::UserCreated, async |tx| {
        insert(ctx, tx, username, email, hash, input.role, json!({})).await.map(Into::into)
    })
    .await
}

pub async fn update(ctx: &Ctx, id: UserId, patch: UserPatch) -> Result<UserOut> {
    let mut wrong = Violations::new();
    let email = patch.email.change().map(|e| rules::email(&mut wrong, e.as_deref()));
    wrong.into_result()?;
    ctx.authorize(Permission::UsersWrite)?;
    if patch.role.is_some() || patch.disabled.is_some() {
        ctx.require_proof()?;
    }
    ctx.write(Permission::UsersWrite, Action::UserUpdated, async |tx| {
        let mut row = find(tx.conn(), id).await?;
        let role = patch.role.filter(|r| r.as_str() != row.role);
        let disabled = patch.disabled.filter(|d| *d != row.disabled_at.is_some());
        // Each change of its own is an entry of its own. The first of them is the entry of this write.
        tx.action(match (&email, role, disabled) {
            (None, Some(_), _) => Action::RoleChanged,
            (None, None, Some(true)) => Action::UserDisabled,
            (None, None, Some(false)) => Action::UserEnabled,
            _ => Action::UserUpdated,
        });
        tx.about("user", row.id);
        tx.detail(json!({ "username": row.username }));
        if let Some(email) = email {
            let detail = json!({ "username": row.username, "email": { "from": row.email, "to": email } });
            let mut change: user::ActiveModel = row.into();
            change.email = Set(email);
            change.updated_at = Set(ctx.now());
            row = change.update(tx.conn()).await.map_err(db)?;
            tx.tell(Action::UserUpdated, "user", row.id, detail);
        }
        if let Some(role) = role {
            row = set_role(ctx, tx, row, role, json!({})).await?;
        }
        if let Some(disabled) = disabled {
            row = set_disabled(ctx, tx, row, disabled).await?;
        }
        Ok(row.into())
    })
    .await
}

async fn set_disabled(ctx: &Ctx, tx: &mut WriteTx, user: user::Model, disabled: bool) -> Result<user::Model> {
    let id = user.id;
    let detail = json!({ "username": user.username, "disabled": { "from": !disabled, "to": disabled } });
    let mut change: user::ActiveModel = user.into();
    change.disabled_at = Set(disabled.then(|| ctx.now()));
    change.updated_at = Set(ctx.now());
    let row = change.update(tx.conn()).await.map_err(|e| last_admin(&e))?;
    tx.tell(if disabled { Action::UserDisabled } else { Action::UserEnabled }, "user", id, detail);
    if disabled {
        sessions::revoke(ctx, tx, row, Kept::Nothing).await?;
    }
    find(tx.conn(), id.into()).await
}

pub async fn delete(ctx: &Ctx, id: UserId) -> Result<()> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::UsersWrite, Action::UserDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        tx.about("user", row.id);
        tx.detail(json!({ "username": row.username, "role": row.role }));
        tx.emit(cb_core::Event::UserSessionsEnded { id });
        sessions::end_tokens(tx, row.id).await?;
        row.delete(tx.conn()).await.map_err(|e| last_admin(&e))?;
        Ok(())
    })
    .await
}

/// Takes the second factor from somebody who has lost theirs. Their sessions end.
pub async fn clear_second_factor(ctx: &Ctx, id: UserId) -> Result<UserOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::UsersWrite, Action::SecondFactorCleared, async |tx| {
        let row = find(tx.conn(), id).await?;
        tx.about("user", row.id);
        tx.detail(json!({ "username": row.username }));
        let row = factors::clear(tx, row).await?;
        sessions::revoke(ctx, tx, row, Kept::Tokens).await?;
        find(tx.conn(), id).await.map(Into::into)
    })
    .await
}

pub async fn open_sessions(ctx: &Ctx, id: UserId) -> Result<Vec<OpenSession>> {
    ctx.authorize(Permission::UsersRead)?;
    sessions::open_sessions(ctx, id, ctx.principal().session()).await
}

/// Ends every session of a user.
pub async fn end_sessions(ctx: &Ctx, id: UserId) -> Result<()> {
    ctx.write(Permission::UsersWrite, Action::SessionsEnded, async |tx| {
        let row = find(tx.conn(), id).await?;
        tx.about("user", row.id);
        tx.detail(json!({ "username": row.username }));
        sessions::revoke(ctx, tx, row, Kept::Tokens).await.map(|_| ())
    })
    .await
}

/// A link by which the user sets a new password, within a day. The old one works until then.
pub async fn reset_link(ctx: &Ctx, id: UserId) -> Result<LinkOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::UsersWrite, Action::ResetLinkMade, async |tx| {
        let row = find(tx.conn(), id).await?;
        if row.disabled_at.is_some() {
            return Err(Error::Conflict("This user is disabled. Enable them first.".to_owned()));
        }
        tx.about("user", row.id);
        tx.detail(json!({ "username": row.username }));
        let (step, secret) =
            steps::begin(ctx, tx, Purpose::Reset, Some((row.id, row.auth_epoch)), json!({})).await?;
        Ok(LinkOut { path: format!("/reset#{}", secret.expose()), expires_at: step.expires_at })
    })
    .await
}

/// The user of this name.
pub async fn by_name(ctx: &Ctx, username: &str) -> Result<UserOut> {
    let row = user::Entity::find()
        .filter(user::Column::UsernameKey.eq(username.trim().to_lowercase()))
        .one(ctx.read(Permission::UsersRead)?)
        .await
        .map_err(db)?;
    row.map(Into::into).ok_or(Error::NotFound)
}

pub async fn invites(ctx: &Ctx) -> Result<Vec<InviteOut>> {
    let conn = ctx.read(Permission::UsersRead)?;
    let rows = auth_step::Entity::find()
        .filter(auth_step::Column::Purpose.eq(Purpose::Invite.as_str()))
        .filter(auth_step::Column::ExpiresAt.gt(ctx.now()))
        .order_by_desc(auth_step::Column::CreatedAt);
    Ok(rows.all(conn).await.map_err(db)?.iter().filter_map(invite_of).collect())
}

fn invite_of(row: &auth_step::Model) -> Option<InviteOut> {
    let text = |key: &str| row.payload.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    Some(InviteOut {
        role: Role::parse(&text("role")?)?,
        email: text("email"),
        invited_by: text("invited_by")?,
        id: row.id.into(),
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

/// A link by which somebody makes themselves a user, within a week.
pub async fn invite(ctx: &Ctx, input: InviteIn) -> Result<LinkOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let email = rules::email(&mut wrong, input.email.as_deref());
    wrong.into_result()?;
    ctx.write(Permission::UsersWrite, Action::InviteMade, async |tx| {
        let payload = json!({ "role": input.role, "email": email, "invited_by": ctx.principal().name() });
        tx.detail(json!({ "role": input.role, "email": email }));
        let (step, secret) = steps::begin(ctx, tx, Purpose::Invite, None, payload).await?;
        tx.about("invite", step.id);
        Ok(LinkOut { path: format!("/invite#{}", secret.expose()), expires_at: step.expires_at })
    })
    .await
}

pub async fn withdraw_invite(ctx: &Ctx, id: InviteId) -> Result<()> {
    ctx.write(Permission::UsersWrite, Action::InviteWithdrawn, async |tx| {
        let row = auth_step::Entity::find_by_id(id.0).one(tx.conn()).await.map_err(db)?;
        let row = row.filter(|r| r.purpose == Purpose::Invite.as_str()).ok_or(Error::NotFound)?;
        tx.about("invite", row.id);
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// Creates the invited user and signs them in.
pub async fn accept_invite(app: &App, meta: RequestMeta, input: AcceptInviteIn) -> Result<Opened> {
    let now = app.now();
    let address = LinkPurpose::Invite.throttle_key(&meta);
    let work = async {
        let mut wrong = Violations::new();
        factors::bounded(&mut wrong, "token", &input.token);
        wrong.into_result()?;
        let gone = || LinkPurpose::Invite.gone();
        if steps::find(now, app.store().reader(), Purpose::Invite, &input.token).await?.is_none() {
            return Err(LinkPurpose::Invite.guessed(app, &meta).await);
        }
        let (username, _, hash) = judged(app, &input.username, None, input.password).await?;
        let ctx = app.ctx(Principal::SignIn { username: username.clone() }, meta);
        ctx.record(Action::InviteAccepted, async |tx| {
            let step = steps::find(now, tx.conn(), Purpose::Invite, &input.token).await?.ok_or_else(gone)?;
            let invite = invite_of(&step).ok_or_else(gone)?;
            steps::finish(tx, step).await?;
            let cause = json!({ "invited_by": invite.invited_by });
            let row = insert(&ctx, tx, username, invite.email, hash, invite.role, cause).await?;
            tx.detail(json!({ "username": row.username, "role": row.role, "invited_by": invite.invited_by }));
            sessions::admit(&ctx, tx, row.id, row.auth_epoch, Proof::Setup).await?.session()
        })
        .await
    };
    let opened = app.throttle().attempt([&address], Box::pin(work)).await?;
    app.throttle().spare(&address).await;
    Ok(opened)
}

/// The input of a new user, judged, and the password's hash.
async fn judged(
    app: &App,
    username: &str,
    email: Option<&str>,
    given: Secret,
) -> Result<(String, Option<String>, String)> {
    let mut wrong = Violations::new();
    let name = rules::username(&mut wrong, username);
    let email = rules::email(&mut wrong, email);
    rules::password(&mut wrong, "password", &given, username);
    wrong.into_result()?;
    let hash = cb_vault::password::hash(given, app.entropy()).await?;
    Ok((name, email, hash))
}

/// Users that there can be: their lists and the checks on them stay quick.
const USERS_MOST: u64 = 10_000;

/// The only place that makes a user; `cause` says why, where nobody asked for it by itself.
pub(crate) async fn insert(
    ctx: &Ctx,
    tx: &mut WriteTx,
    username: String,
    email: Option<String>,
    password_hash: String,
    role: Role,
    cause: Value,
) -> Result<user::Model> {
    if user::Entity::find().count(tx.conn()).await.map_err(db)? >= USERS_MOST {
        return Err(Error::Conflict(format!(
            "There are already {USERS_MOST} users, which is the limit. Delete one first."
        )));
    }
    let now = ctx.now();
    let row = user::Model {
        id: ctx.new_id(),
        username_key: username.to_lowercase(),
        username,
        email,
        password_hash,
        role: role.as_str().to_owned(),
        auth_epoch: 1,
        disabled_at: None,
        last_login_at: None,
        password_changed_at: Some(now),
        totp_secret: None,
        totp_step: None,
        totp_enabled_at: None,
        passkeys: 0,
        created_at: now,
        updated_at: now,
    };
    user::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
    tx.tell(
        Action::UserCreated,
        "user",
        row.id,
        with(cause, json!({ "username": row.username, "role": row.role })),
    );
    Ok(row)
}

/// Gives `user` another role and ends their sessions. The only place that changes a role; `cause` says what for.
pub(crate) async fn set_role(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: user::Model,
    role: Role,
    cause: Value,
) -> Result<user::Model> {
    let (id, before) = (user.id, user.role.clone());
    let detail = json!({ "username": user.username, "role": { "from": before, "to": role } });
    let mut change: user::ActiveModel = user.into();
    change.role = Set(role.as_str().to_owned());
    change.updated_at = Set(ctx.now());
    let user = change.update(tx.conn()).await.map_err(|e| last_admin(&e))?;
    tx.tell(Action::RoleChanged, "user", id, with(cause, detail));
    sessions::revoke(ctx, tx, user, Kept::Tokens).await?;
    find(tx.conn(), id.into()).await
}

/// `detail` with what caused it.
fn with(mut detail: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut detail, more) {
        all.extend(more);
    }
    detail
}

async fn find(conn: &impl ConnectionTrait, id: UserId) -> Result<user::Model> {
    user::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

const TAKEN: (&str, &str) = ("username", "A user with this name already exists.");

/// The trigger's refusal, in words.
fn last_admin(error: &DbErr) -> Error {
    if error.to_string().contains("the last administrator") {
        return Error::Conflict(
            "This is the last administrator. Make another user an administrator first.".to_owned(),
        );
    }
    taken(error, TAKEN)
}
