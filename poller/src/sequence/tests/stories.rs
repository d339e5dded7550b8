//! Single deploys: what good and bad versions, refusals and interruptions lead to.

use super::{
    super::{Action, Ending, Event, Which},
    fate::{Fate, Moment, at_first},
    play::{Stage, is_the, perform},
    scene::{Commands, Kind, Scene, a_mere_command, a_project, a_service, with_commands},
};
use crate::machine::Fault;

fn undisturbed(scene: &Scene) -> Stage {
    perform(scene, |_| Fate::Works)
}

/// The actions that were done, in one word each.
pub(super) fn words(stage: &Stage) -> Vec<&'static str> {
    let word = |action: &Action| match action {
        Action::Command { which, .. } => which.word(),
        Action::BackUp { .. } => "backup",
        Action::CheckOut { .. } => "checkout",
        Action::CheckOutOld { .. } => "checkout old",
        Action::MoveTag(_) => "tag",
        Action::MoveTagBack(_) => "untag",
        Action::Up => "up",
        Action::UpOld => "up old",
        Action::SaveLog => "log",
        Action::StopContainers => "stop containers",
        Action::Restore { .. } => "restore",
        Action::Look => "look",
        Action::Gate { .. } => "gate",
        Action::Verify => "verify",
    };
    stage.done.iter().map(word).collect()
}

pub(super) fn why(stage: &Stage) -> &str {
    match stage.ending() {
        Ending::Succeeded { .. } => "",
        Ending::RolledBack { why }
        | Ending::FailedUntouched { why }
        | Ending::Postponed { why }
        | Ending::NeedsOperator { why } => why,
    }
}

#[test]
fn a_good_version_is_put_in_place_between_a_stop_and_a_start_and_only_the_gate_decides() {
    let end = undisturbed(&a_service(Kind::Fit));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
    assert_eq!(
        words(&end),
        ["stop", "backup", "checkout", "run", "start", "look", "gate"]
    );
    let project = undisturbed(&a_project(Kind::Fit));
    assert!(matches!(project.ending(), Ending::Succeeded { .. }));
    assert_eq!(
        words(&project),
        ["backup", "checkout", "tag", "tag", "up", "look", "gate"]
    );
}

#[test]
fn a_bad_version_leads_back_to_the_old_commit_and_its_data() {
    let end = undisturbed(&a_service(Kind::Unfit));
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!(why(&end), "gate: it answered 500");
    assert_eq!(end.deploy.fault, Fault::Version);
    let back = [
        "stop",
        "checkout old",
        "restore",
        "rollback",
        "start",
        "verify",
    ];
    assert_eq!(words(&end)[7..], back);
}

#[test]
fn a_bad_project_is_stopped_only_to_put_its_data_back_and_its_log_is_read_before() {
    let end = undisturbed(&a_project(Kind::Unfit));
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    let back = [
        "log",
        "stop containers",
        "checkout old",
        "untag",
        "untag",
        "restore",
        "up old",
        "verify",
    ];
    assert_eq!(words(&end)[7..], back);
    let kept = Scene {
        backup: Some(false),
        ..a_project(Kind::Unfit)
    };
    let end = undisturbed(&kept);
    let back = ["log", "checkout old", "untag", "untag", "up old", "verify"];
    assert_eq!(words(&end)[7..], back);
}

#[test]
fn a_run_that_fails_where_nothing_leads_back_starts_what_was_stopped_and_needs_an_operator() {
    let end = undisturbed(&a_mere_command(Kind::FailsToInstall));
    assert!(matches!(end.ending(), Ending::NeedsOperator { .. }));
    assert_eq!(words(&end), ["stop", "run", "start", "verify"]);
    assert!(end.host.served.is_some());
    assert!(why(&end).contains("nothing leads back"), "{}", why(&end));
    assert!(why(&end).contains("could not bring"), "{}", why(&end));
}

#[test]
fn a_run_that_asks_for_another_time_changes_nothing_and_is_nobodys_fault() {
    let end = perform(
        &a_service(Kind::Fit),
        at_first(Fate::Postponed, |action| is_the(action, Which::Run)),
    );
    assert!(matches!(end.ending(), Ending::Postponed { .. }));
    let back = ["stop", "checkout old", "start", "verify"];
    assert_eq!(words(&end)[3..], back);
    assert_eq!((end.rollbacks, end.host.restores), (0, 0));
    assert_eq!(end.deploy.fault, Fault::Host);
}

#[test]
fn a_checkout_that_fails_in_the_middle_is_put_back_and_needs_no_operator() {
    let checks_out = |action: &Action| matches!(action, Action::CheckOut { .. });
    let without_rollback = with_commands(a_service(Kind::Fit), |commands| Commands {
        rolls_back: false,
        ..commands
    });
    let end = perform(&without_rollback, at_first(Fate::RefusedAmid, checks_out));
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    let back = ["checkout", "checkout old", "start", "verify"];
    assert_eq!(words(&end)[2..], back);
}

