//! The daily look at the vault: whether its key is old enough to be rotated, and which retired keys nobody needs any more.

use cb_core::audit::Action;

use cb_core::clock::Time;
use cb_core::{Error, Principal, Result};
use cb_store::bookkeeping::VaultLook;
use cb_store::entities::vault_key;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use cb_store::{db, sealed};
use chrono::{Days, Local, NaiveTime, TimeDelta, TimeZone};
use serde_json::json;
use uuid::Uuid;

use super::rotation::rotate_if_due;
use super::status::due_at;
use super::{current, keys, settings};
use crate::app::App;
use crate::notify::news;

/// In the server's own time: when nobody waits for a write.
const HOUR: NaiveTime = NaiveTime::from_hms_opt(4, 30, 0).expect("a time of day");

/// A retired key that seals nothing any more is kept so long: what was copied out of a backup of that age still opens.
pub(super) const RETIRED_KEPT: TimeDelta = TimeDelta::days(365);

/// A look that lies further ahead is of a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// Characters of an error that are kept.
const ERROR_MOST: usize = 500;

/// The newest moment at or before `now` at which the clock of `zone` showed, or would have shown, the hour.
fn last_slot<Z: TimeZone>(now: Time, zone: &Z) -> Time {
    let today = now.with_timezone(zone).date_naive();
    // Tomorrow's is behind `now`, whatever the zone does; that of two days ago before it.
    let days = (0..3).filter_map(|back| today.checked_sub_days(Days::new(back)));
    days.filter_map(|day| slot(day, zone)).find(|slot| *slot <= now).unwrap_or(now)
}

/// The next moment behind `now`.
pub(super) fn next_slot<Z: TimeZone>(now: Time, zone: &Z) -> Time {
    let today = now.with_timezone(zone).date_naive();
    let days = (0..3).filter_map(|on| today.checked_add_days(Days::new(on)));
    days.filter_map(|day| slot(day, zone)).find(|slot| *slot > now).unwrap_or(now)
}

/// Where the clock is set back over the hour, the first of the two; where it is set forward, as soon as it shows a time again.
fn slot<Z: TimeZone>(day: chrono::NaiveDate, zone: &Z) -> Option<Time> {
    const STEP: TimeDelta = TimeDelta::minutes(15);
    let mut local = day.and_time(HOUR);
    for _ in 0..96 {
        if let Some(found) = zone.from_local_datetime(&local).earliest() {
            return Some(found.to_utc());
        }
        local += STEP;
    }
    None
}

/// Looks, if it was not looked since the last slot, by any server: also for what was missed while none ran. Answers whether
/// it did.
pub async fn look<Z: TimeZone>(app: &App, zone: &Z) -> Result<bool> {
    let now = app.now();
    let before = settings(app.store().reader()).await?;
    let before_keys = keys(app.store().reader()).await?;
    let since = before.vault_key_rotated_at.or_else(|| current(&before_keys).map(|row| row.created_at));
    let slot = last_slot(now, zone);
    // One that lies in the future is of a clock that was wrong, and counts for nothing.
    let looked = |at: Time| slot <= at && at <= now + AHEAD;
    if before.vault_looked_at.is_some_and(looked) {
        return Ok(false);
    }
    let done = async {
        let rotated = rotate_if_due(app).await?;
        forget(app).await?;
        Ok(rotated)
    };
    let done: Result<bool> = done.await;
    let (result, error) = match &done {
        Ok(true) => ("rotated", None),
        Ok(false) => ("not_due", None),
        Err(error) => {
            tracing::warn!(%error, "the vault key was not rotated; the server tries again tomorrow");
            tell_failure(app).await;
            ("failed", Some(error.to_string().chars().take(ERROR_MOST).collect()))
        }
    };
    let known = before.vault_future_since.filter(|since| *since <= now);
    let future_since = match done {
        Ok(true) => None,
        _ => since.filter(|since| *since > now).map(|_| known.unwrap_or(now)),
    };
    app.store().vault_looked(VaultLook { at: now, slot, skew: AHEAD, result, error, future_since }).await?;
    if matches!(done, Ok(true)) {
        tracing::info!("the vault key was rotated because of its age");
    }
    Ok(true)
}

/// A database that cannot be written to has failed the rotation as well; then the log above is all there is.
async fn tell_failure(app: &App) {
    let ctx = app.own_ctx(Principal::Server);
    let told =
        ctx.record(Action::VaultRotationFailed, async |tx| news::vault_rotation_failed(&ctx, tx).await).await;
    if let Err(error) = told {
        tracing::warn!(%error, "the notification about the failed rotation of the vault key could not be sent");
    }
}

