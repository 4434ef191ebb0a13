//! The edge: HTTP in front of the use cases.
//!
//! A request passes the listener ([`server`]), the [`edge`] (request id, client address, Host
//! allow-list, limits), the [guard](auth) and its route. Invariants: every response carries the
//! security [`headers`] once; every error is a [`problem`]; every route but those on
//! [`auth::PUBLIC`] needs a session or a token.

pub mod access;
pub mod auth;
pub mod compression;
mod document;
pub mod edge;
mod extract;
pub mod headers;
pub mod idempotency;
mod meters;
pub mod place;
pub mod problem;
pub mod routes;
pub mod server;
mod spa;
mod strangers;
mod streams;
