//! What a client does that is refused for the moment.

use std::time::Duration;

use cb_core::{Error, Result};

/// Asks again while the answer is [`Error::Unavailable`]; panics after two minutes of that. The product refuses what waits too long for a
/// lock or a connection, and how many of several at once have to wait so long depends on the machine.
pub async fn asked_again<T>(ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let asked = async {
        loop {
            match ask().await {
                Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                other => return other,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(2), asked).await.expect("it is always refused")
}
