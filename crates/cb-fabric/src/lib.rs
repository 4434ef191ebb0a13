//! What replicas share: the event bus and the throttle. Embedded: in this process.
//!
//! Invariants: publishing never waits; a listener that is too slow is told that it missed something
//! and must read afresh; the throttle's memory is bounded.

mod bus;
mod throttle;

pub use bus::{Bus, Heard, Listener};
pub use throttle::Throttle;
