//! Processes of the tests' own: as another user than root, stopped by their ids.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs it as that user, when we are root: a server that is started by a test has no more rights than on a real machine.
pub fn as_user(user: &str, program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
        command.args(["--init-groups", "--"]).arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

pub fn own(user: &str, path: &Path) {
    if is_root() {
        run(Command::new("chown").arg(format!("{user}:{user}")).arg(path));
    }
}

pub fn is_root() -> bool {
    user_id() == "0"
}

pub fn user_id() -> String {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    String::from_utf8_lossy(id.stdout.trim_ascii()).into_owned()
}

pub fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn kill(signal: &str, id: &str) {
    let _ = Command::new("kill").args([signal, id]).status();
}

/// Kills a process when ours ends in whatever way: it reads from a pipe that we hold, and the kernel closes it.
pub struct Watch(Child);

impl Watch {
    pub fn over(child: &Child) -> Self {
        let id = child.id().to_string();
        let watch = Command::new("sh")
            .args(["-c", "read -r said; [ \"$said\" = over ] || kill -KILL \"$1\"", "watch", &id])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(watch.expect("sh runs"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        use std::io::Write as _;
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"over\n");
        }
        let _ = self.0.wait();
    }
}

/// Whether it has not ended, by what the kernel says.
#[cfg(test)]
pub fn is_running(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