/// Removes the retired keys that are old enough and that no stored text names; answers how many.
async fn forget(app: &App) -> Result<usize> {
    let (now, conn) = (app.now(), app.store().reader());
    let old = |row: &vault_key::Model| row.retired_at.is_some_and(|at| at + RETIRED_KEPT <= now);
    if app.removals_held() || !keys(conn).await?.iter().any(old) {
        return Ok(0);
    }
    let uses = sealed::uses(conn).await?;
    let idle = |row: &vault_key::Model| old(row) && !uses.contains_key(&Some(row.id));
    if !keys(conn).await?.iter().any(idle) {
        return Ok(0);
    }
    let ctx = app.own_ctx(Principal::Server);
    ctx.record(Action::VaultKeysRemoved, async |tx| {
        // Looked at again under the lock.
        let uses = sealed::uses(tx.conn()).await?;
        let idle = |row: &vault_key::Model| old(row) && !uses.contains_key(&Some(row.id));
        let gone: Vec<Uuid> =
            keys(tx.conn()).await?.iter().filter(|row| idle(row)).map(|row| row.id).collect();
        vault_key::Entity::delete_many()
            .filter(vault_key::Column::Id.is_in(gone.clone()))
            .exec(tx.conn())
            .await
            .map_err(db)?;
        tx.detail(json!({ "keys": gone, "retired_for_days": RETIRED_KEPT.num_days() }));
        Ok(gone.len())
    })
    .await
}

/// Looks what is to be done, by the time zone of this server. Fails as long as the last look has: the next one may be tomorrow.
pub async fn look_here(app: &App) -> Result<()> {
    look(app, &Local).await?;
    let last = settings(app.store().reader()).await?;
    match last.vault_look_error {
        Some(why) => Err(Error::Unavailable(why)),
        None => Ok(()),
    }
}

/// When the key is due, as things stand.
pub(super) async fn due(app: &App) -> Result<bool> {
    let rows = keys(app.store().reader()).await?;
    let settings = settings(app.store().reader()).await?;
    let due = current(&rows).and_then(|current| due_at(&settings, current, app.now()));
    Ok(due.is_some_and(|at| at <= app.now()))
}

#[cfg(test)]
mod tests {
    use cb_core::clock::Time;
    use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};

    use super::{last_slot, next_slot};

    /// Changes its offset once.
    #[derive(Clone)]
    struct Zone {
        before: i32,
        after: i32,
        at: Time,
    }

    impl TimeZone for Zone {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            unreachable!("made from its parts")
        }

        fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            self.offset_from_local_datetime(&local.and_hms_opt(12, 0, 0).expect("noon"))
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let fits = |hours: i32| {
                let offset = FixedOffset::east_opt(hours * 3600).expect("an offset");
                let utc = (*local - TimeDelta::hours(hours.into())).and_utc();
                (self.offset_from_utc_datetime(&utc.naive_utc()) == offset).then_some(offset)
            };
            match (fits(self.before), fits(self.after)) {
                (Some(one), Some(two)) if one != two => MappedLocalTime::Ambiguous(one, two),
                (Some(one), _) | (None, Some(one)) => MappedLocalTime::Single(one),
                (None, None) => MappedLocalTime::None,
            }
        }

        fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
            self.offset_from_utc_datetime(&utc.and_hms_opt(12, 0, 0).expect("noon"))
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            let hours = if utc.and_utc() < self.at { self.before } else { self.after };
            FixedOffset::east_opt(hours * 3600).expect("an offset")
        }
    }

    fn at(text: &str) -> Time {
        text.parse().expect("a time")
    }

    /// Every slot of the days around `middle`, as a server sees them that looks each ten minutes.
    fn slots(zone: &Zone, middle: Time) -> Vec<Time> {
        let mut seen = Vec::new();
        let mut now = middle - TimeDelta::days(2);
        while now < middle + TimeDelta::days(2) {
            let slot = last_slot(now, zone);
            assert!(slot <= now && now - slot <= TimeDelta::hours(25), "{now}: {slot}");
            assert!(next_slot(now, zone) > now && next_slot(slot - TimeDelta::seconds(1), zone) == slot);
            if seen.last() != Some(&slot) {
                assert!(seen.last().is_none_or(|last| *last < slot), "never back");
                seen.push(slot);
            }
            now += TimeDelta::minutes(10);
        }
        seen
    }

    #[test]
    fn it_is_half_past_four_of_the_servers_own_time() {
        let tokyo = FixedOffset::east_opt(9 * 3600).expect("an offset");
        assert_eq!(last_slot(at("2026-03-01T19:29:59Z"), &tokyo), at("2026-02-28T19:30:00Z"));
        assert_eq!(last_slot(at("2026-03-01T19:30:00Z"), &tokyo), at("2026-03-01T19:30:00Z"));
        assert_eq!(next_slot(at("2026-03-01T19:30:00Z"), &tokyo), at("2026-03-02T19:30:00Z"));
    }

    #[test]
    fn a_clock_that_skips_the_hour_or_shows_it_twice_has_one_slot_that_day() {
        // From 04:00 to 05:00: as soon as the clock shows a time again.
        let middle = at("2026-03-29T03:00:00Z");
        let forward = Zone { before: 1, after: 2, at: middle };
        let hours = ["26T03:30", "27T03:30", "28T03:30", "29T03:00", "30T02:30", "31T02:30"];
        assert_eq!(slots(&forward, middle), hours.map(|hour| at(&format!("2026-03-{hour}:00Z"))));
        // From 05:00 back to 04:00: the first of the two.
        let middle = at("2026-10-25T03:00:00Z");
        let back = Zone { before: 2, after: 1, at: middle };
        let hours = ["23T02:30", "24T02:30", "25T02:30", "26T03:30"];
        assert_eq!(slots(&back, middle), hours.map(|hour| at(&format!("2026-10-{hour}:00Z"))));
    }
}
