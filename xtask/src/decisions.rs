//! docs/adr: one page per decision, `NNNN-what.md`, numbered from 0001, headed `# N. What`.

use crate::repo::Repo;

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for (place, name) in repo.names("docs/adr")?.iter().enumerate() {
        let number = place + 1;
        if !name.starts_with(&format!("{number:04}-")) {
            breaches.push(format!("docs/adr/{name} should be number {number:04}"));
        }
        let text = repo.text(&format!("docs/adr/{name}"))?;
        if !text.starts_with(&format!("# {number}. ")) {
            breaches.push(format!("docs/adr/{name} should begin with `# {number}. …`"));
        }
        for part in ["**Context.**", "**Decision.**", "**Cost.**"] {
            if !text.contains(part) {
                breaches.push(format!("docs/adr/{name} has no paragraph {part}"));
            }
        }
    }
    Ok(breaches)
}
