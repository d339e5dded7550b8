//! In which order the steps of a replacement are gone, and for which containers: all at once as one set, or some after
//! others.
//!
//! Pure. Each way forth and back is a list of places here, a step and the member that it is for; `forth` and `back` say which of them
//! there is something to do for. Not here: what a step does.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Deploy, Step, Undo, journal};

/// Which of the two versions gives way first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The old one is stopped, then the new one is started.
    #[default]
    StopFirst,
    /// The new one is started beside the old one, passes the gate on its own address, and takes over; then the old one is stopped.
    StartFirst,
}

/// A step, and the member that it is for.
pub(super) type Place<S> = (S, usize);

impl Strategy {
    /// The steps forth, in their order.
    pub(super) const fn steps(self) -> &'static [Step] {
        match self {
            Self::StopFirst => &[
                Step::Tag,
                Step::Create,
                Step::Disarm,
                Step::Stop,
                Step::Park,
                Step::Promote,
                Step::Start,
                Step::Look,
                Step::Gate,
            ],
            Self::StartFirst => &[
                Step::Tag,
                Step::Create,
                Step::Start,
                Step::Look,
                Step::Gate,
                Step::Join,
                Step::Switch,
                Step::LookAgain,
                Step::GateAgain,
                Step::Disarm,
                Step::Drain,
                Step::Stop,
            ],
        }
    }

    /// The steps back, in their order. Where both can run at once, the old one serves again before the new one goes.
    pub(super) const fn undos(self) -> &'static [Undo] {
        match self {
            Self::StopFirst => &[
                Undo::Find,
                Undo::StopNew,
                Undo::Demote,
                Undo::Restore,
                Undo::Rearm,
                Undo::StopOld,
                Undo::StartOld,
                Undo::Verify,
                Undo::Untag,
                Undo::SaveLog,
                Undo::RemoveNew,
            ],
            Self::StartFirst => &[
                Undo::Find,
                Undo::Demote,
                Undo::Restore,
                Undo::Rearm,
                Undo::StopOld,
                Undo::StartOld,
                Undo::Verify,
                Undo::StopNew,
                Undo::Untag,
                Undo::SaveLog,
                Undo::RemoveNew,
            ],
        }
    }

    /// Whether who has come to `reached` has come past `step`, or to it.
    pub(super) fn has_come_to(self, reached: Step, step: Step) -> bool {
        self.place(step) <= self.place(reached)
    }

    /// The later of two steps.
    pub(super) fn later(self, one: Step, other: Step) -> Step {
        match self.has_come_to(one, other) {
            true => one,
            false => other,
        }
    }

    /// From which step on a way back is more than tidying up: the old version does not serve any more, or not alone.
    pub(super) const fn takes_over(self) -> Step {
        match self {
            Self::StopFirst => Step::Stop,
            Self::StartFirst => Step::Join,
        }
    }

    /// The steps in which the old one loses the canonical name, and the new one gets it.
    pub(super) const fn renames(self) -> (Step, Step) {
        match self {
            Self::StopFirst => (Step::Park, Step::Promote),
            Self::StartFirst => (Step::Switch, Step::Switch),
        }
    }

    /// Where a deploy goes on that was interrupted in `step`; `None` where it goes back. What runs and may have passed its gate
    /// is looked at.
    pub(super) const fn resumes_at(self, step: Step) -> Option<Step> {
        match (self, step) {
            (_, Step::Start | Step::Look | Step::Gate) => Some(Step::Look),
            (
                Self::StartFirst,
                Step::LookAgain | Step::GateAgain | Step::Disarm | Step::Drain | Step::Stop,
            ) => Some(Step::LookAgain),
            (Self::StopFirst | Self::StartFirst, _) => None,
        }
    }

    fn place(self, step: Step) -> usize {
        let mut steps = self.steps().iter();
        steps.position(|one| *one == step).unwrap_or(usize::MAX)
    }
}

impl Deploy {
    /// The deploy, which has not begun, by this strategy.
    #[must_use]
    pub fn with_strategy(self, strategy: Strategy) -> Self {
        let format = journal::format_for(strategy, self.parallel, self.own);
        Self {
            format,
            strategy,
            ..self
        }
        .begun()
    }

    /// The deploy, which has not begun, as a rolling one: `parallel` members at a time, at least one, each batch through its gate before
    /// the next is touched. Nothing is committed before the last has passed.
    #[must_use]
    pub fn rolling(self, parallel: usize) -> Self {
        let parallel = Some(parallel.max(1));
        let format = journal::format_for(self.strategy, parallel, self.own);
        Self {
            format,
            parallel,
            ..self
        }
        .begun()
    }

    /// The number of the batch that a member is in, from 0.
    pub(super) fn batch_of(&self, at: usize) -> usize {
        at / self.batch_size()
    }

    /// The members of a batch.
    pub(super) fn batch(&self, number: usize) -> Range<usize> {
        let (size, all) = (self.batch_size(), self.members.len());
        let begin = number.saturating_mul(size);
        begin.min(all)..begin.saturating_add(size).min(all)
    }

    /// Whether the member is the first of its batch, for which that does what it does once.
    pub(super) fn leads(&self, at: usize) -> bool {
        self.batch(self.batch_of(at)).start == at
    }

    fn batch_size(&self) -> usize {
        self.parallel.unwrap_or(self.members.len()).max(1)
    }

    /// All places on the way forth.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<Step>> {
        let last = self.batch_of(self.members.len().saturating_sub(1));
        (0..=last).flat_map(move |number| {
            let steps = self.strategy.steps().iter();
            steps.flat_map(move |step| in_order(*step, self.batch(number), *step == Step::Stop))
        })
    }

    /// All places on the way back of who has come to the batch of this number: that one first, since the others serve, and that one
    /// alone where those keep the new version.
    pub(super) fn places_back(&self, number: usize) -> impl Iterator<Item = Place<Undo>> {
        let first = if self.paused.is_some() { number } else { 0 };
        (first..=number).rev().flat_map(move |number| {
            let steps = self.strategy.undos().iter();
            steps.flat_map(move |step| {
                // Of a group's logs the last is the one that is kept whole.
                let ends = matches!(step, Undo::StopNew | Undo::StopOld | Undo::SaveLog);
                in_order(*step, self.batch(number), ends)
            })
        })
    }

    /// Whether the first place comes before the other one on the way forth.
    pub(super) fn is_before(&self, one: Place<Step>, other: Place<Step>) -> bool {
        let index = |place| self.places().position(|one| one == place);
        index(one) < index(other)
    }
}

/// The step for each of the members: what depends on another one comes after it, and is ended before it.
fn in_order<S: Copy>(step: S, members: Range<usize>, ends: bool) -> Vec<Place<S>> {
    match ends {
        true => members.rev().map(|at| (step, at)).collect(),
        false => members.map(|at| (step, at)).collect(),
    }
}
