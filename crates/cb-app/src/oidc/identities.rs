//! Who one is at providers: the own links, seen and cut.

use cb_core::audit::Action;
use cb_core::ids::IdentityId;
use cb_core::{Error, Principal, Result};
use cb_store::db;
use cb_store::entities::{oidc_provider, user_identity};
use cb_store::sea_orm::{
    ColumnTrait as _, EntityTrait as _, ModelTrait as _, QueryFilter as _, QueryOrder as _,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::providers::ProviderName;
use crate::auth::sessions::{self, Kept, Opened};
use crate::auth::{Without, factors, own, stays_reachable};
use crate::ctx::Ctx;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserIdentity)]
pub struct IdentityOut {
    pub id: IdentityId,
    pub provider: ProviderName,
    /// The ID of the user at the provider.
    pub subject: String,
    #[schema(required)]
    pub email: Option<String>,
    pub linked_at: DateTime<Utc>,
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The own links, the oldest first.
pub async fn list(ctx: &Ctx) -> Result<Vec<IdentityOut>> {
    let Principal::User { id, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let rows = user_identity::Entity::find()
        .filter(user_identity::Column::UserId.eq(id.0))
        .order_by_asc(user_identity::Column::LinkedAt)
        .find_also_related(oidc_provider::Entity)
        .all(ctx.store().reader())
        .await
        .map_err(db)?;
    let out = |(row, provider): (user_identity::Model, Option<oidc_provider::Model>)| {
        let provider = provider?;
        Some(IdentityOut {
            id: row.id.into(),
            provider: ProviderName { slug: provider.slug, name: provider.name },
            subject: row.subject,
            email: row.email,
            linked_at: row.linked_at,
            last_used_at: row.last_used_at,
        })
    };
    Ok(rows.into_iter().filter_map(out).collect())
}

/// Cuts one of the own links. Every other session ends; this one goes on under a new id.
pub async fn unlink(ctx: &Ctx, id: IdentityId) -> Result<Opened> {
    ctx.require_proof()?;
    ctx.record(Action::IdentityUnlinked, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        let found = user_identity::Entity::find_by_id(id.0).find_also_related(oidc_provider::Entity);
        let (row, provider) = found.one(tx.conn()).await.map_err(db)?.ok_or(Error::NotFound)?;
        if row.user_id != user.id {
            return Err(Error::NotFound);
        }
        stays_reachable(tx.conn(), &user, Without::Identity).await?;
        tx.about("user", user.id);
        tx.detail(json!({ "provider": provider.map(|p| p.slug), "subject": row.subject }));
        row.delete(tx.conn()).await.map_err(db)?;
        sessions::revoke(ctx, tx, user, Kept::Current).await?.ok_or_else(factors::no_session)
    })
    .await
}
