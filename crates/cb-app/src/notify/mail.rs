//! A mail to one user, sent now through the channel for mail; it leaves no delivery, for it may hold a secret.

use cb_core::{Error, Result};
use cb_notify::End;
use cb_notify::channels::Letter;
use cb_store::db;
use cb_store::entities::channel;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::channels::Opened;
use crate::app::App;

/// The channels that can carry it, the oldest first: those for mail that are on and encrypt. None without `CB_PUBLIC_URL` either: what a
/// link begins with must not come from whoever asks for it.
async fn carriers(app: &App) -> Result<Vec<channel::Model>> {
    if app.public_url().is_none() {
        return Ok(Vec::new());
    }
    let rows = channel::Entity::find()
        .filter(channel::Column::Kind.eq(cb_notify::channels::Kind::Email.as_str()))
        .filter(channel::Column::Enabled.eq(true))
        .order_by_asc(channel::Column::CreatedAt)
        .order_by_asc(channel::Column::Id);
    let rows = rows.all(app.store().reader()).await.map_err(db)?;
    Ok(rows.into_iter().filter(|row| row.public["security"] != "none").collect())
}

/// Whether a link can be sent by mail at all.
pub async fn is_possible(app: &App) -> Result<bool> {
    Ok(!carriers(app).await?.is_empty())
}

pub(crate) fn impossible() -> Error {
    let why = "no mail can be sent: that needs a channel of the kind email that is on and encrypts (tls or starttls), and CB_PUBLIC_URL, \
               which the link begins with";
    Error::Conflict(why.to_owned())
}

/// Mail servers that are tried for one letter.
const TRIED_MOST: usize = 3;

/// Sends `letter` by the first channel whose server takes it; the reasons if none did.
pub(crate) async fn send(app: &App, letter: &Letter<'_>) -> Result<Option<String>> {
    let carriers = carriers(app).await?;
    if carriers.is_empty() {
        return Err(impossible());
    }
    let mut reasons = Vec::new();
    for row in carriers.iter().take(TRIED_MOST) {
        let answer = Opened::of(app, row).await?.write(app, letter).await;
        if answer.end == End::Delivered {
            return Ok(None);
        }
        let reason = answer.error.as_deref().unwrap_or("the mail server did not accept it");
        reasons.push(format!("{}: {reason}", row.name));
    }
    Ok(Some(reasons.join("; ")))
}
