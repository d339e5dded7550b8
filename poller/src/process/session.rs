//! Who belongs to a program: all of its session, whatever groups they have formed and whoever started them.

use std::{collections::BTreeSet, fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

use super::identity::Stat;

/// How long what was killed may take to be gone: it may be waiting for a disk.
const DYING: Duration = Duration::from_secs(5);
/// Between two looks, at first and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// The session that this process leads, or has led.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session(pub(super) i32);

impl Session {
    /// Whether somebody in it still does something.
    pub(super) fn lives(self) -> bool {
        !self.groups().is_empty()
    }

    /// Ends it whole: TERM, and KILL after `grace`. Whether nobody is left.
    pub(super) async fn end(self, grace: Duration) -> bool {
        self.ask_to_end();
        if self.empties_within(grace).await {
            return true;
        }
        let since = Instant::now();
        // Again and again: who was just being started may have been missed.
        while self.lives() && since.elapsed() < DYING {
            self.signal(Signal::KILL);
            self.empties_within(LOOKS[1]).await;
        }
        !self.lives()
    }

    /// Sends TERM.
    pub(super) fn ask_to_end(self) {
        self.signal(Signal::TERM);
        // Whoever is stopped hears nothing else.
        self.signal(Signal::CONT);
    }

    /// Waits until nobody is left in it, at most so long, where nothing else can be done meanwhile.
    pub(super) fn empties_soon(self, limit: Duration) {
        let since = std::time::Instant::now();
        while self.lives() && since.elapsed() < limit {
            std::thread::sleep(LOOKS[0]);
        }
    }

    /// Waits until nobody is left in it, at most so long; whether that is so.
    pub(super) async fn empties_within(self, limit: Duration) -> bool {
        let since = Instant::now();
        let mut pause = LOOKS[0];
        while self.lives() {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LOOKS[1]);
        }
        true
    }

    /// Sends a signal to each of its groups. Those that are gone meanwhile need none.
    pub(super) fn signal(self, signal: Signal) {
        for group in self.groups().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Its groups in which somebody lives.
    fn groups(self) -> BTreeSet<i32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let members = pids.filter_map(Stat::of);
        let members = members.filter(|stat| stat.session == self.0 && stat.lives());
        members.map(|stat| stat.group).collect()
    }
}
