//! The way to the new version.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Action, Back, Cause, Ending, Event, Sequence, State, Undo, Version, Which};
use crate::{
    machine::{Fault, Watch},
    uptime::Waited,
};

/// A step to the new version. The order is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Stop the service.
    Stop,
    /// Back its data up.
    BackUp,
    /// Put the checkout at the commit.
    CheckOut,
    /// Move the local tags that the Compose project is made from.
    Tag,
    /// Bring the Compose project up.
    Up,
    /// Stop the service once more before `run` is run again: a restart of the system may have started it.
    StopAgain,
    /// Run `run`.
    Run,
    /// Start the service.
    Start,
    /// Look since when its containers run: who goes on with the gate after a crash must know those again.
    Look,
    /// Wait for its health.
    Gate,
}

/// Why nothing more is done then.
pub(super) const BESIDE: &str = ", so that nothing more was done";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop | Self::StopAgain => "stop",
            Self::BackUp => "backup",
            Self::CheckOut => "checkout",
            Self::Tag => "tag",
            Self::Up => "up",
            Self::Run => "run",
            Self::Start => "start",
            // To people it is how the gate begins.
            Self::Look | Self::Gate => "gate",
        })
    }
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Stop,
        Self::BackUp,
        Self::CheckOut,
        Self::Tag,
        Self::Up,
        Self::StopAgain,
        Self::Run,
        Self::Start,
        Self::Look,
        Self::Gate,
    ];

    /// Whose fault a failure of it is, of which the engine, git, the command or the gate says `why`.
    fn fault(self, why: &str) -> Fault {
        match self {
            // Their words may be the version's own.
            Self::Run | Self::Start | Self::Gate => Fault::Version,
            Self::Up if !Fault::is_of_the_host(why) => Fault::Version,
            // Somebody else has changed what is looked at.
            Self::Up
            | Self::Stop
            | Self::StopAgain
            | Self::BackUp
            | Self::CheckOut
            | Self::Tag
            | Self::Look => Fault::Host,
        }
    }
}

impl Sequence {
    pub(super) fn step(&self, step: Step, at: usize) -> Option<Action> {
        Some(match step {
            Step::Stop | Step::StopAgain => self.command(Which::Stop, Version::New)?,
            Step::BackUp => Action::BackUp {
                name: self.before.backup.clone()?,
            },
            Step::CheckOut => Action::CheckOut {
                to: self.before.new.sha.clone()?,
                from: self.before.checkout.as_ref()?.commit.clone(),
            },
            Step::Tag => Action::MoveTag(self.before.tags.get(at)?.clone()),
            Step::Up => Action::Up,
            Step::Run => self.command(Which::Run, Version::New)?,
            Step::Start => self.command(Which::Start, Version::New)?,
            Step::Look => Action::Look,
            Step::Gate => Action::Gate {
                spent: self.spent(),
            },
        })
    }

    /// The command, if the service has it.
    pub(super) fn command(&self, which: Which, version: Version) -> Option<Action> {
        self.argv(which)?;
        Some(Action::Command { which, version })
    }

    /// The program and arguments of a command.
    pub fn argv(&self, which: Which) -> Option<&Vec<String>> {
        which.of(self.parts.command.as_ref()?)
    }

