//! Which process it is, beyond its number: numbers are given out again.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process that was started here. It leads a session of its own, and all that it starts belongs to that session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number, which is its session's and its group's too.
    pub pid: i32,
    /// When it was started, in ticks since the system's start (`/proc/PID/stat`, field 22).
    pub started: u64,
    /// The system's start (`boot_id`); empty where `/proc/sys` is hidden.
    pub boot: String,
}

impl Identity {
    /// Of a process that is there.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started: Stat::of(pid)?.started,
            boot: boot(),
        })
    }

    /// Whether the number may still be this process's, or its session's after its end: the system was not started
    /// again, and no later process has got the number.
    pub(super) fn counts(&self) -> bool {
        let boot = boot();
        let same_boot = self.boot == boot || self.boot.is_empty() || boot.is_empty();
        same_boot && Stat::of(self.pid).is_none_or(|stat| stat.started == self.started)
    }
}

fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    boot.trim().to_owned()
}

/// What `/proc/PID/stat` says (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) started: u64,
}

impl Stat {
    /// `None` when it is gone, or hidden from us.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name of the program, in parentheses, may hold anything, parentheses too.
    fn parse(stat: &[u8]) -> Option<Self> {
        let stat = String::from_utf8_lossy(stat);
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it still does something: a zombie only waits for its parent to take note.
    pub(super) fn lives(self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_may_hold_parentheses_and_spaces() {
        let line = b"42 (a) R (b) S 1 42 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 99 1\n";
        let wanted = Stat {
            state: 'S',
            group: 42,
            session: 40,
            started: 123_456,
        };
        assert_eq!(Stat::parse(line), Some(wanted));
        for bad in [&b""[..], b"42 (a) S 1", b"42 (a) S x y z"] {
            assert_eq!(Stat::parse(bad), None);
        }
    }

    #[test]
    fn a_number_that_a_later_process_has_or_of_an_earlier_start_does_not_count() {
        let own = Identity::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(own.counts());
        let later = Identity {
            started: own.started + 1,
            ..own.clone()
        };
        assert!(!later.counts());
        let earlier = Identity {
            boot: "another".to_owned(),
            ..own.clone()
        };
        assert!(!earlier.counts());
        let hidden = Identity {
            boot: String::new(),
            ..own
        };
        assert!(hidden.counts());
    }
}
