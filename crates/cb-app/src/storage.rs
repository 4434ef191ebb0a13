//! Whether what is done here is kept, told to whoever looks at the pages.

use cb_core::Event;
use cb_store::Storage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;

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

/// For everybody who is signed in: it is their work that is not saved.
pub fn state(ctx: &Ctx) -> StorageOut {
    let storage = *ctx.app().storage().borrow();
    let state = match storage {
        Storage::Serving => StorageState::Serving,
        Storage::Full => StorageState::Full,
        Storage::Refusing => StorageState::Refusing,
        Storage::Crowded => StorageState::Crowded,
        Storage::Away => StorageState::Away,
        Storage::Replaced => StorageState::Replaced,
        Storage::LogRemoved { .. } => StorageState::LogRemoved,
    };
    StorageOut { state, trouble: storage.trouble() }
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
