//! What a browser takes along and brings back within minutes: a challenge, a sign-in elsewhere. It is sealed, so that whoever
//! only begins leaves nothing in the database, and it is taken once.

use std::time::Duration;

use cb_core::clock::{SKEW, Time};
use cb_core::{Error, Result, Secret};
use cb_store::entities::spent_ticket;
use cb_store::sea_orm::EntityTrait as _;
use cb_store::sea_orm::sea_query::OnConflict;
use cb_store::{WriteTx, db};
use cb_vault::seal::Place;
use cb_vault::token;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::active;
use crate::app::App;

/// For as long a ticket is taken; a person may have to look for their key.
pub const TICKET_LIVES: Duration = Duration::from_mins(10);
/// In bytes: one of the server's own is far below.
const MOST: usize = 8 * 1024;
const NO_ROW: Uuid = Uuid::nil();

/// What a ticket is for. One for another purpose does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NewPasskey,
    PasskeyLogin,
    /// A second factor after a password.
    PasskeyStep,
    PasskeyProof,
    /// A sign-in at a provider.
    Provider,
}

impl Kind {
    fn place(self) -> Place<'static> {
        let field = match self {
            Kind::NewPasskey => "tickets.new_passkey",
            Kind::PasskeyLogin => "tickets.passkey_login",
            Kind::PasskeyStep => "tickets.passkey_step",
            Kind::PasskeyProof => "tickets.passkey_proof",
            Kind::Provider => "tickets.provider",
        };
        Place { field, row: &NO_ROW }
    }
}

#[derive(Serialize, Deserialize)]
struct Written<T> {
    issued_at: Time,
    payload: T,
}

/// A ticket that was brought back in time.
pub(crate) struct Ticket<T> {
    pub payload: T,
    hash: String,
    expires_at: Time,
}

/// A new ticket with what the server will want to know when it comes back.
pub(crate) fn issue(app: &App, kind: Kind, payload: impl Serialize) -> Result<Secret> {
    let now = app.now();
    let text = serde_json::to_string(&Written { issued_at: now, payload }).map_err(Error::internal)?;
    Ok(Secret::new(app.seal_for_minutes(kind.place(), &Secret::new(text))?))
}

/// What it says; none when it is not ours, for something else, or too old.
pub(crate) async fn open<T: DeserializeOwned>(app: &App, kind: Kind, ticket: &Secret) -> Option<Ticket<T>> {
    if ticket.expose().len() > MOST {
        return None;
    }
    let text = app.unseal(kind.place(), ticket.expose()).await.ok()?;
    let Written { issued_at, payload } = serde_json::from_str(text.expose()).ok()?;
    let expires_at = issued_at + TICKET_LIVES;
    let now = app.now();
    // One that was issued in the future would be good for longer than a ticket is.
    (expires_at > now && issued_at <= now + SKEW).then(|| Ticket {
        payload,
        hash: token::hash(ticket.expose()),
        expires_at,
    })
}

/// Spends a ticket whose request was refused. Nothing else of such a request is in the database.
pub(crate) async fn void<T>(app: &App, ticket: &Ticket<T>) -> Result<()> {
    app.store().void_ticket(ticket.hash.clone(), ticket.expires_at).await
}

/// Takes it; false when it has been taken before.
pub(crate) async fn spend<T>(tx: &WriteTx, ticket: &Ticket<T>) -> Result<bool> {
    let row = spent_ticket::Model { hash: ticket.hash.clone(), expires_at: ticket.expires_at };
    let taken = spent_ticket::Entity::insert::<spent_ticket::ActiveModel>(active(row))
        .on_conflict(OnConflict::column(spent_ticket::Column::Hash).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await
        .map_err(db)?;
    Ok(taken == 1)
}
