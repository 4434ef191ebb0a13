//! An answer that cannot be printed is an error; a reader that wants no more is not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cb_testkit::{Database, TestApp};

use crate::site::cb;

/// Each subcommand that prints an answer and ends, with its exit code where it cannot be printed. `{n}` is the number of the run, and
/// `{dir}` a folder beside the data folder.
const ANSWERS: &[(&[&str], i32)] = &[
    (&["openapi"], 1),
    (&["scan", "--list-ports"], 1),
    (&["scan", "--dry-run", "192.0.2.0/28"], 1),
    (&["scan", "--dry-run", "--json", "192.0.2.0/28"], 1),
    (&["config", "check"], 1),
    (&["doctor"], 2),
    (&["net", "check", "https://1.1.1.1/", "--policy", "public"], 2),
    (&["user", "create", "user{n}"], 1),
    (&["user", "list"], 1),
    (&["user", "reset-password", "user1"], 1),
    (&["user", "disable", "user1"], 1),
    (&["user", "enable", "user1"], 1),
    (&["vault", "status"], 1),
    (&["vault", "rotate"], 1),
    (&["vault", "rewrap"], 1),
    (&["audit-log", "verify"], 2),
    (&["backup", "{dir}/archive", "--force"], 1),
    (&["restore", "{dir}/archive"], 1),
    (&["migrate"], 1),
    (&["audit-log", "accept-restore"], 1),
    (&["--help"], 1),
    (&["--version"], 1),
];

/// `serve` does not end, `healthcheck` answers by its exit code, and `store copy` needs a database of the other kind (`backup/copied.rs`).
const OTHERS: &[&[&str]] = &[&["serve"], &["healthcheck"], &["store", "copy"]];

struct Place {
    test: TestApp,
    dir: tempfile::TempDir,
}

impl Place {
    fn run(&self, data: &Path, arguments: &[String], stdout: Stdio) -> (i32, String) {
        let mut command: Command = cb();
        command
            .args(arguments)
            .env_clear()
            .env("CB_DATA_DIR", data)
            .env("CB_SCAN_ALLOW", "192.0.2.0/24")
            .current_dir(self.dir.path());
        let done = command.stdout(stdout).stderr(Stdio::piped()).output().expect("runs");
        (done.status.code().expect("an exit code"), String::from_utf8(done.stderr).expect("text"))
    }

    fn does(&self, data: &Path, arguments: &[&str]) {
        let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
        let done = self.run(data, &arguments, Stdio::null());
        assert_eq!(done, (0, String::new()), "{arguments:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data folder for the `n`-th run of a command.
    fn data(&self, arguments: &[&str], n: u32) -> PathBuf {
        match arguments {
            ["audit-log", "accept-restore"] => {
                let (behind, ahead) = (self.path(&format!("behind{n}")), self.path(&format!("ahead{n}")));
                self.does(&behind, &["restore", self.path("first").to_str().expect("UTF-8")]);
                self.does(&ahead, &["restore", self.path("archive").to_str().expect("UTF-8")]);
                let checkpoint = "audit-checkpoint.json";
                std::fs::copy(ahead.join(checkpoint), behind.join(checkpoint)).expect("copied");
                behind
            }
            ["restore", ..] => self.path(&format!("new{n}")),
            ["migrate"] => self.path(&format!("migrated{n}")),
            _ => self.test.data_dir().to_path_buf(),
        }
    }
}

/// The subcommands behind `before` that have none of their own, as `--help` names them.
fn commands(before: &[String]) -> Vec<Vec<String>> {
    let done = cb().args(before).arg("--help").env_clear().output().expect("runs");
    let help = String::from_utf8(done.stdout).expect("text");
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return vec![before.to_vec()] };
    let names = list.lines().take_while(|line| !line.is_empty());
    // What is indented more goes on from the line before.
    let names = names.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .flat_map(|name| commands(&[before, &[name.to_owned()]].concat()))
        .collect()
}

#[tokio::test]
async fn the_exit_code_says_whether_the_answer_was_printed() {
    let (test, _) = TestApp::ready(Database::Sqlite).await;
    let place = Place { test, dir: tempfile::tempdir().expect("a folder") };
    place.does(place.test.data_dir(), &["backup", place.path("first").to_str().expect("UTF-8")]);
    for (template, code) in ANSWERS {
        let run = |n: u32, stdout: Stdio| {
            let dir = place.dir.path().display().to_string();
            let filled = template.iter().map(|a| a.replace("{n}", &n.to_string()).replace("{dir}", &dir));
            place.run(&place.data(template, n), &filled.collect::<Vec<_>>(), stdout)
        };
        assert_eq!(run(1, Stdio::null()), (0, String::new()), "{template:?}");
        let full = File::options().write(true).open("/dev/full").expect("opens");
        let (got, said) = run(2, full.into());
        let why =
            "cb: the result cannot be written to standard output: No space left on device (os error 28)\n";
        assert_eq!((got, said.as_str()), (*code, why), "{template:?}");
        let (_, closed) = std::io::pipe().expect("a pipe");
        assert_eq!(run(3, closed.into()), (0, String::new()), "{template:?}");
    }
    let commands = commands(&[]);
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let listed = |list: &[&str]| list.len() >= command.len() && list[..command.len()] == command;
        let known = ANSWERS.iter().any(|(list, _)| listed(list)) || OTHERS.iter().any(|list| listed(list));
        assert!(known, "{command:?} belongs into ANSWERS");
    }
}
