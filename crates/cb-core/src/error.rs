//! The one error of a use case. One place (`cb_api::problem`) renders it as RFC 9457.

use std::time::Duration;

use serde::Serialize;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong with one field of an input. The reason is a whole sentence: it stands beside the field in a form, and after
/// its name in a log (`field: Reason.`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub field: String,
    pub reason: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not exist, or the caller may not know that it does.
    #[error("not found")]
    NotFound,
    /// No valid session or token.
    #[error("authentication is required")]
    Unauthenticated(String),
    /// The caller is known and may know the thing, but may not do this.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The caller must show a password or a second factor again before this.
    #[error("a fresh proof of identity is required")]
    ProofRequired,
    #[error("invalid input")]
    Invalid(Vec<FieldError>),
    /// The state of the thing does not permit it (already done, too many).
    #[error("conflict: {0}")]
    Conflict(String),
    /// A field holds a value that must be unique, and something else has it.
    #[error("conflict: {}", .0.reason)]
    Taken(FieldError),
    /// `If-Match` named a version that is no longer the current one.
    #[error("the version given is not the current one")]
    Stale,
    #[error("too many requests")]
    RateLimited { retry_after: Duration },
    /// Setup has not been completed: nothing but setup is reachable.
    #[error("setup is required")]
    SetupRequired,
    /// A part we depend on does not answer, or the server is stopping.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no room to save anything; reading goes on.
    #[error("storage is full: {0}")]
    StorageFull(String),
    /// It may have been done or not, and nobody can tell.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, reason)])
    }

    pub fn taken(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Taken(FieldError::new(field, reason))
    }

    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Collects what is wrong with an input, so that one answer names every field.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldError>);

impl Violations {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(FieldError::new(field, reason));
    }

    /// Notes `reason` for `field` unless `ok`.
    pub fn require(&mut self, ok: bool, field: &str, reason: &str) {
        if !ok {
            self.add(field, reason);
        }
    }

    pub fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
