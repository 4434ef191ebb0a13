//! The edge, by the front door: real listeners, real TLS, a real database.

mod access;
mod audit;
mod authenticator;
mod bad_input;
mod bodies;
mod channels;
mod credentials;
mod guesses;
mod headers;
mod hooks;
mod http2;
mod identity;
mod inputs;
mod matrix;
mod odd_provider;
mod oidc;
mod openapi;
mod origins;
mod passkeys;
mod proxies;
mod redirect;
mod setup;
mod site;
mod streams;
mod webhooks;
