//! What scans see and miss. A device that answers is up. One that a whole scan had no answer from, where it would have had one, is
//! not seen. What a person has set is in another column, and nothing here writes it.

use std::collections::BTreeMap;

use cb_core::Result;
use cb_core::clock::{SKEW, Time};
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use uuid::Uuid;

use crate::entities::{address, asset, finding, service};
use crate::fault::db;
use crate::open::Store;
use crate::queue::Hold;

/// The status of a device that answers a scan.
pub const UP: &str = "up";
/// The status of one that did not answer the last scan that would have seen it.
pub const NOT_SEEN: &str = "not_seen";

/// Ids in one statement: below every database's bound on parameters.
const BATCH: usize = 500;

/// A thing that answered again.
#[derive(Debug, Clone)]
pub enum Seen {
    Asset(Uuid),
    /// With what answered, as `address::Model::seen_by` has it.
    Address(Uuid, String),
    Service(Uuid),
    Finding(Uuid),
}

impl Store {
    /// Moves `last_seen_at` forward, never back. A device that answers a scan was seen up; what a person has set stays. For a job,
    /// nothing is noted that its worker does not hold any more.
    pub async fn seen(&self, things: &[Seen], now: Time, hold: Option<&Hold>) -> Result<()> {
        let pick = |wanted: fn(&Seen) -> Option<Uuid>| things.iter().filter_map(wanted).collect::<Vec<_>>();
        let assets = pick(|s| if let Seen::Asset(id) = s { Some(*id) } else { None });
        let services = pick(|s| if let Seen::Service(id) = s { Some(*id) } else { None });
        let findings = pick(|s| if let Seen::Finding(id) = s { Some(*id) } else { None });
        let mut addresses: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
        for thing in things {
            if let Seen::Address(id, by) = thing {
                addresses.entry(by).or_default().push(*id);
            }
        }
        for (by, ids) in addresses {
            for ids in ids.chunks(BATCH) {
                address::Entity::update_many()
                    .col_expr(address::Column::LastSeenAt, Expr::value(now))
                    .col_expr(address::Column::SeenBy, Expr::value(Some(by).filter(|by| !by.is_empty())))
                    .col_expr(address::Column::MissedAt, Expr::value(None::<Time>))
                    .filter(address::Column::Id.is_in(ids.to_vec()))
                    .filter(earlier(address::Column::LastSeenAt, now))
                    .filter(may(hold))
                    .exec(self.writer())
                    .await
                    .map_err(db)?;
            }
        }
        for ids in assets.chunks(BATCH) {
            // First the time: `missed` looks at it under the row's lock.
            asset::Entity::update_many()
                .col_expr(asset::Column::LastSeenAt, Expr::value(now))
                .filter(asset::Column::Id.is_in(ids.to_vec()))
                .filter(earlier(asset::Column::LastSeenAt, now))
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
            asset::Entity::update_many()
                .col_expr(asset::Column::StatusSeen, Expr::value(UP))
                .col_expr(asset::Column::StatusSince, Expr::value(now))
                .col_expr(asset::Column::Version, Expr::col(asset::Column::Version).add(1))
                .filter(asset::Column::Id.is_in(ids.to_vec()))
                .filter(asset::Column::StatusSeen.ne(UP))
                .filter(earlier(asset::Column::LastSeenAt, now))
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
        }
        for ids in services.chunks(BATCH) {
            service::Entity::update_many()
                .col_expr(service::Column::LastSeenAt, Expr::value(now))
                .filter(service::Column::Id.is_in(ids.to_vec()))
                .filter(earlier(service::Column::LastSeenAt, now))
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
        }
        for ids in findings.chunks(BATCH) {
            finding::Entity::update_many()
                .col_expr(finding::Column::LastSeenAt, Expr::value(now))
                .col_expr(finding::Column::MissedAt, Expr::value(None::<Time>))
                .filter(finding::Column::Id.is_in(ids.to_vec()))
                .filter(earlier(finding::Column::LastSeenAt, now))
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
        }
        Ok(())
    }

    /// Notes that a scan, which began at `since`, had no answer from these addresses. An asset whose every address that was ever
    /// seen is silent now is not seen any more. Gives back those assets.
    pub async fn missed(
        &self,
        addresses: &[Uuid],
        (since, now): (Time, Time),
        hold: Option<&Hold>,
    ) -> Result<Vec<Uuid>> {
        let mut gone = Vec::new();
        for ids in addresses.chunks(BATCH) {
            let silent = address::Column::Id.is_in(ids.to_vec()).and(address::Column::LastSeenAt.lt(since));
            address::Entity::update_many()
                .col_expr(address::Column::MissedAt, Expr::value(now))
                .filter(silent.clone())
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
            let owners = Query::select()
                .column(address::Column::AssetId)
                .from(address::Entity)
                .and_where(silent)
                .take();
            let col = |column: address::Column| Expr::col((address::Entity, column));
            let answers = Query::select()
                .expr(Expr::val(1))
                .from(address::Entity)
                .and_where(col(address::Column::AssetId).equals((asset::Entity, asset::Column::Id)))
                .and_where(col(address::Column::LastSeenAt).is_not_null())
                .and_where(col(address::Column::MissedAt).is_null())
                .take();
            let fits = Condition::all()
                .add(asset::Column::Id.in_subquery(owners))
                .add(Expr::exists(answers).not())
                .add(asset::Column::LastSeenAt.lt(since))
                .add(asset::Column::StatusSeen.eq(UP));
            let some: Vec<Uuid> = asset::Entity::find()
                .select_only()
                .column(asset::Column::Id)
                .filter(fits.clone())
                .into_tuple()
                .all(self.reader())
                .await
                .map_err(db)?;
            asset::Entity::update_many()
                .col_expr(asset::Column::StatusSeen, Expr::value(NOT_SEEN))
                .col_expr(asset::Column::StatusSince, Expr::col(asset::Column::LastSeenAt))
                .col_expr(asset::Column::Version, Expr::col(asset::Column::Version).add(1))
                .filter(asset::Column::Id.is_in(some.clone()))
                .filter(fits)
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
            gone.extend(some);
        }
        Ok(gone)
    }

    /// The same of findings that wait for review.
    pub async fn missed_findings(
        &self,
        findings: &[Uuid],
        (since, now): (Time, Time),
        hold: Option<&Hold>,
    ) -> Result<()> {
        for ids in findings.chunks(BATCH) {
            finding::Entity::update_many()
                .col_expr(finding::Column::MissedAt, Expr::value(now))
                .filter(finding::Column::Id.is_in(ids.to_vec()))
                .filter(finding::Column::LastSeenAt.lt(since))
                .filter(may(hold))
                .exec(self.writer())
                .await
                .map_err(db)?;
        }
        Ok(())
    }
}

/// A thing that was last seen before `now`, or so far ahead that the clock was wrong.
fn earlier(last_seen: impl sea_orm::ColumnTrait, now: Time) -> SimpleExpr {
    last_seen.is_null().or(last_seen.lte(now)).or(last_seen.gt(now + SKEW))
}

fn may(hold: Option<&Hold>) -> SimpleExpr {
    hold.map_or_else(|| Expr::val(true), Hold::stands)
}
