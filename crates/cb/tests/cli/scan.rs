//! `cb scan` of more devices than are looked at at once, in a network of its own.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::first_hour::isolated;

const DEVICES: u64 = 1022;

/// Many pings answer before the first devices have been examined. A scan in which the two wait for each other ends after minutes, and
/// knows of most devices only that they are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_full_of_devices_is_examined_as_fast_as_it_answers() {
    let Some(command) = isolated("ip addr add 10.77.0.1/22 dev lo;") else { return };
    let mut command = tokio::process::Command::from(command);
    command.arg(env!("CARGO_BIN_EXE_cb")).args(["scan", "10.77.0.0/22", "--probes", "ports", "--json"]);
    command.args(["--ports", "9,10,11", "--rate", "20000"]);
    let running =
        command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("starts").wait_with_output();
    let ended = tokio::time::timeout(Duration::from_mins(1), running).await.expect("it ends").expect("ran");
    let report: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let outcome = &report["outcome"];
    assert_eq!(outcome["hosts"], DEVICES, "{outcome}");
    assert_eq!(outcome["limitations"], Value::Array(Vec::new()), "{outcome}");
}
