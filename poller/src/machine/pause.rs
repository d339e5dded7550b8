//! What becomes of the members of a rolling deploy that have passed when a later batch fails: they go back too, or, with `pause`,
//! the failed batch alone goes back, and they are committed.
//!
//! Only a failure pauses. What an interruption takes back is tried again as a whole, and without a journal nothing can be
//! committed.

use serde::{Deserialize, Serialize};

use super::{Deploy, Fault, State};

/// Where a deploy has paused. On record it is the point of no return for those that have passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// How many members, the first ones, keep the new version.
    pub passed: usize,
    /// What went wrong with the next.
    pub why: String,
}

impl Deploy {
    /// The deploy, which has not begun, that leaves the members which have passed as they are when a later batch fails.
    #[must_use]
    pub fn pausing(self) -> Self {
        Self {
            pauses: true,
            ..self
        }
    }

    /// How many members, the first ones, have the new version in the end.
    pub(super) fn committed(&self) -> usize {
        let all = self.members.len();
        self.paused.as_ref().map_or(all, |paused| paused.passed)
    }

    /// The deploy, on whose way forth the member `at` has failed.
    pub(super) fn paused_at(mut self, at: usize, why: &str) -> Self {
        let passed = self.batch(self.batch_of(at)).start;
        if self.pauses && passed > 0 && self.fault != Fault::Interruption {
            let why = why.to_owned();
            self.paused = Some(Paused { passed, why });
        }
        self
    }

    /// The deploy, all of which goes back if it is on its way back.
    pub(super) fn all_back(self) -> Self {
        let paused = match self.state {
            State::RollingBack { .. } => None,
            State::Replacing { .. } | State::Committed { .. } | State::Ended { .. } => self.paused,
        };
        Self { paused, ..self }
    }

    /// The deploy, which leaves nothing as it is when it fails from here on.
    pub(super) fn without_pause(self) -> Self {
        Self {
            pauses: false,
            ..self
        }
        .all_back()
    }
}