    pub(super) fn after_step(mut self, step: Step, at: usize, event: Event) -> Self {
        let reached = if matches!(event, Event::Refused { .. }) {
            self.earlier(step)
        } else {
            self.reached(step)
        };
        let (fault, cause, why) = match event {
            Event::Passed { gate } if step == Step::Gate => {
                return self.end(Ending::Succeeded { gate });
            }
            Event::Looked { starts, now } if step == Step::Look => {
                return self.watched(Watch {
                    starts,
                    waited: Waited::default().until(now),
                });
            }
            Event::Done if !matches!(step, Step::Look | Step::Gate) => {
                self.process = None;
                return self.forth(step, at.saturating_add(1));
            }
            // One that was cut off before it was run again may have changed something.
            Event::Postponed { why } if step == Step::Run && self.resumed > 0 => {
                let why = format!("interrupted ({step}): {why}");
                return self
                    .by(Fault::Interruption)
                    .back_from(reached, Cause::Interrupted, why);
            }
            Event::Postponed { why } if step == Step::Run => (Fault::Host, Cause::Postponed, why),
            Event::Refused { why } => (Fault::Host, Cause::Failed, why),
            Event::Outlived { why } => {
                let archive = self.archive(reached);
                return self
                    .by(step.fault(&why))
                    .needs_operator(format!("{step}: {why}{BESIDE}{archive}"));
            }
            Event::Failed { why } | Event::Postponed { why } => {
                let fault = if self.was_not_begun(step) {
                    Fault::Host
                } else {
                    step.fault(&why)
                };
                (fault, Cause::Failed, why)
            }
            other @ (Event::Done | Event::Looked { .. } | Event::Passed { .. }) => {
                let why = format!("unexpected answer {other:?}");
                (Fault::Host, Cause::Failed, why)
            }
        };
        let is_of_gate = step == Step::Look || (step == Step::Gate && self.parts.compose.is_none());
        let (fault, why) = if is_of_gate && self.resumed > 0 {
            (Fault::Interruption, format!("interrupted ({step}): {why}"))
        } else {
            (fault, format!("{step}: {why}"))
        };
        self.by(fault).back_from(reached, cause, why)
    }

    /// Onto the way back.
    pub(super) fn back_from(mut self, reached: Option<Step>, cause: Cause, why: String) -> Self {
        self.process = None;
        let back = Back {
            reached,
            cause,
            restored: false,
            unsure: None,
            why,
        };
        self.back(Undo::SaveLog, 0, back)
    }

    /// The last step that was begun when the machine stands at `step`, which may have been begun or not.
    pub(super) fn reached(&self, step: Step) -> Option<Step> {
        if step == Step::StopAgain {
            return Some(Step::Run);
        }
        if !self.was_not_begun(step) {
            return Some(step);
        }
        self.earlier(step)
    }

    /// The last step that there was something to do for before `step`.
    fn earlier(&self, step: Step) -> Option<Step> {
        let earlier = Step::ALL.into_iter().filter(|other| *other < step);
        earlier.rev().find(|other| self.is_due(*other, 0))
    }

    /// Whether `step`, at which the machine stands, is a command that cannot have run.
    pub(super) fn was_not_begun(&self, step: Step) -> bool {
        match step {
            Step::Run => !self.ran,
            Step::Stop | Step::StopAgain | Step::Start => self.process.is_none(),
            Step::BackUp | Step::CheckOut | Step::Tag | Step::Up | Step::Look | Step::Gate => false,
        }
    }

    /// On to the first step that there is something to do for, from `step`.
    pub(super) fn forth(self, step: Step, at: usize) -> Self {
        let from_here = Step::ALL.into_iter().filter(|other| *other >= step);
        let mut places = from_here.flat_map(|other| {
            let first = if other == step { at } else { 0 };
            (first..self.times(other)).map(move |at| (other, at))
        });
        let due = places.find(|(step, at)| self.is_due(*step, *at));
        // The gate is due always.
        let (step, at) = due.unwrap_or((Step::Gate, 0));
        Self {
            state: State::Replacing { step, at },
            ..self
        }
    }

    /// How often a step is made.
    fn times(&self, step: Step) -> usize {
        if step == Step::Tag {
            self.before.tags.len()
        } else {
            1
        }
    }

    fn is_due(&self, step: Step, at: usize) -> bool {
        match step {
            Step::Stop => self.argv(Which::Stop).is_some(),
            Step::BackUp => self.parts.backup.is_some(),
            Step::CheckOut => self.parts.git.is_some(),
            Step::Tag => self.parts.compose.is_some() && at < self.before.tags.len(),
            Step::Up => self.parts.compose.is_some(),
            // Only ever gone to by name.
            Step::StopAgain => false,
            Step::Run => self.argv(Which::Run).is_some(),
            Step::Start => self.argv(Which::Start).is_some(),
            Step::Look | Step::Gate => true,
        }
    }
}
