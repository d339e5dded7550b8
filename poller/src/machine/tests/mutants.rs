//! Machines with one mistake each, made by changing what goes into the real one and what comes out of it; and that
//! each property notices its own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a mutant is about one of many, and right about all others"
)]

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;
use towline_protocol::Gate;

use super::{
    super::{Action, Deploy, Ending, Event, Paused, State, Step, Tidy, Undo},
    fate::{Fate, fates, in_turn},
    model::Engine,
    play::play,
    scene::{Scene, a_hard_scene},
};
use crate::testing::Property;

/// Each mistake, and the property that it breaks.
const MISTAKES: [(Mutant, Property); 25] = [
    (Mutant::ForgetsToPromote, Property::AtRest),
    (Mutant::ForgetsToRestore, Property::AtRest),
    (Mutant::RemovesOldBeforeGate, Property::OldKept),
    (Mutant::RemovesOldOnTheWayBack, Property::OldKept),
    (Mutant::SkipsDisarm, Property::OneArmed),
    (Mutant::ArmsBeforeTheGate, Property::OneArmed),
    (Mutant::ForgetsResumptions, Property::Recovers),
    (Mutant::FailsWhatIsGone, Property::Recovers),
    (Mutant::ForgetsToRecord, Property::Truthful),
    (Mutant::SaysSucceededAlways, Property::Truthful),
    (Mutant::SkipsVerify, Property::AtRest),
    (Mutant::SkipsGate, Property::Truthful),
    (Mutant::SkipsConfirm, Property::AtRest),
    (Mutant::GoesBackAfterCommit, Property::Recovers),
    (Mutant::TrustsTheGateAfterACrash, Property::Truthful),
    (Mutant::LosesIds, Property::Truthful),
    (Mutant::StopsAStranger, Property::StrangersKept),
    (Mutant::TakesAnyName, Property::StrangersKept),
    (Mutant::RemovesVolumes, Property::StrangersKept),
    (Mutant::LeavesCompanionsRunning, Property::AtRest),
    (Mutant::SharesWithTheOld, Property::AtRest),
    (Mutant::StopsOldInTheGate, Property::Served),
    (Mutant::JoinsBeforeTheGate, Property::Served),
    (Mutant::StopsAllAtOnce, Property::Served),
    (Mutant::LeavesWhatHasPassed, Property::Truthful),
];

/// The same plays for every mutant.
fn plays() -> Vec<(Scene, Vec<Fate>)> {
    let mut runner = TestRunner::deterministic();
    let strategy = (a_hard_scene(), fates());
    let a_play = |_| strategy.new_tree(&mut runner).unwrap().current();
    (0..2000).map(a_play).collect()
}

#[test]
fn each_mistake_breaks_its_property_and_without_one_none_is_broken() {
    let plays = plays();
    let broken = |(scene, fates): &(Scene, Vec<Fate>), mutant| {
        play(scene, &mut in_turn(fates.clone()), mutant).broken
    };
    for (mutant, property) in MISTAKES {
        let is_seen = |one| broken(one, Some(mutant)).contains_key(&property);
        assert!(
            plays.iter().any(is_seen),
            "{mutant:?} breaks no {property:?}"
        );
    }
    for one in &plays {
        let broken = broken(one, None);
        assert!(broken.is_empty(), "{broken:?} by {one:?}");
    }
}

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    ForgetsToPromote,
    ForgetsToRestore,
    RemovesOldBeforeGate,
    RemovesOldOnTheWayBack,
    SkipsDisarm,
    ArmsBeforeTheGate,
    ForgetsResumptions,
    FailsWhatIsGone,
    ForgetsToRecord,
    SaysSucceededAlways,
    SkipsVerify,
    SkipsGate,
    SkipsConfirm,
    GoesBackAfterCommit,
    TrustsTheGateAfterACrash,
    LosesIds,
    StopsAStranger,
    TakesAnyName,
    RemovesVolumes,
    StopsOldInTheGate,
    JoinsBeforeTheGate,
    StopsAllAtOnce,
    LeavesCompanionsRunning,
    SharesWithTheOld,
    LeavesWhatHasPassed,
}

