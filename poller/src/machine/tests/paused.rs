//! Rolling deploys whose second or third batch fails: who keeps the new version, and who has the old one.

use super::{
    fate::{Fate, Moment, refusing},
    play::{Stage, perform},
    scene::{Old, Scene},
    *,
};

/// Three containers that run, replaced one after the other.
fn three(pauses: bool) -> Scene {
    let old = Old {
        runs: true,
        policy: "always",
    };
    Scene {
        olds: vec![old; 3],
        parallel: Some(1),
        pauses,
        ..Scene::one(true)
    }
}

/// The deploy whose start of the new container of member `at` fails.
fn failing_at(scene: &Scene, at: usize) -> Stage {
    let id = format!("new{}", at + 1);
    perform(
        scene,
        refusing(move |action| matches!(action, Action::Start { id: of } if *of == id)),
    )
}

/// The images of the three, in their order.
fn images(end: &Stage) -> [String; 3] {
    [0, 1, 2].map(|at| {
        let id = end.engine.named(&format!("web{at}")).unwrap();
        end.engine.containers[&id].image.clone()
    })
}

#[test]
fn those_that_have_passed_keep_the_new_version_only_where_that_is_asked_for() {
    for (at, left) in [(1, ["v1", "old", "old"]), (2, ["v1", "v1", "old"])] {
        let end = failing_at(&three(true), at);
        let Ending::Paused { passed, why } = end.ending() else {
            panic!("{:?}", end.ending());
        };
        assert_eq!(
            (*passed, why.as_str()),
            (at, &*format!("start: web{at}: refused"))
        );
        assert_eq!(images(&end), left);
        let words = end.deploy.paused_in_words().unwrap();
        assert!(
            words.contains(&format!("{at} of 3 have the new version")),
            "{words}"
        );
        let end = failing_at(&three(false), at);
        assert!(
            matches!(end.ending(), Ending::RolledBack { .. }),
            "{:?}",
            end.ending()
        );
        assert_eq!(images(&end), ["old"; 3]);
        assert_eq!(end.deploy.paused_in_words(), None);
    }
}

#[test]
fn where_the_first_one_fails_there_is_nothing_good_to_leave() {
    let end = failing_at(&three(true), 0);
    assert!(
        matches!(end.ending(), Ending::RolledBack { .. }),
        "{:?}",
        end.ending()
    );
    assert_eq!(images(&end), ["old"; 3]);
}

#[test]
fn an_interruption_is_no_failure_and_takes_all_back_to_be_tried_again() {
    let mut stops = 0;
    let end = perform(&three(true), |moment| match moment {
        Moment::Call(Action::Stop { .. }) => {
            stops += 1;
            if stops == 2 {
                Fate::DiesAfter
            } else {
                Fate::Works
            }
        }
        Moment::Call(_) | Moment::Commit => Fate::Works,
    });
    assert!(
        matches!(end.ending(), Ending::RolledBack { .. }),
        "{:?}",
        end.ending()
    );
    assert_eq!(end.deploy.fault, Fault::Interruption);
    assert_eq!(images(&end), ["old"; 3]);
}

#[test]
fn a_crash_after_a_pause_was_put_on_record_comes_to_the_same_end() {
    for dies_at in 0..8 {
        let mut since = None;
        let end = perform(&three(true), |moment| match moment {
            Moment::Call(Action::Start { id }) if id == "new3" => {
                since = Some(0);
                Fate::Refused
            }
            Moment::Call(_) => match &mut since {
                Some(calls) => {
                    *calls += 1;
                    if *calls == dies_at + 1 {
                        Fate::DiesAfter
                    } else {
                        Fate::Works
                    }
                }
                None => Fate::Works,
            },
            Moment::Commit => Fate::Works,
        });
        assert!(
            matches!(end.ending(), Ending::Paused { passed: 2, .. }),
            "{:?}",
            end.ending()
        );
        assert_eq!(images(&end), ["v1", "v1", "old"]);
    }
}

