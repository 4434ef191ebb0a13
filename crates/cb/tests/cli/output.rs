//! An answer that cannot be printed is an error; a reader that wants no more is not.

use std::fs::File;
use std::process::{Command, Stdio};

use cb_testkit::{Database, TestApp};

use crate::site::cb;

/// Each subcommand that prints an answer and ends, with its exit code where it cannot be printed.
const ANSWERS: [(&[&str], i32); 11] = [
    (&["openapi"], 1),
    (&["scan", "--list-ports"], 1),
    (&["scan", "--dry-run", "192.0.2.0/28"], 1),
    (&["scan", "--dry-run", "--json", "192.0.2.0/28"], 1),
    (&["config", "check"], 1),
    (&["net", "check", "https://1.1.1.1/", "--policy", "public"], 2),
    (&["user", "list"], 1),
    (&["vault", "status"], 1),
    (&["audit-log", "verify"], 2),
    (&["--help"], 1),
    (&["--version"], 1),
];

fn run(test: &TestApp, arguments: &[&str], stdout: Stdio) -> (i32, String) {
    let mut command: Command = cb();
    command
        .args(arguments)
        .env_clear()
        .env("CB_DATA_DIR", test.data_dir())
        .env("CB_SCAN_ALLOW", "192.0.2.0/24");
    let done =
        command.current_dir(test.data_dir()).stdout(stdout).stderr(Stdio::piped()).output().expect("runs");
    (done.status.code().expect("an exit code"), String::from_utf8(done.stderr).expect("text"))
}

#[tokio::test]
async fn the_exit_code_says_whether_the_answer_was_printed() {
    let (test, _) = TestApp::ready(Database::Sqlite).await;
    for (arguments, code) in ANSWERS {
        assert_eq!(run(&test, arguments, Stdio::null()), (0, String::new()), "{arguments:?}");
        let full = File::options().write(true).open("/dev/full").expect("opens");
        let (got, said) = run(&test, arguments, full.into());
        let why =
            "cb: the answer cannot be written to standard output: No space left on device (os error 28)\n";
        assert_eq!((got, said.as_str()), (code, why), "{arguments:?}");
        let (_, closed) = std::io::pipe().expect("a pipe");
        assert_eq!(run(&test, arguments, closed.into()), (0, String::new()), "{arguments:?}");
    }
}
