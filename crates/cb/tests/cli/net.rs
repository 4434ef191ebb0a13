//! `cb net check`: one word or one reason, and an exit code for scripts. The long list of URLs is
//! crates/cb-net/data/outbound-cases.toml.

use std::process::Command;

/// Exit code, standard output, standard error; without the environment and settings of whoever runs the test.
fn cb(setting: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cb"));
    command.env_clear().current_dir(env!("CARGO_TARGET_TMPDIR")).args(["net", "check"]).args(arguments);
    if let Some(allow) = setting {
        command.env("CB_OUTBOUND_ALLOW", allow);
    }
    let done = command.output().expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("an exit code"), text(done.stdout), text(done.stderr))
}

#[test]
fn it_accepts_or_says_why_not() {
    for (arguments, says) in [
        ("https://1.1.1.1/ --policy public", "accept"),
        ("http://192.168.1.20:5000/ --policy lan", "accept"),
        ("http://192.168.1.20:5000/ --policy public", "reject: 192.168.1.20 is a private address. "),
        ("http://169.254.169.254/ --policy lan", "reject: 169.254.169.254 is a cloud's metadata service"),
        ("http://0x7f.1/ --policy lan", "reject: “0x7f.1” is an unusual spelling of 127.0.0.1"),
        (
            "ftp://1.1.1.1/ --policy lan",
            "reject: enter a URL that starts with http:// or https://, not with “ftp”",
        ),
        (
            "http://localhost:8080/ --policy lan",
            "reject: “localhost” is the computer on which this server runs",
        ),
        ("http://a.test/ --policy public --resolve A.test=93.184.216.34", "accept"),
        ("http://a.test/ --policy lan --resolve a.test=10.0.0.1,fd00::1", "accept"),
        (
            "http://a.test/ --policy lan --resolve a.test=10.0.0.1 --resolve a.test=[::1]",
            "reject: “a.test” has addresses that this server can contact (10.0.0.1) and others that it must not contact: ::1 is a loopback",
        ),
        ("http://[64:ff9b::1.1.1.1]/ --policy public", "accept"),
        (
            "http://[64:ff9b::127.0.0.1]/ --policy lan",
            "reject: 64:ff9b::7f00:1 leads to 127.0.0.1 (NAT64), which is a loopback address",
        ),
        (
            "http://a.test/ --policy lan --resolve b.test=10.0.0.1",
            "reject: the server cannot find “a.test”. Check the name",
        ),
        ("http://bücher.test/ --policy lan --resolve bücher.test=10.0.0.1", "accept"),
        (
            "--policy lan https://127.0.0.1:8443/",
            "reject: 127.0.0.1:8443 is one of this server's own services",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (code, out, err) = cb(None, &arguments);
        assert!(out.starts_with(says) && out.lines().count() == 1, "{arguments:?}: {out}{err}");
        assert_eq!(code, i32::from(says != "accept"), "{arguments:?}");
        assert_eq!(err, "", "{arguments:?}");
    }
}

#[test]
fn the_operators_exceptions_count() {
    let allow = Some("127.0.0.1:9000, nas.test");
    assert_eq!(cb(allow, &["http://127.0.0.1:9000/", "--policy", "public"]).1, "accept\n");
    assert_eq!(cb(allow, &["http://127.0.0.1:9001/", "--policy", "public"]).0, 1);
    let named = ["http://nas.test/", "--policy", "public", "--resolve", "nas.test=127.0.0.9"];
    assert_eq!(cb(allow, &named).1, "accept\n");

    let (code, out, err) = cb(Some("nas:http"), &["http://1.1.1.1/", "--policy", "lan"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("CB_OUTBOUND_ALLOW: 'nas:http' cannot be used"), "{err}");
}

#[test]
fn a_missing_policy_is_named_with_its_words() {
    let (code, _, err) = cb(None, &["http://1.1.1.1/"]);
    assert!(code == 2 && err.contains("--policy <public|lan>"), "{err}");
}

#[test]
fn a_question_that_cannot_be_asked_is_another_exit_code() {
    for arguments in [
        "",
        "http://1.1.1.1/",
        "--policy lan",
        "http://1.1.1.1/ --policy wan",
        "http://a.test/ --policy lan --resolve a.test",
        "http://a.test/ --policy lan --resolve a.test=",
        "http://a.test/ --policy lan --resolve a.test=10.0.0",
        "http://a.test/ --policy lan --resolve =10.0.0.1",
    ] {
        let (code, out, err) = cb(None, &arguments.split(' ').filter(|a| !a.is_empty()).collect::<Vec<_>>());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments}");
        assert!(!err.is_empty(), "{arguments}");
    }
}
