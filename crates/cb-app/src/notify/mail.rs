//! A mail to one user, sent now through the channel for mail; it leaves no delivery, for it may hold a secret.

use cb_core::{Error, Result};
use cb_notify::End;
use cb_notify::channels::Letter;
use cb_store::db;
use cb_store::entities::channel;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::channels::Opened;
use crate::app::App;

/// The channel that carries it: the oldest one for mail that is on and encrypts. None without `CB_PUBLIC_URL` either: what a link begins
/// with must not come from whoever asks for it.
async fn carrier(app: &App) -> Result<Option<channel::Model>> {
    if app.public_url().is_none() {
        return Ok(None);
    }
    let rows = channel::Entity::find()
        .filter(channel::Column::Kind.eq(cb_notify::channels::Kind::Email.as_str()))
        .filter(channel::Column::Enabled.eq(true))
        .order_by_asc(channel::Column::CreatedAt)
        .order_by_asc(channel::Column::Id);
    let rows = rows.all(app.store().reader()).await.map_err(db)?;
    Ok(rows.into_iter().find(|row| row.public["security"] != "none"))
}

/// Whether a link can be sent by mail at all.
pub async fn is_possible(app: &App) -> Result<bool> {
    Ok(carrier(app).await?.is_some())
}

pub(crate) fn impossible() -> Error {
    let why = "no mail can be sent: that needs a channel of the kind email that is on and encrypts (tls or starttls), and CB_PUBLIC_URL, \
               which the link begins with";
    Error::Conflict(why.to_owned())
}

/// Sends `letter`; the reason if it was not taken.
pub(crate) async fn send(app: &App, letter: &Letter<'_>) -> Result<Option<String>> {
    let row = carrier(app).await?.ok_or_else(impossible)?;
    let answer = Opened::of(app, &row).await?.write(app, letter).await;
    let failed = || answer.error.clone().unwrap_or_else(|| "the mail server did not take it".to_owned());
    Ok((answer.end != End::Delivered).then(failed))
}
