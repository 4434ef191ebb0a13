//! Sites whose work nobody does.

use std::collections::BTreeSet;

use cb_store::entities::server;

use super::super::{Code, Degraded};
use super::{Sights, WORKS_NAMED};
use crate::replicas;

const START: &str = "Start a server with the role worker or all, without CB_SITE: cb serve --role worker.";

/// Whether a site that has work, or the whole installation, has no live worker.
pub(super) fn nobody_works(sights: &Sights<'_>) -> Vec<Degraded> {
    let Some(servers) = &sights.servers else { return Vec::new() };
    let workers = || servers.iter().filter(|(row, _)| replicas::works(row));
    let runs_at = |site: Option<&str>| workers().any(|(row, live)| *live && row.site.as_deref() == site);
    let somewhere = workers().any(|(_, live)| *live);
    // One that stopped in order has left no row.
    let killed_at = |site: Option<Option<&str>>| {
        let killed =
            workers().filter(|(row, live)| !live && site.is_none_or(|site| row.site.as_deref() == site));
        killed.max_by_key(|(row, _)| row.seen_at).map(|(row, _)| row)
    };
    let say = |what: String, means: String, fix: &str, last: Option<&server::Model>| Degraded {
        code: Code::NoWorker,
        what,
        why: last.map(|row| format!("The worker on {} has not been seen for half a minute.", row.host)),
        means,
        fix: format!("{fix} If one runs, its log says why it does not reach the database."),
        since: last.map(|row| row.seen_at),
        work: None,
    };
    let mut all = Vec::new();
    if !somewhere {
        all.push(say(
            "No worker runs.".to_owned(),
            "Scans and messages wait, and no periodic work is done, until a worker runs. Nothing that waits is lost.".to_owned(),
            START,
            killed_at(None),
        ));
    } else if !runs_at(None) {
        all.push(say(
            "No worker of the main site runs.".to_owned(),
            "Scans of the main site wait until one runs. The workers of the other sites send the messages and do the periodic work.".to_owned(),
            START,
            killed_at(Some(None)),
        ));
    }
    let killed = workers().filter_map(|(row, _)| row.site.as_deref());
    let sites: BTreeSet<_> = killed.chain(sights.waiting.iter().map(|(site, _)| site.as_str())).collect();
    for site in sites.into_iter().filter(|site| !runs_at(Some(site))).take(WORKS_NAMED) {
        let waiting = sights.waiting.iter().find(|(name, _)| name == site).map_or(0, |(_, count)| *count);
        let means = match waiting {
            0 => "Scans of this site wait until one runs.".to_owned(),
            1 => "One scan of this site waits until one runs.".to_owned(),
            count => format!("{count} scans of this site wait until one runs."),
        };
        all.push(say(
            format!("No worker of the site {site} runs."),
            means,
            "Start one at that site, with CB_SITE set to its name. If you have given the site up, stop its scans on the page Discovery.",
            killed_at(Some(Some(site))),
        ));
    }
    all
}
