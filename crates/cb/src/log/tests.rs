use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

use super::{BYTES_MOST, LINES_MOST, Log, Shape, broke_down};

/// A reader that sleeps, or is gone, when a test says so.
#[derive(Clone, Default)]
struct Reader(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    read: Vec<u8>,
    asleep: bool,
    /// A writer waits.
    waits: bool,
    /// After so many more bytes nothing can be written.
    room: Option<usize>,
}

impl Reader {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().expect("lock"));
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().expect("lock").read.clone()).expect("text")
    }

    /// Waits until the log's thread hangs in a write.
    fn until_it_hangs(&self) {
        let waits = self.0.0.lock().expect("lock");
        drop(self.0.1.wait_while(waits, |state| !state.waits).expect("lock"));
    }

    fn until(&self, what: &str) {
        let began = Instant::now();
        while !self.text().contains(what) {
            assert!(began.elapsed() < Duration::from_secs(10), "not there: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock().expect("lock");
        while state.asleep {
            state.waits = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).expect("lock");
        }
        state.waits = false;
        let some = bytes.len().min(state.room.unwrap_or(usize::MAX)).min(7);
        if some == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        if let Some(room) = &mut state.room {
            *room -= some;
        }
        state.read.extend_from_slice(&bytes[..some]);
        Ok(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open() -> (Log, Reader) {
    let reader = Reader::default();
    (Log::over(reader.clone(), Shape::Json).expect("a thread"), reader)
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn lines_of_many_threads_are_whole() {
    let (log, reader) = open();
    thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || (0..200).for_each(|n| log.line(&format!("{thread}/{n}."))));
        }
    });
    log.drain(SOON);
    let text = reader.text();
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.ends_with('.')), "{text}");
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 1600);
}

#[test]
fn a_reader_that_sleeps_stops_nobody_and_is_told_what_it_missed() {
    let (log, reader) = open();
    reader.set(|state| state.asleep = true);
    log.line("first");
    reader.until_it_hangs();
    let began = Instant::now();
    for n in 0..3 * LINES_MOST {
        log.line(&format!("line {n}."));
    }
    log.drain(Duration::from_millis(50));
    assert!(began.elapsed() < Duration::from_secs(5));
    {
        let queue = log.0.queue();
        assert!(queue.lines.len() <= LINES_MOST && queue.bytes <= BYTES_MOST);
        assert_eq!(queue.refused, u64::try_from(2 * LINES_MOST).expect("few"));
    }
    reader.set(|state| state.asleep = false);
    log.drain(SOON);
    log.line("last");
    log.drain(SOON);
    let text = reader.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + LINES_MOST + 1 + 1);
    assert_eq!(lines[LINES_MOST], format!("line {}.", LINES_MOST - 1));
    let gap: serde_json::Value = serde_json::from_str(lines[LINES_MOST + 1]).expect("JSON");
    assert_eq!(gap["level"], "WARN");
    assert_eq!(gap["fields"]["dropped"], 2 * LINES_MOST);
    let said =
        "8192 lines of the log were dropped here because standard error was read too slowly, or not at all";
    assert_eq!(gap["fields"]["message"], said);
    assert_eq!(lines[LINES_MOST + 2], "last");
}

#[test]
fn bytes_are_bounded_and_a_line_that_is_longer_than_all_of_them_is_counted() {
    let (log, reader) = open();
    reader.set(|state| state.asleep = true);
    log.line("first");
    reader.until_it_hangs();
    for _ in 0..40 {
        log.line(&"x".repeat(BYTES_MOST / 20));
    }
    assert!(log.0.queue().bytes <= BYTES_MOST);
    reader.set(|state| state.asleep = false);
    log.drain(SOON);
    assert!(reader.text().contains(r#""dropped":21"#), "{}", reader.text().replace('x', ""));
    log.line(&"y".repeat(BYTES_MOST));
    log.drain(SOON);
    assert!(reader.text().contains("1 line of the log was dropped here because"));
    assert!(!reader.text().contains("yy"));
}

#[test]
fn what_cannot_be_written_is_counted_and_told_as_soon_as_it_can() {
    let (log, reader) = open();
    log.line("before");
    log.drain(SOON);
    // In the middle of a line.
    reader.set(|state| state.room = Some(3));
    let began = Instant::now();
    for n in 0..50 {
        log.line(&format!("line {n}."));
    }
    log.drain(SOON);
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for a log that cannot be written");
    assert_eq!(reader.text(), "before\nlin");
    reader.set(|state| state.room = None);
    // By itself: nothing else is logged.
    reader.until("50 lines");
    log.line("after");
    log.drain(SOON);
    let text = reader.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!((lines[0], lines[1], lines[3]), ("before", "lin", "after"));
    let gap: serde_json::Value = serde_json::from_str(lines[2]).expect("JSON");
    let said = "50 lines of the log were dropped here because standard error could not be written (no storage space)";
    assert_eq!(gap["fields"]["message"], said);
}

#[test]
fn a_panic_is_a_line_of_the_log_and_waits_for_nobody() {
    let (log, reader) = open();
    reader.set(|state| state.asleep = true);
    log.line("first");
    reader.until_it_hangs();
    let to = log.clone();
    let dispatch = Shape::Json.dispatch(EnvFilter::new("info"), move || to.clone());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(broke_down));
    let caught = tracing::dispatcher::with_default(&dispatch, || {
        std::panic::catch_unwind(|| panic!("a part of the test breaks down"))
    });
    std::panic::set_hook(before);
    assert!(caught.is_err());
    reader.set(|state| state.asleep = false);
    log.drain(SOON);
    let text = reader.text();
    let told: serde_json::Value = serde_json::from_str(text.lines().nth(1).expect("a line")).expect("JSON");
    assert_eq!(told["level"], "ERROR");
    let said = told["fields"]["message"].as_str().expect("words");
    assert!(said.ends_with("failed unexpectedly: a part of the test breaks down"), "{said}");
    assert!(told["fields"]["at"].as_str().expect("a place").contains("log/tests.rs"), "{text}");
}
