//! The machine for services made of parts: what to do next to bring a version of a git checkout, a Compose project or a
//! command in place, and where every failure leads.
//!
//! Pure, and driven like `machine`: [`Sequence::next`] says what to do, [`Sequence::on`] takes what came of it, and
//! whoever drives it (`apply`) writes it to the journal before each action. A command is on record with its process
//! ([`Sequence::begun`]) before it may go, so that after a crash [`Sequence::resume`] knows whether it can have run. Not
//! here: what the actions mean to git, Compose and the system, health checks, the clock.
//!
//! Forth, only what the parts ask for: stop, back up, check out, tag, up, run, start, look, gate. Nothing comes after the gate: it
//! is the closing of the journal that commits. Everything that can be refused was refused before the first record.
//!
//! Back, from what was reached last (`reached`, the last step that was begun):
//!
//! | undone | when |
//! |---|---|
//! | save log | `up` was reached, of a Compose project |
//! | stop | `run` was reached, or anything after a crash, since a supervisor may have started what it found. Containers: only when data are restored |
//! | check out the old commit | the checkout was reached |
//! | tags back | the tags were reached |
//! | restore | `up`, `run` or what follows was reached, nothing was postponed, and the file says `restore = true`; after a crash where there is no project also from the checkout on; again when `rollback` was interrupted, since a supervisor may have started what is neither version |
//! | up as it was | `up` was reached |
//! | `rollback` | `run` was reached and is not merely postponed |
//! | start | the service was stopped, or `run` was reached |
//! | verify | anything of it could be seen: a stop, the checkout, `up` and what follows |
//!
//! A step back that fails leads to `NeedsOperator` at once, but for: a stop, after which all is put back that can be without
//! touching data, and an operator is needed since the failed version may run still; `rollback`, after which
//! what was stopped is started again, and an operator is needed; a log; a tag that no container was made from, both noted.
//! Where a program of any step, forth or back, goes on and cannot be ended, nothing is done beside it: `NeedsOperator` at once. Not
//! so that of an `exec` check, which is a check that fails.
//!
//! Where `run` was reached and there is neither `rollback` nor a checkout nor a project, *nothing leads back*: nobody knows what is in
//! place. What was stopped for a failed `run` is started again, it is looked at, and an operator is needed.
//!
//! Endings: `FailedUntouched` when nothing was to be verified, `RolledBack` only after a verify that passed, `Postponed`
//! after the same as either.

use serde::{Deserialize, Serialize};
use towline_protocol::{Gate, Side};

mod back;
mod before;
mod call;
mod forth;
mod journal;
mod resume;
#[cfg(test)]
mod tests;
mod variables;
mod words;

pub use back::{Cause, Undo};
pub use before::{Before, Brought, Checkout, OldContainer, Revision};
pub use call::{Action, Event, Version, Which};
pub use forth::Step;
use journal::FORMAT;
pub(crate) use variables::known;
pub use variables::{About, compose_variables};
pub use words::AS_BEFORE;

use crate::{
    machine::{Fault, Watch},
    process::Identity,
    settings::Parts,
};

/// A deploy of parts under way: what it is about, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    format: u32,
    /// 8 hex digits.
    pub deploy: String,
    /// The service's parts, as they were at the beginning.
    pub parts: Parts,
    /// What was there before, and what should be.
    pub before: Before,
    /// What ran before.
    pub from: Side,
    /// What should run.
    pub to: Side,
    /// How far it is.
    pub state: State,
    /// What was left undone without harm, for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Whose fault it is if it does not succeed.
    #[serde(default)]
    pub fault: Fault,
    /// The new version's time in the gate; `None` before.
    #[serde(default)]
    pub watch: Option<Watch>,
    /// How often it was gone on with after an interruption, forth or with a `rollback`.
    #[serde(default)]
    pub resumed: u32,
    /// The process of the command that is under way; `None` when none was begun.
    #[serde(default)]
    pub process: Option<Identity>,
    /// Whether `run` was ever begun.
    #[serde(default)]
    pub ran: bool,
    /// Whether it was ever interrupted.
    #[serde(default)]
    pub interrupted: bool,
}

