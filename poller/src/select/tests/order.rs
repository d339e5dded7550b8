//! Which of several intents is chosen, and what the others end as.

use super::*;

#[test]
fn the_newest_wins_and_the_others_are_superseded() {
    let mut host = Host::new("");
    host.receive((1..=3).map(|seq| intent(7, seq)));
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply.unwrap().seq, 3);
    assert_eq!(
        [1, 2].map(|seq| host.outcome_of(seq)),
        [Some(Outcome::Superseded); 2]
    );
    assert_eq!(host.work(Outcome::Succeeded).apply, None);
}

#[test]
fn a_service_that_was_taken_back_waits_for_a_newer_intent() {
    let mut host = Host::new("");
    host.hold = Some(Hold {
        channel: "octo-org/web".parse().unwrap(),
        place: Mark { epoch: 7, seq: 2 },
        since: Timestamp::UNIX_EPOCH,
        why: "taken back".to_owned(),
    });
    host.receive([1, 2].map(manual));
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply, None);
    assert_eq!(host.outcome_of(2), Some(Outcome::Superseded));
    assert!(
        selection.settled[1].message.contains("taken back at 1970"),
        "{selection:?}"
    );
    host.receive([manual(3)]).work(Outcome::Succeeded);
    assert_eq!(host.applied, [3]);
    let mut elsewhere = Host::new("");
    elsewhere.hold = Some(Hold {
        channel: "another".parse().unwrap(),
        ..host.hold.unwrap()
    });
    elsewhere.receive([manual(1)]).work(Outcome::Succeeded);
    assert_eq!(
        elsewhere.applied,
        [1],
        "numbers say nothing about another channel's"
    );
}

#[test]
fn a_run_that_finishes_after_a_later_one_is_stale() {
    let mut host = Host::new("");
    host.receive([of_run(1, 11, 1)]).work(Outcome::Succeeded);
    host.receive([of_run(2, 10, 1)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Stale));
    assert_eq!(host.applied, [1]);
}

#[test]
fn a_run_that_finishes_after_a_later_one_is_stale_in_the_same_answer_too() {
    let mut host = Host::new("");
    host.receive([of_run(1, 11, 1), of_run(2, 10, 1)])
        .work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Stale));
    assert_eq!(host.applied, [1]);
}

#[test]
fn the_newest_run_again_is_applied_and_an_old_run_again_is_stale() {
    let mut host = Host::new("");
    host.receive([of_run(1, 10, 1)]).work(Outcome::RolledBack);
    host.receive([of_run(2, 10, 2)]).work(Outcome::Succeeded);
    host.receive([of_run(3, 9, 2)]).work(Outcome::Succeeded);
    assert_eq!(host.applied, [1, 2]);
    assert_eq!(host.outcome_of(3), Some(Outcome::Stale));
}

#[test]
fn runs_of_another_workflow_or_branch_make_nothing_stale() {
    let mut host = Host::new("");
    let mut other_workflow = of_run(1, 50, 1);
    if let Source::WorkflowRun(run) = &mut other_workflow.source {
        run.workflow_id = 78;
    }
    let mut other_branch = of_run(2, 60, 1);
    other_branch.revision.branch = Some("dev".to_owned());
    host.receive([other_workflow, other_branch, of_run(3, 10, 1)]);
    assert_eq!(host.work(Outcome::Succeeded).apply.unwrap().seq, 3);
    assert_eq!(host.outcome_of(2), None);
}

#[test]
fn what_fills_a_gap_later_is_superseded_by_what_was_applied_before() {
    let mut host = Host::new("");
    host.receive([manual(9)]).work(Outcome::Succeeded);
    host.receive([manual(5), of_run(6, 1, 1)]);
    host.work(Outcome::Succeeded);
    assert_eq!(host.applied, [9]);
    assert_eq!(host.outcome_of(5), Some(Outcome::Superseded));
    assert_eq!(host.outcome_of(6), Some(Outcome::Superseded));
}

#[test]
fn after_a_move_to_another_repository_its_first_intent_is_applied() {
    let mut host = Host::new("");
    host.receive([manual(900)]).work(Outcome::Succeeded);
    let channel: Channel = "octo-org/site".parse().unwrap();
    host.service.rule.channel = channel.clone();
    let first = Intent {
        channel: channel.clone(),
        ..manual(3)
    };
    host.intents = vec![first];
    host.work(Outcome::Succeeded);
    assert_eq!(host.applied, [900, 3]);
    let older = Intent {
        channel,
        ..manual(2)
    };
    host.receive([older]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Superseded));
}

#[test]
fn what_an_older_version_has_seen_counts_on() {
    let old = r#"{"newest":{"epoch":7,"seq":9},"runs":[]}"#;
    let mut host = Host::new("");
    host.seen = Some(serde_json::from_str(old).unwrap());
    host.receive([manual(5)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(5), Some(Outcome::Superseded));
}

#[test]
fn a_waiting_intent_is_chosen_again_until_a_newer_one_comes() {
    let mut host = Host::new("");
    host.receive([intent(7, 1)]).work(Outcome::Waiting);
    assert_eq!(host.work(Outcome::Waiting).apply.unwrap().seq, 1);
    host.receive([intent(7, 2)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(1), Some(Outcome::Superseded));
}

#[test]
fn an_expired_intent_is_told_and_gives_way_to_an_older_one() {
    let mut host = Host::new("");
    let mut late = manual(2);
    late.expires_at = Some("2026-11-20T15:00:00Z".parse().unwrap());
    let selection = host.receive([intent(7, 1), late]).work(Outcome::Succeeded);
    assert_eq!(selection.settled[0].outcome, Outcome::Expired);
    assert!(selection.settled[0].message.contains("this host's clock"));
    assert_eq!(host.applied, [1]);
}

#[test]
fn a_host_whose_clock_is_behind_waits_with_what_may_have_expired_and_applies_what_cannot() {
    let mut host = Host::new("");
    let mut tomorrow = manual(2);
    tomorrow.created_at = "2026-11-21T15:00:00Z".parse().unwrap();
    tomorrow.expires_at = Some("2026-11-21T16:00:00Z".parse().unwrap());
    let selection = host
        .receive([intent(7, 1), tomorrow])
        .work(Outcome::Succeeded);
    assert_eq!(host.applied, [1]);
    assert_eq!((selection.settled, selection.undatable.len()), (vec![], 1));
    host.intents[1].expires_at = None;
    assert_eq!(host.work(Outcome::Succeeded).undatable, []);
    assert_eq!(host.applied, [1, 2]);
}

#[test]
fn a_clock_that_is_a_little_behind_does_not_count() {
    let mut host = Host::new("");
    let mut soon = manual(1);
    soon.created_at = "2026-11-20T15:09:00Z".parse().unwrap();
    soon.expires_at = Some("2026-11-20T16:00:00Z".parse().unwrap());
    assert_eq!(host.receive([soon]).work(Outcome::Succeeded).undatable, []);
    assert_eq!(host.applied, [1]);
}
