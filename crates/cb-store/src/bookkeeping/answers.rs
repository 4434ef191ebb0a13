//! What was answered to a request that may be sent again.

use cb_core::Result;
use cb_core::clock::Time;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use crate::entities::kept_answer::{Column, Entity, Model};
use crate::fault::db;
use crate::open::Store;

impl Store {
    /// Takes the place of `row`'s key; the row that has it already, if there is one that was not made before `expired`. Of two at once,
    /// one gets it.
    pub async fn claim_answer(&self, row: Model, expired: Time) -> Result<Option<Model>> {
        let own = Entity::delete_many()
            .filter(Column::PrincipalId.eq(row.principal_id))
            .filter(Column::KeyHash.eq(row.key_hash.as_str()));
        own.filter(Column::CreatedAt.lt(expired)).exec(self.writer()).await.map_err(db)?;
        let taken = Entity::insert(row.clone().into_active_model())
            .on_conflict(OnConflict::columns([Column::PrincipalId, Column::KeyHash]).do_nothing().to_owned())
            .exec_without_returning(self.writer())
            .await
            .map_err(db)?;
        if taken == 1 {
            return Ok(None);
        }
        let there = Entity::find()
            .filter(Column::PrincipalId.eq(row.principal_id))
            .filter(Column::KeyHash.eq(row.key_hash.as_str()));
        there.one(self.writer()).await.map_err(db)
    }

    pub async fn keep_answer(
        &self,
        id: Uuid,
        status: i32,
        body: Option<String>,
        etag: Option<String>,
    ) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::Body, Expr::value(body))
            .col_expr(Column::Etag, Expr::value(etag))
            .filter(Column::Id.eq(id))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Nothing was done under the key.
    pub async fn release_answer(&self, id: Uuid) -> Result<()> {
        Entity::delete_by_id(id).exec(self.writer()).await.map_err(db)?;
        Ok(())
    }

    /// Forgets what is older than `before`.
    pub async fn forget_answers(&self, before: Time) -> Result<()> {
        let old = Entity::delete_many().filter(Column::CreatedAt.lt(before));
        old.exec(self.writer()).await.map_err(db)?;
        Ok(())
    }

    /// Removes the oldest answers of `principal` until `most` rows are left. Rows without an answer stay, because nobody knows how their
    /// requests ended. False when too many of those are left.
    pub async fn forget_surplus_answers(&self, principal: Uuid, most: u64) -> Result<bool> {
        let own = Entity::find().filter(Column::PrincipalId.eq(principal));
        let surplus = own.clone().count(self.writer()).await.map_err(db)?.saturating_sub(most);
        if surplus > 0 {
            let oldest: Vec<Uuid> = own
                .filter(Column::Status.is_not_null())
                .select_only()
                .column(Column::Id)
                .order_by_asc(Column::CreatedAt)
                .order_by_asc(Column::Id)
                .limit(surplus.min(most))
                .into_tuple()
                .all(self.writer())
                .await
                .map_err(db)?;
            let enough = u64::try_from(oldest.len()).is_ok_and(|found| found >= surplus);
            // Another request may remove the same ones meanwhile. There is room all the same.
            Entity::delete_many().filter(Column::Id.is_in(oldest)).exec(self.writer()).await.map_err(db)?;
            return Ok(enough);
        }
        Ok(true)
    }
}
