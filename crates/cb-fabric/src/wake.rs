//! Wake-ups: there may be work of a kind. Many of them are one, and one too many costs a look at the database.

use std::time::Duration;

use tokio::sync::watch;

/// Sleeps until there may be work.
pub struct Sleeper {
    pub(crate) receiver: watch::Receiver<()>,
}

impl Sleeper {
    /// Until somebody calls, something was missed, or this much time has passed: a wake-up can be lost, so nobody sleeps
    /// without an end. One that came since the last sleep ends this one at once.
    pub async fn sleep(&mut self, longest: Duration) {
        let waited = tokio::time::timeout(longest, self.receiver.changed()).await;
        if matches!(waited, Ok(Err(_))) {
            // The fabric is gone with the server; whoever sleeps is about to be stopped and must not spin.
            tokio::time::sleep(longest).await;
        }
    }
}
