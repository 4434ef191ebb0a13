//! What replicas share: the event bus, the throttle and the rates. Embedded: in this process.
//!
//! Invariants: publishing never waits; a listener that is too slow is told that it missed something
//! and must read afresh; the memory of throttle and rates is bounded.

mod bus;
mod rate;
mod throttle;

pub use bus::{Bus, Heard, Listener};
pub use rate::Rate;
pub use throttle::{Key, Throttle};
