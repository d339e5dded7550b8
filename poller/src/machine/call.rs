//! The calls that the machine asks for, and what may come of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use towline_protocol::Gate;

use crate::uptime::Uptime;

/// A local tag that is to lead to another image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagMove {
    /// The tag.
    pub reference: String,
    /// The id of the image that it led to; `None` when there was no such tag.
    pub from: Option<String>,
    /// The id of the image that it should lead to.
    pub to: String,
}

/// A container that should run, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The container.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// One call. Each may have been made before without its answer having been kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Let the tag lead to the image `to`.
    MoveTag(TagMove),
    /// Let the tag lead where it led before, unless it leads to neither image by now.
    MoveTagBack(TagMove),
    /// Create the replacement of the member under this name, not started and without a restart policy.
    Create {
        /// The member.
        member: usize,
        /// The new container's name.
        name: String,
    },
    /// Look for a replacement of this name that this deploy had created.
    Find {
        /// The new container's name.
        name: String,
    },
    /// Set the restart policy.
    SetPolicy {
        /// The container.
        id: String,
        /// `HostConfig.RestartPolicy`.
        policy: Value,
    },
    /// Stop the container, if it runs.
    Stop {
        /// The container.
        id: String,
    },
    /// Rename the container, if it has another name.
    Rename {
        /// The container.
        id: String,
        /// Its name from then on.
        to: String,
    },
    /// Start the container, if it does not run.
    Start {
        /// The container.
        id: String,
    },
    /// Look whether the containers run, and under these names. What is being stopped does not.
    Look {
        /// The containers.
        containers: Vec<Expected>,
    },
    /// Wait until the new containers pass the gate, or fail it.
    Gate {
        /// The containers.
        ids: Vec<String>,
        /// How much of its time an earlier process has used up.
        spent: Duration,
        /// Whether they have passed it before, and need only pass each check once more.
        brief: bool,
    },
    /// Rename both at once. That the old one does not exist any more is told by [`Event::Gone`], of the new one it is a failure.
    Switch {
        /// The old container.
        old: String,
        /// Its name from then on.
        parked: String,
        /// The new container.
        new: String,
        /// Its name from then on, which is the old one's before.
        name: String,
    },
    /// Let the new container, which serves beside the old one, be found by the aliases that the old one has.
    Join {
        /// The member.
        member: usize,
        /// The new container.
        id: String,
    },
    /// Wait until nobody goes to the old containers any more who has asked for a name. The new ones must not end meanwhile.
    Drain {
        /// The new containers.
        ids: Vec<String>,
    },
    /// Wait until the old containers are as well as they were.
    Verify {
        /// The members.
        members: Vec<usize>,
    },
    /// Keep the end of the container's log for the report.
    SaveLog {
        /// The container.
        id: String,
    },
    /// Remove the container, never its volumes.
    Remove {
        /// The container.
        id: String,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is done, now or since earlier.
    Done,
    /// The new container's id.
    Created {
        /// The id.
        id: String,
    },
    /// What was looked for.
    Found {
        /// The id; `None` when there is none.
        id: Option<String>,
    },
    /// All of them run, under their names.
    Looked {
        /// When each was started, in the engine's words.
        starts: Vec<String>,
        /// When this was seen; `None` where the system does not say.
        now: Option<Uptime>,
    },
    /// The gate was passed.
    Passed {
        /// How sure it was.
        gate: Gate,
    },
    /// It was refused, or a check was not passed.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// One of a batch that had passed before is not well any more.
    Spoilt {
        /// Why, for people.
        why: String,
    },
    /// The container does not exist any more, or not under its name.
    Gone {
        /// Why, for people.
        why: String,
    },
}
