//! How long something waits, by a clock that nobody sets: the time since the system's start.
//!
//! Here: adding up such times across processes and restarts of the system. The time between two starts does not
//! count, since nobody knows it; the wall clock, which jumps when a host without a clock of its own hears the time, is
//! not asked. Where `/proc` hides that time (systemd's `ProcSubset=pid`), the process's own clock has to do: a wait
//! then begins anew with each process, but it does end.

use std::{
    fs,
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When this process first asked, and its name among processes: each counts for itself.
static PROCESS: LazyLock<(Instant, String)> = LazyLock::new(|| {
    let name = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
    (Instant::now(), format!("process {name:016x}"))
});

/// A moment since a start of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// The start: the kernel's `boot_id`, or this process where that is hidden.
    pub boot: String,
    /// Milliseconds since then.
    pub ms: u64,
}

impl Uptime {
    /// Now, by `/proc` (proc(5)), or by this process where that cannot be read.
    pub fn now() -> Self {
        Self::of_system("/proc").unwrap_or_else(Self::of_process)
    }

    fn of_system(proc: &str) -> Option<Self> {
        let boot = fs::read_to_string(format!("{proc}/sys/kernel/random/boot_id")).ok()?;
        Self::parse(&boot, &fs::read_to_string(format!("{proc}/uptime")).ok()?)
    }

    fn of_process() -> Self {
        let (start, boot) = &*PROCESS;
        Self {
            boot: boot.clone(),
            ms: start.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        }
    }

    fn parse(boot: &str, uptime: &str) -> Option<Self> {
        let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let ms = Duration::try_from_secs_f64(seconds).ok()?.as_millis();
        Some(Self {
            boot: boot.trim().to_owned(),
            ms: ms.try_into().ok()?,
        })
    }
}

/// A moment by both clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// By the wall clock.
    pub at: Timestamp,
    /// By the one that nobody sets.
    pub up: Uptime,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self {
            at: Timestamp::now(),
            up: Uptime::now(),
        }
    }

    /// How long it was from here until `then`. Across a start of the system only the wall clock can say it, and says
    /// nothing when it was set back.
    pub fn until(&self, then: &Self) -> Duration {
        if self.up.boot == then.up.boot {
            return Duration::from_millis(then.up.ms.saturating_sub(self.up.ms));
        }
        Duration::try_from(then.at.duration_since(self.at)).unwrap_or_default()
    }
}

/// What is waited for, for a bounded time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// An image.
    #[default]
    Image,
    /// A commit, or its tag.
    Commit,
}

/// How long something has waited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Milliseconds up to `at`.
    pub ms: u64,
    /// Up to when it was counted; `None` before the first time, and while it is not counted.
    pub at: Option<Uptime>,
    /// For what.
    #[serde(default)]
    pub what: Awaited,
}

impl Waited {
    /// Counts on up to `now`.
    pub fn until(&self, now: Option<Uptime>) -> Self {
        let since = match (&self.at, &now) {
            (Some(at), Some(now)) if at.boot == now.boot => now.ms.saturating_sub(at.ms),
            _ => 0,
        };
        Self {
            ms: self.ms.saturating_add(since),
            at: now,
            what: self.what,
        }
    }

    /// Counts on for `what`, and from the beginning if it was something else that was waited for.
    #[must_use]
    pub fn going_on(self, what: Awaited) -> Self {
        let ms = if self.what == what { self.ms } else { 0 };
        Self { ms, what, ..self }
    }

    /// Counts no further until it is waited again.
    #[must_use]
    pub fn put_off(self) -> Self {
        Self { at: None, ..self }
    }

    /// The time.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, ms: u64) -> Option<Uptime> {
        let boot = boot.to_owned();
        Some(Uptime { boot, ms })
    }

    #[test]
    fn a_time_across_a_start_of_the_system_is_the_wall_clocks_and_else_is_not() {
        let moment = |boot: &str, ms, second| Moment {
            at: Timestamp::from_second(second).unwrap(),
            up: at(boot, ms).unwrap(),
        };
        let begun = moment("a", 5000, 1000);
        let took = |then| begun.until(&then).as_secs_f64();
        assert_eq!(took(moment("a", 8400, 99_999)), 3.4);
        assert_eq!(took(moment("b", 100, 1090)), 90.0);
        assert_eq!(took(moment("b", 100, 10)), 0.0);
    }

    #[test]
    fn time_adds_up_within_a_start_of_the_system_and_goes_on_after_the_next_one() {
        let first = Waited::default().until(at("a", 5000));
        assert_eq!(first.ms, 0);
        let second = first.until(at("a", 7000));
        assert_eq!(second.duration(), Duration::from_secs(2));
        let restarted = second.until(at("b", 90_000));
        assert_eq!(restarted.ms, 2000, "nobody knows how long it was off");
        assert_eq!(restarted.until(at("b", 90_500)).ms, 2500);
        assert_eq!(restarted.until(at("b", 1)).ms, 2000, "never back");
        assert_eq!(restarted.until(None).until(at("b", 99_000)).ms, 2000);
    }

    #[test]
    fn the_kernel_s_words_are_understood_and_this_system_s_clock_runs() {
        let parsed = Uptime::parse("0b1c-22\n", "350735.47 234388.90\n");
        assert_eq!(parsed, at("0b1c-22", 350_735_470));
        for bad in ["", "x", "-1 2", "inf", "NaN"] {
            assert_eq!(Uptime::parse("b", bad), None, "{bad:?}");
        }
        let (before, after) = (Uptime::now(), Uptime::now());
        assert!(before.boot == after.boot && before.ms <= after.ms);
    }

    #[test]
    fn where_the_systems_clock_is_hidden_the_process_counts_and_a_wait_still_ends() {
        let hidden = tempfile::tempdir().unwrap();
        assert_eq!(Uptime::of_system(hidden.path().to_str().unwrap()), None);
        let first = Waited::default().until(Some(Uptime::of_process()));
        std::thread::sleep(Duration::from_millis(20));
        let second = first.until(Some(Uptime::of_process()));
        assert!(second.ms >= 20, "{second:?}");
    }
}
