//! A ban without a reason is obeyed by nobody: each one in clippy.toml names its replacement.

use crate::repo::Repo;

/// What must stay banned whatever else changes, because an invariant hangs on it.
const KEPT: &[(&str, &str)] = &[
    ("std::time::SystemTime::now", "time is a parameter"),
    ("chrono::Utc::now", "time is a parameter"),
    ("std::env::var", "settings are read in one place"),
    ("reqwest::Client::new", "outbound requests are judged"),
    ("reqwest::Client::builder", "outbound requests are judged"),
    ("reqwest::ClientBuilder::new", "outbound requests are judged"),
    ("tokio::net::TcpStream::connect", "connections are opened in one place"),
];

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    Ok(judge(&repo.toml("clippy.toml")?))
}

fn judge(clippy: &toml::Table) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut banned = Vec::new();
    for list in ["disallowed-methods", "disallowed-types", "disallowed-macros"] {
        for ban in clippy.get(list).and_then(toml::Value::as_array).into_iter().flatten() {
            let path = ban.get("path").and_then(toml::Value::as_str);
            let reason = ban.get("reason").and_then(toml::Value::as_str).unwrap_or("").trim();
            match path {
                Some(path) if !reason.is_empty() => banned.push(path.to_owned()),
                _ => breaches
                    .push(format!("clippy.toml, {list}: {ban} has no reason; say what to use instead")),
            }
        }
    }
    for (path, why) in KEPT {
        if !banned.iter().any(|b| b == path) {
            breaches.push(format!("clippy.toml no longer bans {path} ({why})"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_ban_without_a_reason_is_told() {
        let table = r#"disallowed-types = ["std::x::Y"]"#.parse().expect("TOML");
        let breaches = judge(&table);
        assert!(breaches[0].contains("std::x::Y"), "{breaches:?}");
        assert!(breaches.iter().any(|b| b.contains("no longer bans std::env::var")));
    }
}
