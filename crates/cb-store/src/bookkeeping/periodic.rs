//! Who does what is done from time to time, and how it went. One server at a time has the lease of a work.

use cb_core::Result;
use cb_core::clock::Time;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};

use crate::entities::periodic_work::{ActiveModel, Column, Entity, Model};
use crate::fault::db;
use crate::open::Store;

/// The lease of one run.
#[derive(Debug)]
pub struct Turn {
    name: &'static str,
    holder: String,
    started_at: Time,
}

impl Turn {
    fn stands(&self) -> SimpleExpr {
        Column::Name
            .eq(self.name)
            .and(Column::Holder.eq(self.holder.as_str()))
            .and(Column::StartedAt.eq(self.started_at))
    }
}

impl Store {
    /// Begins a work for this server, if it is due and no other server does it.
    pub async fn begin_work(
        &self,
        name: &'static str,
        holder: &str,
        now: Time,
        until: Time,
    ) -> Result<Option<Turn>> {
        match Entity::find_by_id(name).one(self.reader()).await.map_err(db)? {
            Some(row) if row.next_at > now || row.held_until.is_some_and(|held| held > now) => {
                return Ok(None);
            }
            Some(_) => {}
            None => {
                let row = Model {
                    name: name.to_owned(),
                    next_at: now,
                    holder: None,
                    held_until: None,
                    started_at: None,
                    ended_at: None,
                    error: None,
                };
                Entity::insert(ActiveModel::from(row).reset_all())
                    .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
                    .exec_without_returning(self.writer())
                    .await
                    .map_err(db)?;
            }
        }
        // Others may have seen the same: the update's own condition lets one of them have it.
        let taken = Entity::update_many()
            .col_expr(Column::Holder, Expr::value(holder))
            .col_expr(Column::HeldUntil, Expr::value(until))
            .col_expr(Column::StartedAt, Expr::value(now))
            .filter(Column::Name.eq(name))
            .filter(Column::NextAt.lte(now))
            .filter(Condition::any().add(Column::HeldUntil.is_null()).add(Column::HeldUntil.lte(now)))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok((taken.rows_affected == 1).then(|| Turn { name, holder: holder.to_owned(), started_at: now }))
    }

    /// Holds a run until a later time; answers whether it is still this server's.
    pub async fn renew_work(&self, turn: &Turn, until: Time) -> Result<bool> {
        let renewed = Entity::update_many()
            .col_expr(Column::HeldUntil, Expr::value(until))
            .filter(turn.stands())
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(renewed.rows_affected == 1)
    }

    /// Ends a run. One that another server has taken over meanwhile is no longer this one's to end; answers whether it was.
    pub async fn end_work(
        &self,
        turn: &Turn,
        ended_at: Time,
        next_at: Time,
        error: Option<&str>,
    ) -> Result<bool> {
        let ended = Entity::update_many()
            .col_expr(Column::Holder, Expr::value(None::<String>))
            .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
            .col_expr(Column::EndedAt, Expr::value(ended_at))
            .col_expr(Column::NextAt, Expr::value(next_at))
            .col_expr(Column::Error, Expr::value(error))
            .filter(turn.stands())
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(ended.rows_affected == 1)
    }

    /// Gives back what an earlier run of this server held when it was killed: of the server with this name, or of all servers.
    pub async fn give_back_work(&self, server: Option<&str>) -> Result<u64> {
        let mut update = Entity::update_many()
            .col_expr(Column::Holder, Expr::value(None::<String>))
            .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
            .filter(Column::Holder.is_not_null());
        if let Some(server) = server {
            update = update.filter(Column::Holder.starts_with(format!("{server}/")));
        }
        Ok(update.exec(self.writer()).await.map_err(db)?.rows_affected)
    }

    /// Every work that a server has ever begun, by name.
    pub async fn works(&self) -> Result<Vec<Model>> {
        Entity::find().order_by_asc(Column::Name).all(self.reader()).await.map_err(db)
    }
}