/// How far a deploy is. Each names the action that comes next, which may have been done already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Towards the new version. Everything before `step` is done.
    Replacing {
        /// The step.
        step: Step,
        /// Which of the tags, in [`Step::Tag`].
        at: usize,
    },
    /// Back to the old version.
    RollingBack {
        /// The step.
        step: Undo,
        /// Which of the tags, in [`Undo::Untag`].
        at: usize,
        /// The last step forth that was begun; `None` when none was.
        reached: Option<Step>,
        /// What kind of end the way forth had.
        cause: Cause,
        /// Whether the data were put back.
        #[serde(default)]
        restored: bool,
        /// What failed on the way back, so that an operator is needed at its end.
        #[serde(default)]
        unsure: Option<String>,
        /// What went wrong on the way forth.
        why: String,
    },
    /// Nothing more to do.
    Ended {
        /// How it ended.
        ending: Ending,
    },
}

/// How a deploy of parts ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// The new version is in place, and passed the gate.
    Succeeded {
        /// How sure the gate was.
        gate: Gate,
    },
    /// Something that shows was changed or stopped; the old version is in place again, as well as before.
    RolledBack {
        /// What went wrong.
        why: String,
    },
    /// Nothing was changed or stopped that shows, and a tag that was moved was moved back.
    FailedUntouched {
        /// What went wrong.
        why: String,
    },
    /// `run` asked for another time; all is as it was, after a stop and a start perhaps.
    Postponed {
        /// What it said.
        why: String,
    },
    /// Neither way could be gone to its end. Nothing more is touched.
    NeedsOperator {
        /// What went wrong, and what then.
        why: String,
    },
}

impl Sequence {
    /// A deploy that has not begun.
    pub fn new(deploy: String, parts: Parts, before: Before, from: Side, to: Side) -> Self {
        let fresh = Self {
            format: FORMAT,
            deploy,
            parts,
            before,
            from,
            to,
            state: Ending::lost(),
            notes: Vec::new(),
            fault: Fault::Host,
            watch: None,
            resumed: 0,
            process: None,
            ran: false,
            interrupted: false,
        };
        fresh.forth(Step::Stop, 0)
    }

    /// What is to be done next; `None` at the end.
    pub fn next(&self) -> Option<Action> {
        match &self.state {
            State::Replacing { step, at } => self.step(*step, *at),
            State::RollingBack { step, at, .. } => self.undo(*step, *at),
            State::Ended { .. } => None,
        }
    }

    /// The deploy with the process of the command that is next, which may go once this is on record.
    pub fn begun(mut self, process: Identity) -> Self {
        let is_run = matches!(
            self.next(),
            Some(Action::Command {
                which: Which::Run,
                ..
            })
        );
        self.ran |= is_run;
        self.process = Some(process);
        self
    }

    /// The deploy after what came of [`Self::next`].
    pub fn on(mut self, event: Event) -> Self {
        let state = std::mem::replace(&mut self.state, Ending::lost());
        match state {
            State::Replacing { step, at } => self.after_step(step, at, event),
            State::RollingBack {
                step,
                at,
                reached,
                cause,
                restored,
                unsure,
                why,
            } => {
                let back = Back {
                    reached,
                    cause,
                    restored,
                    unsure,
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

    /// The deploy with something more to tell at its end, once.
    pub fn noting(mut self, note: Option<String>) -> Self {
        let is_new = |note: &String| !self.notes.contains(note);
        let note = note.filter(is_new);
        self.notes.extend(note);
        self
    }

    /// The deploy, ended also when there is nothing to do next because its journal does not fit together.
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
            State::Replacing { .. } | State::RollingBack { .. } => None,
        }
    }

    fn end(self, ending: Ending) -> Self {
        Self {
            state: State::Ended { ending },
            process: None,
            ..self
        }
    }

    fn needs_operator(self, why: String) -> Self {
        self.end(Ending::NeedsOperator { why })
    }

    /// The deploy, whose failure is `fault`'s.
    fn by(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }
}

/// What the way back carries from step to step.
struct Back {
    reached: Option<Step>,
    cause: Cause,
    restored: bool,
    unsure: Option<String>,
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