impl Mutant {
    /// What it believes without making the call.
    pub(super) fn skip(self, deploy: &Deploy, action: &Action, engine: &Engine) -> Option<Event> {
        let done = |is_it: bool| is_it.then_some(Event::Done);
        let forth =
            |is: Step| matches!(&deploy.state, State::Replacing { step, .. } if *step == is);
        let back =
            |is: Undo| matches!(&deploy.state, State::RollingBack { step, .. } if *step == is);
        let tidy = |is: Tidy| matches!(&deploy.state, State::Committed { step, .. } if *step == is);
        match self {
            Self::ForgetsToPromote => done(forth(Step::Promote)),
            Self::ForgetsToRestore => done(back(Undo::Restore)),
            Self::LeavesCompanionsRunning => {
                let at = match &deploy.state {
                    State::Replacing { at, .. } => *at,
                    _ => 0,
                };
                done(forth(Step::Stop) && deploy.is_companion(at))
            }
            Self::SkipsDisarm => done(forth(Step::Disarm)),
            Self::SkipsVerify => done(back(Undo::Verify)),
            Self::SkipsGate => forth(Step::Gate).then_some(Event::Passed {
                gate: Gate::Healthy,
            }),
            Self::SkipsConfirm => tidy(Tidy::Confirm).then(|| Event::Looked {
                starts: Vec::new(),
                now: None,
            }),
            Self::TakesAnyName => match action {
                Action::Find { name } => Some(Event::Found {
                    id: engine.named(name),
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it does besides.
    pub(super) fn meddle(self, deploy: &Deploy, action: &Action, engine: &mut Engine) {
        let olds = || deploy.members.iter().map(|member| &member.old);
        match (self, action, &deploy.state) {
            (Self::RemovesOldBeforeGate, Action::Gate { .. }, _)
            | (Self::RemovesOldOnTheWayBack, _, State::RollingBack { .. }) => {
                for old in olds() {
                    engine.containers.remove(old);
                }
            }
            (Self::ArmsBeforeTheGate, Action::Stop { .. }, State::Replacing { new, at, .. }) => {
                let policy = json!({ "Name": "always" });
                for id in [&new[*at], &deploy.members[*at].old] {
                    let (id, policy) = (id.clone(), policy.clone());
                    engine.act(&Action::SetPolicy { id, policy });
                }
            }
            (Self::StopsOldInTheGate, Action::Gate { brief: false, .. }, _)
            | (Self::StopsAllAtOnce, Action::Stop { .. }, State::Replacing { .. }) => {
                for id in olds().cloned() {
                    engine.act(&Action::Stop { id });
                }
            }
            (
                Self::JoinsBeforeTheGate,
                Action::Gate {
                    ids, brief: false, ..
                },
                _,
            ) => {
                for id in ids.iter().cloned() {
                    engine.act(&Action::Join { id, member: 0 });
                }
            }
            (Self::StopsAStranger, Action::Stop { .. }, _) => {
                let id = "other".to_owned();
                engine.act(&Action::Stop { id });
            }
            (Self::SharesWithTheOld, Action::Rename { .. }, State::Replacing { .. }) => {
                let olds: Vec<_> = olds().cloned().collect();
                for one in engine.containers.values_mut() {
                    if let (Some(port), Some(_)) = (one.port, &one.lender) {
                        one.lender = Some(olds[port - 1].clone());
                    }
                }
            }
            (Self::RemovesVolumes, Action::Remove { .. }, _) => engine.volumes.clear(),
            _ => {}
        }
    }

    pub(super) fn on(self, deploy: Deploy, event: Event) -> Deploy {
        match (self, event) {
            (Self::FailsWhatIsGone, Event::Gone { why }) => deploy.needs_operator(why),
            (Self::LeavesWhatHasPassed, event) => {
                let mut after = deploy.on(event);
                if let State::RollingBack { batch: 1, why, .. } = &after.state {
                    let (passed, why) = (after.batch(1).start, why.clone());
                    after.paused = Some(Paused { passed, why });
                }
                after
            }
            (_, event) => deploy.on(event),
        }
    }

    pub(super) fn resume(self, mut deploy: Deploy) -> Deploy {
        match (self, deploy.state.clone()) {
            (Self::ForgetsResumptions, _) => {
                deploy.resumed = 0;
                deploy.resume()
            }
            (Self::GoesBackAfterCommit, State::Committed { new, .. }) => {
                let why = "interrupted".to_owned();
                deploy.turned_back(Step::Gate, 0, new, why)
            }
            (
                Self::TrustsTheGateAfterACrash,
                State::Replacing {
                    step: Step::Gate,
                    new,
                    ..
                },
            ) => deploy.commit(Tidy::Arm, 0, new, Some(Gate::Healthy)),
            (Self::LosesIds, State::Replacing { step, at, .. }) => {
                let new = Vec::new();
                deploy.state = State::Replacing { step, at, new };
                deploy.resume()
            }
            _ => deploy.resume(),
        }
    }

    /// How it says that it ended.
    pub(super) fn say(self, deploy: Deploy) -> Deploy {
        if self == Self::SaysSucceededAlways {
            let gate = Some(Gate::Healthy);
            return deploy.end(Ending::Succeeded { gate });
        }
        deploy
    }
}
