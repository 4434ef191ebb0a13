//! The binary as somebody at a terminal meets it.

mod backup;
mod net;
mod own_memory;
mod vault;
mod webhooks;
