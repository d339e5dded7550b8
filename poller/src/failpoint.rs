//! Places at which a test has the process killed, as a power cut would: `kill -9` at every step of a deploy.
//!
//! Only in builds with the feature `failpoints`, which a release build refuses to be made with. `TOWLINE_FAILPOINT=POINT`
//! kills the process when it comes to that point, `POINT,N` when it comes there the N-th time; with
//! `TOWLINE_FAILPOINT_WAIT=FILE` it waits there until that file exists, and goes on. `TOWLINE_FAILPOINT_LOG=FILE` writes
//! down each point that is come to, so that a test takes its list from a clean run. A state of the journal has two points,
//! `PHASE.STEP.before` (recorded, the call not made), for a command `PHASE.STEP.begun` (its process recorded, not let go), and `PHASE.STEP.after` (the call made, what came of it not recorded),
//! with the machine's own names. What a test does with them is its business.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use serde::Serialize;
use serde_json::Value;

#[cfg(not(debug_assertions))]
compile_error!("the feature failpoints is for tests: a release build is made without it");

/// How often this process has come to the point that it is to be killed at.
static HITS: AtomicU32 = AtomicU32::new(0);

/// Comes to the point before the call of this state of a deploy of any kind.
pub(crate) fn before(state: &impl Serialize) {
    reach(&format!("{}.before", name(state)));
}

/// Comes to the point at which the command of this state is on record and may go.
pub(crate) fn begun(state: &impl Serialize) {
    reach(&format!("{}.begun", name(state)));
}

/// Comes to the point after the call of this state.
pub(crate) fn after(state: &impl Serialize) {
    reach(&format!("{}.after", name(state)));
}

/// Comes to a point: the process ends here, or waits, when a test wants that.
pub(crate) fn reach(point: &str) {
    if let Some(path) = env::var_os("TOWLINE_FAILPOINT_LOG") {
        let log = OpenOptions::new().create(true).append(true).open(path);
        // A test that finds its log incomplete fails by that.
        let _ = log.and_then(|mut log| writeln!(log, "{point}"));
    }
    let wanted = env::var("TOWLINE_FAILPOINT").unwrap_or_default();
    let (at, hit) = parse(&wanted);
    if at == point && HITS.fetch_add(1, Ordering::Relaxed) + 1 == hit {
        match env::var_os("TOWLINE_FAILPOINT_WAIT") {
            Some(file) => wait_for(Path::new(&file)),
            None => end(),
        }
    }
}

fn end() {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        thread::park();
    }
}

fn wait_for(file: &Path) {
    while !file.exists() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The point, and the how manieth time counts.
fn parse(wanted: &str) -> (&str, u32) {
    match wanted.split_once(',') {
        Some((point, hit)) => (point, hit.parse().unwrap_or(1)),
        None => (wanted, 1),
    }
}

/// `PHASE.STEP`, as the journal writes them.
fn name(state: &impl Serialize) -> String {
    let written = serde_json::to_value(state).unwrap_or_default();
    let words = ["state", "step"].map(|key| written.get(key).and_then(Value::as_str));
    words.into_iter().flatten().collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Ending, State, Step};

    #[test]
    fn a_point_has_the_names_that_stand_in_the_journal() {
        let state = State::Replacing {
            step: Step::Park,
            at: 0,
            new: Vec::new(),
        };
        assert_eq!(name(&state), "replacing.park");
        let ending = Ending::Succeeded { gate: None };
        assert_eq!(name(&State::Ended { ending }), "ended");
    }

    #[test]
    fn a_point_counts_the_first_time_unless_a_number_says_otherwise() {
        assert_eq!(parse("replacing.stop.before"), ("replacing.stop.before", 1));
        assert_eq!(parse("ended.after,2"), ("ended.after", 2));
        assert_eq!(parse(""), ("", 1));
    }
}
