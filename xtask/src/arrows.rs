//! Which crate may know which. The same table stands in docs/architecture.md for people; this rule
//! fails when the two differ.

use std::collections::{BTreeMap, BTreeSet};

use crate::repo::Repo;

/// Crate → what it may depend on. `cb-core` needs no mention: everybody may know it, and it nobody.
/// Longest way down first, so that an arrow always points to a later line.
const ARROWS: &[(&str, &[&str])] = &[
    ("cb", &["cb-api", "cb-app", "cb-collect", "cb-store", "cb-net"]),
    ("cb-api", &["cb-app", "cb-net"]),
    ("cb-app", &["cb-store", "cb-collect", "cb-notify", "cb-fabric", "cb-net", "cb-vault"]),
    ("cb-store", &["cb-vault"]),
    ("cb-collect", &["cb-net"]),
    ("cb-notify", &["cb-net", "cb-vault"]),
    ("cb-fabric", &[]),
    ("cb-net", &[]),
    ("cb-vault", &[]),
    ("cb-core", &[]),
];

/// Helps tests and is in nothing that is shipped.
const TESTKIT: &str = "cb-testkit";
const PICTURE: &str = "docs/architecture.md";

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for crate_name in repo.names("crates")? {
        let manifest = repo.toml(&format!("crates/{crate_name}/Cargo.toml"))?;
        breaches.extend(judge(&crate_name, &ours(&manifest, "dependencies")));
    }
    breaches.extend(compare(&repo.text(PICTURE)?));
    Ok(breaches)
}

/// The crates of this workspace in one section of a manifest.
fn ours(manifest: &toml::Table, section: &str) -> Vec<String> {
    let table = manifest.get(section).and_then(toml::Value::as_table);
    table.into_iter().flat_map(toml::Table::keys).filter(|name| name.starts_with("cb-")).cloned().collect()
}

fn judge(name: &str, depends_on: &[String]) -> Vec<String> {
    if name == TESTKIT {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(n, _)| *n == name) else {
        return vec![format!(
            "crates/{name} is not in the table of xtask/src/arrows.rs; add it there and in {PICTURE}"
        )];
    };
    depends_on
        .iter()
        .filter(|other| *other != "cb-core" && !allowed.contains(&other.as_str()))
        .map(|other| {
            if other == TESTKIT {
                format!("{name} -> {other}: the test kit is a dev-dependency only")
            } else {
                format!(
                    "{name} -> {other} is not an arrow of this house; {name} may know {}",
                    if allowed.is_empty() { "cb-core only".to_owned() } else { allowed.join(", ") }
                )
            }
        })
        .collect()
}

/// Reads `cb-x  words  -> a, b` lines out of the picture and holds them against [`ARROWS`].
fn compare(picture: &str) -> Vec<String> {
    let drawn: BTreeMap<&str, BTreeSet<String>> = picture
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once("->")?;
            let name = left.split_whitespace().next()?;
            let known = name == "cb" || name.starts_with("cb-");
            let full = |n: &str| format!("cb-{}", n.trim().trim_start_matches("cb-"));
            known.then(|| {
                (name, right.split(',').map(full).filter(|n| n != "cb-core" && n != "cb-nothing").collect())
            })
        })
        .collect();
    ARROWS
        .iter()
        .filter_map(|(name, allowed)| {
            let table: BTreeSet<String> = allowed.iter().map(|&n| n.to_owned()).collect();
            match drawn.get(name) {
                None => Some(format!("{PICTURE} has no line `{name} … -> …`")),
                Some(drawn) if *drawn != table => {
                    Some(format!("{PICTURE} draws {name} -> {drawn:?}, xtask/src/arrows.rs says {table:?}"))
                }
                Some(_) => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ARROWS, compare, judge};

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&n| n.to_owned()).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_named() {
        let breaches = judge("cb-store", &names(&["cb-core", "cb-vault", "cb-app"]));
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].starts_with("cb-store -> cb-app is not an arrow"), "{breaches:?}");
    }

    #[test]
    fn the_test_kit_is_never_shipped() {
        assert!(judge("cb-api", &names(&["cb-testkit"]))[0].contains("dev-dependency"));
    }

    #[test]
    fn a_crate_that_nobody_placed_is_named() {
        assert!(judge("cb-new", &[])[0].contains("not in the table"));
    }

    #[test]
    fn every_arrow_points_to_a_later_line() {
        for (place, (name, allowed)) in ARROWS.iter().enumerate() {
            for other in *allowed {
                let target = ARROWS.iter().position(|(n, _)| n == other);
                assert!(target.is_some_and(|t| t > place), "{name} -> {other} points up");
            }
        }
    }

    #[test]
    fn a_picture_that_says_something_else_is_told() {
        let picture = "cb-store  entities -> core, collect\n";
        assert!(compare(picture).iter().any(|b| b.contains("draws cb-store")));
        assert!(compare(picture).iter().any(|b| b.contains("no line `cb-app")));
    }
}
