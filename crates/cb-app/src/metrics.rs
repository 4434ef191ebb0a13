//! What `GET /metrics` tells: every figure of this server that Prometheus collects, in one place.
//!
//! To add a metric: count with a `cb_core::meter` beside the work, and write its family in the `metrics` function of its module
//! ([`Page`]); a new module needs a line in [`SOURCES`]. Its row in `docs/operations.md` says what it means; a test compares them.
//!
//! Invariants: names and labels are words of the program, never of a user, so their number has a bound; a family is told even
//! while it has no value; a scrape answers while the database does not, with what needs no database.
//! Counters count since their server started. What is read from the database is the same on every server that shares it. What each server
//! tells the others of itself ([`told`]) has the label `server`.
//!
//! Our own writer and not the `metrics` crates: see `docs/adr/0016-own-metrics.md`.

use std::pin::Pin;
use std::time::Duration;

use cb_core::meter::Counters;
use cb_core::{Permission, Result};
use cb_store::Storage;

use crate::app::App;
use crate::ctx::Ctx;
use crate::{jobs, notify, operations, reconcile, replicas, scans, storage};

mod page;
pub(crate) mod process;
pub(crate) mod told;

pub use page::{Family, Label, Page, Times, Value};
pub(crate) use told::ServerFigures;

type Read = for<'a> fn(&'a App, &'a mut Page) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

enum Source {
    /// Known to this process.
    Here(fn(&App, &mut Page)),
    /// Told by each live server of itself.
    Each(fn(&App, &mut Page, &[ServerFigures])),
    /// Read from the database. What such a source writes is left out as a whole when it fails.
    Database(&'static str, Read),
}

/// `async fn(&App, &mut Page) -> Result<()>`, as the table holds it.
macro_rules! database {
    ($name:literal, $read:path) => {
        Source::Database($name, |app, page| Box::pin($read(app, page)))
    };
}

/// Prometheus gives a scrape up after ten seconds. A question to the database may take some more.
const LONGEST: Duration = Duration::from_secs(5);

const SOURCES: &[Source] = &[
    Source::Here(process::metrics),
    Source::Here(storage::metrics),
    Source::Here(operations::metrics),
    Source::Each(operations::links),
    Source::Each(scans::counted),
    Source::Each(notify::worker::counted),
    database!("servers", replicas::metrics),
    database!("periodic", reconcile::metrics),
    database!("jobs", jobs::metrics),
    database!("scans", scans::metrics),
    database!("deliveries", notify::worker::metrics),
];

/// What this process counts for itself, beside the modules that have a place of their own for it.
pub(crate) struct Counts {
    pub scans_ended: Counters<4>,
    pub delivery_attempts: Counters<3>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            scans_ended: Counters::of(["completed", "partial", "cancelled", "failed"]),
            delivery_attempts: Counters::of(["delivered", "failed", "given_up"]),
        }
    }
}

/// All of it but what the edge counts.
pub async fn page(ctx: &Ctx) -> Result<Page> {
    ctx.authorize(Permission::MetricsRead)?;
    let app = ctx.app();
    let mut page = Page::default();
    let mut read = Vec::new();
    // One source that fails takes no other with it, and a scrape that waited long enough asks nothing more.
    let until = app.steady() + LONGEST;
    let may_ask = || *app.storage().borrow() != Storage::Away && app.steady() < until;
    let mut figures = vec![ServerFigures::own(app)];
    if may_ask() {
        match ServerFigures::others(app).await {
            Ok(others) => figures.extend(others),
            Err(error) => {
                tracing::warn!(%error, "metrics of the other servers cannot be read from the database");
            }
        }
    }
    for source in SOURCES {
        match source {
            Source::Here(tell) => tell(app, &mut page),
            Source::Each(tell) => tell(app, &mut page, &figures),
            Source::Database(name, tell) => {
                let length = page.len();
                let mut is_read = may_ask();
                if is_read && let Err(error) = tell(app, &mut page).await {
                    tracing::warn!(%error, source = name, "metrics cannot be read from the database");
                    page.cut(length);
                    is_read = false;
                }
                read.push((*name, is_read));
            }
        }
    }
    let mut sources = page.gauge(
        "cb_metrics_source_up",
        "1 if the metrics of this source were read from the database, 0 if they are missing from this scrape.",
    );
    for (name, up) in read {
        sources.value(&[("source", name)], up);
    }
    Ok(page)
}
