//! Single deploys that go start-first, or batch by batch.

use super::{
    fate::{Fate, Moment, at_call},
    play::{Stage, calls, perform},
    scene::{Old, Scene},
    *,
};

fn undisturbed(scene: &Scene) -> Stage {
    perform(scene, |_| Fate::Works)
}

/// Three running containers, replaced as many at a time.
fn three(passes: bool, parallel: usize) -> Scene {
    let old = Old {
        runs: true,
        policy: "always",
    };
    Scene {
        olds: vec![old; 3],
        parallel: Some(parallel),
        ..Scene::one(passes)
    }
}

/// The steps forth of a deploy in which everything works, each with its member.
fn steps(scene: &Scene) -> Vec<(Step, usize)> {
    let mut deploy = scene.deploy(&mut scene.engine(), 0).unwrap();
    let mut engine = scene.engine();
    engine.wanted = "v1".to_owned();
    engine.fit.insert("v1".to_owned());
    let mut steps = Vec::new();
    while let (State::Replacing { step, at, .. }, Some(action)) = (&deploy.state, deploy.next()) {
        steps.push((*step, *at));
        deploy = deploy.on(engine.act(&action));
    }
    steps
}

#[test]
fn start_first_the_old_version_is_stopped_last() {
    let steps: Vec<Step> = steps(&Scene::start_first(true))
        .iter()
        .map(|(step, _)| *step)
        .collect();
    assert_eq!(steps, Strategy::StartFirst.steps());
    assert_eq!(steps.last(), Some(&Step::Stop));
}

#[test]
fn start_first_a_version_that_fails_on_its_own_address_has_touched_nothing() {
    let end = undisturbed(&Scene::start_first(false));
    let why = "gate: unfit".to_owned();
    assert_eq!(end.ending(), &Ending::FailedUntouched { why });
    assert_eq!(end.deploy.fault, Fault::Version);
    let old = &end.engine.containers["old0"];
    assert_eq!((old.name.as_str(), old.starts), ("web0", 1));
    assert_eq!(end.engine.containers, end.before.containers);
}

#[test]
fn start_first_a_version_that_fails_after_it_has_joined_is_taken_back_and_the_old_one_was_never_stopped()
 {
    for is_it in [
        (|action: &Action| matches!(action, Action::Join { .. })) as fn(&Action) -> bool,
        |action| matches!(action, Action::Gate { brief: true, .. }),
        |action| matches!(action, Action::Drain { .. }),
    ] {
        let end = perform(&Scene::start_first(true), |moment| match moment {
            Moment::Call(action) if is_it(action) => Fate::Refused,
            Moment::Commit | Moment::Call(_) => Fate::Works,
        });
        assert!(
            matches!(end.ending(), Ending::RolledBack { .. }),
            "{:?}",
            end.ending()
        );
        let old = &end.engine.containers["old0"];
        assert_eq!(
            (old.name.as_str(), old.policy.as_str(), old.starts),
            ("web0", "always", 1)
        );
    }
}

#[test]
fn start_first_a_crash_goes_back_up_to_the_switch_and_forth_after_it() {
    let all = steps(&Scene::start_first(true));
    for fate in [Fate::DiesBefore, Fate::DiesAfter, Fate::DiesAmid] {
        for at in 0..calls(&Scene::start_first(true)) {
            let end = perform(&Scene::start_first(true), at_call(at, fate));
            // After a crash the state on record is that of the call.
            let step = all.get(at).map(|(step, _)| *step);
            let goes_on = step
                .is_none_or(|step| Strategy::StartFirst.resumes_at(step) == Some(Step::LookAgain));
            assert_eq!(
                matches!(end.ending(), Ending::Succeeded { .. }),
                goes_on,
                "{step:?} {fate:?}: {:?}",
                end.ending()
            );
        }
    }
}

#[test]
fn rolling_each_batch_passes_its_gate_before_the_next_is_touched() {
    let steps = steps(&three(true, 2));
    let gates: Vec<usize> = (0..steps.len())
        .filter(|at| steps[*at].0 == Step::Gate)
        .collect();
    assert_eq!(gates.len(), 2);
    assert!(steps[..gates[0]].iter().all(|(_, at)| *at < 2));
    assert!(steps[gates[0] + 1..].iter().all(|(_, at)| *at == 2));
}

#[test]
fn a_set_is_stopped_in_the_reverse_order_of_its_start() {
    let set = Scene {
        parallel: None,
        ..three(true, 1)
    };
    let members = |of: Step| {
        let all = steps(&set).into_iter();
        all.filter(|(step, _)| *step == of)
            .map(|(_, at)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(members(Step::Stop), [2, 1, 0]);
    assert_eq!(members(Step::Start), [0, 1, 2]);
}

#[test]
fn rolling_a_failure_takes_back_what_was_replaced_before_it_last_first() {
    let mut gates = 0;
    let mut started = Vec::new();
    let end = perform(&three(true, 1), |moment| match moment {
        Moment::Call(Action::Gate { .. }) => {
            gates += 1;
            if gates == 2 {
                Fate::Refused
            } else {
                Fate::Works
            }
        }
        Moment::Call(Action::Start { id }) => {
            started.push(id.clone());
            Fate::Works
        }
        Moment::Commit | Moment::Call(_) => Fate::Works,
    });
    assert!(
        matches!(end.ending(), Ending::RolledBack { .. }),
        "{:?}",
        end.ending()
    );
    assert_eq!(started, ["new1", "new2", "old1", "old0"]);
    assert_eq!(end.engine.containers["old2"].starts, 1);
}

#[test]
fn what_the_first_version_could_do_is_written_as_it_wrote_that() {
    let format = |scene: &Scene| {
        let text = scene
            .deploy(&mut scene.engine(), 0)
            .unwrap()
            .to_journal()
            .unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["format"].clone()
    };
    assert_eq!(format(&Scene::one(true)), 1);
    assert_eq!(format(&Scene::start_first(true)), 3);
    assert_eq!(format(&three(true, 1)), 3);
}
