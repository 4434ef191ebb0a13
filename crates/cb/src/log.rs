//! The server's log on standard error. Nobody who logs ever waits for whoever reads.
//!
//! A line goes into a bounded queue, and one thread writes it. Invariants: a line is written whole and in order, or it is
//! dropped; the queue has at most [`LINES_MOST`] lines and [`BYTES_MOST`] bytes; what was dropped is counted, and the log
//! says so itself, in the place of what is missing, as soon as it can be written again. A reader that is gone, a full disk and
//! a reader that sleeps neither stop the server nor keep it from stopping.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

const LINES_MOST: usize = 4096;
const BYTES_MOST: usize = 1024 * 1024;
/// So often a log that cannot be written is tried again while nothing else is to be written.
const AGAIN: Duration = Duration::from_secs(1);
/// Where a write would block although it may not (the descriptor belongs to others as well), it is tried again so soon.
const FULL: Duration = Duration::from_millis(20);

/// Where lines are left. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write.
    work: Condvar,
    /// There is nothing to write.
    rest: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines that found no room, behind the last that did.
    refused: u64,
    /// Until it is half empty again nothing more comes in: a gap is told once, not behind every other line.
    overflown: bool,
    busy: bool,
}

struct Line {
    /// Lines before this one that found no room.
    refused: u64,
    text: Vec<u8>,
}

impl Queue {
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.lines.len() <= LINES_MOST / 2 && self.bytes <= BYTES_MOST / 2 {
            self.overflown = false;
        }
        let room = !self.overflown && self.lines.len() < LINES_MOST && self.bytes + bytes <= BYTES_MOST;
        self.overflown = !room;
        room
    }
}

impl Shared {
    /// Never held while anything is written.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Over standard error. What others write there directly shares no lock with it.
    pub fn open() -> io::Result<Self> {
        let shape = if io::stderr().is_terminal() { Shape::Terminal } else { Shape::Json };
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(own) => Self::over(File::from(own), shape),
            Err(_) => Self::over(io::stderr(), shape),
        }
    }

    fn over(to: impl Write + Send + 'static, shape: Shape) -> io::Result<Self> {
        let log = Self(Arc::default());
        let writer = Writer { shared: log.0.clone(), to, shape, torn: false, lost: Lost::default() };
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(log)
    }

    /// From here on everything that is traced, and every panic, is a line of this log.
    pub fn install(&self, filter: EnvFilter) -> anyhow::Result<()> {
        let log = self.clone();
        let shape = if io::stderr().is_terminal() { Shape::Terminal } else { Shape::Json };
        shape.dispatch(filter, move || log.clone()).try_init()?;
        std::panic::set_hook(Box::new(broke_down));
        Ok(())
    }

    /// A line of words, with its line break.
    pub fn line(&self, text: &str) {
        self.push(format!("{}\n", text.replace('\n', " ")).into_bytes());
    }

    fn push(&self, text: Vec<u8>) {
        let mut queue = self.0.queue();
        if queue.has_room(text.len()) {
            let refused = std::mem::take(&mut queue.refused);
            queue.bytes += text.len();
            queue.lines.push_back(Line { refused, text });
        } else {
            queue.refused = queue.refused.saturating_add(1);
        }
        queue.busy = true;
        drop(queue);
        self.0.work.notify_one();
    }

    /// Waits until everything is written or given up, at most `patience`.
    pub fn drain(&self, patience: Duration) {
        let queue = self.0.queue();
        // Whether in time or not: the process ends.
        let _ = self.0.rest.wait_timeout_while(queue, patience, |queue| queue.busy);
    }
}

impl Write for Log {
    /// A whole line at a time, as `tracing_subscriber` formats it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How lines look.
#[derive(Clone, Copy)]
enum Shape {
    Terminal,
    Json,
}

impl Shape {
    fn dispatch<W>(self, filter: EnvFilter, to: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        // Left to itself it tells errors of its own by `eprintln!`, which panics when standard error cannot be written.
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(to).log_internal_errors(false);
        match self {
            Shape::Terminal => builder.with_target(false).finish().into(),
            Shape::Json => builder.json().finish().into(),
        }
    }

