//! What the command line says: answers on standard output, one line of trouble on standard error.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// Trouble that nobody reads is not waited for longer.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Prints a line of the answer. A closed pipe is the reader's wish; whatever else keeps it from being written is an error.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    answered(writeln!(out, "{text}").and_then(|()| out.flush()))
}

fn answered(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the result cannot be written to standard output"),
    }
}

/// Prints a line of trouble.
pub fn complain(text: &str) {
    let text = format!("{}\n", trouble(text));
    patiently(move || io::stderr().write_all(text.as_bytes()));
}

/// As a line of standard error says it.
pub fn trouble(text: &str) -> String {
    format!("cb: {}", text.replace('\n', " "))
}

pub fn fail(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}

pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&words(&error)),
    }
}

/// An error and what has led to it, without words that name only the kind of an error.
pub fn words(error: &anyhow::Error) -> String {
    let each = error.chain().map(|cause| match cause.downcast_ref::<cb_core::Error>() {
        Some(error) => error.plain(),
        None => cause.to_string(),
    });
    each.collect::<Vec<_>>().join(": ")
}

/// What is said of the arguments: help, the version, or what is wrong with them.
pub fn usage(said: clap::Error) -> ExitCode {
    let code = u8::try_from(said.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    if said.use_stderr() {
        patiently(move || said.print());
        return code;
    }
    match answered(said.print()) {
        Ok(()) => code,
        Err(error) => fail(&words(&error)),
    }
}

/// Standard error may be a pipe that nobody reads.
fn patiently(write: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let (done, written) = mpsc::channel();
    let writer = thread::Builder::new().spawn(move || {
        // There is nowhere left to say that it failed, and nobody waits any more when it was slow.
        let _ = write();
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = written.recv_timeout(PATIENCE);
    }
}
