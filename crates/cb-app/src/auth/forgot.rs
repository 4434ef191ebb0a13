//! Links to set a new password, by mail. Whoever asks learns nothing: the answer is the same and as fast whatever the name, since
//! everything is done after it. An administrator who has one sent hears what became of it.
//!
//! Work after the answer is bounded in two [`Line`]s. Every request passes the first, where the name is looked up; when it is full,
//! the answer says so. Only a user's mail passes the second; when it is full, nobody but the log hears of it, because an answer
//! would tell that there is such a user.

use cb_core::audit::Action;
use std::sync::Arc;

use cb_core::error::Violations;
use cb_core::ids::UserId;
use cb_core::{Error, Permission, Principal, Result};
use cb_notify::channels::Letter;
use cb_store::db;
use cb_store::entities::user;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use super::guesses::Guess;
use super::place;
use super::rules::USERNAME_MOST;
use super::steps::{self, Purpose};
use crate::app::App;
use crate::ctx::{Ctx, RequestMeta};
use crate::input;
use crate::notify::mail;

/// A person who has forgotten their password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotIn {
    #[schema(example = "ada")]
    pub username: String,
}

/// The result of sending an email.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetMailOut {
    /// The user's email address.
    pub to: String,
    /// Whether the mail server accepted it.
    pub sent: bool,
    /// The reason for a failure.
    #[schema(required)]
    pub error: Option<String>,
}

/// Names that wait to be looked up, and how many are looked up at a time.
const NAMES: (usize, usize) = (100, 4);
/// Mails that wait to be handed in, and how many are at a time. A mail server may take half a minute for each.
const MAILS: (usize, usize) = (20, 4);

/// Work that waits and work under way: at most so much of both together, and of the second alone.
struct Line {
    places: Arc<Semaphore>,
    at_work: Semaphore,
}

impl Line {
    fn new((places, at_work): (usize, usize)) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), at_work: Semaphore::new(at_work) }
    }

    /// A place in the line; none when it is full.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }
}

/// What is done after the answers.
pub(crate) struct Desk {
    names: Line,
    mails: Line,
}

impl Default for Desk {
    fn default() -> Self {
        Self { names: Line::new(NAMES), mails: Line::new(MAILS) }
    }
}

/// Sends a link to the user of that name who has an address, after the answer. 429 for whoever asks too often, and 503 when too many
/// ask.
pub async fn ask(app: &App, meta: RequestMeta, given: &ForgotIn) -> Result<()> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "username", &given.username, USERNAME_MOST);
    wrong.into_result()?;
    let key = name.unwrap_or_default().to_lowercase();
    app.throttle().enter([&format!("forgot/{}", place(meta.ip))]).await?;
    let Some(held) = app.forgot_desk().names.place() else {
        let why = "Too many people are requesting a reset link at the moment. Try again in a minute.";
        return Err(Error::Unavailable(why.to_owned()));
    };
    let task = app.clone();
    after_the_answer(app, async move { look_up(&task, meta, &key, held).await });
    Ok(())
}

/// What is not done when the server stops is dropped; whoever asked asks again.
fn after_the_answer(app: &App, work: impl Future<Output = Result<()>> + Send + 'static) {
    let stopping = app.stopping().clone();
    app.spawn(async move {
        let done = tokio::select! {
            done = work => done,
            () = stopping.cancelled() => Err(Error::Unavailable("The server is stopping.".to_owned())),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a link to set a new password was not mailed");
        }
    });
}