    /// The line that stands for those that were lost.
    fn gap(self, lost: &Lost) -> Vec<u8> {
        // Without a thread: what is left there stays there.
        let page = Log(Arc::default());
        let to = page.clone();
        let dispatch = self.dispatch(EnvFilter::new("warn"), move || to.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::warn!(dropped = lost.lines(), "{}", lost.said());
        });
        let line = page.0.queue().lines.pop_front();
        line.map(|line| line.text).unwrap_or_default()
    }
}

/// Lines that were dropped and are not told yet.
#[derive(Default)]
struct Lost {
    /// They found no room.
    unread: u64,
    /// They could not be written.
    unwritten: u64,
    /// Why not, the last time.
    error: String,
}

impl Lost {
    fn lines(&self) -> u64 {
        self.unread.saturating_add(self.unwritten)
    }

    fn said(&self) -> String {
        let count = |n: u64| if n == 1 { "1 line".to_owned() } else { format!("{n} lines") };
        let were = |n: u64| if n == 1 { "was" } else { "were" };
        let failed = format!("standard error could not be written ({})", self.error);
        let lines = self.lines();
        let head = format!("{} of the log {} dropped here because", count(lines), were(lines));
        match (self.unread, self.unwritten) {
            (_, 0) => format!("{head} standard error was read too slowly, or not at all"),
            (0, _) => format!("{head} {failed}"),
            (unread, unwritten) => {
                format!("{head} standard error was read too slowly ({unread}) and {failed} ({unwritten})")
            }
        }
    }
}

/// The thread that writes, and that alone may wait.
struct Writer<W> {
    shared: Arc<Shared>,
    to: W,
    shape: Shape,
    /// The end of a line could not be written.
    torn: bool,
    lost: Lost,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        loop {
            let line = self.next();
            self.lost.unread = self.lost.unread.saturating_add(line.refused);
            let told = self.tell();
            if line.text.is_empty() {
                continue;
            }
            if let Err(error) = told.and_then(|()| self.write(&line.text)) {
                self.lost.unwritten = self.lost.unwritten.saturating_add(1);
                self.lost.error = error.to_string();
            }
        }
    }

    /// The next line, waiting for it. Without words it only says that something is to be told.
    fn next(&self) -> Line {
        let mut queue = self.shared.queue();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.text.len();
                return line;
            }
            if queue.refused > 0 {
                return Line { refused: std::mem::take(&mut queue.refused), text: Vec::new() };
            }
            queue.busy = false;
            self.shared.rest.notify_all();
            if self.lost.lines() == 0 {
                queue = self.shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else {
                let waited = self.shared.work.wait_timeout_while(queue, AGAIN, |queue| !queue.busy);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !queue.busy {
                    return Line { refused: 0, text: Vec::new() };
                }
            }
        }
    }

    /// Tells what was lost, if anything was.
    fn tell(&mut self) -> io::Result<()> {
        if self.lost.lines() > 0 {
            let gap = self.shape.gap(&self.lost);
            self.write(&gap)?;
            self.lost = Lost::default();
        }
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.some(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            match self.some(left) {
                Ok(written) => left = &left[written..],
                Err(error) => {
                    self.torn = left.len() < line.len();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.to.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL),
                done => return done,
            }
        }
    }
}

/// In place of the hook of the standard library, which writes to standard error itself and waits for its reader.
fn broke_down(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("(no text)");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let here = thread::current();
    let thread = here.name().unwrap_or_default();
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(at, thread, %backtrace, "a part of the server failed unexpectedly: {text}");
    } else {
        tracing::error!(at, thread, "a part of the server failed unexpectedly: {text}");
    }
}

#[cfg(test)]
mod tests;
