//! Telling others: what there is to tell, who is told, and what became of it.
//!
//! A notice is written by the transaction that makes it true, with one delivery for each subscriber that wants it, and sent
//! afterwards by the [worker]; so what is committed arrives, and what is not committed is never told. See ADR 11.
//!
//! Invariants: a secret that signs goes to no other origin than the one that it was made for; a delivery is sent by whoever holds
//! its lease; one subscriber that is slow holds up itself only; every queue and every log has a bound.

pub mod channels;
pub mod deliveries;
pub mod hooks;
pub mod kinds;
pub mod mail;
pub(crate) mod news;
pub mod receive;
pub(crate) mod schedule;
mod subscriber;
pub mod trial;
pub mod webhooks;
pub(crate) mod worker;

/// How long the previous secret of a webhook or a hook is good beside the new one: time to tell the other side.
pub(crate) const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::hours(24);
