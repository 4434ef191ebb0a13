//! How far a scan is, as its worker tells it.

use cb_core::Result;
use cb_core::clock::Time;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _,
};
use uuid::Uuid;

use crate::entities::{job, scan};
use crate::fault::db;
use crate::open::Store;
use crate::queue::{Hold, WAITING};

/// How far a scan has come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub phase: String,
    pub addresses_total: i64,
    pub addresses_done: i64,
    pub hosts_found: i64,
    pub assets_seen: i64,
}

impl Store {
    /// False when somebody has stopped it between the claim and the start: then it is over, and must not seem to run for ever.
    pub async fn scan_started(&self, hold: &Hold, id: Uuid, now: Time) -> Result<bool> {
        let started = scan::Entity::update_many()
            .col_expr(scan::Column::Status, Expr::value("running"))
            .col_expr(scan::Column::StartedAt, Expr::value(now))
            .filter(scan::Column::Id.eq(id))
            .filter(scan::Column::Status.is_in(["queued", "running"]))
            .filter(hold.stands())
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(started.rows_affected == 1)
    }

    /// Scans that seem to run while their jobs wait: their worker has died or gave them back. They wait too; answers which.
    pub async fn left_scans_wait(&self) -> Result<Vec<Uuid>> {
        let waiting = job::Entity::find()
            .select_only()
            .column(job::Column::Id)
            .filter(job::Column::Kind.eq("scan"))
            .filter(job::Column::State.eq(WAITING))
            .into_query();
        let mut update = Query::update();
        update
            .table(scan::Entity)
            .value(scan::Column::Status, "queued")
            .value(scan::Column::Phase, None::<String>)
            .and_where(scan::Column::Status.eq("running"))
            .and_where(scan::Column::JobId.in_subquery(waiting))
            .returning(Query::returning().column(scan::Column::Id));
        let rows = self.writer().query_all(&update).await.map_err(db)?;
        rows.iter().map(|row| row.try_get_by_index(0).map_err(db)).collect()
    }

    /// Whoever holds the job runs the scan, so it also says again that the scan runs: another server may have told that it waits.
    pub async fn scan_progress(&self, hold: &Hold, id: Uuid, progress: &Progress) -> Result<()> {
        scan::Entity::update_many()
            .col_expr(scan::Column::Status, Expr::value("running"))
            .col_expr(scan::Column::Phase, Expr::value(progress.phase.clone()))
            .col_expr(scan::Column::AddressesTotal, Expr::value(progress.addresses_total))
            .col_expr(scan::Column::AddressesDone, Expr::value(progress.addresses_done))
            .col_expr(scan::Column::HostsFound, Expr::value(progress.hosts_found))
            .col_expr(scan::Column::AssetsSeen, Expr::value(progress.assets_seen))
            .filter(scan::Column::Id.eq(id))
            .filter(scan::Column::Status.is_in(["queued", "running"]))
            .filter(hold.stands())
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
