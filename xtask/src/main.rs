//! The rules of the house that no compiler checks. `cargo xtask check` runs every one of them and
//! prints each breach as a sentence that says what to do; it exits 1 when there is one.
//!
//! To add a rule: a module with `pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>>` and a
//! line in [`RULES`].

mod arrows;
mod bans;
mod decisions;
mod dependencies;
mod repo;
mod secrets;
mod settings;
mod sources;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use std::process::ExitCode;

use repo::Repo;

type Rule = fn(&Repo) -> anyhow::Result<Vec<String>>;

/// What is checked, and how the check is called when it passes.
const RULES: &[(&str, Rule)] = &[
    ("crates depend downwards only", arrows::breaches),
    ("every clippy ban has its reason", bans::breaches),
    ("dependencies are allowed ones", dependencies::breaches),
    ("source files are short and no test is switched off", sources::breaches),
    ("every setting is explained with its default", settings::breaches),
    ("secrets are neither compared with == nor shown", secrets::breaches),
    ("decisions are numbered without a gap", decisions::breaches),
];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // A closed stderr leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if std::env::args().skip(1).collect::<Vec<_>>() != ["check"] {
        writeln!(out, "usage: cargo xtask check")?;
        return Ok(ExitCode::from(2));
    }
    // Asked when it runs: two clones that share a target folder share the program, and each wants its own tree.
    #[expect(clippy::disallowed_methods, reason = "cargo names the package it runs in this way only")]
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as: cargo xtask check")?;
    let root = PathBuf::from(package).join("..").canonicalize()?;
    let repo = Repo::new(root);
    let mut broken = 0;
    for (name, rule) in RULES {
        let breaches = rule(&repo)?;
        writeln!(out, "{} {name}", if breaches.is_empty() { "ok  " } else { "FAIL" })?;
        for breach in &breaches {
            writeln!(out, "     {breach}")?;
        }
        broken += breaches.len();
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
