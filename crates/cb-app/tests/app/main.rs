//! The use cases over both databases.

mod access;
mod audit;
mod discovery;
mod inventory;
mod write_path;
