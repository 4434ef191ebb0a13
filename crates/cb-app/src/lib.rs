//! Use cases: the only crate that sees store, collectors and fabric together.
//!
//! Every operation takes a [`Ctx`] (who acts, through which request) and answers with its own `Out`
//! type; no table row and no secret leaves. A writing one goes through [`Ctx::write`], which authorizes,
//! appends the audit entry in the same transaction and tells the events after the commit.
//!
//! To add a resource: one file here with `In`, `Patch`, `Out` and its operations, and one route file
//! in `cb-api` (`tags.rs` is the shortest example of both).

pub mod addresses;
mod apart;
mod app;
pub mod assets;
pub mod audit;
pub mod auth;
pub mod backup;
#[cfg(test)]
mod bounds;
pub mod conflicts;
pub mod credentials;
pub mod csv;
mod ctx;
pub mod described;
mod exceptions;
pub mod findings;
pub mod folder;
mod input;
pub mod interfaces;
pub mod jobs;
pub mod jumps;
mod keep_up;
mod kept;
pub mod links;
pub mod live;
pub mod map;
pub mod metrics;
pub mod networks;
pub mod notify;
pub mod oidc;
pub mod operations;
mod order;
mod page;
mod proposal;
mod rank;
pub mod reach;
pub mod reconcile;
pub mod record;
pub mod replay;
mod replicas;
pub mod scans;
pub mod settings;
pub mod setup;
mod shared;
pub mod sight;
pub mod sites;
mod start;
mod start_error;
pub mod storage;
pub mod tags;
pub mod tokens;
pub mod users;
pub mod vault;
pub mod views;

pub use app::{App, Authenticated};
pub use cb_fabric::{Heard, Listener};
pub use cb_store::{Migrated, Storage};
pub use ctx::{Ctx, RequestMeta};
pub use input::NO_PORT;
pub use page::{List, Page};
pub use proposal::{Evidence, Proposal};
pub use replicas::Around;
pub use shared::compare_audit_key;
pub use start::migrate;
pub use start_error::StartError;
