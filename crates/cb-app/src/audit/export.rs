//! The audit log as CSV (RFC 4180), a page at a time: however long the log is, little of it is in memory.

use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::audit_entry::{self, Column as C};
use cb_store::sea_orm::{ColumnTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select};

use super::{EntryFilter, narrowed};
use crate::csv;
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
        last: ctx.store().durable_audit_head().await?.map_or(0, |head| head.0),
        ctx: ctx.clone(),
        begun: false,
        after: i64::MIN,
    })
}

impl csv::Parts for Export {
    /// The next part; none behind the last. It takes a while to read them all: whoever has lost the right meanwhile gets
    /// an error in place of the rest.
    async fn next(&mut self) -> Result<Option<String>> {
        let app = self.ctx.app();
        if self.begun && !app.still_may(self.ctx.principal(), Permission::AuditRead).await? {
            return Err(Error::Unauthenticated("The session has ended. Sign in and start again.".to_owned()));
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
    csv::line(out, &cells);
}

#[cfg(test)]
mod tests {
    use super::HEADER;

    #[test]
    fn the_names_of_the_columns_are_quoted() {
        assert!(HEADER.split(',').all(|name| name.trim_end().starts_with('"')));
    }
}
