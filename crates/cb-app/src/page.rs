//! Lists: bounded pages behind an opaque cursor. A page continues behind the last row's sort value and
//! id, so rows that come and go never shift what follows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_core::{Error, Result, objects};
use cb_store::db;
use cb_store::sea_orm::sea_query::{
    Expr, ExprTrait as _, NullOrdering, Order, SimpleExpr, SubQueryStatement,
};
use cb_store::sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoSimpleExpr as _,
    ModelTrait, QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _, Select,
    Value,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

const DEFAULT: u64 = 50;
pub(crate) const MOST: u64 = 500;
/// Longest search text.
pub(crate) const Q_MAX: usize = 200;

/// What every list may be asked.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// 1 to 500; 50 if absent.
    pub limit: Option<u64>,
    pub cursor: Option<String>,
    /// The field to sort by; a leading `-` sorts in descending order.
    pub sort: Option<String>,
    /// Words to search for.
    pub q: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor for the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// The total number; only on the first page.
    #[schema(required)]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    pub fn map<U>(self, with: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(with).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The sort that it belongs to.
    s: String,
    /// The last row's value; null sorts last.
    v: Option<String>,
    id: Uuid,
}

impl List {
    /// [`patterns`] of this list's `q`.
    pub(crate) fn patterns(&self) -> Result<Vec<String>> {
        patterns(self.q.as_deref())
    }

    fn limit(&self) -> Result<u64> {
        match self.limit.unwrap_or(DEFAULT) {
            limit @ 1..=MOST => Ok(limit),
            _ => Err(Error::invalid("limit", format!("Use a number from 1 to {MOST}."))),
        }
    }

    /// Which of `sorts` is wanted, and whether descending.
    fn order<'a, C>(
        &self,
        sorts: &'a [(&'static str, C)],
        default: &str,
    ) -> Result<(&'a (&'static str, C), bool)> {
        let text = self.sort.as_deref().filter(|s| !s.is_empty()).unwrap_or(default);
        let (name, down) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let known = sorts.iter().find(|s| s.0 == name).ok_or_else(|| {
            let names: Vec<&str> = sorts.iter().map(|s| s.0).collect();
            Error::invalid(
                "sort",
                format!("Use one of these: {}. A - in front sorts in descending order.", names.join(", ")),
            )
        })?;
        Ok((known, down))
    }

    fn cursor(&self, sort: &str) -> Result<Option<Cursor>> {
        let Some(text) = self.cursor.as_deref().filter(|c| !c.is_empty()) else { return Ok(None) };
        let cursor = URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| objects::from_slice::<Cursor>(&bytes).ok())
            // PostgreSQL's text has no room for it. What is in an address is looked at by the edge, which cannot see in here.
            .filter(|c| c.s == sort && !c.v.as_deref().is_some_and(|text| text.contains('\0')))
            .ok_or_else(|| {
                Error::invalid(
                    "cursor",
                    "This cursor does not belong to this list in this order. Start without a cursor.",
                )
            })?;
        Ok(Some(cursor))
    }
}

/// The words of `q`, lower-case.
pub(crate) fn words(q: Option<&str>) -> Result<Vec<String>> {
    let q = q.unwrap_or_default();
    if q.chars().count() > Q_MAX {
        return Err(Error::invalid("q", format!("Use at most {Q_MAX} characters.")));
    }
    Ok(q.to_lowercase().split_whitespace().take(8).map(str::to_owned).collect())
}

/// [`words`], each as a pattern for `LIKE … ESCAPE '\'`.
pub(crate) fn patterns(q: Option<&str>) -> Result<Vec<String>> {
    Ok(words(q)?.iter().map(|word| anywhere(word)).collect())
}

/// A `LIKE` pattern that finds `word` anywhere.
pub(crate) fn anywhere(word: &str) -> String {
    format!("%{}%", escaped(word))
}

/// A `LIKE` pattern for what begins with `word`.
pub(crate) fn begins(word: &str) -> String {
    format!("{}%", escaped(word))
}

/// `word` with its wildcards as plain characters.
fn escaped(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len() + 2);
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// `lower(expr) LIKE pattern`, with `\` as the escape on both databases.
pub(crate) fn contains(expr: impl Into<SimpleExpr>, pattern: &str) -> SimpleExpr {
    use cb_store::sea_orm::sea_query::{Func, LikeExpr};
    Expr::expr(Func::lower(expr.into())).like(LikeExpr::new(pattern).escape('\\'))
}

/// How a sort column's values travel in a cursor.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Time,
    Number,
}

/// What a list can be sorted by.
pub(crate) struct Sort<E: EntityTrait> {
    by: By<E>,
    kind: Kind,
}

enum By<E: EntityTrait> {
    Column(E::Column),
    /// A text that the database derives, from several columns or from another table.
    Derived(SimpleExpr),
}

impl<E: EntityTrait> Sort<E> {
    pub const fn text(column: E::Column) -> Self {
        Self { by: By::Column(column), kind: Kind::Text }
    }

    pub const fn time(column: E::Column) -> Self {
        Self { by: By::Column(column), kind: Kind::Time }
    }

    pub const fn number(column: E::Column) -> Self {
        Self { by: By::Column(column), kind: Kind::Number }
    }

    pub const fn derived(expr: SimpleExpr) -> Self {
        Self { by: By::Derived(expr), kind: Kind::Text }
    }

