//! The one renderer of errors: RFC 9457 `application/problem+json`.

use axum::response::{IntoResponse, Response};
use cb_core::error::sentence;
use cb_core::{Error, FieldError};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong and what to do about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/<kind>`: identifies the kind of problem for programs.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The ID of the request in the server's log.
    #[schema(value_type = String)]
    request_id: Box<str>,
    /// Each field of the input that is wrong, or whose value something else already has. The reason is a whole sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// Marks a response whose status looks like an error and is what was asked for: it keeps its body.
#[derive(Debug, Clone, Copy)]
pub struct Answered;

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldProblem {
    pub field: String,
    pub reason: String,
}

impl Problem {
    /// `kind` is the last part of the type's path.
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            request_id: Box::default(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The answer to a request that names no place.
    pub fn not_found() -> Self {
        Self::from(Error::NotFound)
    }

    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::from(Error::invalid(field, reason))
    }

    fn with(mut self, fields: Vec<FieldError>) -> Self {
        debug_assert!(
            fields.iter().all(|f| f.reason == sentence(&f.reason)),
            "no whole sentence: {fields:?}"
        );
        self.errors = fields.into_iter().map(|f| FieldProblem { field: f.field, reason: f.reason }).collect();
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it says that the database has not saved anything, and that the same request can be sent again.
    pub fn says_not_done(&self) -> bool {
        matches!(self.kind.as_str(), "/problems/unavailable" | "/problems/storage_full")
    }

    /// The body, once the request is known.
    pub fn body(&self, request_id: &str) -> Vec<u8> {
        let named = Self { request_id: request_id.into(), ..self.clone() };
        serde_json::to_vec(&named).unwrap_or_default()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let plain = |status, kind, detail: String| Self::new(status, kind, detail);
        match error {
            Error::NotFound => plain(
                StatusCode::NOT_FOUND,
                "not_found",
                "This does not exist, or you do not have access to it.".to_owned(),
            ),
            Error::Unauthenticated(detail) => plain(StatusCode::UNAUTHORIZED, "unauthenticated", detail),
            Error::Denied(detail) => plain(StatusCode::FORBIDDEN, "denied", detail),
            Error::ProofRequired => plain(
                StatusCode::FORBIDDEN,
                "proof_required",
                "Confirm your identity first with your password or second factor: POST /auth/proof"
                    .to_owned(),
            ),
            Error::Invalid(fields) => {
                let said = fields.iter().map(|f| format!("{}: {}", f.field, f.reason)).collect::<Vec<_>>();
                plain(StatusCode::UNPROCESSABLE_ENTITY, "invalid", said.join(" ")).with(fields)
            }
            Error::Conflict(detail) => plain(StatusCode::CONFLICT, "conflict", detail),
            Error::Taken(field) => {
                plain(StatusCode::CONFLICT, "conflict", field.reason.clone()).with(vec![field])
            }
            Error::Stale => plain(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "Someone else has changed this since you read it. Read it again.".to_owned(),
            ),
            Error::RateLimited { retry_after } => {
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
                let wait = if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") };
                let mut problem = plain(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limited",
                    format!("Too many attempts. Wait {wait} and try again."),
                );
                problem.retry_after = Some(seconds);
                problem
            }
            Error::SetupRequired => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "setup_required",
                "Setup has not been completed. Open the address that the server printed.".to_owned(),
            ),
            Error::Unavailable(detail) => {
                let mut problem = plain(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
                problem.retry_after = Some(2);
                problem
            }
            Error::StorageFull(detail) => {
                let mut problem = plain(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail);
                problem.retry_after = Some(10);
                problem
            }
            // No Retry-After: it might be done twice.
            Error::OutcomeUnknown(detail) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", detail)
            }
            Error::Internal(detail) => {
                // The only place that logs it, and the only error that is logged as one.
                tracing::error!(detail, "internal error");
                plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "The server failed unexpectedly. Its log contains the details under this request ID."
                        .to_owned(),
                )
            }
        }
    }
}

/// The problem travels beside the response; the edge writes the body when it knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cb_core::Error;

    use super::Problem;

    #[test]
    fn a_wait_is_told_in_words() {
        for (seconds, says) in [
            (0, "Too many attempts. Wait 1 second and try again."),
            (1, "Too many attempts. Wait 1 second and try again."),
            (90, "Too many attempts. Wait 90 seconds and try again."),
        ] {
            let told = Problem::from(Error::RateLimited { retry_after: Duration::from_secs(seconds) });
            assert_eq!(told.detail, says);
        }
    }
}
