//! The apply machine: what to do next to replace a set of containers, and where every failure leads.
//!
//! Pure. [`Deploy::next`] says which one call to make, [`Deploy::on`] takes what came of it. Whoever drives it
//! (`apply`) writes the deploy to the journal before each call, so that the journal names the one call whose effect
//! is not known. Every call may therefore be made twice. After a crash [`Deploy::resume`] turns back, goes on with the
//! gate if the same new containers run, or goes on to the end if the new version was committed. Not here: what the
//! calls mean to an engine, health checks, the clock.
//!
//! Forth, each step for every member of the set before the next (`order`):
//! stop-first: tag, create, disarm, stop, park, promote, start, look, gate;
//! start-first: tag, create, start, look, gate, join, switch, look and gate again, disarm, drain, stop;
//! then the commit: arm, start, confirm, remove the old one.
//! Back, only what may have been done: stop the new one, demote, restore, re-arm, wait out a stop of the old one,
//! start, verify, untag, save the log, remove the new one; of start-first the new one is stopped after the old one serves.
//! A rolling deploy goes forth batch by batch, and back from the last of them; or only that one goes back (`pause`).
//!
//! Ids are the authority, names only show: the canonical name, `NAME--new-DEPLOY`, `NAME--old-DEPLOY`. At most one of
//! a pair has a restart policy at any time: the new one gets it after the commit, and by then the old one's is off.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use towline_protocol::{Gate, Side};

mod back;
mod call;
mod fault;
mod forth;
mod group;
mod journal;
mod order;
mod pause;
mod resume;
mod stuck;
#[cfg(test)]
mod tests;
mod words;

pub use back::Undo;
pub use call::{Action, Event, Expected, TagMove};
pub use fault::Fault;
pub use forth::{Leftover, Step, Tidy};
pub use journal::JournalError;
pub(crate) use journal::{format_of, is_of_container};
use order::Place;
pub use order::Strategy;
pub use pause::Paused;
pub use resume::Watch;
use stuck::Stuck;

/// A replacement under way: what it is about, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deploy {
    format: u32,
    /// 8 hex digits, part of names and labels.
    pub deploy: String,
    /// The containers, at least one.
    pub members: Vec<Member>,
    /// What ran before.
    pub from: Side,
    /// What should run.
    pub to: Side,
    /// How far it is.
    pub state: State,
    /// What was left undone without harm, for people.
    pub notes: Vec<String>,
    /// What the images are kept by; the machine itself does not look at it.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// Whose fault it is if it does not succeed.
    #[serde(default)]
    pub fault: Fault,
    /// The new version's time in the gate; `None` before.
    #[serde(default)]
    pub watch: Option<Watch>,
    /// How often the gate was gone on with after an interruption.
    #[serde(default)]
    pub resumed: u32,
    /// The old containers that the engine did not let go.
    #[serde(default)]
    pub left: Vec<Leftover>,
    /// Which of the two versions gives way first.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many members are replaced at a time; `None` when they are one set.
    #[serde(default)]
    pub parallel: Option<usize>,
    /// How many of the members, the first ones, are the service's own; `None` when all are.
    #[serde(default)]
    own: Option<usize>,
    /// Whether members that have passed keep the new version when a later batch fails.
    #[serde(default)]
    pub pauses: bool,
    /// Where it has paused for that.
    #[serde(default)]
    pub paused: Option<Paused>,
    /// What an operator is needed for in the end.
    #[serde(default)]
    stuck: Option<Stuck>,
    /// How sure the gates were that were passed.
    #[serde(default)]
    gate: Option<Gate>,
    /// The last place that was tried before an interruption after which it went on from an earlier one.
    #[serde(default)]
    furthest: Option<Place<Step>>,
}

/// The local tags by which the images of a replacement are kept from a pruning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The new image's.
    pub new: String,
    /// The old image's.
    pub old: String,
    /// Whether the new image's was made for this replacement.
    pub made: bool,
}

/// One container to replace, as it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The canonical name, which the new container takes over.
    pub name: String,
    /// The old container's id.
    pub old: String,
    /// The old container's `HostConfig.RestartPolicy`.
    pub policy: Value,
    /// Whether it ran. If not, the new one is not started.
    pub runs: bool,
    /// Whether it passed the service's checks.
    pub was_healthy: bool,
    /// Whether the engine had to start it again and again.
    #[serde(default)]
    pub was_restarting: bool,
    /// The local tag to move, if the operator's reference has one.
    pub tag: Option<TagMove>,
}

/// How far a replacement is. Each names the call that comes next, whose effect may be there already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Towards the new version. Everything before `step` of member `at` is done.
    Replacing {
        /// The step.
        step: Step,
        /// The member.
        at: usize,
        /// The new containers' ids, of the first members.
        new: Vec<String>,
    },
    /// Past the point of no return: the new version passed the gate.
    Committed {
        /// The step.
        step: Tidy,
        /// The member.
        at: usize,
        /// The new containers' ids.
        new: Vec<String>,
        /// How sure the gate was; `None` when nothing was to run.
        gate: Option<Gate>,
    },
    /// Back to the old version.
    RollingBack {
        /// The step.
        step: Undo,
        /// The member.
        at: usize,
        /// The new containers' ids, of the first members.
        new: Vec<String>,
        /// The last step forth that was tried.
        reached: Step,
        /// The number of the batch that it was tried for.
        #[serde(default)]
        batch: usize,
        /// The member whose stop was tried, and may be under way still.
        #[serde(default)]
        stopping: Option<usize>,
        /// What went wrong.
        why: String,
    },
    /// Nothing more to do.
    Ended {
        /// How it ended.
        ending: Ending,
    },
}