    fn expr(&self) -> SimpleExpr {
        match &self.by {
            By::Column(column) => column.into_simple_expr(),
            By::Derived(expr) => expr.clone(),
        }
    }

    /// A row's own value, as a cursor carries it.
    fn value(&self, row: &Row<E::Model>) -> Option<String>
    where
        E::Model: ModelTrait<Entity = E>,
    {
        match &self.by {
            By::Column(column) => match row.model.get(*column) {
                Value::String(text) => text,
                Value::Int(number) => number.map(|n| n.to_string()),
                Value::ChronoDateTimeUtc(time) => time.map(|t| t.to_rfc3339()),
                _ => None,
            },
            By::Derived(_) => row.place.clone(),
        }
    }
}

/// Runs `select` as one page of `list`. `sorts` names the columns it can be sorted by.
pub(crate) async fn page<E>(
    conn: &impl ConnectionTrait,
    select: Select<E>,
    list: &List,
    id: E::Column,
    sorts: &[(&'static str, Sort<E>)],
    default: &str,
) -> Result<Page<E::Model>>
where
    E: EntityTrait,
    E::Column: ColumnTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let limit = list.limit()?;
    // Also where nothing is searched.
    list.patterns()?;
    let ((name, sort), down) = list.order(sorts, default)?;
    let sort_name = format!("{}{name}", if down { "-" } else { "" });
    let cursor = list.cursor(&sort_name)?;
    let first = cursor.is_none();
    let all = first.then(|| select.clone());
    let direction = if down { Order::Desc } else { Order::Asc };
    let mut query = select
        .order_by_with_nulls(sort.expr(), direction.clone(), NullOrdering::Last)
        .order_by(id, direction)
        .limit(limit + 1);
    if let Some(cursor) = cursor {
        query = query.filter(behind(sort, id, down, &cursor)?);
    }
    if let Some(all) = all {
        query = query.expr_as(how_many(all, id), TOTAL);
    }
    if let By::Derived(expr) = &sort.by {
        query = query.expr_as(expr.clone(), PLACE);
    }
    let mut rows = query.into_model::<Row<E::Model>>().all(conn).await.map_err(db)?;
    // No row at all, and so none with a total, is a total of zero.
    let total = first.then(|| rows.first().and_then(|r| r.total).unwrap_or(0));
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next_cursor =
        if more { rows.last().and_then(|last| cursor_of(last, &sort_name, sort, id)) } else { None };
    let items = rows.into_iter().map(|r| r.model).collect();
    Ok(Page { items, next_cursor, total })
}

const TOTAL: &str = "cb_total";
const PLACE: &str = "cb_place";

/// A row, with the total when that was asked for: one query for both, since going to the database costs more than
/// what it does there.
struct Row<M> {
    model: M,
    total: Option<u64>,
    /// What the row is sorted by, when the database derives it.
    place: Option<String>,
}

impl<M: FromQueryResult> FromQueryResult for Row<M> {
    fn from_query_result(row: &QueryResult, prefix: &str) -> std::result::Result<Self, DbErr> {
        let total: Option<i64> = row.try_get_nullable(prefix, TOTAL)?;
        Ok(Self {
            model: M::from_query_result(row, prefix)?,
            total: total.and_then(|n| u64::try_from(n).ok()),
            place: row.try_get_nullable(prefix, PLACE)?,
        })
    }
}

/// Counts ids, so that the database need not look at the rows.
fn how_many<E: EntityTrait>(all: Select<E>, id: E::Column) -> SimpleExpr {
    let count = all.select_only().column_as(id.count(), TOTAL).into_query();
    SubQueryStatement::from(count).into()
}

/// The rows behind the cursor's.
fn behind<E: EntityTrait>(sort: &Sort<E>, id: E::Column, down: bool, cursor: &Cursor) -> Result<Condition> {
    let later = if down { id.lt(cursor.id) } else { id.gt(cursor.id) };
    let Some(text) = &cursor.v else {
        return Ok(Condition::all().add(sort.expr().is_null()).add(later));
    };
    let damaged = || Error::invalid("cursor", "This cursor is damaged. Start without a cursor.");
    let value: Value = match sort.kind {
        Kind::Text => text.clone().into(),
        Kind::Time => chrono::DateTime::parse_from_rfc3339(text).map_err(|_| damaged())?.to_utc().into(),
        Kind::Number => text.parse::<i32>().map_err(|_| damaged())?.into(),
    };
    let beyond = if down { sort.expr().lt(value.clone()) } else { sort.expr().gt(value.clone()) };
    Ok(Condition::any()
        .add(beyond)
        .add(sort.expr().is_null())
        .add(Condition::all().add(sort.expr().eq(value)).add(later)))
}

fn cursor_of<E: EntityTrait>(
    row: &Row<E::Model>,
    sort_name: &str,
    sort: &Sort<E>,
    id: E::Column,
) -> Option<String>
where
    E::Model: ModelTrait<Entity = E>,
{
    let v = sort.value(row);
    let Value::Uuid(Some(id)) = row.model.get(id) else { return None };
    let cursor = Cursor { s: sort_name.to_owned(), v, id };
    Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).ok()?))
}

#[cfg(test)]
mod tests {
    use super::anywhere;

    #[test]
    fn wildcards_in_a_search_are_plain_characters() {
        assert_eq!(anywhere(r"50%_\"), r"%50\%\_\\%");
    }
}
