//! Going on after a crash, an engine or a disk has interrupted a replacement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Action, Back, Deploy, Ending, Event, Expected, Fault, Place, State, Step, Strategy, Tidy, Undo,
};
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
    /// The deploy as it goes on after a crash: back, unless the new version was committed or may be in its last gate. After another
    /// one there are containers to be made, which only who has planned them can do.
    pub fn resume(self) -> Self {
        self.gone_on(false)
    }

    /// The same for who can make more containers, or cannot.
    fn gone_on(mut self, can_create: bool) -> Self {
        let state = std::mem::replace(&mut self.state, Ending::lost());
        match state {
            State::Replacing { step, at, new } => match self.look_from(step, at) {
                Some((look, leader))
                    if self.resumed < RESUMES && (can_create || self.needs_no_plan(look, &new)) =>
                {
                    self.resumed += 1;
                    self.gone_to(step, at);
                    self.forth(look, leader, new)
                }
                Some(_) | None => {
                    let why = format!("interrupted ({step})");
                    let back = self.by(Fault::Interruption);
                    back.turned_back(step, at, new, why)
                }
            },
            // A restart of the engine may have stopped what has no restart policy of its own, and what a process has
            // read of the log went with it.
            State::RollingBack {
                step,
                at,
                new,
                reached,
                batch,
                why,
                ..
            } if self.may_be_down_again(step, at, batch) => {
                let back = Back {
                    new,
                    reached,
                    batch,
                    stopping: None,
                    why,
                };
                self.back(Undo::StartOld, back)
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
            | Event::Spoilt { .. }
            | Event::Gone { .. }) => other,
        };
        let after = self.on(event);
        if is_forth && has_failed {
            after.by(Fault::Interruption).all_back()
        } else {
            after
        }
    }

    /// The deploy after a failure of its way forth of which it is known whose fault it is: it is about the whole version, not about one batch.
    pub fn failed_by(self, event: Event, fault: Fault) -> Self {
        self.without_pause().on(event).by(fault)
    }

    /// The deploy as it goes on in the same process when the engine is back that was lost in the middle of a call: it may
    /// have stopped what has no restart policy. Until the new version is started, making the call again does.
    pub fn found_again(mut self) -> Self {
        match &self.state {
            State::Replacing { step, at, .. } if self.has_started_nothing(*step, *at) => self,
            State::Replacing {
                step: Step::Start,
                at,
                new,
            } if self.resumed < RESUMES && self.batch_of(*at) == 0 => {
                let (at, new) = (*at, new.clone());
                self.resumed += 1;
                self.gone_to(Step::Start, at);
                self.forth(Step::Start, 0, new)
            }
            State::Replacing { .. }
            | State::Committed { .. }
            | State::RollingBack { .. }
            | State::Ended { .. } => self.gone_on(true),
        }
    }

    /// Whether what comes after this look needs nothing of the plan, which is not on record: how more containers are made, and on
    /// which networks those that are there are to be found.
    fn needs_no_plan(&self, look: Step, new: &[String]) -> bool {
        let joins = self.strategy == Strategy::StartFirst && look == Step::Look;
        new.len() == self.members.len() && !joins
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
                let (step, at, new) = (*step, *at, new.clone());
                let why = format!("{next}: {why}");
                let back = self.without_pause().by(Fault::Host);
                back.turned_back(step, at, new, why)
            }
            (State::Replacing { .. }, State::Committed { .. }) => {
                let back = recorded.clone().without_pause();
                back.on(Event::Failed { why }).by(Fault::Host)
            }
            // A pause that is not on record is none to a recovery.
            (State::Replacing { .. }, State::RollingBack { .. }) => self.without_pause(),
            _ => self,
        }
    }

    /// How much of its time the gate has used up.
    pub(super) fn spent(&self) -> Duration {
        let watch = self.watch.as_ref();
        watch.map_or(Duration::ZERO, |watch| watch.waited.duration())
    }

    /// Looks whether the new containers run under the names that they have in `step` of this member.
    pub(super) fn look(&self, step: Step, at: usize, new: &[String]) -> Action {
        let has_its_first_name = |one: usize| {
            let takes_over_later = self.strategy == Strategy::StartFirst && step == Step::Look;
            takes_over_later && self.batch_of(one) == self.batch_of(at)
        };
        let running = new.iter().zip(&self.members).enumerate();
        let running = running.filter(|(one, _)| self.is_watched(*one) && !self.is_stuck(*one));
        let expected = running.map(|(one, (id, member))| Expected {
            id: id.clone(),
            name: match has_its_first_name(one) {
                true => self.new_name(member),
                false => member.name.clone(),
            },
        });
        Action::Look {
            containers: expected.collect(),
        }
    }

    /// Looks whether the new containers run under the canonical names.
    pub(super) fn look_at_all(&self, new: &[String]) -> Action {
        self.look(Step::LookAgain, 0, new)
    }

    /// The look from which it goes on that was interrupted in `step` of this member; `None` where nothing runs that could be
    /// looked at, or nothing has been in the gate yet.
    fn look_from(&self, step: Step, at: usize) -> Option<Place<Step>> {
        let look = self.strategy.resumes_at(step)?;
        let leader = self.batch(self.batch_of(at)).start;
        self.is_due(look, leader).then_some((look, leader))
    }

    /// Keeps how far it has come, before it goes on from an earlier step.
    fn gone_to(&mut self, step: Step, at: usize) {
        let here = (step, at);
        if self
            .furthest
            .is_none_or(|furthest| self.is_before(furthest, here))
        {
            self.furthest = Some(here);
        }
    }

    /// Whether it was interrupted since this look was to be made for the first time.
    pub(super) fn was_interrupted(&self, look: Step, at: usize) -> bool {
        self.furthest.is_some_and(|(step, member)| {
            let is_its = self.batch_of(member) == self.batch_of(at);
            is_its && self.strategy.resumes_at(step) == Some(look)
        })
    }

    /// Whether no new container was started yet.
    fn has_started_nothing(&self, step: Step, at: usize) -> bool {
        let started = self.strategy.has_come_to(step, Step::Start);
        !started && self.batch_of(at) == 0
    }

    /// Whether an old container that was started again may have been stopped by a restart of the engine since then.
    fn may_be_down_again(&self, step: Undo, at: usize, batch: usize) -> bool {
        let mut before = self.strategy.undos().iter().take_while(|one| **one != step);
        let has_begun = step == Undo::StartOld || before.any(|one| *one == Undo::StartOld);
        has_begun || self.batch_of(at) != batch
    }

    /// Into the gate, for the first time or again: only the same start goes on with the time that is left.
    pub(super) fn watched(
        mut self,
        step: Step,
        at: usize,
        new: Vec<String>,
        starts: Vec<String>,
        now: Option<Uptime>,
    ) -> Self {
        let before = self.watch.take();
        if let Some(before) = &before
            && before.starts != starts
        {
            let why = "interrupted (gate), and meanwhile the new container has restarted";
            let back = self.by(Fault::Interruption);
            return back.turned_back(step, at, new, why.to_owned());
        }
        let waited = before.map_or_else(Waited::default, |before| before.waited);
        let watch = Watch {
            starts,
            waited: waited.until(now),
        };
        self.watch = Some(watch);
        self.past(step, at, new)
    }
}
