//! One file per table. A row never leaves `cb-app`: what a client sees is an `Out` of its own.

pub mod address;
pub mod asset;
pub mod asset_tag;
pub mod audit_anchor;
pub mod audit_checkpoint;
pub mod audit_entry;
pub mod audit_head;
pub mod auth_step;
pub mod finding;
pub mod finding_key;
pub mod identity;
pub mod interface;
pub mod job;
pub mod link;
pub mod network;
pub mod position;
pub mod recovery_code;
pub mod scan;
pub mod service;
pub mod session;
pub mod setting;
pub mod tag;
pub mod token;
pub mod user;
