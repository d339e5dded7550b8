//! Single deploys in which the process, the engine or the machine goes away, or the disk is full.

use super::{
    super::{Action, Ending, Which},
    fate::{Fate, Moment, at_first, at_first_and_then_a_reboot},
    play::{is_the, perform},
    scene::{Commands, Kind, Scene, a_mere_command, a_project, a_service, with_commands},
    stories::{why, words},
};
use crate::{machine::Fault, settings::OnInterrupt};

fn rerunning(scene: Scene, on_interrupt: OnInterrupt) -> Scene {
    with_commands(scene, |commands| Commands {
        on_interrupt,
        ..commands
    })
}

#[test]
fn a_run_that_asks_for_another_time_after_one_that_was_cut_off_is_taken_back_with_the_data() {
    let mut runs = 0;
    let cut_off_then_postponed = |moment: Moment<'_>| match moment {
        Moment::Act(action) if is_the(action, Which::Run) => {
            runs += 1;
            if runs == 1 {
                Fate::DiesAmid
            } else {
                Fate::Postponed
            }
        }
        Moment::Commit | Moment::Begun | Moment::Act(_) => Fate::Works,
    };
    let scene = rerunning(a_service(Kind::Fit), OnInterrupt::Rerun);
    let end = perform(&scene, cut_off_then_postponed);
    let is_told = |why: &str| why.starts_with("interrupted (run)");
    assert!(matches!(end.ending(), Ending::RolledBack { why } if is_told(why)));
    assert_eq!((end.runs, end.host.restores), (2, 1));
    assert_eq!(end.deploy.fault, Fault::Interruption);
}

#[test]
fn a_crash_while_run_runs_is_decided_by_the_file() {
    let crash = || at_first(Fate::DiesAmid, |action| is_the(action, Which::Run));
    let end = perform(
        &rerunning(a_service(Kind::Fit), OnInterrupt::Rerun),
        crash(),
    );
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
    assert_eq!(
        words(&end)[3..],
        ["run", "stop", "run", "start", "look", "gate"]
    );

    let end = perform(&a_service(Kind::Fit), crash());
    assert!(matches!(end.ending(), Ending::RolledBack { why } if why == "interrupted (run)"));
    assert_eq!((end.runs, end.rollbacks), (1, 1));
    assert_eq!(end.deploy.fault, Fault::Interruption);

    let end = perform(&rerunning(a_service(Kind::Fit), OnInterrupt::Ask), crash());
    assert!(matches!(end.ending(), Ending::NeedsOperator { .. }));
    assert_eq!(words(&end).last(), Some(&"run"), "nothing more is touched");
    assert!(why(&end).contains("00000001.tar.gz"), "{}", why(&end));
}

#[test]
fn a_run_whose_process_is_not_on_record_has_not_run() {
    let mut begun = 0;
    let before_run = |moment: Moment<'_>| match moment {
        Moment::Begun => {
            begun += 1;
            // The first is `stop`'s.
            if begun == 2 {
                Fate::DiesBefore
            } else {
                Fate::Works
            }
        }
        Moment::Commit | Moment::Act(_) => Fate::Works,
    };
    let end = perform(
        &rerunning(a_service(Kind::Fit), OnInterrupt::Ask),
        before_run,
    );
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!((end.runs, end.rollbacks), (0, 0));
}

#[test]
fn a_run_that_takes_the_process_with_it_each_time_is_given_up() {
    let dies = |moment: Moment<'_>| match moment {
        Moment::Act(action) if is_the(action, Which::Run) => Fate::DiesAmid,
        Moment::Commit | Moment::Begun | Moment::Act(_) => Fate::Works,
    };
    let end = perform(&rerunning(a_service(Kind::Fit), OnInterrupt::Rerun), dies);
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!(end.runs, 6);
}

