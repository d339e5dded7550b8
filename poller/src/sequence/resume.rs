//! Going on after a crash, an engine or a disk has interrupted a deploy.

use std::time::Duration;

use super::{Back, Cause, Ending, Event, Sequence, State, Step, Undo, Which};
use crate::{
    machine::{Fault, Watch},
    settings::OnInterrupt,
};

/// How often a deploy is gone on with after an interruption: one that takes the process with it shall not be tried for ever.
pub(super) const RESUMES: u32 = 5;

impl Sequence {
    /// The deploy as it goes on after a crash. What is left of its [`Self::process`] must have been ended before.
    ///
    /// Forth: back, unless the new version may be in the gate, which is gone on with. A `run` that was begun is the
    /// file's `on_interrupt` to decide; one that was not is not begun any more. Where nothing leads back, a start is made again.
    /// Back: from the beginning, or from the start of the old version if that was reached; a `rollback` that was
    /// begun is begun again only for `rerun`.
    pub fn resume(mut self) -> Self {
        let state = std::mem::replace(&mut self.state, Ending::lost());
        self.interrupted |= !matches!(state, State::Ended { .. });
        match state {
            State::Replacing { step, .. } => self.resume_forth(step),
            State::RollingBack {
                step,
                reached,
                cause,
                restored,
                unsure,
                why,
                ..
            } => {
                let back = Back {
                    reached,
                    cause,
                    restored,
                    unsure,
                    why,
                };
                self.resume_back(step, back)
            }
            ended @ State::Ended { .. } => Self {
                state: ended,
                ..self
            },
        }
    }

    fn resume_forth(self, step: Step) -> Self {
        let reached = self.reached(step);
        let why = format!("interrupted ({step})");
        let may_go_on = self.resumed < RESUMES;
        match step {
            Step::Look | Step::Gate if may_go_on => self.again(Step::Look),
            Step::Start if may_go_on && !self.leads_back(reached, Cause::Interrupted) => {
                self.again(Step::Start)
            }
            Step::Run | Step::StopAgain if self.ran => match self.on_interrupt() {
                OnInterrupt::Rerun if may_go_on => self.again_run(),
                OnInterrupt::Rerun | OnInterrupt::Rollback
                    if self.leads_back(reached, Cause::Interrupted) =>
                {
                    self.interrupted_at(reached, why)
                }
                OnInterrupt::Rerun | OnInterrupt::Rollback | OnInterrupt::Ask => {
                    let archive = self.archive(reached);
                    self.by(Fault::Interruption).needs_operator(format!(
                        "{why}: how far `run` came is not known, and nothing was touched since{archive}"
                    ))
                }
            },
            Step::Stop
            | Step::BackUp
            | Step::CheckOut
            | Step::Tag
            | Step::Up
            | Step::StopAgain
            | Step::Run
            | Step::Start
            | Step::Look
            | Step::Gate => self.interrupted_at(reached, why),
        }
    }

    fn interrupted_at(self, reached: Option<Step>, why: String) -> Self {
        self.by(Fault::Interruption)
            .back_from(reached, Cause::Interrupted, why)
    }

    fn again(mut self, step: Step) -> Self {
        self.resumed += 1;
        self.process = None;
        self.forth(step, 0)
    }

    fn again_run(self) -> Self {
        if self.argv(Which::Stop).is_none() {
            return self.again(Step::Run);
        }
        let state = State::Replacing {
            step: Step::StopAgain,
            at: 0,
        };
        Self {
            state,
            ..self.again(Step::Run)
        }
    }

    fn on_interrupt(&self) -> OnInterrupt {
        let command = self.parts.command.as_ref();
        command.map_or(OnInterrupt::Ask, |command| command.on_interrupt)
    }

    fn resume_back(mut self, step: Undo, mut back: Back) -> Self {
        let was_begun = self.process.take().is_some();
        // A system that starts the service by itself has started neither version: what that one wrote does not stay.
        back.restored &= step != Undo::RollBack;
        match step {
            // A restart of the system or the engine may have stopped what was started.
            Undo::Start | Undo::Verify => {
                let from = if self.parts.compose.is_some() {
                    Undo::Up
                } else {
                    Undo::Start
                };
                self.back(from, 0, back)
            }
            Undo::RollBack if was_begun => {
                if self.on_interrupt() != OnInterrupt::Rerun || self.resumed >= RESUMES {
                    let archive = self.archive(back.reached);
                    return self.needs_operator(format!(
                        "{}; then it was interrupted (rollback): how far `rollback` came is not known, and nothing was \
                         touched since{archive}",
                        back.why
                    ));
                }
                self.resumed += 1;
                self.back(Undo::Stop, 0, back)
            }
            Undo::SaveLog => self.back(Undo::SaveLog, 0, back),
            Undo::Stop
            | Undo::CheckOut
            | Undo::Untag
            | Undo::Restore
            | Undo::Up
            | Undo::RollBack => self.back(Undo::Stop, 0, back),
        }
    }

