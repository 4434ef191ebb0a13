//! Who may sign in, and what a credential stands for.
//!
//! Invariants: a session comes from [`sessions`]' `admit` alone, which looks at the user again under the write's lock;
//! whatever must end sessions calls its `revoke` in the transaction that gives the reason; every guess is throttled, and a wrong one
//! leaves a trace ([`guesses`]).

use std::net::IpAddr;

use cb_core::ids::UserId;
use cb_core::{Error, Principal, Result, Role};
use cb_store::db;
use cb_store::entities::{user, user_identity};
use cb_store::sea_orm::{
    ActiveModelTrait, ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel,
    PaginatorTrait as _, QueryFilter as _,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ctx::Ctx;

pub mod device;
pub(crate) mod ends;
pub mod factors;
pub mod forgot;
pub mod guesses;
pub mod link;
pub mod login;
pub mod passkeys;
pub mod password;
pub(crate) mod recent;
pub(crate) mod rules;
pub mod sessions;
pub mod site;
pub(crate) mod steps;
pub(crate) mod tickets;

pub use device::{COOKIE_PREFIX, DeviceCookie, Devices};
pub use ends::{Held, Over};
pub use login::login;
pub use sessions::{Admission, IDLE, Me, Opened, SecondFactorRequired, SessionOut};
pub use site::Site;
pub use tickets::TICKET_LIVES;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserOut {
    pub id: UserId,
    pub username: String,
    #[schema(required)]
    pub email: Option<String>,
    pub role: Role,
    pub disabled: bool,
    /// Whether sign-in requires a second factor.
    pub second_factor: bool,
    pub passkeys: i32,
    /// Whether the user has a password. A user who signs in with a provider does not need one.
    pub has_password: bool,
    #[schema(required)]
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl From<user::Model> for UserOut {
    fn from(row: user::Model) -> Self {
        Self {
            second_factor: !factors::methods(&row).is_empty(),
            passkeys: row.passkeys,
            has_password: !row.password_hash.is_empty(),
            id: row.id.into(),
            username: row.username,
            email: row.email,
            // An unknown role permits nothing more than the least one.
            role: Role::parse(&row.role).unwrap_or(Role::Viewer),
            disabled: row.disabled_at.is_some(),
            last_login_at: row.last_login_at,
            created_at: row.created_at,
        }
    }
}

/// The one answer to a failed sign-in.
pub(crate) fn wrong_login() -> Error {
    Error::Unauthenticated("The username or the password is wrong.".to_owned())
}

/// The row of the user who acts, through a session of theirs.
pub(crate) async fn own(conn: &impl ConnectionTrait, ctx: &Ctx) -> Result<user::Model> {
    let Principal::User { id, .. } = ctx.principal() else { return Err(Error::NotFound) };
    user::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

/// A way to sign in that is about to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    Passkey,
    Identity,
}

/// Refuses to take the last way in from a user.
pub(crate) async fn stays_reachable(
    conn: &impl ConnectionTrait,
    user: &user::Model,
    without: Without,
) -> Result<()> {
    let identities =
        user_identity::Entity::find().filter(user_identity::Column::UserId.eq(user.id)).count(conn);
    let identities = identities.await.map_err(db)?;
    let (passkeys, identities) = match without {
        Without::Passkey => (user.passkeys - 1, identities),
        Without::Identity => (user.passkeys, identities.saturating_sub(1)),
    };
    if !user.password_hash.is_empty() || passkeys > 0 || identities > 0 {
        return Ok(());
    }
    Err(Error::Conflict("This is the only way to sign in. Set a password first.".to_owned()))
}

/// A whole row for an insert.
pub(crate) fn active<M, A>(row: M) -> A
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    row.into_active_model().reset_all()
}

/// Guesses are counted by address, for IPv6 by the /64 that one customer has.
pub(crate) fn place(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let s = v6.segments();
            format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_is_an_address_or_a_customers_prefix() {
        let of = |t: &str| place(t.parse().expect("an address"));
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
