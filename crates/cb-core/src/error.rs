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

/// A clause as a whole sentence: what is also said in the middle of another one, such as why a request is not sent.
pub fn sentence(clause: impl std::fmt::Display) -> String {
    let clause = clause.to_string();
    let mut letters = clause.chars();
    let first = letters.next().unwrap_or('.');
    // An address that it begins with stays as it is.
    let word = clause.split(' ').next().is_some_and(|word| word.chars().all(char::is_alphabetic));
    let first = if word { first.to_uppercase().to_string() } else { first.to_string() };
    let stop = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
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

    /// Whether the same thing may well succeed later, because something that the server depends on is away or full, or does not say what
    /// it has done.
    pub fn is_outage(&self) -> bool {
        self.outage().is_some()
    }

    /// What it tells, of something that the server depends on: for a sentence that says more than the kind of the error.
    pub fn outage(&self) -> Option<&str> {
        match self {
            Self::Unavailable(why) | Self::StorageFull(why) | Self::OutcomeUnknown(why) => Some(why),
            _ => None,
        }
    }

    /// For a person at a terminal: what it says, without its kind.
    pub fn plain(&self) -> String {
        match self {
            Self::Invalid(fields) => {
                let said: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.reason)).collect();
                said.join(" ")
            }
            Self::Conflict(why)
            | Self::Taken(FieldError { reason: why, .. })
            | Self::Denied(why)
            | Self::Unavailable(why)
            | Self::StorageFull(why)
            | Self::OutcomeUnknown(why) => why.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the server is to blame, or what it depends on, and not the request.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::StorageFull(_) | Self::OutcomeUnknown(_) | Self::Internal(_)
        )
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

    /// Whether something is wrong with `field`.
    pub fn names(&self, field: &str) -> bool {
        self.0.iter().any(|wrong| wrong.field == field)
    }

    pub fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
