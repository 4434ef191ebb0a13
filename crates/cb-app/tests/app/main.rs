//! The use cases over both databases.

mod access;
mod audit;
mod credentials;
mod discovery;
mod inventory;
mod retention;
mod vault;
mod write_path;
