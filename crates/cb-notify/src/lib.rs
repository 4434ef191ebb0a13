//! Telling others: webhooks, channels, and what comes in by a hook. No database: what is sent to whom, and when again, is
//! `cb-app`'s to know.
//!
//! Invariants: everything goes out through [`cb_net::outbound::Outbound`]; what a service answers is judged in one place,
//! so that every sender retries alike.

pub mod answer;
pub mod channels;
pub mod incoming;
pub mod webhook;

pub use answer::{ASKED_MOST, Answer, End};
