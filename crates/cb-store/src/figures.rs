//! What the store tells about itself: its connections, its audited writes, and what waits in it.

use std::time::Duration;

use cb_core::clock::Time;
use cb_core::meter::{Counters, Histogram};
use cb_core::{Error, Result};
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use crate::entities::{delivery, scan};
use crate::fault::db;
use crate::open::Store;
use crate::pool::Pool;

/// Sites that are told at most.
const SITES: u64 = 1_000;

/// The connections of one purpose.
#[derive(Debug, Clone, Copy)]
pub struct PoolFigures {
    pub name: &'static str,
    pub open: u32,
    pub idle: u32,
    pub most: u32,
    /// Questions that found every connection in use, since the start.
    pub waits: u64,
}

/// How audited writes went.
#[derive(Debug)]
pub(crate) struct Written {
    kept: Histogram,
    failed: Counters<3>,
}

impl Default for Written {
    fn default() -> Self {
        Self { kept: Histogram::default(), failed: Counters::of(["full", "unavailable", "outcome_unknown"]) }
    }
}

impl Written {
    /// A write that was refused for what it wanted has not failed.
    pub fn ended<T>(&self, done: &Result<T>, took: Duration) {
        match done {
            Ok(_) => self.kept.took(took),
            Err(Error::StorageFull(_)) => self.failed.one("full"),
            Err(Error::Unavailable(_)) => self.failed.one("unavailable"),
            Err(Error::OutcomeUnknown(_)) => self.failed.one("outcome_unknown"),
            Err(_) => {}
        }
    }
}

impl Store {
    /// The pools that this database has: SQLite flushes with its writer.
    pub fn pools(&self) -> Vec<PoolFigures> {
        let flusher = (!self.is_sqlite()).then(|| ("flush", self.flusher()));
        [("read", self.reader()), ("write", self.writer()), ("look", self.lookout())]
            .into_iter()
            .chain(flusher)
            .map(|(name, pool)| pool.inner().figures(name))
            .collect()
    }

    /// Audited writes that were kept, from their beginning until the database had them.
    pub fn writes_kept(&self) -> &Histogram {
        &self.written().kept
    }

    /// Audited writes that the database did not keep, or may not have kept, by reason.
    pub fn writes_failed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.written().failed.iter()
    }

    /// How many scans have each of `states`.
    pub async fn scans_in(&self, states: &[&str]) -> Result<Vec<(String, i64)>> {
        scan::Entity::find()
            .select_only()
            .column(scan::Column::Status)
            .column_as(scan::Column::Id.count(), "count")
            .filter(scan::Column::Status.is_in(states.iter().copied()))
            .group_by(scan::Column::Status)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)
    }

    /// How many scans wait at each site that has some, without the main one.
    pub async fn waiting_scans_of_sites(&self) -> Result<Vec<(String, i64)>> {
        scan::Entity::find()
            .select_only()
            .column(scan::Column::Site)
            .column_as(scan::Column::Id.count(), "count")
            .filter(scan::Column::Status.eq("queued"))
            .filter(scan::Column::Site.is_not_null())
            .group_by(scan::Column::Site)
            .order_by_asc(scan::Column::Site)
            .limit(SITES)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)
    }

    /// The sites of scans that were made since then, by name.
    pub async fn sites_scanned(&self, since: Time) -> Result<Vec<String>> {
        scan::Entity::find()
            .select_only()
            .distinct()
            .column(scan::Column::Site)
            .filter(scan::Column::CreatedAt.gte(since))
            .filter(scan::Column::Site.is_not_null())
            .order_by_asc(scan::Column::Site)
            .limit(SITES)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)
    }

    /// How many deliveries to webhooks wait, and how many to channels.
    pub async fn deliveries_waiting(&self) -> Result<(u64, u64)> {
        // Each has an index of those that wait.
        let waiting = |receiver: delivery::Column| {
            delivery::Entity::find()
                .filter(delivery::Column::State.eq("waiting"))
                .filter(receiver.is_not_null())
                .count(self.reader())
        };
        let webhooks = waiting(delivery::Column::WebhookId).await.map_err(db)?;
        Ok((webhooks, waiting(delivery::Column::ChannelId).await.map_err(db)?))
    }
}

impl Pool {
    fn figures(&self, name: &'static str) -> PoolFigures {
        let (open, idle, most) = room(&self.now());
        PoolFigures { name, open, idle, most, waits: self.waits().get() }
    }
}

/// Connections that are open, those of them that nobody uses, and how many there may be.
pub(crate) fn room(pool: &DatabaseConnection) -> (u32, u32, u32) {
    let count = |idle: usize| u32::try_from(idle).unwrap_or(u32::MAX);
    if pool.get_database_backend() == DbBackend::Sqlite {
        let pool = pool.get_sqlite_connection_pool();
        return (pool.size(), count(pool.num_idle()), pool.options().get_max_connections());
    }
    let pool = pool.get_postgres_connection_pool();
    (pool.size(), count(pool.num_idle()), pool.options().get_max_connections())
}