#[test]
fn a_pause_that_cannot_be_put_on_record_takes_all_back() {
    let mut has_failed = false;
    let end = perform(&three(true), |moment| match moment {
        Moment::Call(Action::Start { id }) if id == "new3" => {
            has_failed = true;
            Fate::Refused
        }
        Moment::Commit if has_failed => {
            has_failed = false;
            Fate::Refused
        }
        Moment::Call(_) | Moment::Commit => Fate::Works,
    });
    assert!(
        matches!(end.ending(), Ending::RolledBack { .. }),
        "{:?}",
        end.ending()
    );
    assert_eq!(images(&end), ["old"; 3]);
}

#[test]
fn a_crash_in_a_gate_after_which_more_are_to_be_made_takes_all_back_and_one_in_the_last_goes_on() {
    for (gate, goes_on) in [(1, false), (2, false), (3, true)] {
        let mut gates = 0;
        let end = perform(&three(false), |moment| match moment {
            Moment::Call(Action::Gate { .. }) => {
                gates += 1;
                if gates == gate {
                    Fate::DiesBefore
                } else {
                    Fate::Works
                }
            }
            Moment::Call(_) | Moment::Commit => Fate::Works,
        });
        let succeeded = matches!(end.ending(), Ending::Succeeded { .. });
        assert_eq!(succeeded, goes_on, "gate {gate}: {:?}", end.ending());
        if !goes_on {
            assert_eq!(end.deploy.fault, Fault::Interruption);
        }
    }
}

/// The deploy in the gate of the member `at`.
fn in_gate_of(scene: &Scene, at: usize) -> Deploy {
    let mut engine = scene.engine();
    let mut deploy = scene.deploy(&mut engine, 0).unwrap();
    let is_there = |deploy: &Deploy| matches!(&deploy.state, State::Replacing { step: Step::Gate, at: one, .. } if *one == at);
    while !is_there(&deploy) {
        let event = engine.act(&deploy.next().unwrap());
        deploy = deploy.on(event);
    }
    deploy
}

#[test]
fn one_that_passed_and_is_not_well_any_more_is_no_good_one_to_leave() {
    let why = "web0, which had passed before: it ended".to_owned();
    let spoilt = in_gate_of(&three(true), 2).on(Event::Spoilt { why });
    assert_eq!(spoilt.fault, Fault::Version);
    assert!(spoilt.paused.is_none(), "{spoilt:?}");
    assert!(matches!(spoilt.state, State::RollingBack { batch: 2, .. }));
}

#[test]
fn a_hook_is_about_the_whole_version_so_that_nothing_of_it_is_left() {
    let why = "the hook after is against it".to_owned();
    for fault in [Fault::Version, Fault::Interruption] {
        let event = Event::Failed { why: why.clone() };
        let against = in_gate_of(&three(true), 2).failed_by(event, fault);
        assert!(against.paused.is_none(), "{against:?}");
        assert_eq!(against.fault, fault);
    }
}

#[test]
fn where_one_cannot_be_taken_back_the_others_are_and_the_operator_is_told_of_it() {
    let scene = three(false);
    let mut gates = 0;
    let end = perform(&scene, |moment| match moment {
        Moment::Call(Action::Gate { .. }) => {
            gates += 1;
            if gates == 3 {
                Fate::Refused
            } else {
                Fate::Works
            }
        }
        Moment::Call(Action::Start { id }) if id == "old2" => Fate::Refused,
        Moment::Commit | Moment::Call(_) => Fate::Works,
    });
    let Ending::NeedsOperator { why } = end.ending() else {
        panic!("{:?}", end.ending());
    };
    assert!(why.contains("start the old container of web2"), "{why}");
    for at in [0, 1] {
        let old = &end.engine.containers[&format!("old{at}")];
        assert!(
            old.running && old.armed() && old.name == format!("web{at}"),
            "{old:?}"
        );
    }
}
