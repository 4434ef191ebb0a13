//! The edge, by the front door: real listeners, real TLS, a real database.

mod access;
mod audit;
mod bad_input;
mod bodies;
mod headers;
mod identity;
mod matrix;
mod openapi;
mod redirect;
mod setup;
mod site;
mod streams;
