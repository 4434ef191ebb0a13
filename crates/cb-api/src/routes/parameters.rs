//! Parameters whose own reader would answer in the words of a programmer.

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The use case judges the range.
pub(super) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    read(from, cb_app::NO_PORT)
}

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    read(from, "Enter a time such as 2026-01-31T12:00:00Z.")
}

fn read<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    from: D,
    reason: &str,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|_| D::Error::custom(reason))
}
