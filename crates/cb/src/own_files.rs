//! What this process writes is for its user alone: the database, its log and index, keys, certificates, archives. So it writes into the
//! data folder only as the user to whom the folder belongs.

use std::os::unix::fs::MetadataExt as _;

use cb_core::config::{Config, ConfigError};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, User, geteuid};

/// Before the first file is made, whatever was inherited. SQLite and others name no mode of their own for every file they make.
pub fn keep() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

/// The settings of a command that works in the data folder.
pub fn settings() -> Result<Config, ConfigError> {
    let config = Config::load()?;
    require_owner(&config).map(|()| config)
}

/// Root may write everywhere, and the server's own user could then neither read nor replace what root has made.
pub fn require_owner(config: &Config) -> Result<(), ConfigError> {
    let Ok(about) = config.data_dir.metadata() else { return Ok(()) };
    let owner = Uid::from_raw(about.uid());
    if !geteuid().is_root() || owner.is_root() {
        return Ok(());
    }
    let folder = config.data_dir.display();
    let (name, as_owner) = match User::from_uid(owner) {
        Ok(Some(user)) => (user.name.clone(), format!("runuser -u {} -- cb …", user.name)),
        _ => (owner.to_string(), format!("sudo -u '#{owner}' cb …")),
    };
    Err(ConfigError::new(
        "CB_DATA_DIR",
        format!("{folder} belongs to the user {name}, who cannot use the files that root creates there"),
        format!(
            "Run this command as that user, with the same settings: {as_owner}. If root runs the server, make root the owner: chown -R root {folder}"
        ),
    ))
}
