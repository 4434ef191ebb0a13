//! What is in the data folder is for the server's user alone.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use crate::site::{Server, Site, cb, free_port, serve_on};

/// A server with an umask that keeps nothing from anybody, and its log.
fn start(data: &Path, port: u16, log: &Path) -> Server {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_cb")]);
    let log = File::options().create(true).append(true).open(log).expect("a log");
    Server::start(serve_on(&mut command, data, port, &[]).stderr(log))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn doctor(data: &Path, port: u16) -> (String, Output) {
    let mut command = cb();
    let command = serve_on(&mut command, data, port, &[]);
    // The same settings, for another command.
    let mut asked = cb();
    asked.arg("doctor").env_clear();
    asked.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    let output = asked.output().expect("runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output)
}

/// What root makes in the folder of another user that user can neither read nor replace.
#[test]
fn root_makes_nothing_in_the_folder_of_another_user() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    if std::os::unix::fs::chown(data, Some(65_534), None).is_err() {
        // Only root can give a folder away.
        return;
    }
    let archive = data.join("archive").display().to_string();
    for args in [
        &["serve"][..],
        &["migrate"],
        &["doctor"],
        &["backup", &archive],
        &["restore", &archive],
        &["user", "list"],
        &["vault", "rewrap"],
        &["vault", "status"],
        &["audit-log", "verify"],
        &["audit-log", "accept-restore"],
        &["store", "copy", "--to", "sqlite"],
    ] {
        let mut command = cb();
        let done = command.args(args).env_clear().env("CB_DATA_DIR", data).output().expect("runs");
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!done.status.success(), "{args:?}: {said}");
        assert!(
            said.contains("belongs to the user nobody") && said.contains("runuser -u nobody -- cb"),
            "{args:?}: {said}"
        );
        assert_eq!(fs::read_dir(data).expect("a folder").count(), 0, "{args:?}");
    }
}

#[tokio::test]
async fn every_file_is_for_its_owner_alone_whatever_the_umask_and_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    fs::create_dir(&data).expect("made");
    set(&data, 0o777);
    let port = free_port();
    let server = start(&data, port, &log);
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    let made = files(&data);
    for name in
        ["circuit-breaker.db", "circuit-breaker.db-wal", "circuit-breaker.db-shm", "tls/ca.pem", "lock"]
    {
        assert!(made.contains(&data.join(name)), "{name}: {made:?}");
    }
    for file in &made {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&data.join("tls")), 0o700);
    // Each file above also names its mode. This is for those of a library that names none.
    assert_eq!(server.status("Umask"), "0077");
    let folder = format!("The folder {} is open to other users (mode 0777)", data.display());
    let mend = format!("chmod 700 {}", data.display());
    let logged = fs::read_to_string(&log).expect("the log");
    assert!(logged.contains(&folder) && logged.contains(&mend), "{logged}");
    let (told, _) = doctor(&data, port);
    assert!(told.contains(&format!("weak    data folder: {folder}. ")) && told.contains(&mend), "{told}");
    for said in [&logged, &told] {
        assert!(said.contains("delete the files and put other files in their place"), "{said}");
    }
    server.stop();

    // As an earlier version, or somebody's copy, has left them.
    set(&data, 0o700);
    for file in ["circuit-breaker.db", "vault-key", "tls/leaf.pem"] {
        set(&data.join(file), 0o644);
    }
    let (told, output) = doctor(&data, port);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for file in ["circuit-breaker.db", "vault-key", "tls/leaf.pem"] {
        let file = data.join(file);
        let wanted =
            format!("The file {0} is open to other users (mode 0644). Run: chmod 600 {0}", file.display());
        assert!(told.contains(&wanted), "{told}");
        assert_eq!(mode(&file), 0o644, "it changes nothing");
    }
    let server = start(&data, port, &log);
    Site::meet(&data, port).await;
    for file in files(&data) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    server.stop();
}

#[tokio::test]
async fn the_doctor_says_what_is_well_and_what_is_broken() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let port = free_port();
    let (told, output) = doctor(&data, port);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("broken  data folder:") && told.contains("broken  database:"), "{told}");
    assert!(!data.exists(), "it makes nothing");
    let server = start(&data, port, &dir.path().join("log"));
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    let (told, _) = doctor(&data, port);
    for well in ["ok      settings:", "ok      data folder:", "ok      database: SQLite"] {
        assert!(told.contains(well), "{told}");
    }
    server.stop();
    let broken = {
        let mut command = cb();
        command.arg("doctor").env_clear().env("CB_DATA_DIR", &data).env("CB_HSTS", "perhaps");
        command.output().expect("runs")
    };
    let told = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(broken.status.code() == Some(1) && told.contains("broken  settings: CB_HSTS"), "{told}");
}
