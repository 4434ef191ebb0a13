//! What the command line says: answers on standard output, one line of trouble on standard error.

use std::io::Write as _;
use std::process::ExitCode;

/// Prints a line; a closed pipe is the reader's wish, not an error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line of trouble.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "cb: {}", text.replace('\n', " "));
}

pub fn fail(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}

pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}
