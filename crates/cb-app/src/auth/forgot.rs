//! Links to set a new password, by mail. Whoever asks learns nothing: the answer is the same and as fast whatever the name, since
//! everything is done after it. An administrator who has one sent hears what became of it.

use cb_core::error::Violations;
use cb_core::ids::UserId;
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_core::{Error, Permission, Principal, Result};
use cb_store::db;
use cb_store::entities::user;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::guesses::Guess;
use super::place;
use super::rules::USERNAME_MOST;
use super::steps::{self, Purpose};
use crate::app::App;
use crate::ctx::{Ctx, RequestMeta};
use crate::input;
use crate::notify::mail;

/// Whoever has forgotten their password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotIn {
    #[schema(example = "ada")]
    pub username: String,
}

/// What became of a mail.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetMailOut {
    /// The user's address.
    pub to: String,
    /// Whether the mail server has taken it.
    pub sent: bool,
    /// Why not.
    #[schema(required)]
    pub error: Option<String>,
}

/// Sends a link to the user of that name who has an address, after the answer. 429 for whoever asks too often.
pub fn ask(app: &App, meta: RequestMeta, given: &ForgotIn) -> Result<()> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "username", &given.username, USERNAME_MOST);
    wrong.into_result()?;
    let key = name.unwrap_or_default().to_lowercase();
    app.throttle().enter([&format!("forgot/{}", place(meta.ip))])?;
    let task = app.clone();
    app.spawn(async move {
        if let Err(error) = answer(&task, meta, &key).await {
            tracing::warn!(%error, "a link to set a new password was not mailed");
        }
    });
    Ok(())
}

async fn answer(app: &App, meta: RequestMeta, key: &str) -> Result<()> {
    let actor = || Principal::SignIn { username: "forgotten password".to_owned() };
    let found = user::Entity::find().filter(user::Column::UsernameKey.eq(key)).one(app.store().reader());
    let found = found.await.map_err(db)?.filter(|u| u.disabled_at.is_none() && u.email.is_some());
    let Some(row) = found.filter(|_| app.public_url().is_some()) else {
        app.guessed(&meta, Guess::at_nobody("reset_mail_asked", actor())).await;
        return Ok(());
    };
    // A mailbox is not flooded, wherever the requests come from. Nobody hears of it, for that would tell that there is such a user.
    if app.throttle().enter([&format!("forgot-mail/{}", row.id)]).is_err() || !mail::is_possible(app).await? {
        return Ok(());
    }
    let ctx = app.ctx(actor(), meta);
    mailed(&ctx, row).await.map(|_| ())
}

/// Sends a user a link by which they set a new password, within a day.
pub async fn send(ctx: &Ctx, id: UserId) -> Result<ResetMailOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    let row = user::Entity::find_by_id(id.0).one(ctx.store().reader()).await.map_err(db)?;
    let row = row.ok_or(Error::NotFound)?;
    if row.disabled_at.is_some() {
        return Err(Error::Conflict("this user is disabled; enable them first".to_owned()));
    }
    if row.email.is_none() {
        return Err(Error::Conflict("this user has no mail address; give them one first".to_owned()));
    }
    if !mail::is_possible(ctx.app()).await? {
        // Before a link is made that nobody gets.
        return Err(mail::impossible());
    }
    mailed(ctx, row).await
}

async fn mailed(ctx: &Ctx, row: user::Model) -> Result<ResetMailOut> {
    let to = row.email.clone().unwrap_or_default();
    let (id, username) = (row.id, row.username.clone());
    let secret = ctx
        .record("reset_link_made", async |tx| {
            tx.about("user", row.id);
            tx.detail(json!({ "username": row.username, "by": "mail" }));
            let (_, secret) =
                steps::begin(ctx, tx, Purpose::Reset, Some((row.id, row.auth_epoch)), json!({})).await?;
            Ok(secret)
        })
        .await?;
    let notice = Notice {
        id: ctx.new_id(),
        kind: NoticeKind::Test,
        at: ctx.now(),
        severity: Severity::Info,
        title: "Set a new password".to_owned(),
        text: format!(
            "Somebody asked for a link to set a new password for the user {username}. It works once, within a day. If you did not want \
             it, do nothing: your password stays what it is."
        ),
        path: Some(format!("/reset#{}", secret.expose())),
        data: json!({}),
    };
    let error = mail::send(ctx.app(), &to, &notice).await?;
    let sent = error.is_none();
    ctx.record("reset_link_mailed", async |tx| {
        tx.about("user", id);
        // Not the reason: it has what the mail server says.
        tx.detail(json!({ "username": username, "sent": sent }));
        Ok(())
    })
    .await?;
    Ok(ResetMailOut { to, sent, error })
}