#[test]
fn a_rollback_that_fails_or_is_interrupted_needs_an_operator_and_one_that_failed_starts_what_was_stopped()
 {
    let rolls_back = |action: &Action| is_the(action, Which::RollBack);
    let scene = a_service(Kind::Unfit);
    let end = perform(&scene, at_first(Fate::RefusedAmid, rolls_back));
    assert!(matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("rollback")));
    assert!(end.host.served.is_some());
    let end = perform(&scene, at_first(Fate::DiesAmid, rolls_back));
    assert!(
        matches!(end.ending(), Ending::NeedsOperator { why } if why.contains("interrupted (rollback)"))
    );
    let end = perform(
        &rerunning(scene, OnInterrupt::Rerun),
        at_first(Fate::DiesAmid, rolls_back),
    );
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!((end.rollbacks, end.host.restores), (2, 2));
}

#[test]
fn what_the_system_has_started_between_two_steps_leaves_nothing_in_the_data() {
    let checks_out = |action: &Action| matches!(action, Action::CheckOut { .. });
    let restores = |action: &Action| matches!(action, Action::Restore { .. });
    let scene = a_service(Kind::Unfit);
    for end in [
        perform(&scene, at_first_and_then_a_reboot(Fate::Works, checks_out)),
        perform(&scene, at_first_and_then_a_reboot(Fate::Works, restores)),
        perform(
            &scene,
            at_first_and_then_a_reboot(Fate::Postponed, |action| is_the(action, Which::Run)),
        ),
    ] {
        assert_eq!(end.host.data.form, end.before.data.form, "{:?}", end.done);
        assert!(end.host.restores > 0);
    }
}

#[test]
fn a_restart_of_the_machine_in_the_middle_stops_what_it_has_started_before_anything_is_put_back() {
    let checks_out = |action: &Action| matches!(action, Action::CheckOut { .. });
    let end = perform(&a_service(Kind::Fit), at_first(Fate::Reboot, checks_out));
    assert!(matches!(end.ending(), Ending::RolledBack { why } if why == "interrupted (checkout)"));
    assert_eq!(
        words(&end)[3..],
        ["stop", "checkout old", "restore", "start", "verify"]
    );
}

#[test]
fn a_gate_that_was_interrupted_goes_on_and_what_fails_then_is_tried_again() {
    let in_gate = |action: &Action| matches!(action, Action::Gate { .. });
    let end = perform(&a_service(Kind::Fit), at_first(Fate::DiesBefore, in_gate));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
    let end = perform(&a_service(Kind::Unfit), at_first(Fate::DiesBefore, in_gate));
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!(end.deploy.fault, Fault::Interruption);
    for fate in [Fate::Reboot, Fate::Blink] {
        let end = perform(&a_project(Kind::Fit), at_first(fate, in_gate));
        assert!(
            matches!(end.ending(), Ending::RolledBack { why } if why.contains("has restarted")),
            "{fate:?}: {:?}",
            end.ending()
        );
        assert_eq!(end.deploy.fault, Fault::Interruption);
    }
}

#[test]
fn a_project_that_comes_up_again_with_its_engine_goes_on() {
    let ups = |action: &Action| *action == Action::Up;
    let end = perform(&a_project(Kind::Fit), at_first(Fate::Blink, ups));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
}

#[test]
fn a_start_that_was_interrupted_is_made_again_where_nothing_leads_back() {
    let starts = |action: &Action| is_the(action, Which::Start);
    let end = perform(&a_mere_command(Kind::Fit), at_first(Fate::DiesAmid, starts));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
}

#[test]
fn a_journal_that_cannot_be_written_after_run_lets_the_version_come_up_and_before_it_takes_it_back()
{
    let full_after = |written: usize| {
        let (mut writes, mut refused) = (0, 0);
        move |moment: Moment<'_>| match moment {
            Moment::Commit | Moment::Begun => {
                writes += 1;
                // It is not full for ever.
                let is_full = writes > written && refused < 9;
                refused += usize::from(is_full);
                if is_full { Fate::Refused } else { Fate::Works }
            }
            Moment::Act(_) => Fate::Works,
        }
    };
    // stop, its process, backup, checkout, run, its process
    let end = perform(&a_service(Kind::Fit), full_after(6));
    assert!(matches!(end.ending(), Ending::Succeeded { .. }));
    let end = perform(&a_service(Kind::Fit), full_after(5));
    assert!(matches!(end.ending(), Ending::RolledBack { .. }));
    assert_eq!(end.runs, 0);
}
