//! The bans and licences of deny.toml, held against Cargo.lock and the crates' own words, so that
//! they are checked where `cargo deny` is not installed.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::repo::Repo;

/// Licences are asked for on this target; crates for other systems are not downloaded.
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let deny = repo.toml("deny.toml")?;
    let mut breaches = banned(&deny, &repo.toml("Cargo.lock")?);
    let allowed: Vec<&str> = strings(&deny, "licenses", "allow");
    ensure!(!allowed.is_empty(), "deny.toml allows no licence");
    let done = Command::new("cargo")
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET])
        .current_dir(repo.root())
        .output()
        .context("cargo metadata cannot be run")?;
    ensure!(done.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&done.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or("?");
        let licence = package["license"].as_str().unwrap_or("");
        if !acceptable(licence, &allowed) {
            breaches.push(format!("{name} is under '{licence}', which deny.toml does not allow"));
        }
    }
    Ok(breaches)
}

fn strings<'a>(table: &'a toml::Table, section: &str, key: &str) -> Vec<&'a str> {
    let list = table.get(section).and_then(|s| s.get(key)).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

fn banned(deny: &toml::Table, lock: &toml::Table) -> Vec<String> {
    let bans = deny.get("bans").and_then(|b| b.get("deny")).and_then(toml::Value::as_array);
    let packages: Vec<&str> = lock
        .get("package")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|p| p.get("name")?.as_str())
        .collect();
    bans.into_iter()
        .flatten()
        .filter_map(|ban| {
            let name = ban.get("crate")?.as_str()?;
            let reason = ban.get("reason").and_then(toml::Value::as_str).unwrap_or("no reason given");
            packages.contains(&name).then(|| {
                format!("Cargo.lock holds {name}: {reason}; `cargo tree -i {name}` says who brings it")
            })
        })
        .collect()
}

/// Whether an SPDX licence expression (SPDX 2.3, annex D; also the older `A/B`) can be satisfied
/// with the allowed licences alone.
fn acceptable(expression: &str, allowed: &[&str]) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = text.split_whitespace().peekable();
    let verdict = any(&mut words, allowed);
    verdict == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    let mut verdict = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= all(words, allowed)?;
    }
    Some(verdict)
}

fn all(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    let mut verdict = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words, allowed)?;
    }
    Some(verdict)
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let verdict = any(words, allowed)?;
        return words.next_if_eq(&")").map(|_| verdict);
    }
    if words.next_if_eq(&"WITH").is_some() {
        let full = format!("{word} WITH {}", words.next()?);
        return Some(allowed.contains(&full.as_str()));
    }
    Some(allowed.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::{acceptable, banned};

    #[test]
    fn licence_expressions() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        for (expression, verdict) in [
            ("MIT", true),
            ("MIT OR GPL-2.0-only", true),
            ("GPL-2.0-only/MIT", true),
            ("(MIT OR GPL-2.0-only) AND Unicode-3.0", true),
            ("MIT AND GPL-2.0-only", false),
            ("GPL-2.0-only", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("GPL-3.0 WITH LLVM-exception", false),
            ("", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("MIT OR", false),
        ] {
            assert_eq!(acceptable(expression, &allowed), verdict, "{expression}");
        }
    }

    #[test]
    fn a_banned_crate_is_named_with_its_reason() {
        let deny = r#"bans.deny = [{ crate = "openssl", reason = "rustls" }]"#.parse().expect("TOML");
        let lock = "[[package]]\nname = \"openssl\"\n".parse().expect("TOML");
        assert!(banned(&deny, &lock)[0].starts_with("Cargo.lock holds openssl: rustls"));
    }
}
