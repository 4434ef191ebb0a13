//! `cb migrate`: brings the database to the schema of this version, before the servers of this version start.

use cb_app::Migrated;

use crate::{output, own_files};

pub async fn run() -> anyhow::Result<()> {
    let Migrated { from, to, steps } = cb_app::migrate(&own_files::settings()?).await?;
    let steps = format!("{steps} {}", if steps == 1 { "step" } else { "steps" });
    output::line(&match from {
        None => format!("The database was created with the schema {to}"),
        Some(from) if from == to => format!("The database already has the schema {to}; nothing was changed"),
        Some(from) => format!("The database was brought from the schema {from} to {to} ({steps})"),
    })
}
