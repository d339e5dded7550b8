//! The way back to the old version.

use serde::{Deserialize, Serialize};

use super::{Action, Back, Ending, Event, Sequence, State, Step, Version, Which, forth::BESIDE};

/// A step back. The order is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Keep the end of the new containers' logs.
    SaveLog,
    /// Stop the service.
    Stop,
    /// Put the checkout where it was.
    CheckOut,
    /// Let the local tags lead where they led.
    Untag,
    /// Put the data back.
    Restore,
    /// Bring the Compose project up as it was.
    Up,
    /// Run `rollback`.
    RollBack,
    /// Start the service.
    Start,
    /// Wait until it is as well as it was.
    Verify,
}

/// What kind of end the way forth had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A step failed.
    Failed,
    /// The process, the engine or the machine went away in the middle.
    Interrupted,
    /// `run` asked for another time, and has changed nothing.
    Postponed,
}

impl Undo {
    const ALL: [Self; 9] = [
        Self::SaveLog,
        Self::Stop,
        Self::CheckOut,
        Self::Untag,
        Self::Restore,
        Self::Up,
        Self::RollBack,
        Self::Start,
        Self::Verify,
    ];

    /// In a sentence that begins with "could not".
    fn words(self) -> &'static str {
        match self {
            Self::SaveLog => "read the new containers' logs",
            Self::Stop => "stop the service",
            Self::CheckOut => "put the checkout back",
            Self::Untag => "move the local tag back",
            Self::Restore => "restore the data",
            Self::Up => "bring the old containers up",
            Self::RollBack => "run `rollback` to its end",
            Self::Start => "start the service again",
            Self::Verify => "bring the old version up as well as it was",
        }
    }
}

impl Sequence {
    pub(super) fn undo(&self, step: Undo, at: usize) -> Option<Action> {
        Some(match step {
            Undo::SaveLog => Action::SaveLog,
            Undo::Stop if self.parts.compose.is_some() => Action::StopContainers,
            Undo::Stop => self.command(Which::Stop, Version::Old)?,
            Undo::CheckOut => Action::CheckOutOld {
                checkout: self.before.checkout.clone()?,
                from: self.before.new.sha.clone()?,
                interrupted: self.interrupted,
            },
            Undo::Untag => Action::MoveTagBack(self.before.tags.get(at)?.clone()),
            Undo::Restore => Action::Restore {
                name: self.before.backup.clone()?,
            },
            Undo::Up => Action::UpOld,
            Undo::RollBack => self.command(Which::RollBack, Version::Old)?,
            Undo::Start => self.command(Which::Start, Version::Old)?,
            Undo::Verify => Action::Verify,
        })
    }

    pub(super) fn after_undo(
        mut self,
        step: Undo,
        at: usize,
        mut back: Back,
        event: Event,
    ) -> Self {
        self.process = None;
        match event {
            Event::Done => back.restored |= step == Undo::Restore,
            Event::Failed { why } | Event::Refused { why } | Event::Postponed { why } => {
                if !self.goes_on_without(step, &back) {
                    let why = format!("could not {}: {why}", step.words());
                    return self.stuck_at(step, &back, &why);
                }
                self.failed_undo(step, &mut back, &why);
            }
            Event::Outlived { why } => {
                let why = format!("could not {}: {why}{BESIDE}", step.words());
                return self.stuck_at(step, &back, &why);
            }
            other @ (Event::Looked { .. } | Event::Passed { .. }) => {
                self.notes.push(format!("unexpected answer {other:?}"));
            }
        }
        self.back(step, at.saturating_add(1), back)
    }

    /// Whether more of the way back may be gone although `step` has failed.
    fn goes_on_without(&self, step: Undo, back: &Back) -> bool {
        match step {
            Undo::SaveLog | Undo::RollBack => true,
            // Data must not be exchanged under a version that runs.
            Undo::Stop => !self.is_to_undo(Undo::Restore, 0, back),
            // No container was made from it.
            Undo::Untag => back.reached <= Some(Step::Tag),
            Undo::CheckOut | Undo::Restore | Undo::Up | Undo::Start | Undo::Verify => false,
        }
    }

    /// Keeps for the end that `step` has failed, without which the way back goes on.
    fn failed_undo(&mut self, step: Undo, back: &mut Back, why: &str) {
        let why = format!("could not {}: {why}", step.words());
        let unknown = match step {
            Undo::Stop => "what runs",
            Undo::RollBack => "what is in place",
            Undo::SaveLog
            | Undo::CheckOut
            | Undo::Untag
            | Undo::Restore
            | Undo::Up
            | Undo::Start
            | Undo::Verify => return self.notes.push(why),
        };
        let why = format!("{why}, so that {unknown} is not known");
        back.unsure = Some(match back.unsure.take() {
            Some(before) => format!("{before}; then it {why}"),
            None => why,
        });
    }

    /// Ended at a step back that has failed.
    fn stuck_at(self, step: Undo, back: &Back, why: &str) -> Self {
        let first = &back.why;
        let unsure = back.unsure.as_ref();
        let unsure = unsure.map_or(String::new(), |unsure| format!("; then it {unsure}"));
        let lost = if step == Undo::Verify && !self.leads_back(back.reached, back.cause) {
            NOTHING_LEADS_BACK
        } else {
            ""
        };
        let archive = self.archive(back.reached);
        self.needs_operator(format!("{first}{lost}{unsure}; then it {why}{archive}"))
    }

