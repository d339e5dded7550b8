//! Locks: what holds deploys of a service off for a time, and never longer. Pure.
//!
//! Each has a name, so that two programs that hold the same service off at one time do not let go of each other's. Here is what one
//! is, when it is over and what is said of it. Where they are kept is `store`'s, what waits for them `daemon`'s. Not here: the
//! lock of the state directory, which keeps a second process out of it (`store`).

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use towline_protocol::ServiceName;

use crate::uptime::Moment;

/// How many may hold one service off at a time: programs that make up a new name each time are stopped by it.
pub const MOST: usize = 16;

/// The longest time that one counts without being taken again, in seconds: a day.
pub const LONGEST: u64 = 24 * 60 * 60;

/// The longest reason, in characters.
const REASON: usize = 200;

/// How far the wall clock may be from what it was expected to be before an end is told anew by it.
const DRIFT: SignedDuration = SignedDuration::from_secs(5);

/// Who holds a service off: a name of their own choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LockName(String);

/// What a service is held off for. One line, which may be shown on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// For how long, in whole seconds: at least one, at most [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Length(u64);

/// What is said of a deploy that is not at its end when its service is held off.
pub const INTERRUPTED: &str =
    "a deploy of it was interrupted, and is taken to its end all the same";

/// Why something is no lock's name, reason or length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoLock(&'static str);

impl LockName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LockName {
    fn default() -> Self {
        Self("operator".to_owned())
    }
}

impl FromStr for LockName {
    type Err = NoLock;

    fn from_str(text: &str) -> Result<Self, NoLock> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(plain);
        let goes_on = text
            .bytes()
            .all(|byte| plain(byte) || b"_-".contains(&byte));
        match begins && goes_on && text.len() <= 63 {
            true => Ok(Self(text.to_owned())),
            false => Err(NoLock("use [a-z0-9][a-z0-9_-]{0,62}, such as nightly-dump")),
        }
    }
}

impl FromStr for Reason {
    type Err = NoLock;

    fn from_str(text: &str) -> Result<Self, NoLock> {
        let is_shown = !text.chars().any(char::is_control);
        let length = text.chars().count();
        match is_shown && (1..=REASON).contains(&length) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoLock("use one line of 1 to 200 characters")),
        }
    }
}

impl TryFrom<u64> for Length {
    type Error = NoLock;

    fn try_from(seconds: u64) -> Result<Self, NoLock> {
        match (1..=LONGEST).contains(&seconds) {
            true => Ok(Self(seconds)),
            false => Err(NoLock("use a time of at least 1 s and at most 24 h")),
        }
    }
}

impl From<Length> for u64 {
    fn from(length: Length) -> Self {
        length.0
    }
}

macro_rules! text {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = NoLock;

            fn try_from(text: String) -> Result<Self, NoLock> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> Self {
                text.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(LockName);
text!(Reason);

/// What holds deploys of a service off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Who does it.
    pub name: LockName,
    /// What for, if that was said.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// When it was taken, or taken again.
    pub since: Moment,
    /// For how long from then on.
    pub length: Length,
}

impl Lock {
    /// How long it goes on from `now`: nothing when it is over.
    ///
    /// As long as the host stays on, the clock counts that nobody sets. After a start of the system the wall clock does, and where
    /// that was set back, what has passed since that start: never more than its length.
    pub fn left(&self, now: &Moment) -> Duration {
        let mut passed = self.since.until(now);
        if self.since.up.boot != now.up.boot {
            passed = passed.max(Duration::from_millis(now.up.ms));
        }
        Duration::from_secs(self.length.0).saturating_sub(passed)
    }

    /// Whether it still counts at `now`.
    pub fn is_on(&self, now: &Moment) -> bool {
        !self.left(now).is_zero()
    }

    /// When it ends, by the wall clock as that is at `now`.
    pub fn until(&self, now: &Moment) -> Timestamp {
        let after = |from: Timestamp, time: Duration| {
            let time = SignedDuration::try_from(time).unwrap_or_default();
            from.checked_add(time).unwrap_or(from)
        };
        let (expected, by_clock) = (
            after(self.since.at, Duration::from_secs(self.length.0)),
            after(now.at, self.left(now)),
        );
        match expected.duration_since(by_clock).abs() <= DRIFT {
            true => expected,
            false => by_clock,
        }
    }

    /// Who holds off until when, and what for; for people.
    pub fn told(&self, now: &Moment) -> String {
        let (name, until) = (&self.name, self.until(now));
        let reason = self.reason.as_ref();
        let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
        format!("by {name} until {until:.0}{reason}")
    }
}

/// What can be asked about a service's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To hold it off from now on, also where that is done by this name already.
    Hold {
        /// Who does it.
        name: LockName,
        /// For how long.
        length: Length,
        /// What for.
        reason: Option<Reason>,
    },
    /// Not to hold it off any more.
    Release {
        /// Who does it; without one, nobody does any more.
        name: Option<LockName>,
    },
}

/// Who all hold a service off, for people; nothing when nobody does.
pub fn told(locks: &[Lock], now: &Moment) -> Option<String> {
    let each: Vec<_> = locks.iter().map(|lock| lock.told(now)).collect();
    (!each.is_empty()).then(|| format!("held off {}", each.join(", and ")))
}

/// How long a service is held off from `now`, if it is: until the last one of `locks` is over.
pub fn left(locks: &[Lock], now: &Moment) -> Option<Duration> {
    let left = locks.iter().map(|lock| lock.left(now));
    left.max().filter(|left| !left.is_zero())
}

/// The command by which `service` is held off no longer.
pub fn release(service: &ServiceName, locks: &[Lock]) -> String {
    let which = match locks {
        [one] if one.name == LockName::default() => String::new(),
        [one] => format!(" --as {}", one.name),
        _ => " --all".to_owned(),
    };
    format!("towline release {service}{which}")
}

#[cfg(test)]
mod tests;
