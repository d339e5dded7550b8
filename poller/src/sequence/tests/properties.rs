//! Searches for counterexamples to what is promised.

use proptest::{collection::vec, prelude::*};

use super::{
    fate::{Fate, an_interruption, at_act, fates, in_turn},
    play::{STEPS, perform, play},
    scene::{Kind, Scene, a_scene},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_comes_in_between_every_promise_is_kept(scene in a_scene(), fates in fates()) {
        let played = play(&scene, &mut in_turn(fates), None);
        prop_assert!(played.broken.is_empty(), "{:#?}", played.broken);
        prop_assert!(played.steps >= STEPS, "{}", played.steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn interruptions_again_and_again_need_no_operator_where_there_is_no_command(
        scene in a_scene(), fates in vec(an_interruption(), 0..80),
    ) {
        let scene = Scene { command: None, git: true, fragile: false, ..scene };
        let end = perform(&scene, in_turn(fates));
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }

    #[test]
    fn one_failure_on_the_way_needs_no_operator_where_something_leads_back(
        scene in a_scene(), at in 0usize..25, fate in proptest::sample::select(vec![
            Fate::Refused, Fate::RefusedAmid, Fate::RefusedYetDone, Fate::Postponed,
        ]),
    ) {
        let scene = Scene { versions: vec![Kind::Fit], fragile: false, deadly: false, ..scene };
        prop_assume!(scene.leads_back());
        let end = perform(&scene, at_act(at, fate));
        prop_assert!(!matches!(end.ending(), Ending::NeedsOperator { .. }), "{:?}", end.ending());
    }
}
