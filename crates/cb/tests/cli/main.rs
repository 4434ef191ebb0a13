//! The binary as somebody at a terminal meets it.

mod net;
mod vault;
