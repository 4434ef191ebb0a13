//! The inventory as CSV, in the words that the pages show, a page at a time: however many assets there are, few are in memory.

use cb_core::inventory::{AssetKind, AssetStatus};
use cb_core::{Error, Permission, Result};

use super::product::product_name;
use super::{AssetFilter, AssetOut, list};
use crate::csv;
use crate::ctx::Ctx;
use crate::page::List;

/// Assets in memory at one time.
const PAGE: u64 = 500;

type Cell = fn(&AssetOut) -> String;

/// The name in the query, the words above the column, and a cell.
const COLUMNS: &[(&str, &str, Cell)] = &[
    ("name", "Name", |asset| asset.name.clone()),
    ("status", "Status", |asset| status_word(asset.status).to_owned()),
    ("address", "Addresses", |asset| asset.addresses.join(" ")),
    ("role", "Kind", |asset| {
        asset.role.as_deref().map_or_else(|| kind_word(asset.kind).to_owned(), role_words)
    }),
    ("vendor", "Vendor and model", |asset| product_name(asset.vendor.as_deref(), asset.model.as_deref())),
    ("os", "System", |asset| asset.os.clone().unwrap_or_default()),
    ("tags", "Tags", |asset| asset.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>().join(", ")),
    ("last_seen_at", "Last seen", |asset| {
        asset.last_seen_at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
    }),
    ("notes", "Notes", |asset| asset.notes.clone()),
];

/// An export that is under way.
pub struct Export {
    ctx: Ctx,
    filter: AssetFilter,
    list: List,
    columns: Vec<&'static (&'static str, &'static str, Cell)>,
    begun: bool,
    over: bool,
}

/// `columns` are names of columns with commas between them; all, when there are none.
pub fn export(
    ctx: &Ctx,
    q: Option<String>,
    sort: Option<String>,
    columns: Option<&str>,
    filter: AssetFilter,
) -> Result<Export> {
    ctx.authorize(Permission::InventoryRead)?;
    let columns = match columns.filter(|text| !text.is_empty()) {
        None => COLUMNS.iter().collect(),
        Some(text) => text.split(',').map(column).collect::<Result<_>>()?,
    };
    let list = List { limit: Some(PAGE), cursor: None, sort, q };
    Ok(Export { ctx: ctx.clone(), filter, list, columns, begun: false, over: false })
}

fn column(name: &str) -> Result<&'static (&'static str, &'static str, Cell)> {
    COLUMNS.iter().find(|column| column.0 == name).ok_or_else(|| {
        let known: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
        Error::invalid("columns", format!("Use these names, with commas between them: {}.", known.join(", ")))
    })
}

impl csv::Parts for Export {
    /// The next part; none behind the last. Whoever has lost the right meanwhile gets an error in place of the rest.
    async fn next(&mut self) -> Result<Option<String>> {
        if self.over {
            return Ok(None);
        }
        let app = self.ctx.app();
        if self.begun && !app.still_may(self.ctx.principal(), Permission::InventoryRead).await? {
            return Err(Error::Unauthenticated("The session has ended. Sign in and start again.".to_owned()));
        }
        let page = list(&self.ctx, &self.list, &self.filter).await?;
        let mut part = String::new();
        if !self.begun {
            // A spreadsheet takes a file without this mark for another encoding.
            part.push('\u{feff}');
            csv::line(&mut part, &self.columns.iter().map(|column| column.1).collect::<Vec<_>>());
        }
        for asset in &page.items {
            csv::line(&mut part, &self.columns.iter().map(|column| column.2(asset)).collect::<Vec<_>>());
        }
        self.begun = true;
        self.over = page.next_cursor.is_none();
        self.list.cursor = page.next_cursor;
        Ok(Some(part))
    }
}

fn status_word(status: AssetStatus) -> &'static str {
    match status {
        AssetStatus::Up => "Up",
        AssetStatus::Degraded => "Degraded",
        AssetStatus::Down => "Down",
        AssetStatus::NotSeen => "Not seen",
        AssetStatus::Unknown => "Unknown",
        AssetStatus::Maintenance => "Maintenance",
    }
}

fn kind_word(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Device => "Device",
        AssetKind::Compute => "Compute",
        AssetKind::Service => "Service",
        AssetKind::Storage => "Storage",
        AssetKind::Cluster => "Cluster",
        AssetKind::External => "External",
        AssetKind::Other => "Other",
    }
}

/// `access_point` is "Access point", and `nas` is "NAS", as `roleName` of the client has it.
fn role_words(role: &str) -> String {
    match role {
        "nas" | "tv" | "vm" | "ups" => role.to_uppercase(),
        "iot" => "IoT".to_owned(),
        _ => {
            let words = role.replace(['_', '-'], " ");
            let mut letters = words.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's words, so that the file says what the page shows.
    const WORDS: &str = include_str!("../../../../web/src/i18n/en/inventory.json");

    #[test]
    fn the_words_are_those_of_the_pages() {
        let words: serde_json::Value = serde_json::from_str(WORDS).expect("JSON");
        for kind in AssetKind::ALL {
            assert_eq!(words["kind"][kind.as_str()], kind_word(*kind));
        }
        for status in AssetStatus::ALL {
            assert_eq!(words["status"][status.as_str()], status_word(*status));
        }
        // The column of the page, by its name in the query, and the key of the words above it.
        for (name, key) in [
            ("name", "name"),
            ("status", "status"),
            ("address", "addresses"),
            ("role", "kind"),
            ("vendor", "product"),
            ("tags", "tags"),
            ("last_seen_at", "lastSeen"),
        ] {
            assert_eq!(words["asset"][key], column(name).expect("a column").1);
        }
        assert_eq!(
            ["access-point", "access_point", "nas", "iot"].map(role_words),
            ["Access point", "Access point", "NAS", "IoT"]
        );
    }
}
