//! Cryptography at rest and in tokens: password hashes, token hashes, session tokens, CSRF tokens, one-time codes, and
//! the sealing of what must be read again, and signatures of webhooks.
//!
//! Invariants: passwords are Argon2id; what the server must recognise but never show again is kept as
//! a SHA-256 hash; a session token has one fixed algorithm and one purpose; every comparison of a
//! secret goes through [`cb_core::Secret`] or a MAC's own verification; a sealed text opens only where it belongs.

pub mod checkpoint;
pub mod fernet;
pub mod password;
pub mod seal;
pub mod token;
pub mod totp;
pub mod webhook;
