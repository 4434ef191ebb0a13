//! What a refusal of a secret says to do is what makes a good one.

use std::process::{Command, Stdio};
use std::time::Duration;

use rstest::rstest;

use crate::site::{Server, Site, cb, free_port, serve_on};

/// What `cb config check` says of these settings, and whether it is well.
fn checked(settings: &[(&str, &str)]) -> (bool, String) {
    let mut command = cb();
    let out = command.args(["config", "check"]).envs(settings.iter().copied()).output().expect("runs");
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// What the command in a refusal prints.
fn made_as(refusal: &str) -> String {
    let at = refusal.find("openssl").unwrap_or_else(|| panic!("a command: {refusal}"));
    let command = refusal[at..].lines().next().expect("a line");
    let out = Command::new("sh").args(["-c", command]).output().expect("sh runs");
    assert!(out.status.success(), "{command}");
    String::from_utf8(out.stdout).expect("a text").trim().to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_command_in_a_refusal_makes_what_the_server_takes(
    #[values(
        "CB_SETUP_CODE",
        "CB_API_TOKEN",
        "CB_JWT_SECRET",
        "CB_VAULT_KEY",
        "CB_VAULT_KEY_NEW",
        "CB_BACKUP_PASSPHRASE"
    )]
    name: &str,
) {
    let twin = if name == "CB_JWT_SECRET" { "CB_API_TOKEN" } else { "CB_JWT_SECRET" };
    let same = "cG9saXNoZWQgYnJhc3MgbGFtcHMgaW4gdGhlIGF0dGk=";
    for refused in [
        &[(name, "change-me-change-me-change-me-change-me")][..],
        &[(name, "x")],
        &[(name, same), (twin, same)],
    ] {
        let (well, refusal) = checked(refused);
        assert!(!well, "{refused:?}");
        let good = made_as(&refusal);
        assert_eq!(checked(&[(name, &good)]), (true, String::new()), "made as it was told: {refusal}");
    }
    // A root key that is given goes with a new one only.
    let good = made_as(&checked(&[(name, "x")]).1);
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port) = (dir.path().join("data"), free_port());
    let mut command = cb();
    serve_on(&mut command, &data, port, &[]).env(name, &good);
    let _server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let met = tokio::time::timeout(Duration::from_mins(1), Site::meet(&data, port)).await;
    assert!(met.is_ok(), "the server starts with it");
}
