//! Whether what is done here is kept, told to whoever looks at the pages.

use cb_core::Event;
use cb_store::{PoolFigures, Storage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::metrics::Page;

/// The state of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StorageOut {
    pub state: StorageState,
    /// The problem and what to do about it; null if there is none.
    #[schema(example = json!(null))]
    pub trouble: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// It keeps what it is given.
    Serving,
    /// Its disk is full; reading goes on.
    Full,
    /// It is locked or may only be read, waits for a standby or a session that does not go on, or its disk fails.
    Refusing,
    /// PostgreSQL has no connection left; what needs another one is refused.
    Crowded,
    /// A database on the network does not answer.
    Away,
    /// The data folder, or the database or a key in it, was removed or replaced while the server ran.
    Replaced,
    /// Only the log of its file was removed; the server has to be restarted.
    LogRemoved,
}

impl StorageState {
    const WORDS: [&str; 7] = ["serving", "full", "refusing", "crowded", "away", "replaced", "log_removed"];

    const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// For everybody who is signed in: it is their work that is not saved.
pub fn state(ctx: &Ctx) -> StorageOut {
    of(ctx.app())
}

pub(crate) fn of(app: &App) -> StorageOut {
    let storage = *app.storage().borrow();
    let state = match storage {
        Storage::Serving => StorageState::Serving,
        Storage::Full => StorageState::Full,
        Storage::Refusing(_) => StorageState::Refusing,
        Storage::Crowded => StorageState::Crowded,
        Storage::Away => StorageState::Away,
        Storage::Replaced => StorageState::Replaced,
        Storage::LogRemoved { .. } => StorageState::LogRemoved,
    };
    StorageOut { state, trouble: storage.trouble() }
}

pub(crate) fn metrics(app: &App, page: &mut Page) {
    page.gauge("cb_ready", "What /api/v1/ready answers: 1 if requests should be sent to this server.")
        .value(&[], app.is_ready());
    page.gauge("cb_storage_state", "1 for the state of the database, 0 for all others.").one_of(
        "state",
        &StorageState::WORDS,
        of(app).state.as_str(),
    );
    let pools = app.store().pools();
    let mut family = |name, help, value: fn(&PoolFigures) -> u32| {
        let mut family = page.gauge(name, help);
        for pool in &pools {
            family.value(&[("pool", pool.name)], value(pool));
        }
    };
    family("cb_database_connections", "Open connections to the database.", |pool| pool.open);
    family("cb_database_connections_idle", "Open connections that are not in use.", |pool| pool.idle);
    family("cb_database_connections_max", "How many connections there may be.", |pool| pool.most);
    let mut waits =
        page.counter("cb_database_waits_total", "Questions that waited because every connection was in use.");
    for pool in &pools {
        waits.value(&[("pool", pool.name)], pool.waits);
    }
    page.histogram(
        "cb_audited_write_duration_seconds",
        "How long writes took until the database had saved them with their entry in the audit log.",
    )
    .value(&[], app.store().writes_kept());
    let mut failed = page.counter(
        "cb_audited_write_failures_total",
        "Writes that the database did not save, or may not have saved (outcome_unknown).",
    );
    for (reason, count) in app.store().writes_failed() {
        failed.value(&[("reason", reason)], count);
    }
}

/// Looks at the database as long as the server runs, and tells when something has changed.
pub(crate) async fn watch(app: App) {
    let (store, mut storage) = (app.store().clone(), app.storage());
    let tell = async {
        while storage.changed().await.is_ok() {
            app.bus().publish([Event::StorageChanged]);
        }
    };
    tokio::select! {
        () = store.watch_over() => {}
        () = tell => {}
        () = app.stopping().cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::StorageState;

    #[test]
    fn a_state_has_one_name_in_the_api_and_in_the_metrics() {
        use StorageState::{Away, Crowded, Full, LogRemoved, Refusing, Replaced, Serving};
        for state in [Serving, Full, Refusing, Crowded, Away, Replaced, LogRemoved] {
            assert_eq!(serde_json::json!(state), state.as_str());
        }
    }
}
