//! Talks to the user's devices; knows no database.
//!
//! ```text
//! Target::parse → ScanRequest::new → plan()            what would be sent
//!                                  ↘ scan()            ScanEvent… → Outcome
//! HostReport → Traits → same_machine(), fuse()         which addresses are one machine
//! ```
//! [`clients`] are how a credential proves itself to a device.
//! A new probe: one file in `probes/` and its line in `probes/mod.rs`. A new service: an entry in
//! `fingerprints/*.toml`.

pub mod clean;
pub mod clients;
mod dns;
mod engine;
mod fingerprint;
pub mod fusion;
pub mod local;
pub mod plan;
pub mod ports;
mod probes;
pub mod report;
pub mod sight;
pub mod target;
pub mod vendor;

pub use engine::{Env, kind_of, scan};
pub use fusion::{Reason, Strength, Traits, fuse, same_machine};
pub use local::{Ability, Capabilities, LocalNetwork, local_networks, own_addresses};
pub use plan::{Plan, plan};
pub use report::{
    Completeness, Evidence, Guess, HostReport, Identity, IdentityKind, Outcome, Phase, ProbeKind,
    RequestError, ScanEvent, ScanRequest, ServiceReport,
};
pub use sight::{Method, Sweep, signs};
pub use target::{Target, TargetError};