    /// The deploy, for a service that has checks or has none by now; `None` where that is not known any more.
    pub fn checked(mut self, has_checks: Option<bool>) -> Self {
        self.before.has_checks = has_checks.unwrap_or(self.before.has_checks);
        self
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
        let Event::Failed { why } = event else {
            return self.on(event);
        };
        let why = format!("{why} (the engine did not answer for a while)");
        let after = self.on(Event::Failed { why });
        if is_forth {
            after.by(Fault::Interruption)
        } else {
            after
        }
    }

    /// The deploy after a failure of its way forth of which it is known whose fault it is.
    pub fn failed_by(self, event: Event, fault: Fault) -> Self {
        self.on(event).by(fault)
    }

    /// The deploy as it goes on in the same process when the engine is back that was lost in the middle of an action: it may
    /// have stopped what has no restart policy. Until containers were made, doing it again does.
    pub fn found_again(self) -> Self {
        match &self.state {
            State::Replacing {
                step: Step::Tag, ..
            } => self,
            State::Replacing { step: Step::Up, .. } if self.resumed < RESUMES => {
                self.again(Step::Up)
            }
            State::Replacing { .. } | State::RollingBack { .. } | State::Ended { .. } => {
                self.resume()
            }
        }
    }

    /// The deploy as it goes on when it cannot be recorded any more; `recorded` is how it was recorded last.
    ///
    /// Without a durable record nothing new is begun: what was begun is undone, as a recovery from the last record
    /// would do. What comes after `run` is gone on with, since it may all be done twice, and a
    /// `rollback` could not be begun; so is a gate, which changes nothing.
    pub fn unrecorded(mut self, recorded: &Self, why: String) -> Self {
        let (State::Replacing { step, .. }, State::Replacing { step: next, .. }) =
            (&recorded.state, &self.state)
        else {
            return self;
        };
        let reached = recorded.reached_by_now(*step);
        if *next > Step::Run && (self.ran || *step >= Step::Look) {
            self.notes.push(why);
            return self;
        }
        let why = format!("{next}: {why}");
        self.by(Fault::Host).back_from(reached, Cause::Failed, why)
    }

    /// Whether what is next may be done although it, or a command's process, cannot be recorded: when it comes to the same
    /// if it is done again after what follows. What may not has failed then. A command that goes takes
    /// [`Self::begun`] all the same.
    pub fn may_go_unrecorded(&self) -> bool {
        match &self.state {
            State::Replacing { step, .. } => *step >= Step::Start,
            State::RollingBack { step, .. } => !matches!(step, Undo::Restore | Undo::RollBack),
            State::Ended { .. } => false,
        }
    }

    /// The last step that was begun when `step` is done, or was to be gone on with.
    fn reached_by_now(&self, step: Step) -> Option<Step> {
        if step == Step::StopAgain {
            Some(Step::Run)
        } else {
            Some(step)
        }
    }

    /// How much of its time the gate has used up.
    pub(super) fn spent(&self) -> Duration {
        let watch = self.watch.as_ref();
        watch.map_or(Duration::ZERO, |watch| watch.waited.duration())
    }

    /// Into the gate, for the first time or again: only the same start goes on with the time that is left.
    pub(super) fn watched(mut self, seen: Watch) -> Self {
        let before = self.watch.take();
        if let Some(before) = &before
            && before.starts != seen.starts
        {
            let why = "interrupted (gate), and meanwhile a new container has restarted";
            return self.interrupted_at(Some(Step::Gate), why.to_owned());
        }
        let waited = before.map_or(seen.waited.clone(), |before| {
            before.waited.until(seen.waited.at)
        });
        self.watch = Some(Watch {
            starts: seen.starts,
            waited,
        });
        self.forth(Step::Gate, 0)
    }
}
