//! Files that do one thing, and tests that run.

use crate::repo::Repo;

const MOST_LINES: usize = 700;

/// Files that are longer and may be, each with its reason. One that has become short is told too.
const LONG: &[(&str, &str)] = &[];

/// Spelled apart, so that this file does not find itself.
const SWITCHED_OFF: &str = concat!("#[", "ignore");

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    let mut long = Vec::new();
    for folder in ["crates", "xtask"] {
        for path in repo.rust_files(folder)? {
            let text = repo.text(&path)?;
            let lines = text.lines().count();
            if lines > MOST_LINES && path.contains("/src/") {
                if !LONG.iter().any(|(known, _)| *known == path) {
                    breaches.push(format!(
                        "{path} has {lines} lines, more than {MOST_LINES}: split it by what it does, or list it with \
                         its reason in xtask/src/sources.rs"
                    ));
                }
                long.push(path.clone());
            }
            for (number, line) in text.lines().enumerate() {
                if line.trim_start().starts_with(SWITCHED_OFF) {
                    breaches.push(format!(
                        "{path}:{} switches a test off: mend it, delete it, or let it skip aloud with its reason",
                        number + 1
                    ));
                }
            }
        }
    }
    for (path, _) in LONG {
        if !long.iter().any(|p| p == path) {
            breaches.push(format!("{path} is no longer long; take it off the list in xtask/src/sources.rs"));
        }
    }
    Ok(breaches)
}
