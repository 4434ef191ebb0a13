//! The edge: HTTP in front of the use cases.
//!
//! A request passes the listener ([`server`]), the middleware (request id, client address, Host
//! allow-list, security headers), the [guard](auth) and its route. Invariants: every response carries
//! the security headers once; every error is a [`problem`]; every route but those on
//! [`auth::PUBLIC`] needs a session or a token.

pub mod auth;
mod extract;
pub mod problem;
pub mod routes;
mod streams;
