//! The edge, by the front door: real listeners, real TLS, a real database.

mod access;
mod authenticator;
mod bodies;
mod headers;
mod identity;
mod matrix;
mod openapi;
mod passkeys;
mod redirect;
mod setup;
mod site;
mod streams;
