//! Everything that has to do with connections: sockets to the user's devices, requests to what a user
//! names, and the server's own TLS.
//!
//! Owns: [`dial`], the only opener of sockets; [`judge`], where a connection may lead, and [`outbound`], which asks it
//! before anything is connected; [`http`] and [`smtp`], the only clients; [`resolve`], names to addresses; [`names`],
//! what this machine is called; [`ca`], the local certificate authority; [`tls`], the certificate that the server shows and
//! its renewal; [`capability`], what the kernel has to permit. Invariants: the TLS stack is rustls over `ring`; private keys are files of mode 0600.

pub mod ca;
pub mod capability;
pub mod dial;
pub mod http;
pub mod judge;
pub mod listen;
mod machine;
pub mod names;
pub mod outbound;
pub mod resolve;
pub mod smtp;
pub mod tls;
