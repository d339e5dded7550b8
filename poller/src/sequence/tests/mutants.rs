//! Machines with one mistake each, made by changing what goes into the real one and what comes out of it; and that
//! each promise notices its own, in a play in which the real one breaks none (`properties` has many more plays of that).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a mutant is about one of many, and right about all others"
)]

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use towline_protocol::Gate;

use super::{
    super::{Action, Ending, Event, Sequence, State, Step, Undo},
    fate::{Fate, fates, in_turn},
    model::Host,
    play::play,
    property::Promise,
    scene::{Scene, a_scene},
};

/// Each mistake, and the promise that it breaks.
const MISTAKES: [(Mutant, Promise); 27] = [
    (Mutant::ForgetsUpOld, Promise::OldServes),
    (Mutant::SkipsVerify, Promise::OldServes),
    (Mutant::ForgetsRollBack, Promise::Truthful),
    (Mutant::ForgetsUntag, Promise::Truthful),
    (Mutant::GoesWithoutRecord, Promise::Truthful),
    (Mutant::SkipsGate, Promise::Truthful),
    (Mutant::SkipsLook, Promise::Truthful),
    (Mutant::TrustsTheGateAfterACrash, Promise::Truthful),
    (Mutant::SaysSucceededAlways, Promise::Truthful),
    (Mutant::SaysUntouched, Promise::Truthful),
    (Mutant::TakesPostponedForDone, Promise::Truthful),
    (Mutant::ForgetsWhereTheBackupIs, Promise::Truthful),
    (Mutant::RunsAgain, Promise::RunsOnce),
    (Mutant::RollsBackAgain, Promise::RunsOnce),
    (Mutant::ForgetsResumptions, Promise::Recovers),
    (Mutant::BelievesInterruptedSteps, Promise::BackedUpFirst),
    (Mutant::RestoresAlways, Promise::DataKept),
    (Mutant::RestoresAgain, Promise::DataKept),
    (Mutant::ForgetsToRestore, Promise::DataKept),
    (Mutant::BacksUpLate, Promise::BackedUpFirst),
    (Mutant::ForgetsCheckOutOld, Promise::OneCommit),
    (Mutant::ForgetsToStart, Promise::StartedAgain),
    (Mutant::ForgetsToStopNew, Promise::StillMeanwhile),
    (Mutant::ForgetsToStopContainers, Promise::StillMeanwhile),
    (Mutant::ForgetsToStopAgain, Promise::StillMeanwhile),
    (Mutant::ForgetsLeftovers, Promise::Alone),
    (Mutant::GoesOnBeside, Promise::Alone),
];

/// The same plays for every mutant.
fn plays() -> Vec<(Scene, Vec<Fate>)> {
    let mut runner = TestRunner::deterministic();
    let strategy = (a_scene(), fates());
    let a_play = |_| strategy.new_tree(&mut runner).unwrap().current();
    (0..6000).map(a_play).collect()
}

#[test]
fn each_mistake_breaks_its_promise_and_without_one_none_is_broken() {
    let plays = plays();
    let broken = |(scene, fates): &(Scene, Vec<Fate>), mutant| {
        play(scene, &mut in_turn(fates.clone()), mutant).broken
    };
    for (mutant, promise) in MISTAKES {
        let is_seen = |one: &&_| broken(one, Some(mutant)).contains_key(&promise);
        let seen = plays.iter().find(is_seen);
        let one = seen.unwrap_or_else(|| panic!("{mutant:?} breaks no {promise:?}"));
        let broken = broken(one, None);
        assert!(broken.is_empty(), "{broken:?} by {one:?}");
    }
}

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    ForgetsUpOld,
    SkipsVerify,
    ForgetsRollBack,
    ForgetsUntag,
    ForgetsLeftovers,
    GoesWithoutRecord,
    SkipsGate,
    SkipsLook,
    TrustsTheGateAfterACrash,
    SaysSucceededAlways,
    SaysUntouched,
    TakesPostponedForDone,
    ForgetsWhereTheBackupIs,
    RunsAgain,
    RollsBackAgain,
    ForgetsResumptions,
    BelievesInterruptedSteps,
    RestoresAlways,
    RestoresAgain,
    ForgetsToRestore,
    BacksUpLate,
    ForgetsCheckOutOld,
    ForgetsToStart,
    ForgetsToStopNew,
    ForgetsToStopContainers,
    ForgetsToStopAgain,
    GoesOnBeside,
}

