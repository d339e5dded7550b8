//! Programs that a deploy runs, started by the real binary: how they end, what they see, who they are, and that nothing
//! of them is left.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use towline::process::{self, Ended, How, Identity, Launcher, Order, ProcessError, Refusal};
use towline_tests::program;

mod begin;
mod by_hand;
mod checks;
mod end;
mod output;
mod refusal;
mod seen;

fn launcher() -> Launcher {
    Launcher(env!("CARGO_BIN_EXE_towline").into())
}

fn order(argv: &[&str]) -> Order {
    Order {
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        user: None,
        dir: "/".into(),
        env: Vec::new(),
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(20),
        capture: false,
        stdin: None,
        dies_with_us: false,
    }
}

/// What `/bin/sh` does of this.
fn script(text: &str) -> Order {
    order(&["/bin/sh", "-c", text])
}

/// Runs it, and keeps the lines that were told.
async fn told(order: &Order) -> (Result<Ended, ProcessError>, Vec<String>) {
    let mut lines = Vec::new();
    let mut keep = |line: &str| lines.push(line.to_owned());
    let ended = process::run(&launcher(), order, &mut |_| Ok(()), &mut keep).await;
    (ended, lines)
}

async fn ended(order: &Order) -> Ended {
    told(order).await.0.unwrap()
}

async fn refused(order: &Order) -> Refusal {
    match told(order).await.0 {
        Err(ProcessError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// A folder that every user may look into.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn executable(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    program::write(&path, text).unwrap();
    path
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(30),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers that were written to a file, a line each.
fn numbers(path: &Path) -> Vec<u32> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Whether this process still does something.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
