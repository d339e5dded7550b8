//! The process that waits, with a test in the poller's place, which can end at any moment; and what it has left then.

use std::{
    io::{BufRead, BufReader, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    },
    process::{Child, Command},
};

use serde_json::{Value, json};
use towline::process::{Leftover, end_leftover};

use super::*;

/// A waiting process, and the poller's end of the line.
struct Waiting {
    child: Child,
    line: BufReader<UnixStream>,
}

impl Waiting {
    /// Started by the user with this number, to become `/bin/sh` with this script as `user`.
    fn start(script: &str, uid: Option<u32>, user: Option<&str>) -> Self {
        let (own, other) = UnixStream::pair().unwrap();
        // Where it was built, another user may not look.
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copied = folder.path().join("towline");
        program::copy(Path::new(env!("CARGO_BIN_EXE_towline")), &copied).unwrap();
        let mut command = Command::new(&copied);
        command.arg("exec-step").stdin(OwnedFd::from(other));
        if let Some(uid) = uid {
            command.uid(uid);
        }
        let child = command.spawn().unwrap();
        drop(command);
        let argv = ["/bin/sh", "-c", script];
        let request = json!({
            "argv": argv, "user": user, "dir": "/", "env": [], "stdin": null, "dies_with_us": false,
        });
        writeln!(&own, "{request}").unwrap();
        let line = BufReader::new(own);
        Self { child, line }
    }

    fn answer(&mut self) -> Value {
        let mut answer = String::new();
        self.line.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Lets it go, and waits until it is the program.
    fn go(&mut self) {
        assert_eq!(self.answer(), "Ready");
        self.line.get_mut().write_all(b"go\n").unwrap();
        assert_eq!(self.line.read_line(&mut String::new()).unwrap(), 0);
    }

    /// Which process it is, by what the system says.
    fn identity(&self) -> Identity {
        let pid = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let started = fields.split_whitespace().nth(19).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        Identity {
            pid: pid.try_into().unwrap(),
            started: started.parse().unwrap(),
            boot: boot.trim().to_owned(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn when_the_poller_dies_before_the_word_to_go_nothing_has_happened() {
    let dir = folder();
    let ran = dir.path().join("ran");
    let mut waiting = Waiting::start(&format!("touch {}", ran.display()), None, None);
    assert_eq!(waiting.answer(), "Ready");
    // What the kernel does for a process that is killed.
    let closed = waiting.line.get_ref().shutdown(std::net::Shutdown::Both);
    closed.unwrap();
    assert_eq!(waiting.child.wait().unwrap().code(), Some(0));
    assert!(!ran.exists());
}

#[test]
fn only_root_can_become_another_user() {
    if !seen::is_root() {
        return;
    }
    let nobody = 65_534;
    let mut waiting = Waiting::start("true", Some(nobody), Some("daemon"));
    let answer = waiting.answer();
    let refusal: Refusal = serde_json::from_value(answer["Refused"].clone()).unwrap();
    assert_eq!(
        refusal.to_string(),
        "towline runs as nobody and may not become daemon: run it as root, or leave `user` out"
    );
    let mut waiting = Waiting::start("true", Some(nobody), Some("nobody"));
    assert_eq!(
        waiting.answer(),
        "Ready",
        "to stay who one is needs no root"
    );
}

#[tokio::test]
async fn what_an_earlier_poller_has_left_is_ended_whole_and_then_gone() {
    let dir = folder();
    let pids = dir.path().join("pids");
    let out = pids.display();
    let mut waiting = Waiting::start(
        &format!("trap '' TERM; sleep 300 & echo $! >> {out}; echo $$ >> {out}; wait"),
        None,
        None,
    );
    waiting.go();
    until("both are there", || numbers(&pids).len() == 2);
    let identity = waiting.identity();
    let later = Identity {
        started: identity.started + 1,
        ..identity.clone()
    };
    let grace = Duration::from_millis(100);
    assert_eq!(end_leftover(&later, grace).await, Leftover::Gone);
    assert!(numbers(&pids).into_iter().all(lives), "another process");
    assert_eq!(end_leftover(&identity, grace).await, Leftover::Ended);
    assert!(!numbers(&pids).into_iter().any(lives));
    assert_eq!(end_leftover(&identity, grace).await, Leftover::Gone);
}

#[tokio::test]
async fn what_the_program_has_started_is_ended_although_the_program_itself_is_gone() {
    let dir = folder();
    let pids = dir.path().join("pids");
    let orphan = format!("sleep 300 & echo $! > {}; read -r never", pids.display());
    let mut waiting = Waiting::start(&orphan, None, None);
    waiting.go();
    until("it is there", || numbers(&pids).len() == 1);
    let identity = waiting.identity();
    waiting.child.kill().unwrap();
    waiting.child.wait().unwrap();
    assert!(numbers(&pids).into_iter().all(lives));
    assert_eq!(
        end_leftover(&identity, Duration::from_secs(20)).await,
        Leftover::Ended
    );
    assert!(!numbers(&pids).into_iter().any(lives));
}
