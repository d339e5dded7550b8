//! Going on after a crash, an engine or a disk has interrupted a replacement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Back, Deploy, Ending, Event, Expected, Fault, State, Step, Tidy, Undo};
use crate::uptime::{Uptime, Waited};

/// How often a gate is gone on with after an interruption: a process that dies in each gate shall not try for ever.
const RESUMES: u32 = 5;

/// What is known of the new version's time in the gate, so that another process can go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// When each of the new containers was started, in the engine's words.
    pub starts: Vec<String>,
    /// How long the gate has lasted.
    pub waited: Waited,
}

impl Deploy {
    /// The deploy as it goes on after a crash: back, unless the new version was committed or may be in the gate.
    pub fn resume(mut self) -> Self {
        let state = std::mem::replace(&mut self.state, Ending::lost());
        match state {
            State::Replacing { step, new, .. } if step >= Step::Start && self.resumed < RESUMES => {
                self.resumed += 1;
                self.forth(Step::Look, 0, new)
            }
            State::Replacing { step, at, new } => {
                let why = format!("interrupted ({step})");
                self.by(Fault::Interruption)
                    .back(Undo::Find, 0, Back::after(step, at, new, why))
            }
            // A restart of the engine may have stopped what has no restart policy of its own, and what a process has
            // read of the log went with it.
            State::RollingBack {
                step,
                new,
                reached,
                why,
                ..
            } if step >= Undo::StartOld => {
                self.back(Undo::StartOld, 0, Back::before(reached, new, why))
            }
            State::Committed {
                step, new, gate, ..
            } if step >= Tidy::Start => self.commit(Tidy::Start, 0, new, gate),
            other @ (State::Committed { .. } | State::RollingBack { .. } | State::Ended { .. }) => {
                Self {
                    state: other,
                    ..self
                }
            }
        }
    }

    /// The deploy as it goes on after a crash when nobody knows its gate's checks any more: a version that may be in the
    /// gate has not passed them, so it is back.
    pub fn resume_ungated(mut self) -> Self {
        self.resumed = RESUMES;
        self.resume()
    }

    /// The deploy after what came of [`Self::next`], for which the engine had to be waited for. A restart of it stops what it
    /// runs, so that a new version which does not run any more is not at fault; what failed is worth another try.
    pub fn after_a_loss(self, event: Event) -> Self {
        let is_forth = matches!(self.state, State::Replacing { .. });
        let has_failed = matches!(event, Event::Failed { .. });
        let event = match event {
            Event::Failed { why } => Event::Failed {
                why: format!("{why} (the engine did not answer for a while)"),
            },
            other @ (Event::Done
            | Event::Created { .. }
            | Event::Found { .. }
            | Event::Looked { .. }
            | Event::Passed { .. }
            | Event::Gone { .. }) => other,
        };
        let after = self.on(event);
        if is_forth && has_failed {
            after.by(Fault::Interruption)
        } else {
            after
        }
    }

    /// The deploy after a failure of its way forth of which it is known whose fault it is.
    pub fn failed_by(self, event: Event, fault: Fault) -> Self {
        self.on(event).by(fault)
    }

    /// The deploy as it goes on in the same process when the engine is back that was lost in the middle of a call: it may
    /// have stopped what has no restart policy. Until the new version is started, making the call again does.
    pub fn found_again(mut self) -> Self {
        match &self.state {
            State::Replacing { step, .. } if *step < Step::Start => self,
            State::Replacing {
                step: Step::Start,
                new,
                ..
            } if self.resumed < RESUMES => {
                let new = new.clone();
                self.resumed += 1;
                self.forth(Step::Start, 0, new)
            }
            State::Replacing { .. }
            | State::Committed { .. }
            | State::RollingBack { .. }
            | State::Ended { .. } => self.resume(),
        }
    }

    /// The deploy as it goes on when it cannot be recorded any more; `recorded` is how it was recorded last.
    ///
    /// Without a durable record nothing new is begun: what was begun is undone, as a recovery from the last record
    /// would do. A commit that is on record goes on, for the same reason.
    pub fn unrecorded(self, recorded: &Self, why: String) -> Self {
        match (&recorded.state, &self.state) {
            (
                State::Replacing { step, at, .. },
                State::Replacing {
                    step: next, new, ..
                },
            ) => {
                let back = Back::after(*step, *at, new.clone(), format!("{next}: {why}"));
                self.by(Fault::Host).back(Undo::Find, 0, back)
            }
            (State::Replacing { .. }, State::Committed { .. }) => {
                recorded.clone().on(Event::Failed { why }).by(Fault::Host)
            }
            _ => self,
        }
    }

    /// How much of its time the gate has used up.
    pub(super) fn spent(&self) -> Duration {
        let watch = self.watch.as_ref();
        watch.map_or(Duration::ZERO, |watch| watch.waited.duration())
    }

    /// Looks whether the new containers run under the canonical names.
    pub(super) fn look(&self, new: &[String]) -> Action {
        let running = new.iter().zip(&self.members);
        let running = running.filter(|(_, member)| member.runs);
        let expected = running.map(|(id, member)| Expected {
            id: id.clone(),
            name: member.name.clone(),
        });
        Action::Look {
            containers: expected.collect(),
        }
    }

    /// Into the gate, for the first time or again: only the same start goes on with the time that is left.
    pub(super) fn watched(
        mut self,
        new: Vec<String>,
        starts: Vec<String>,
        now: Option<Uptime>,
    ) -> Self {
        let before = self.watch.take();
        if let Some(before) = &before
            && before.starts != starts
        {
            let why = "interrupted (gate), and meanwhile the new container has restarted";
            return self.by(Fault::Interruption).back(
                Undo::Find,
                0,
                Back::before(Step::Gate, new, why.to_owned()),
            );
        }
        let waited = before.map_or_else(Waited::default, |before| before.waited);
        let watch = Watch {
            starts,
            waited: waited.until(now),
        };
        self.watch = Some(watch);
        self.forth(Step::Gate, 0, new)
    }
}