impl Mutant {
    /// What it believes without doing it.
    pub(super) fn skip(self, deploy: &Sequence, action: &Action) -> Option<Event> {
        let done = |is_it: bool| is_it.then_some(Event::Done);
        let forth =
            |is: Step| matches!(&deploy.state, State::Replacing { step, .. } if *step == is);
        let back =
            |is: Undo| matches!(&deploy.state, State::RollingBack { step, .. } if *step == is);
        match self {
            Self::ForgetsUpOld => done(back(Undo::Up) || back(Undo::Verify)),
            Self::SkipsVerify => done(back(Undo::Verify)),
            Self::ForgetsRollBack => done(back(Undo::RollBack)),
            Self::ForgetsUntag => done(back(Undo::Untag)),
            Self::ForgetsToRestore => done(back(Undo::Restore)),
            Self::ForgetsCheckOutOld => done(back(Undo::CheckOut)),
            Self::ForgetsToStart => done(back(Undo::Start) || back(Undo::Verify)),
            Self::ForgetsToStopNew => done(back(Undo::Stop) && deploy.parts.compose.is_none()),
            Self::ForgetsToStopContainers => done(*action == Action::StopContainers),
            Self::ForgetsToStopAgain => done(forth(Step::StopAgain)),
            Self::BacksUpLate => done(forth(Step::BackUp)),
            Self::SkipsGate => forth(Step::Gate).then_some(Event::Passed {
                gate: Gate::Healthy,
            }),
            Self::SkipsLook => forth(Step::Look).then(|| Event::Looked {
                starts: Vec::new(),
                now: None,
            }),
            _ => None,
        }
    }

    /// What it does besides.
    pub(super) fn meddle(self, deploy: &Sequence, action: &Action, host: &mut Host) {
        let name = deploy.before.backup.clone();
        let restores = self == Self::RestoresAlways && *action == Action::Verify;
        if let Some(name) = name.filter(|_| restores) {
            host.act(&Action::Restore { name });
        }
    }

    pub(super) fn on(self, deploy: Sequence, event: Event) -> Sequence {
        match (self, event) {
            (Self::TakesPostponedForDone, Event::Postponed { .. }) => deploy.on(Event::Done),
            (Self::GoesOnBeside, Event::Outlived { why }) => deploy.on(Event::Failed { why }),
            (_, event) => deploy.on(event),
        }
    }

    pub(super) fn resume(self, mut deploy: Sequence) -> Sequence {
        match (self, &mut deploy.state) {
            (Self::ForgetsResumptions, _) => deploy.resumed = 0,
            (
                Self::TrustsTheGateAfterACrash,
                State::Replacing {
                    step: Step::Gate, ..
                },
            ) => {
                let gate = Gate::Healthy;
                return deploy.end(Ending::Succeeded { gate });
            }
            (
                Self::RunsAgain,
                State::Replacing {
                    step: Step::Run, ..
                },
            ) => return deploy,
            (
                Self::RollsBackAgain,
                State::RollingBack {
                    step: Undo::RollBack,
                    ..
                },
            ) => return deploy,
            (Self::BelievesInterruptedSteps, State::Replacing { .. }) => {
                return deploy.on(Event::Done);
            }
            (Self::RestoresAgain, State::RollingBack { restored, step, .. }) => {
                *restored = false;
                *step = Undo::Stop;
            }
            _ => {}
        }
        deploy.resume()
    }

    /// How it says that it ended.
    pub(super) fn say(self, deploy: Sequence) -> Sequence {
        match (self, deploy.ending()) {
            (Self::SaysSucceededAlways, _) => {
                let gate = Gate::Healthy;
                deploy.end(Ending::Succeeded { gate })
            }
            (Self::SaysUntouched, Some(Ending::RolledBack { why })) => {
                let why = why.clone();
                deploy.end(Ending::FailedUntouched { why })
            }
            (Self::ForgetsWhereTheBackupIs, Some(Ending::NeedsOperator { why })) => {
                let why = why.replace(".tar.gz", "");
                deploy.needs_operator(why)
            }
            _ => deploy,
        }
    }
}
