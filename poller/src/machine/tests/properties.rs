//! Searches for counterexamples to the properties.

use proptest::{collection::vec, prelude::*};

use super::{
    fate::{Fate, Moment, a_crash, a_failure, an_interruption, at_call, fates, in_turn, of_calls},
    play::{STEPS, calls, perform, play},
    scene::{Scene, Version, a_hard_scene, a_scene},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_comes_in_between_every_property_holds(
        scene in a_hard_scene(), fates in fates(),
    ) {
        let played = play(&scene, &mut in_turn(fates), None);
        prop_assert!(played.broken.is_empty(), "{:#?}", played.broken);
        prop_assert!(played.steps >= STEPS, "{}", played.steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn crashes_anywhere_again_and_again_end_with_one_version_serving(
        scene in a_scene(), fates in vec(a_crash(), 0..120),
    ) {
        let end = perform(&scene, in_turn(fates));
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }

    #[test]
    fn restarts_anywhere_again_and_again_end_with_one_version_serving(
        scene in a_scene(), fates in vec(an_interruption(), 0..120),
    ) {
        let end = perform(&scene, in_turn(fates));
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }

    #[test]
    fn whatever_fails_or_crashes_the_ending_says_what_is_there(
        scene in a_scene(), fates in vec(a_failure(), 0..60),
    ) {
        perform(&scene, of_calls(fates));
    }

    #[test]
    fn a_journal_that_cannot_be_written_any_more_never_leaves_the_service_down(
        scene in a_scene(), lost in 1usize..40, crash in 1usize..60, stays in any::<bool>(),
    ) {
        let (mut commits, mut calls) = (0, 0);
        let end = perform(&scene, |moment| match moment {
            Moment::Commit => {
                commits += 1;
                let is_full = commits > lost && (stays || calls <= crash);
                // It is not full for ever.
                if is_full && commits < lost + 100 { Fate::Refused } else { Fate::Works }
            }
            Moment::Call(_) => {
                calls += 1;
                if calls == crash + 1 { Fate::DiesAfter } else { Fate::Works }
            }
        });
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }

    #[test]
    fn one_failure_on_the_way_never_needs_an_operator(scene in a_scene(), at in 0usize..1000, yet_done in any::<bool>()) {
        let scene = Scene { versions: vec![Version::Fit], ..scene };
        let forth = calls(&scene);
        let olds = &scene.olds;
        let committed = olds.iter().map(|old| usize::from(old.armed()) + usize::from(old.runs) + 1).sum::<usize>();
        let committed = committed + usize::from(olds.iter().any(|old| old.runs));
        let at = at % (forth - committed);
        let fate = if yet_done { Fate::RefusedYetDone } else { Fate::Refused };
        let end = perform(&scene, at_call(at, fate));
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }
}
