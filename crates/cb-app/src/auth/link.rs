//! Whether a link can still be used, for the page that it opens. One question for invites and reset links.
//!
//! The answer says yes or no and nothing about the account. A wrong secret counts and leaves its trace exactly as a wrong
//! secret at the route that uses the link.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Principal, Result, Secret};
use cb_store::db;
use cb_store::entities::{auth_step, user};
use cb_store::sea_orm::{ConnectionTrait, EntityTrait as _};
use serde::Deserialize;
use utoipa::ToSchema;

use super::guesses::Guess;
use super::steps::{self, Purpose};
use super::{factors, place};
use crate::app::App;
use crate::ctx::RequestMeta;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    Invite,
    Reset,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckLinkIn {
    pub purpose: LinkPurpose,
    /// The token from the link.
    #[schema(value_type = String)]
    pub token: Secret,
}

impl LinkPurpose {
    fn step(self) -> Purpose {
        match self {
            Self::Invite => Purpose::Invite,
            Self::Reset => Purpose::Reset,
        }
    }

    /// The attempts from an address are counted together, whichever route is asked.
    pub(crate) fn throttle_key(self, meta: &RequestMeta) -> String {
        format!("{}/{}", self.step().as_str(), place(meta.ip))
    }

    pub(crate) fn gone(self) -> Error {
        let link = match self {
            Self::Invite => "invite",
            Self::Reset => "link",
        };
        Error::Denied(format!("This {link} has expired, or it was used before. Ask for a new one."))
    }

    pub(crate) fn actor(self) -> Principal {
        let username = match self {
            Self::Invite => "invite",
            Self::Reset => "reset link",
        };
        Principal::SignIn { username: username.to_owned() }
    }

    /// Records that a wrong secret was shown, and answers the refusal.
    pub(crate) async fn guessed(self, app: &App, meta: &RequestMeta) -> Error {
        let action = match self {
            Self::Invite => Action::InviteFailed,
            Self::Reset => Action::PasswordResetFailed,
        };
        app.guessed(meta, Guess::at_nobody(action, self.actor())).await;
        self.gone()
    }
}

/// Refuses a link that cannot be used. Nothing changes: a link that is looked at is not used up.
pub async fn check(app: &App, meta: &RequestMeta, input: CheckLinkIn) -> Result<()> {
    let CheckLinkIn { purpose, token } = input;
    let key = purpose.throttle_key(meta);
    let work = async {
        let mut wrong = Violations::new();
        factors::bounded(&mut wrong, "token", &token);
        wrong.into_result()?;
        let conn = app.store().reader();
        let usable = match steps::find(app.now(), conn, purpose.step(), &token).await? {
            Some(step) => purpose == LinkPurpose::Invite || owner(conn, &step).await?.is_some(),
            None => false,
        };
        if !usable {
            return Err(purpose.guessed(app, meta).await);
        }
        Ok(())
    };
    app.throttle().attempt([&key], Box::pin(work)).await?;
    app.throttle().spare(&key).await;
    Ok(())
}

/// The user of a reset link, unless their sessions were ended or their account was disabled since it was made.
pub(crate) async fn owner(
    conn: &impl ConnectionTrait,
    step: &auth_step::Model,
) -> Result<Option<user::Model>> {
    let Some((id, epoch)) = step.user_id.zip(step.auth_epoch) else { return Ok(None) };
    let user = user::Entity::find_by_id(id).one(conn).await.map_err(db)?;
    Ok(user.filter(|user| user.auth_epoch == epoch && user.disabled_at.is_none()))
}
