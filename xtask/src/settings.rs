//! Every setting of the server is explained in docs/operations.md with its true default.

use crate::repo::Repo;

const SOURCE: &str = "crates/cb-core/src/config.rs";
const MANUAL: &str = "docs/operations.md";

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let settings = settings(&repo.text(SOURCE)?);
    if settings.is_empty() {
        return Ok(vec![format!("{SOURCE} has no table SETTINGS that this rule can read")]);
    }
    Ok(judge(&settings, &repo.text(MANUAL)?))
}

/// Name and default of each line of the table `SETTINGS`.
fn settings(source: &str) -> Vec<(String, String)> {
    source
        .lines()
        .skip_while(|line| !line.starts_with("pub const SETTINGS"))
        .take_while(|line| !line.starts_with("];"))
        .filter_map(|line| {
            let mut strings = line.trim().strip_prefix('(')?.split('"').skip(1).step_by(2);
            Some((format!("CB_{}", strings.next()?.to_ascii_uppercase()), strings.next()?.to_owned()))
        })
        .collect()
}

fn judge(settings: &[(String, String)], manual: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, default) in settings {
        let cell = if default.is_empty() { " ".to_owned() } else { format!(" `{default}` ") };
        if !manual.lines().any(|line| line.starts_with(&format!("| `{name}` |{cell}|"))) {
            breaches.push(format!("{MANUAL} has no row `| {name} |{cell}| …`, as {SOURCE} has it"));
        }
    }
    for line in manual.lines().filter_map(|line| line.strip_prefix("| `CB_")) {
        let name = format!("CB_{}", line.split('`').next().unwrap_or_default());
        if !settings.iter().any(|(known, _)| *known == name) {
            breaches.push(format!("{MANUAL} explains {name}, which is not a setting"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::{judge, settings};

    const SOURCE: &str = "pub const SETTINGS: &[(&str, &str, &str)] = &[\n    (\"hsts\", \"on\", \"x\"),\n    (\"api_token\", \"\", \"y\"),\n];\n(\"not\", \"this\"),";

    #[test]
    fn a_wrong_default_a_missing_and_a_surplus_row_are_told() {
        let table = settings(SOURCE);
        assert_eq!(table.len(), 2);
        assert!(judge(&table, "| `CB_HSTS` | `on` | x |\n| `CB_API_TOKEN` | | y |\n").is_empty());
        let breaches = judge(&table, "| `CB_HSTS` | `off` | x |\n| `CB_OLD` | | z |\n");
        assert_eq!(breaches.len(), 3, "{breaches:?}");
    }
}