    /// On to the first step back that there is something to undo for, from `step`.
    pub(super) fn back(self, step: Undo, at: usize, back: Back) -> Self {
        let from_here = Undo::ALL.into_iter().filter(|other| *other >= step);
        let mut places = from_here.flat_map(|other| {
            let first = if other == step { at } else { 0 };
            let times = if other == Undo::Untag {
                self.before.tags.len()
            } else {
                1
            };
            (first..times).map(move |at| (other, at))
        });
        let Some((step, at)) = places.find(|(step, at)| self.is_to_undo(*step, *at, &back)) else {
            return self.arrived(back);
        };
        let Back {
            reached,
            cause,
            restored,
            unsure,
            why,
        } = back;
        Self {
            state: State::RollingBack {
                step,
                at,
                reached,
                cause,
                restored,
                unsure,
                why,
            },
            ..self
        }
    }

    /// At the end of the way back.
    fn arrived(self, back: Back) -> Self {
        let Back {
            reached,
            cause,
            unsure,
            why,
            ..
        } = back;
        let (archive, verified) = (self.archive(reached), self.verified());
        if let Some(unsure) = unsure {
            return self.needs_operator(format!("{why}; then it {unsure}{verified}{archive}"));
        }
        if !self.leads_back(reached, cause) {
            return self.needs_operator(format!("{why}{NOTHING_LEADS_BACK}{verified}{archive}"));
        }
        match cause {
            Cause::Postponed => self.end(Ending::Postponed { why }),
            Cause::Failed | Cause::Interrupted if self.shows(reached) => {
                self.end(Ending::RolledBack { why })
            }
            Cause::Failed | Cause::Interrupted => self.end(Ending::FailedUntouched { why }),
        }
    }

    fn is_to_undo(&self, step: Undo, at: usize, back: &Back) -> bool {
        let Some(reached) = back.reached else {
            return false;
        };
        let is_compose = self.parts.compose.is_some();
        let leads_back = self.leads_back(back.reached, back.cause);
        let was_stopped = self.argv(Which::Stop).is_some();
        match step {
            Undo::SaveLog => is_compose && reached >= Step::Up,
            Undo::Stop if is_compose => self.is_to_undo(Undo::Restore, 0, back),
            Undo::Stop => was_stopped && leads_back && (reached >= Step::Run || self.interrupted),
            Undo::CheckOut => self.parts.git.is_some() && reached >= Step::CheckOut,
            Undo::Untag => is_compose && reached >= Step::Tag && at < self.before.tags.len(),
            Undo::Restore => {
                let may_restore = self.parts.backup.as_ref().is_some_and(|it| it.restore);
                let may_have_changed = reached >= Step::Up && back.cause != Cause::Postponed;
                let may_have_changed = may_have_changed || self.may_have_come_up(reached);
                may_restore && may_have_changed && leads_back && !back.restored
            }
            Undo::Up => is_compose && reached >= Step::Up,
            Undo::RollBack => self.is_to_undo_by_command(back.reached, back.cause),
            Undo::Start => {
                let has_start = self.argv(Which::Start).is_some();
                let is_down = was_stopped && reached <= Step::Run;
                has_start && (is_down || (leads_back && reached >= Step::Run))
            }
            Undo::Verify => self.shows(back.reached),
        }
    }

    /// Whether a supervisor may have started what is half of the new version, after a restart of the machine, say. The
    /// containers of a project were not stopped, and are the old ones until `up`.
    fn may_have_come_up(&self, reached: Step) -> bool {
        self.interrupted && self.parts.compose.is_none() && reached >= Step::CheckOut
    }

    /// Whether `rollback` is to be run.
    fn is_to_undo_by_command(&self, reached: Option<Step>, cause: Cause) -> bool {
        let was_run = reached >= Some(Step::Run) && cause != Cause::Postponed;
        was_run && self.argv(Which::RollBack).is_some()
    }

    /// Whether the engine may still do what an `up` before has asked it for: one that was interrupted, took too long, or failed by one
    /// container while it made others.
    pub fn may_have_cut_off_an_up(&self) -> bool {
        let has_failed = matches!(
            self.state,
            State::RollingBack {
                reached: Some(Step::Up),
                ..
            }
        );
        self.interrupted || self.resumed > 0 || has_failed
    }

    /// Whether the old version can be had again: what `run` has done is taken back by `rollback` alone, or lies in a
    /// checkout or images that are changed back.
    pub(super) fn leads_back(&self, reached: Option<Step>, cause: Cause) -> bool {
        let may_have_changed = reached >= Some(Step::Run) && cause != Cause::Postponed;
        self.parts.has_way_back() || !may_have_changed
    }

    /// Whether anything was changed or stopped that shows.
    fn shows(&self, reached: Option<Step>) -> bool {
        let Some(reached) = reached else {
            return false;
        };
        let was_stopped = self.argv(Which::Stop).is_some();
        let was_checked_out = self.parts.git.is_some() && reached >= Step::CheckOut;
        was_stopped || was_checked_out || reached >= Step::Up
    }

    /// What a verify that has passed says of the service, for an operator.
    fn verified(&self) -> &'static str {
        let before = &self.before;
        match (before.has_checks, before.was_healthy) {
            (true, true) => "; its checks say that it is as well as before",
            (_, _) if self.parts.compose.is_some() => "; its containers run as before",
            (true, false) => "; its checks did not pass before either, and were not asked again",
            (false, _) => "; it has no checks (`health`) that could say how it is",
        }
    }

    /// Where the data from before are, for an operator.
    pub(super) fn archive(&self, reached: Option<Step>) -> String {
        let name = self.before.backup.as_ref();
        let name = name.filter(|_| reached > Some(Step::BackUp));
        name.map_or(String::new(), |name| {
            format!("; the data from before are in the backup {name}")
        })
    }
}

/// What an operator is told then.
const NOTHING_LEADS_BACK: &str =
    "; nothing leads back (there is no `rollback`), and what is in place is not known";
