//! Single deploys in which the process, the engine or the machine goes away.

use super::{
    fate::{Fate, Moment, at_call, of_calls},
    play::{Stage, calls, perform},
    scene::{Old, Scene},
    *,
};

#[test]
fn a_crash_at_each_call_goes_back_before_the_new_version_runs_and_forth_after_it() {
    for fate in [Fate::DiesBefore, Fate::DiesAfter] {
        for at in 0..calls(&Scene::one(true)) {
            let end = perform(&Scene::one(true), at_call(at, fate));
            assert_eq!(
                matches!(end.ending(), Ending::Succeeded { .. }),
                at > 6 || (at == 6 && fate == Fate::DiesAfter),
                "{at} {fate:?}: {:?}",
                end.ending()
            );
        }
    }
}

#[test]
fn a_restart_of_the_engine_or_the_machine_at_each_call_ends_with_one_version_serving() {
    for fate in [Fate::Restart, Fate::Reboot] {
        for at in 0..calls(&Scene::one(true)) {
            let end = perform(&Scene::one(true), at_call(at, fate));
            assert!(
                !matches!(end.ending(), Ending::NeedsOperator { .. }),
                "{at} {fate:?}: {:?}",
                end.ending()
            );
        }
    }
}

#[test]
fn an_old_container_that_is_still_being_stopped_is_not_taken_for_one_that_serves() {
    let stop = 3;
    for fate in [Fate::DiesAmid, Fate::RefusedAmid] {
        let end = perform(&Scene::one(true), at_call(stop, fate));
        assert!(
            matches!(end.ending(), Ending::RolledBack { why } if why.contains("stop")),
            "{fate:?}: {:?}",
            end.ending()
        );
        let starts = end.engine.containers["old0"].starts;
        assert_eq!(starts, 2, "it was started anew");
    }
}

#[test]
fn a_gate_in_which_the_process_dies_each_time_is_given_up() {
    let fates =
        std::iter::repeat_n(Fate::Works, 8).chain(std::iter::repeat_n(Fate::DiesBefore, 12));
    let end = perform(&Scene::one(true), of_calls(fates));
    assert!(
        matches!(end.ending(), Ending::RolledBack { why } if why == "interrupted (gate)"),
        "{:?}",
        end.ending()
    );
}

/// The first of the calls that `is_it` names has this fate, and every other one works.
fn at_first(scene: &Scene, fate: Fate, is_it: impl Fn(&Action) -> bool) -> Stage {
    let mut has_come = false;
    perform(scene, |moment| match moment {
        Moment::Call(action) if is_it(action) && !has_come => {
            has_come = true;
            fate
        }
        Moment::Commit | Moment::Call(_) => Fate::Works,
    })
}

/// Two running containers with these restart policies.
fn two(passes: bool, policies: [&'static str; 2]) -> Scene {
    let olds = policies.map(|policy| Old { runs: true, policy });
    Scene {
        olds: olds.to_vec(),
        ..Scene::one(passes)
    }
}

#[test]
fn a_restart_of_the_engine_in_the_gate_is_not_the_versions_fault() {
    for fate in [Fate::Blink, Fate::Restart] {
        let in_gate = |action: &Action| matches!(action, Action::Gate { .. });
        let end = at_first(&Scene::one(true), fate, in_gate);
        assert!(
            matches!(end.ending(), Ending::RolledBack { why } if why.starts_with("interrupted (gate)")),
            "{fate:?}: {:?}",
            end.ending()
        );
        assert_eq!(end.deploy.fault, Fault::Interruption);
    }
}

#[test]
fn a_restart_of_the_engine_on_the_way_back_does_not_leave_the_old_version_down() {
    let scene = two(false, ["no", "no"]);
    let starts_the_second =
        |action: &Action| matches!(action, Action::Start { id } if id == "old1");
    let verifies = |action: &Action| matches!(action, Action::Verify { .. });
    for fate in [Fate::Blink, Fate::BlinkAfter, Fate::Restart] {
        for end in [
            at_first(&scene, fate, starts_the_second),
            at_first(&scene, fate, verifies),
        ] {
            assert!(
                matches!(end.ending(), Ending::RolledBack { .. }),
                "{fate:?}: {:?}",
                end.ending()
            );
        }
    }
}

#[test]
fn a_restart_of_the_engine_while_the_old_version_is_removed_leaves_the_new_one_running() {
    let scene = two(true, ["no", "no"]);
    let removes = |action: &Action| matches!(action, Action::Remove { .. });
    for fate in [Fate::Blink, Fate::BlinkAfter, Fate::Restart] {
        let end = at_first(&scene, fate, removes);
        assert!(matches!(end.ending(), Ending::Succeeded { .. }));
        let running = end.engine.containers.values().filter(|one| one.running);
        assert_eq!(running.count(), 3, "both, and nobody's");
    }
}

#[test]
fn one_of_a_set_without_a_policy_is_started_again_when_another_one_was_being_disarmed() {
    let disarms = |action: &Action| matches!(action, Action::SetPolicy { .. });
    let end = at_first(&two(true, ["no", "always"]), Fate::Restart, disarms);
    assert!(
        matches!(end.ending(), Ending::FailedUntouched { why } if why.contains("disarm")),
        "{:?}",
        end.ending()
    );
    assert!(end.engine.containers["old0"].running);
}

#[test]
fn an_old_container_whose_stop_cannot_be_recorded_is_not_stopped() {
    let mut commits = 0;
    let end = perform(&Scene::one(true), |moment| {
        commits += usize::from(matches!(moment, Moment::Commit));
        match moment {
            // The one before the old version's stop.
            Moment::Commit if commits == 4 => Fate::Refused,
            Moment::Commit | Moment::Call(_) => Fate::Works,
        }
    });
    assert!(
        matches!(end.ending(), Ending::FailedUntouched { why } if why == "stop: disk full"),
        "{:?}",
        end.ending()
    );
    let starts = end.engine.containers["old0"].starts;
    assert_eq!(starts, 1, "it served all along");
}
