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
//! | restore | `up`, `run` or what follows was reached, nothing was postponed, and the file says `restore = true`; again when `rollback` was interrupted, since a supervisor may have started what is neither version |
//! | up as it was | `up` was reached |
//! | `rollback` | `run` was reached and is not merely postponed |
//! | start | the service was stopped, or `run` was reached |
//! | verify | anything of it could be seen: a stop, the checkout, `up` and what follows |
//!
//! A step back that fails leads to `NeedsOperator` at once, but for: a stop, after which all is put back that can be without
//! touching data, and an operator is needed since the failed version may run still; `rollback`, after which
//! what was stopped is started again, and an operator is needed; a log; a tag that no container was made from, both noted.
//! Where a program of any step, forth or back, goes on and cannot be ended, nothing is done beside it: `NeedsOperator` at once.
//!
//! Where `run` was reached and there is neither `rollback` nor a checkout nor a project, *nothing leads back*: nobody knows what is in
//! place. What was stopped for a failed `run` is started again, it is looked at, and an operator is needed.
//!
//! Endings: `FailedUntouched` when nothing was to be verified, `RolledBack` only after a verify that passed, `Postponed`
//! after the same as either.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use towline_protocol::{Gate, GitTag, Sha, Side};

mod back;
mod call;
mod forth;
mod resume;
#[cfg(test)]
mod tests;
mod variables;
mod words;

pub use back::{Cause, Undo};
pub use call::{Action, Event, Version, Which};
pub use forth::Step;
pub use variables::{About, compose_variables};

use crate::{
    machine::{Fault, TagMove, Watch},
    process::Identity,
    settings::Parts,
    version::VersionId,
};

/// The journal format that this version writes, and the newest that it reads. Format 1 is `machine`'s.
const FORMAT: u32 = 2;

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

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The revision that ran, as far as it is known.
    pub old: Revision,
    /// The revision that should run.
    pub new: Revision,
    /// Where the checkout was; there when the parts have a checkout.
    pub checkout: Option<Checkout>,
    /// The tags to move, of a Compose project.
    pub tags: Vec<TagMove>,
    /// The Compose project, as it was understood; there when the parts have one.
    #[serde(default)]
    pub project: Option<Brought>,
    /// The containers of the Compose project that are to be brought up, as they were.
    pub containers: Vec<OldContainer>,
    /// The file name of the backup to make; there when the parts have a backup.
    pub backup: Option<String>,
    /// Whether the service passed its checks.
    pub was_healthy: bool,
    /// What the version that ran is known by, if that is known.
    #[serde(default)]
    pub old_version: Option<VersionId>,
    /// What the version that should run is known by, if that is known.
    #[serde(default)]
    pub new_version: Option<VersionId>,
}

/// What is told of a version: to commands, and to people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit.
    #[serde(default)]
    pub sha: Option<Sha>,
    /// The branch, as its pusher has named it.
    #[serde(default)]
    pub branch: Option<String>,
    /// The git tag.
    #[serde(default)]
    pub tag: Option<GitTag>,
    /// The number of the workflow's run.
    #[serde(default)]
    pub run_number: Option<u64>,
}

/// Where a checkout was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Its commit.
    pub commit: Sha,
    /// The branch that it was on; `None` for a detached one.
    pub branch: Option<String>,
}

/// What is brought up of a Compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The project's name.
    pub name: String,
    /// The services that are wanted.
    pub wanted: Vec<String>,
    /// Those, and what they depend on.
    pub services: Vec<String>,
    /// The ids of their images by service, of those that have containers.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
}

/// A container of a Compose project, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldContainer {
    /// Its id.
    pub id: String,
    /// Its service in the Compose file.
    pub service: String,
    /// The id of its image.
    pub image: String,
    /// Whether it ran.
    pub ran: bool,
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

/// Why a journal cannot be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Not what any version writes.
    #[error("the journal of a deploy is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error(
        "the journal of a deploy has format {found}, and this version reads up to {FORMAT}: install the newer towline again"
    )]
    Newer {
        /// The format found.
        found: u32,
    },
    /// A container's journal, which `machine` reads.
    #[error("the journal is one of a container's deploy, not of a service made of parts")]
    OfContainer,
    /// Without a part.
    #[error("the journal of a deploy names neither a checkout, a Compose project nor a command")]
    Empty,
}

/// The format of a journal of any kind.
#[derive(Deserialize)]
struct Format {
    format: u32,
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

    /// The journal's text.
    ///
    /// # Errors
    /// Never for what this crate builds; the type of `serde_json` allows for it.
    pub fn to_journal(&self) -> Result<String, JournalError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Whether a journal is one of a deploy of parts, not of a container, which `machine` reads.
    pub fn is_in(journal: &str) -> bool {
        serde_json::from_str(journal).is_ok_and(|Format { format }| format >= FORMAT)
    }

    /// Reads what [`Self::to_journal`] wrote.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        let Format { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(JournalError::Newer { found: format });
        }
        if format < FORMAT {
            return Err(JournalError::OfContainer);
        }
        let sequence: Self = serde_json::from_str(text)?;
        let Parts {
            git,
            compose,
            command,
            ..
        } = &sequence.parts;
        if git.is_none() && compose.is_none() && command.is_none() {
            return Err(JournalError::Empty);
        }
        Ok(sequence)
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
