//! Which process it is, beyond its number: numbers are given out again.

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