/// How a replacement ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// The new version has the name, and runs if the old one did.
    Succeeded {
        /// How sure the gate was; `None` when nothing was to run.
        gate: Option<Gate>,
    },
    /// Of a rolling deploy the first members have the new version, which passed the gate there; the others have the old one, and
    /// it runs as well as before.
    Paused {
        /// How many members have the new version, at least one and not all.
        passed: usize,
        /// What went wrong with the next.
        why: String,
    },
    /// The old version was stopped, or its restart policy could not be given back, and it runs as well as before.
    RolledBack {
        /// What went wrong.
        why: String,
    },
    /// The old version was not stopped, and has what it had: a restart policy that was taken is given back, and what a
    /// restart of the engine has stopped meanwhile is started.
    FailedUntouched {
        /// What went wrong.
        why: String,
    },
    /// Neither way could be gone to its end, or a human changed things meanwhile. Nothing more is touched.
    NeedsOperator {
        /// What went wrong, and what then.
        why: String,
    },
}

impl Deploy {
    /// A replacement that has not begun.
    pub fn new(deploy: String, members: Vec<Member>, from: Side, to: Side) -> Self {
        let state = State::Replacing {
            step: Step::Tag,
            at: 0,
            new: Vec::new(),
        };
        let fresh = Self {
            format: journal::format_for(Strategy::default(), None, None),
            deploy,
            members,
            from,
            to,
            state,
            notes: Vec::new(),
            kept: None,
            fault: Fault::Host,
            watch: None,
            resumed: 0,
            left: Vec::new(),
            strategy: Strategy::default(),
            parallel: None,
            own: None,
            pauses: false,
            paused: None,
            stuck: None,
            gate: None,
            furthest: None,
        };
        fresh.begun()
    }

    /// At its first place.
    fn begun(self) -> Self {
        self.forth(Step::Tag, 0, Vec::new())
    }

    /// The next call; `None` at the end.
    pub fn next(&self) -> Option<Action> {
        match &self.state {
            State::Replacing { step, at, new } => self.step(*step, *at, new),
            State::Committed { step, at, new, .. } => self.tidy(*step, *at, new),
            State::RollingBack { step, at, new, .. } => self.undo(*step, *at, new),
            State::Ended { .. } => None,
        }
    }

    /// The deploy after what came of [`Self::next`].
    pub fn on(mut self, event: Event) -> Self {
        let state = std::mem::replace(&mut self.state, Ending::lost());
        match state {
            State::Replacing { step, at, new } => self.after_step(step, at, new, event),
            State::Committed {
                step,
                at,
                new,
                gate,
            } => self.after_tidy(step, at, new, gate, event),
            State::RollingBack {
                step,
                at,
                new,
                reached,
                batch,
                stopping,
                why,
            } => {
                let back = Back {
                    new,
                    reached,
                    batch,
                    stopping,
                    why,
                };
                self.after_undo(step, at, back, event)
            }
            ended @ State::Ended { .. } => Self {
                state: ended,
                ..self
            },
        }
    }

    /// The deploy, ended also when there is no next call because its journal does not fit together.
    pub fn or_stuck(self) -> Self {
        if self.ending().is_some() || self.next().is_some() {
            return self;
        }
        let why = format!(
            "the journal of the deploy does not fit together: {:?}",
            self.state
        );
        self.needs_operator(why)
    }

    /// How it ended; `None` while it is under way.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended { ending } => Some(ending),
            State::Replacing { .. } | State::Committed { .. } | State::RollingBack { .. } => None,
        }
    }

    /// The name of a member's new container until it takes over.
    fn new_name(&self, member: &Member) -> String {
        format!("{}--new-{}", member.name, self.deploy)
    }

    /// The name of a member's old container from then on.
    fn parked_name(&self, member: &Member) -> String {
        format!("{}--old-{}", member.name, self.deploy)
    }

    fn end(self, ending: Ending) -> Self {
        Self {
            state: State::Ended { ending },
            ..self
        }
    }

    fn needs_operator(self, why: String) -> Self {
        self.end(Ending::NeedsOperator { why })
    }
}

/// What a rollback carries from step to step.
struct Back {
    new: Vec<String>,
    reached: Step,
    batch: usize,
    stopping: Option<usize>,
    why: String,
}

impl Ending {
    /// Stands in while a state is taken apart.
    fn lost() -> State {
        State::Ended {
            ending: Self::NeedsOperator { why: String::new() },
        }
    }
}

impl Member {
    /// Whether the engine would start the old container by itself.
    fn armed(&self) -> bool {
        let name = self.policy.get("Name").and_then(Value::as_str);
        !matches!(name, None | Some("" | "no"))
    }
}