#[test]
fn a_backup_that_fails_leaves_a_service_that_was_not_stopped_untouched() {
    let backs_up = |action: &Action| matches!(action, Action::BackUp { .. });
    let still = with_commands(a_service(Kind::Fit), |commands| Commands {
        stops: false,
        ..commands
    });
    let end = perform(&still, at_first(Fate::Refused, backs_up));
    assert!(matches!(end.ending(), Ending::FailedUntouched { why } if why == "backup: refused"));
    assert_eq!(words(&end), [""; 0]);
    let end = perform(&a_service(Kind::Fit), at_first(Fate::Refused, backs_up));
    assert!(matches!(end.ending(), Ending::RolledBack { why } if why == "backup: refused"));
    assert_eq!(words(&end), ["stop", "start", "verify"]);
    assert_eq!(end.deploy.fault, Fault::Host);
}

#[test]
fn data_are_not_exchanged_under_a_version_that_cannot_be_stopped() {
    let mut stops = 0;
    let second_stop = |moment: Moment<'_>| match moment {
        Moment::Act(action) if is_the(action, Which::Stop) => {
            stops += 1;
            if stops == 2 {
                Fate::Refused
            } else {
                Fate::Works
            }
        }
        Moment::Commit | Moment::Begun | Moment::Act(_) => Fate::Works,
    };
    let end = perform(&a_service(Kind::Unfit), second_stop);
    assert!(matches!(end.ending(), Ending::NeedsOperator { .. }));
    assert_eq!(end.host.restores, 0);
    assert!(
        why(&end).contains("could not stop the service"),
        "{}",
        why(&end)
    );
    assert!(why(&end).contains("00000001.tar.gz"), "{}", why(&end));
}

#[test]
fn a_version_that_cannot_be_stopped_is_left_and_told_where_no_data_are_put_back() {
    let mut stops = 0;
    let second_stop = |moment: Moment<'_>| match moment {
        Moment::Act(action) if is_the(action, Which::Stop) => {
            stops += 1;
            if stops == 2 {
                Fate::RefusedYetDone
            } else {
                Fate::Works
            }
        }
        Moment::Commit | Moment::Begun | Moment::Act(_) => Fate::Works,
    };
    let scene = Scene {
        backup: Some(false),
        ..a_service(Kind::Unfit)
    };
    let end = perform(&scene, second_stop);
    assert!(
        matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("what runs is not known"))
    );
    assert_eq!(
        words(&end)[8..],
        ["checkout old", "rollback", "start", "verify"]
    );
}

#[test]
fn a_restore_or_a_start_that_fails_on_the_way_back_needs_an_operator() {
    let restores = |action: &Action| matches!(action, Action::Restore { .. });
    let end = perform(&a_service(Kind::Unfit), at_first(Fate::Refused, restores));
    let is_named = |why: &str| why.contains("restore the data") && why.contains("00000001.tar.gz");
    assert!(matches!(end.ending(), Ending::NeedsOperator { why } if is_named(why)));
    let starts_old = |action: &Action| {
        matches!(
            action,
            Action::Command {
                which: Which::Start,
                version: super::super::Version::Old
            }
        )
    };
    let end = perform(&a_service(Kind::Unfit), at_first(Fate::Refused, starts_old));
    assert!(
        matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("start the service"))
    );
}

#[test]
fn a_checkout_that_was_refused_is_not_put_back() {
    let scene = a_service(Kind::Fit);
    let mut sequence = scene.deploy(&mut scene.host(), 1);
    while !matches!(sequence.next(), Some(Action::CheckOut { .. })) {
        sequence = sequence.on(Event::Done);
    }
    let why = "somebody works there".to_owned();
    let mut sequence = sequence.on(Event::Refused { why });
    let mut after = Vec::new();
    while let Some(action) = sequence.next() {
        after.push(action);
        sequence = sequence.on(Event::Done);
    }
    let is_start =
        |action: &Action| matches!(action, Action::Command { which, .. } if *which == Which::Start);
    assert!(
        is_start(&after[0]) && after[1..] == [Action::Verify],
        "{after:?}"
    );
    let told = "checkout: somebody works there";
    assert!(matches!(sequence.ending(), Some(Ending::RolledBack { why }) if why == told));
}

#[test]
fn nothing_is_done_beside_a_command_that_cannot_be_ended_on_neither_way() {
    let forth = perform(
        &a_service(Kind::Fit),
        at_first(Fate::Outlives, |action| is_the(action, Which::Run)),
    );
    assert!(matches!(forth.ending(), Ending::NeedsOperator { .. }));
    assert_eq!(words(&forth), ["stop", "backup", "checkout", "run"]);
    assert_eq!(
        why(&forth),
        "run: it goes on, so that nothing more was done; the data from before are in the backup 00000001.tar.gz"
    );
    assert_eq!(forth.deploy.fault, Fault::Version);
    let back = perform(
        &a_service(Kind::Unfit),
        at_first(Fate::Outlives, |action| is_the(action, Which::RollBack)),
    );
    assert!(matches!(back.ending(), Ending::NeedsOperator { .. }));
    assert_eq!(words(&back).last(), Some(&"rollback"));
    assert!(
        why(&back).starts_with(
            "gate: it answered 500; then it could not run `rollback` to its end: it goes on, so that nothing more was done"
        ),
        "{}",
        why(&back)
    );
}
