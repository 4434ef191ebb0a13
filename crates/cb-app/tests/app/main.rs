//! The use cases over both databases.

mod access;
mod discovery;
mod inventory;
mod write_path;
