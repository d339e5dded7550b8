//! Single deploys: what a good and a bad version, a refusal and a human lead to.

use super::{
    fate::{Deed, Fate, Moment, at_call, refusing},
    play::{Stage, calls, perform},
    property::told,
    scene::{Old, Scene},
    *,
};

fn undisturbed(scene: &Scene) -> Stage {
    perform(scene, |_| Fate::Works)
}

fn sets(policy: &'static str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::SetPolicy { policy: to, .. } if to["Name"] == policy)
}

#[test]
fn a_good_version_takes_the_name_the_policy_and_the_tag() {
    let end = undisturbed(&Scene::one(true));
    let gate = Some(Gate::Healthy);
    assert_eq!(end.ending(), &Ending::Succeeded { gate });
    let id = end.engine.named("web0").unwrap();
    let holder = &end.engine.containers[&id];
    assert_eq!(
        (holder.image.as_str(), holder.policy.as_str()),
        ("v1", "always")
    );
    assert_eq!(end.engine.tags["img0"], "v1");
}

#[test]
fn a_bad_version_leads_back_to_the_same_old_container() {
    let end = undisturbed(&Scene::one(false));
    let why = "gate: unfit".to_owned();
    assert_eq!(end.ending(), &Ending::RolledBack { why });
    assert_eq!(end.engine.named("web0").as_deref(), Some("old0"));
}

#[test]
fn a_stopped_container_is_replaced_and_stays_stopped() {
    let olds = vec![Old {
        runs: false,
        policy: "always",
    }];
    let end = undisturbed(&Scene {
        olds,
        ..Scene::one(false)
    });
    assert_eq!(end.ending(), &Ending::Succeeded { gate: None });
    let id = end.engine.named("web0").unwrap();
    assert!(!end.engine.containers[&id].running);
}

#[test]
fn a_failure_at_each_call_ends_truthfully_and_before_the_stop_untouched() {
    for fate in [Fate::Refused, Fate::RefusedYetDone] {
        for at in 0..calls(&Scene::one(true)) {
            let end = perform(&Scene::one(true), at_call(at, fate));
            let ending = end.ending();
            let is_right = match at {
                0..=2 => matches!(ending, Ending::FailedUntouched { .. }),
                3..=8 => matches!(ending, Ending::RolledBack { .. }),
                9..=11 => matches!(ending, Ending::NeedsOperator { .. }),
                _ => matches!(ending, Ending::Succeeded { .. }),
            };
            assert!(is_right, "{at}: {ending:?}");
        }
    }
}

#[test]
fn a_policy_that_may_not_be_taken_leaves_the_host_as_it_was() {
    let end = perform(&Scene::one(true), refusing(sets("no")));
    assert!(
        matches!(end.ending(), Ending::FailedUntouched { why } if why.contains("disarm")),
        "{:?}",
        end.ending()
    );
    assert_eq!(end.engine.containers, end.before.containers);
}

#[test]
fn a_policy_that_may_not_even_be_looked_after_leaves_the_old_version_running() {
    let any = |action: &Action| matches!(action, Action::SetPolicy { .. });
    let end = perform(&Scene::one(true), refusing(any));
    assert!(
        matches!(end.ending(), Ending::RolledBack { why } if why.contains("disarm")),
        "{:?}",
        end.ending()
    );
    assert_eq!(end.engine.containers, end.before.containers);
    assert!(told(&end.deploy, "restart policy back: refused"));
}

#[test]
fn a_policy_that_cannot_be_given_back_is_told_and_the_old_version_serves_all_the_same() {
    let end = perform(&Scene::one(false), refusing(sets("always")));
    assert!(
        matches!(end.ending(), Ending::RolledBack { why } if why.contains("gate")),
        "{:?}",
        end.ending()
    );
    assert!(told(&end.deploy, "restart policy back: refused"));
    assert!(end.engine.containers["old0"].running);
}

#[test]
fn a_refused_start_of_the_old_version_needs_an_operator_whatever_became_of_its_policy() {
    let refuses = |action: &Action| {
        sets("always")(action) || matches!(action, Action::Start { id } if id == "old0")
    };
    let end = perform(&Scene::one(false), refusing(refuses));
    assert!(
        matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("start the old")),
        "{:?}",
        end.ending()
    );
    assert!(told(&end.deploy, "restart policy back"));
}

#[test]
fn an_old_container_that_cannot_be_removed_is_told_by_its_name() {
    let removes = |action: &Action| matches!(action, Action::Remove { .. });
    let end = perform(&Scene::one(true), refusing(removes));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
    let parked = &end.engine.containers["old0"].name;
    assert!(told(&end.deploy, &format!("docker rm {parked}")));
}

#[test]
fn an_old_container_that_somebody_removed_needs_an_operator_and_nothing_more_is_touched() {
    let mut touched = Vec::new();
    let end = perform(&Scene::one(true), |moment| match moment {
        Moment::Call(Action::Stop { .. }) => Fate::Human(Deed::RemovesOld, 0),
        Moment::Call(action) => {
            touched.push(action.clone());
            Fate::Works
        }
        Moment::Commit => Fate::Works,
    });
    assert!(
        matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("removed")),
        "{:?}",
        end.ending()
    );
    let disarm = Action::SetPolicy {
        id: "old0".to_owned(),
        policy: model::policy("no"),
    };
    assert_eq!(touched.last(), Some(&disarm), "nothing came after the stop");
    assert_eq!(end.deploy.next(), None);
}

#[test]
fn a_name_that_somebody_took_meanwhile_needs_an_operator_who_is_told_both_reasons() {
    let end = perform(&Scene::one(true), |moment| match moment {
        Moment::Call(Action::Rename { to, .. }) if to == "web0" => Fate::Human(Deed::TakesName, 0),
        Moment::Call(_) | Moment::Commit => Fate::Works,
    });
    let Ending::NeedsOperator { why } = end.ending() else {
        panic!("{:?}", end.ending())
    };
    assert!(
        why.contains("promote: web0 is taken")
            && why.contains("could not give the old container its name back"),
        "{why}"
    );
    let there = |id| end.engine.containers.contains_key(id);
    assert!(there("old0") && there("new1"));
}
