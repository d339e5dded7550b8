//! Worlds in which one part makes one mistake, and that each property notices its own.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use super::{
    property::Property,
    step::{Fate, Step, Steps, steps},
    world::play,
};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    AnswersBeforeCommit,
    DedupesByDelivery,
    EpochFromClockOnly,
    ForgetsLatePuts,
    ForgetsWhatCameMeanwhile,
    ForgetsWhatItKnows,
    ForgetsWhoIsAtIt,
    ForgetsTheDoubt,
    KeepsMarkAlone,
    KeepsTheEpoch,
    LosesAlarm,
    MovesMarkAcrossGap,
    PutsWhatItSawBefore,
    PutsWithoutPause,
    RegistersAfterReading,
    TakesOldEpochs,
    TakesRingAsHead,
}

/// Each mistake, and the property that it breaks.
const MISTAKES: [(Mutant, Property); 17] = [
    (Mutant::EpochFromClockOnly, Property::InTime),
    (Mutant::KeepsMarkAlone, Property::Arrives),
    (Mutant::MovesMarkAcrossGap, Property::Arrives),
    (Mutant::TakesRingAsHead, Property::Arrives),
    (Mutant::ForgetsLatePuts, Property::InTime),
    (Mutant::ForgetsWhatCameMeanwhile, Property::InTime),
    (Mutant::ForgetsTheDoubt, Property::InTime),
    (Mutant::LosesAlarm, Property::InTime),
    (Mutant::PutsWhatItSawBefore, Property::InTime),
    (Mutant::RegistersAfterReading, Property::Rung),
    (Mutant::ForgetsWhatItKnows, Property::Once),
    (Mutant::KeepsTheEpoch, Property::Forward),
    (Mutant::TakesOldEpochs, Property::Forward),
    (Mutant::ForgetsWhoIsAtIt, Property::OnePut),
    (Mutant::PutsWithoutPause, Property::OnePut),
    (Mutant::AnswersBeforeCommit, Property::OnRecord),
    (Mutant::DedupesByDelivery, Property::SameAnswer),
];

/// The same plays for every mutant, and one that chance rarely brings: a put lands late between the landing of
/// another and its answer.
fn plays() -> Vec<Steps> {
    let mut runner = TestRunner::deterministic();
    let strategy = steps();
    let a_play = |_| strategy.new_tree(&mut runner).unwrap().current();
    let late = |lands_ms, answer_ms| {
        Step::NextPut(Fate {
            lands_ms: Some(lands_ms),
            answer_ms,
            ok: true,
        })
    };
    let steps = vec![
        late(12_500, 0),
        late(100, 2_000),
        Step::Deliver { cause: 1 },
        Step::Pass { ms: 11_200 },
        Step::Deliver { cause: 3 },
        Step::Pass { ms: 5_000 },
    ];
    let left_behind = false;
    let by_hand = Steps { left_behind, steps };
    (0..600).map(a_play).chain([by_hand]).collect()
}

#[test]
fn each_mistake_breaks_its_property_and_without_one_none_is_broken() {
    let plays = plays();
    for (mutant, property) in MISTAKES {
        let is_seen = |one| play(one, Some(mutant)).contains_key(&property);
        assert!(
            plays.iter().any(is_seen),
            "{mutant:?} breaks no {property:?}"
        );
    }
    for one in &plays {
        let broken = play(one, None);
        assert!(broken.is_empty(), "{broken:#?} by {one:#?}");
    }
}
