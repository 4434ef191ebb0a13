//! What this process writes is for its user alone: the database, its log and index, keys, certificates, archives.

use nix::sys::stat::{Mode, umask};

/// Before the first file is made, whatever was inherited. SQLite and others name no mode of their own for every file they make.
pub fn keep() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}
