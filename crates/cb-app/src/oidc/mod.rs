//! Signing in elsewhere (OpenID Connect Core 1.0): who may vouch for users, the way there and back, and which user somebody
//! is there. A user is known by the provider's own word for them (`sub`), never by an e-mail address.

pub mod identities;
mod protocol;
pub mod providers;
pub mod sign_in;

pub(crate) use protocol::Known;
