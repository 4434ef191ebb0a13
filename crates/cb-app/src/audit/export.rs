//! The audit log as CSV (RFC 4180), a page at a time: however long the log is, little of it is in memory.

use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::audit_entry::{self, Column as C};
use cb_store::sea_orm::{ColumnTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select};

use super::{EntryFilter, narrowed};
use crate::ctx::Ctx;

/// Entries in memory at one time. One can hold two notes of 20,000 characters, what was and what is.
const PAGE: u64 = 100;

const HEADER: &str = concat!(
    r#""seq","at","actor_kind","actor_id","actor_name","action","entity_kind","entity_id","detail","request_id","address","agent","#,
    r#""prev_hash","hash""#,
    "\r\n"
);

/// An export that is under way.
pub struct Export {
    ctx: Ctx,
    entries: Select<audit_entry::Entity>,
    begun: bool,
    after: i64,
    last: i64,
}

/// From the first entry to the one that is the last now: what is written meanwhile is not in it, so it has an end.
pub async fn export(ctx: &Ctx, q: Option<&str>, filter: &EntryFilter) -> Result<Export> {
    ctx.authorize(Permission::AuditRead)?;
    Ok(Export {
        entries: narrowed(q, filter)?.order_by_asc(C::Seq).limit(PAGE),
        last: ctx.store().audit_head().await?.map_or(0, |head| head.0),
        ctx: ctx.clone(),
        begun: false,
        after: i64::MIN,
    })
}

impl Export {
    /// The next part; none behind the last. It takes a while to read them all: whoever has lost the right meanwhile gets
    /// an error in place of the rest.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let app = self.ctx.app();
        if self.begun && !app.still_may(self.ctx.principal(), Permission::AuditRead).await? {
            return Err(Error::Unauthenticated("The session has ended; sign in and begin again".to_owned()));
        }
        let page = self.entries.clone().filter(C::Seq.gt(self.after)).filter(C::Seq.lte(self.last));
        let rows = page.all(self.ctx.store().reader()).await.map_err(db)?;
        let mut part = if self.begun { String::new() } else { HEADER.to_owned() };
        self.begun = true;
        for row in &rows {
            line(&mut part, row);
        }
        self.after = rows.last().map_or(self.last, |row| row.seq);
        Ok((!part.is_empty()).then_some(part))
    }
}

fn line(out: &mut String, row: &audit_entry::Model) {
    let none = String::new();
    let or_none = |text: &Option<String>| text.as_ref().unwrap_or(&none).clone();
    let cells = [
        row.seq.to_string(),
        row.at.clone(),
        row.actor_kind.clone(),
        or_none(&row.actor_id),
        row.actor_name.clone(),
        row.action.clone(),
        or_none(&row.entity_kind),
        or_none(&row.entity_id),
        row.detail.clone(),
        or_none(&row.request_id),
        or_none(&row.address),
        or_none(&row.agent),
        row.prev_hash.clone(),
        row.hash.clone(),
    ];
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        cell(out, text);
    }
    out.push_str("\r\n");
}

/// A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection"), and the log holds what
/// strangers on the network call themselves. With an apostrophe in front it is a text; spreadsheets do not show it.
const RUN_AS_FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What a reader may drop in front of a cell before it looks at it.
fn is_dropped(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '"' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Where a cell ends for a reader that was told, or guesses, another separator. It heeds a quote only where it sees a cell begin.
const ENDS_A_CELL: [char; 5] = [';', '\t', '|', '\n', '\r'];

/// Every cell is quoted, for those who take commas. Whatever another reader takes for a cell begins no formula either.
fn cell(out: &mut String, text: &str) {
    out.push('"');
    for part in text.split_inclusive(ENDS_A_CELL) {
        if part.trim_start_matches(is_dropped).starts_with(RUN_AS_FORMULA)
            || part.starts_with(['\t', '\r', '\n'])
        {
            out.push('\'');
        }
        out.push_str(&part.replace('"', "\"\""));
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{HEADER, cell};

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(&mut out, text);
        out
    }

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (text, wanted) in [
            ("", r#""""#),
            ("ada", r#""ada""#),
            ("{\"a\":1}", r#""{""a"":1}""#),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", r#""'=1+1""#),
            ("+1", r#""'+1""#),
            ("-1", r#""'-1""#),
            ("@SUM(A1)", r#""'@SUM(A1)""#),
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("a; b;=1", r#""a; b;'=1""#),
            ("a;\"=1", r#""a;'""=1""#),
            ("  =1", r#""'  =1""#),
            ("\u{feff}=1", "\"'\u{feff}=1\""),
            ("\u{a0}\u{200b}＝1", "\"'\u{a0}\u{200b}＝1\""),
            ("=HYPERLINK(\"http://x\",\"y\")", r#""'=HYPERLINK(""http://x"",""y"")""#),
            ("a=1", r#""a=1""#),
        ] {
            assert_eq!(written(text), wanted, "{text:?}");
        }
    }

    /// A reader as RFC 4180 has it, with another separator: a quote counts where a cell begins.
    fn read(text: &str, separator: char) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
                '"' if quoted || cell.is_empty() => quoted = !quoted,
                '\r' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
                c if c == separator && !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }

    #[test]
    fn no_cell_begins_a_formula_whatever_the_separator() {
        for evil in [
            "nas;=1+1",
            "nas\t=1+1",
            "nas,=1+1",
            "nas|=1+1",
            "nas \"\";=1+1",
            "a\";=1+1;\"b",
            "=1;=2",
            "a\n=1",
            ";@x",
            "a;\"=1+1",
            "a; \u{200b}=1",
            "a\r\n＝1",
        ] {
            let line = format!("{},{},{}\r\n", written("1"), written(evil), written("x"));
            for separator in [',', ';', '\t', '|'] {
                for cell in read(&line, separator) {
                    let begins = cell.trim_start().starts_with(super::RUN_AS_FORMULA);
                    assert!(!begins, "{evil:?} read with {separator:?}: {cell:?}");
                }
            }
        }
        assert!(HEADER.split(',').all(|name| name.trim_end().starts_with('"')));
    }
}