async fn look_up(app: &App, meta: RequestMeta, key: &str, _held: OwnedSemaphorePermit) -> Result<()> {
    let _at_work = app.forgot_desk().names.at_work.acquire().await.map_err(Error::internal)?;
    let actor = || Principal::SignIn { username: "forgotten password".to_owned() };
    let found = user::Entity::find().filter(user::Column::UsernameKey.eq(key)).one(app.store().reader());
    let found = found.await.map_err(db)?.filter(|u| u.disabled_at.is_none() && u.email.is_some());
    let Some(row) = found.filter(|_| app.public_url().is_some()) else {
        app.guessed(&meta, Guess::at_nobody(Action::ResetMailAsked, actor())).await;
        return Ok(());
    };
    // A mailbox that holds so many links needs no other one today. Links from an administrator are not counted, so strangers do not push
    // them out.
    let conn = app.store().reader();
    if steps::open(app.now(), conn, Purpose::Reset, row.id, &asked_for()).await? >= steps::OPEN_MOST {
        return Ok(());
    }
    // A mailbox is not flooded, wherever the requests come from.
    if app.throttle().enter([&format!("forgot-mail/{}", row.id)]).await.is_err()
        || !mail::is_possible(app).await?
    {
        return Ok(());
    }
    let Some(held) = app.forgot_desk().mails.place() else {
        return Err(Error::Unavailable("Too many of these emails wait for the mail server.".to_owned()));
    };
    let task = app.clone();
    after_the_answer(app, async move {
        let _held = held;
        let _at_work = task.forgot_desk().mails.at_work.acquire().await.map_err(Error::internal)?;
        mailed(&task.ctx(actor(), meta), row, asked_for()).await.map(drop)
    });
    Ok(())
}

/// Sends a user a link by which they set a new password, within a day.
pub async fn send(ctx: &Ctx, id: UserId) -> Result<ResetMailOut> {
    ctx.authorize(Permission::UsersWrite)?;
    ctx.require_proof()?;
    let row = user::Entity::find_by_id(id.0).one(ctx.store().reader()).await.map_err(db)?;
    let row = row.ok_or(Error::NotFound)?;
    if row.disabled_at.is_some() {
        return Err(Error::Conflict("This user is disabled. Enable them first.".to_owned()));
    }
    if row.email.is_none() {
        return Err(Error::Conflict("This user has no email address. Add one first.".to_owned()));
    }
    if !mail::is_possible(ctx.app()).await? {
        // Before a link is made that nobody gets.
        return Err(mail::impossible());
    }
    mailed(ctx, row, json!({})).await
}

/// Marks the links that anybody can ask for.
fn asked_for() -> Value {
    json!({ "by": "mail" })
}

async fn mailed(ctx: &Ctx, row: user::Model, payload: Value) -> Result<ResetMailOut> {
    let to = row.email.clone().unwrap_or_default();
    let (id, username) = (row.id, row.username.clone());
    let secret = ctx
        .record(Action::ResetLinkMade, async |tx| {
            tx.about("user", row.id);
            tx.detail(json!({ "username": row.username, "by": "mail" }));
            let (_, secret) =
                steps::begin(ctx, tx, Purpose::Reset, Some((row.id, row.auth_epoch)), payload).await?;
            Ok(secret)
        })
        .await?;
    let text = format!(
        "Someone requested a link to set a new password for the user {username}. The link works once and expires after a day. If you did not request it, do nothing. Your password does not change."
    );
    let home = ctx.app().public_url().ok_or_else(mail::impossible)?;
    let link = home.join(&format!("/reset#{}", secret.expose())).map_err(Error::internal)?;
    let letter = Letter {
        id: ctx.new_id(),
        at: ctx.now(),
        to: &to,
        title: "Set a new password",
        text: &text,
        link: link.as_str(),
    };
    let error = mail::send(ctx.app(), &letter).await?;
    let sent = error.is_none();
    if let Some(error) = &error {
        tracing::warn!(user = %id, %error, "a link to set a new password was not mailed");
    }
    ctx.record(Action::ResetLinkMailed, async |tx| {
        tx.about("user", id);
        // Not the reason: it has what the mail server says.
        tx.detail(json!({ "username": username, "sent": sent }));
        Ok(())
    })
    .await?;
    Ok(ResetMailOut { to, sent, error })
}
