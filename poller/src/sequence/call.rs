//! What the machine asks for, and what may come of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towline_protocol::{Gate, Sha};

use super::Checkout;
use crate::{machine::TagMove, settings::Command, uptime::Uptime};

/// A command of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// `stop`
    Stop,
    /// `run`
    Run,
    /// `rollback`
    RollBack,
    /// `start`
    Start,
}

impl Which {
    /// Its program and arguments.
    pub fn of(self, command: &Command) -> Option<&Vec<String>> {
        match self {
            Self::Stop => command.stop.as_ref(),
            Self::Run => Some(&command.run),
            Self::RollBack => command.rollback.as_ref(),
            Self::Start => command.start.as_ref(),
        }
    }
}

/// The version that is being brought in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The one that the deploy is about.
    New,
    /// The one before.
    Old,
}

/// One thing to do. Each but [`Which::Run`] and [`Which::RollBack`] may have been done before, wholly or in part, without
/// that having been kept, and must come to the same when it is done again.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Run a command of the service.
    Command {
        /// Which one.
        which: Which,
        /// On the way to which version.
        version: Version,
    },
    /// Make the backup of this name, unless it is there already.
    BackUp {
        /// The archive's file name.
        name: String,
    },
    /// Put the checkout at the commit.
    CheckOut {
        /// The commit.
        to: Sha,
        /// The one that it is at.
        from: Sha,
    },
    /// Put the checkout at the commit and branch that it had.
    CheckOutOld {
        /// What it had.
        checkout: Checkout,
        /// The commit that it may be at, wholly or in part.
        from: Sha,
        /// Whether an earlier git of this deploy may have been ended in the middle, so that its lock is stale.
        interrupted: bool,
    },
    /// Let the tag lead to the image `to`.
    MoveTag(TagMove),
    /// Let the tag lead where it led before, unless it leads to neither image by now.
    MoveTagBack(TagMove),
    /// Bring the Compose project up as the new version has it.
    Up,
    /// Bring the Compose project up as it was, and remove what the new version has left of services that did not run.
    UpOld,
    /// Keep the end of the containers' logs for the report.
    SaveLog,
    /// Stop the containers of the Compose project that an `Up` starts, since data are put back under them.
    StopContainers,
    /// Put the data of the backup back.
    Restore {
        /// The archive's file name.
        name: String,
    },
    /// Look whether the new version is in place: the checkout is at its commit, and of a Compose project the containers run
    /// that should, from its images. An earlier process may have taken it back without having been able to record that.
    Look,
    /// Wait until the new version passes the gate, or fails it.
    Gate {
        /// How much of its time an earlier process has used up.
        spent: Duration,
    },
    /// Wait until the old version is as well as it was: it passes the service's checks, if it did before, and of a Compose
    /// project the old images run.
    Verify,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is done, now or since earlier.
    Done,
    /// All that should run does.
    Looked {
        /// When each container was started, in the engine's words and always in the same order; empty without containers.
        starts: Vec<String>,
        /// When this was seen; `None` where the system does not say.
        now: Option<Uptime>,
    },
    /// The gate was passed.
    Passed {
        /// How sure it was.
        gate: Gate,
    },
    /// It was refused, could not be begun, or a check was not passed.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// It was refused before anything of it was begun.
    Refused {
        /// Why, for people.
        why: String,
    },
    /// `run` said that this is not the time (exit status 75).
    Postponed {
        /// Why, for people.
        why: String,
    },
    /// A program that was run for it goes on and cannot be ended, so that nothing may be done beside it.
    Outlived {
        /// How it ended, if it did, and what goes on, for people.
        why: String,
    },
}
