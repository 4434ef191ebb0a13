//! A CSV file that is sent while it is made.

use std::fmt::Display;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use cb_app::csv::Parts;
use futures_util::{StreamExt as _, stream};
use http::header;

use crate::problem::Problem;

pub(super) async fn csv(name: impl Display, mut parts: impl Parts) -> Result<Response, Problem> {
    // What goes wrong at once still has a status of its own.
    let first = parts.next().await?;
    let rest = stream::try_unfold(parts, async |mut parts| match parts.next().await {
        Ok(part) => Ok(part.map(|part| (part, parts))),
        Err(error) => {
            // Logged where every error is. The connection is cut, so that half a file is not taken for a whole one.
            let _ = Problem::from(error);
            Err(std::io::Error::other("the export was cut off"))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    Ok((headers, body).into_response())
}
