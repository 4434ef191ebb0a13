//! The use cases over both databases.

mod access;
mod audit;
mod discovery;
mod inventory;
mod retention;
mod write_path;
