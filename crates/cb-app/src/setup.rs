//! The first administrator: once, by whoever holds the one-time code.

pub(crate) mod gate;

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Principal, Result, Role, Secret};
use cb_store::db;
use cb_store::entities::setting;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, EntityTrait as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::guesses::Guess;
use crate::auth::sessions::{self, Proof};
use crate::auth::{self, Opened, rules};
use crate::ctx::RequestMeta;

#[derive(Debug, Serialize, ToSchema)]
pub struct SetupState {
    /// Whether the administrator still has to be created.
    pub required: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupIn {
    /// The setup code that the server printed.
    #[schema(value_type = String)]
    pub code: Secret,
    #[schema(example = "ada")]
    pub username: String,
    /// At least 8 characters; 15 or more are recommended.
    #[schema(value_type = String)]
    pub password: Secret,
    pub email: Option<String>,
}

pub async fn state(app: &App) -> Result<SetupState> {
    Ok(SetupState { required: app.setup_required().await? })
}

/// Makes the administrator and signs them in. 403 wrong code, 409 done already, 429 too many tries.
pub async fn complete(app: &App, meta: RequestMeta, input: SetupIn) -> Result<Opened> {
    if !app.setup_required().await? {
        return Err(already());
    }
    let now = app.now();
    // By address only: with one count for everybody, a stranger who guesses would keep the owner out, and
    // the code is too long to be guessed from many addresses either.
    let key = format!("setup/{}", auth::place(meta.ip));
    app.throttle().enter([&key]).await?;
    let (code, file) = app.setup_code().ok_or_else(already)?;
    if !code.matches(input.code.expose().trim().as_bytes()) {
        let actor = Principal::Setup { username: "setup code".to_owned() };
        app.guessed(&meta, Guess::at_nobody(Action::SetupFailed, actor)).await;
        let at = file
            .map_or_else(|| "the setting CB_SETUP_CODE".to_owned(), |f| format!("the file {}", f.display()));
        return Err(Error::Denied(format!(
            "This is not the setup code. The server's output and {at} show the right one."
        )));
    }
    app.throttle().forgive(&key).await;

    let mut wrong = Violations::new();
    let username = rules::username(&mut wrong, &input.username);
    let email = rules::email(&mut wrong, input.email.as_deref());
    rules::password(&mut wrong, "password", &input.password, &input.username);
    wrong.into_result()?;
    let hash = cb_vault::password::hash(input.password, app.entropy()).await?;

    let ctx = app.ctx(Principal::Setup { username: username.clone() }, meta.clone());
    let opened = ctx
        .record(Action::SetupCompleted, async |tx| {
            let settings = setting::Entity::find_by_id(1).one(tx.conn()).await.map_err(db)?;
            let settings =
                settings.ok_or_else(|| Error::Internal("the settings row is missing".to_owned()))?;
            if settings.auth_enabled {
                return Err(already());
            }
            let version = settings.version + 1;
            let mut settings: setting::ActiveModel = settings.into();
            settings.auth_enabled = Set(true);
            settings.version = Set(version);
            settings.updated_at = Set(now);
            settings.update(tx.conn()).await.map_err(db)?;
            let user =
                crate::users::insert(&ctx, tx, username, email, hash, Role::Admin, json!({ "setup": true }))
                    .await?;
            tx.about("user", user.id);
            tx.detail(json!({ "username": user.username, "role": user.role }));
            sessions::admit(&ctx, tx, user.id, user.auth_epoch, Proof::Setup).await?.session()
        })
        .await?;
    app.setup_is_done();
    // The folder knows from now on that it is in use, and never offers setup again.
    app.checkpoint_now().await;
    Ok(opened)
}

fn already() -> Error {
    Error::Conflict("Setup has been completed. Sign in instead.".to_owned())
}
