//! The gate's stories about runs, one fixture each.

use proptest::prelude::*;
use towline_protocol::{RunSource, Sha};

use super::*;
use crate::event::WorkflowRunEvent;

macro_rules! fixture {
    ($name:literal) => {
        $crate::gate::tests::run::read(include_bytes!(concat!(
            "../../../../tests/fixtures/github/workflow_run.",
            $name,
            ".json"
        )))
    };
}
pub(super) use fixture;

pub(super) fn read(body: &[u8]) -> WorkflowRunEvent {
    let event = event::read("workflow_run", body).unwrap();
    let Event::WorkflowRun(event) = event else {
        panic!("{event:?}");
    };
    *event
}

pub(super) fn completed() -> WorkflowRunEvent {
    fixture!("completed")
}

fn action(action: &str) -> Reason {
    Reason::Action {
        action: action.to_owned(),
        wanted: "\"completed\"".to_owned(),
    }
}

/// Decides with the default gate.
pub(super) fn decide(event: &WorkflowRunEvent) -> Decision {
    gate("{}").run(event).unwrap()
}

pub(super) fn run_source(candidate: &Candidate) -> &RunSource {
    let Source::WorkflowRun(run) = &candidate.source else {
        panic!("{candidate:?}");
    };
    run
}

#[test]
fn a_run_of_the_default_branch_becomes_a_candidate_that_says_all_about_it() {
    let candidate = queued(decide(&fixture!("completed")));
    assert_eq!(candidate.dedupe_key, "run:1296269:30433642:1");
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    assert_eq!(candidate.expires_in, None);
    let expected = RunSource {
        repository_id: 1_296_269,
        repository: "octo-org/web".to_owned(),
        workflow_id: 77,
        workflow: ".github/workflows/ci.yml".to_owned(),
        run_id: 30_433_642,
        run_number: 163,
        run_attempt: 1,
        event: "push".to_owned(),
        actor: Some("octo-dev".to_owned()),
        url: Some("https://github.com/octo-org/web/actions/runs/30433642".to_owned()),
    };
    assert_eq!(run_source(&candidate), &expected);
    let sha: Sha = "3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap();
    let revision = Revision {
        sha: Some(sha),
        branch: Some("main".to_owned()),
        tag: None,
    };
    assert_eq!(candidate.revision, revision);
}

#[test]
fn a_forks_branch_called_main_is_the_forks_whatever_the_gate_admits() {
    let event = fixture!("fork-main");
    assert_eq!(ignored(decide(&event)), Reason::Fork(88_112_233));
    let wide = gate(r#"{"run_events": ["*", "pull_request"], "branches": ["*"]}"#);
    assert_eq!(ignored(wide.run(&event).unwrap()), Reason::Fork(88_112_233));
}

#[test]
fn a_run_without_a_head_repository_is_ignored() {
    for event in [
        fixture!("head-repository-missing"),
        fixture!("head-repository-null"),
    ] {
        assert_eq!(ignored(decide(&event)), Reason::NoHeadRepository);
    }
}

#[test]
fn a_run_without_a_head_branch_is_ignored_even_when_any_branch_will_do() {
    let any = gate(r#"{"branches": ["*"]}"#);
    for event in [
        fixture!("head-branch-missing"),
        fixture!("head-branch-null"),
    ] {
        assert_eq!(ignored(decide(&event)), Reason::NoBranch);
        assert_eq!(ignored(any.run(&event).unwrap()), Reason::NoBranch);
    }
}

#[test]
fn action_required_is_no_success_although_the_status_is_completed() {
    let requested = ignored(decide(&fixture!("action-required")));
    assert_eq!(requested, action("requested"));
    let completed = ignored(decide(&fixture!("action-required-completed")));
    assert_eq!(
        completed,
        Reason::Conclusion("\"action_required\"".to_owned())
    );
}

#[test]
fn every_conclusion_but_success_is_ignored_also_one_that_nobody_knows_yet() {
    for (event, conclusion) in [
        (fixture!("conclusion-failure"), "failure"),
        (fixture!("conclusion-startup-failure"), "startup_failure"),
        (fixture!("conclusion-unknown"), "postponed_by_quota"),
    ] {
        let reason = ignored(decide(&event));
        assert_eq!(reason, Reason::Conclusion(format!("{conclusion:?}")));
    }
    let mut open = fixture!("conclusion-null");
    assert_eq!(ignored(decide(&open)), action("in_progress"));
    open.action = "completed".to_owned();
    assert_eq!(
        ignored(decide(&open)),
        Reason::Conclusion("null".to_owned())
    );
}

#[test]
fn a_tags_run_passes_only_where_the_gate_has_the_tags_name_and_is_called_a_branch() {
    let event = fixture!("tag");
    let reason = ignored(decide(&event)).to_string();
    assert!(reason.contains("\"v1.4.0\"") && reason.contains("the default branch, \"main\""));
    let candidate = queued(gate(r#"{"branches": ["v*"]}"#).run(&event).unwrap());
    assert_eq!(candidate.revision.branch.as_deref(), Some("v1.4.0"));
    assert_eq!(candidate.revision.tag, None);
}

#[test]
fn a_re_run_is_another_cause_than_the_first_attempt() {
    let first = queued(decide(&fixture!("completed")));
    let second = queued(decide(&fixture!("rerun")));
    assert_eq!(second.dedupe_key, "run:1296269:30433642:2");
    assert_ne!(first.dedupe_key, second.dedupe_key);
    assert_eq!(
        run_source(&first).run_number,
        run_source(&second).run_number
    );
}

#[test]
fn an_old_run_that_is_re_run_keeps_its_number_so_that_the_host_can_tell() {
    let new = queued(decide(&fixture!("completed")));
    let old = queued(decide(&fixture!("rerun-of-old")));
    assert!(run_source(&old).run_number < run_source(&new).run_number);
    assert_eq!(run_source(&old).run_attempt, 2);
}

#[test]
fn two_deliveries_of_one_run_are_one_cause() {
    let first = queued(decide(&fixture!("completed")));
    let second = queued(decide(&fixture!("second-delivery")));
    assert_eq!(first.dedupe_key, second.dedupe_key);
}

#[test]
fn chained_and_pull_request_runs_pass_only_by_name_and_never_by_a_glob() {
    for (event, name) in [
        (fixture!("event-workflow-run"), "workflow_run"),
        (fixture!("event-pull-request"), "pull_request"),
        (fixture!("event-pull-request-target"), "pull_request_target"),
    ] {
        let name = name.to_owned();
        assert_eq!(ignored(decide(&event)), Reason::RunEvent(name.clone()));
        for glob in ["*", "pull_request*", "*_run", "p*t"] {
            let decision = gate(&format!(
                r#"{{"run_events": ["{glob}"], "branches": ["*"]}}"#
            ));
            assert!(matches!(
                ignored(decision.run(&event).unwrap()),
                Reason::RunEvent(_) | Reason::RunEventByName(_)
            ));
        }
        let named = gate(&format!(
            r#"{{"run_events": ["{name}"], "branches": ["*"]}}"#
        ));
        assert_eq!(run_source(&queued(named.run(&event).unwrap())).event, name);
    }
}

#[test]
fn another_run_event_passes_by_name_or_glob() {
    let mut event = fixture!("completed");
    event.workflow_run.event = "workflow_dispatch".to_owned();
    assert!(matches!(ignored(decide(&event)), Reason::RunEvent(_)));
    for list in [
        r#"["workflow_dispatch"]"#,
        r#"["*"]"#,
        r#"["push", "workflow_d*"]"#,
    ] {
        queued(
            gate(&format!(r#"{{"run_events": {list}}}"#))
                .run(&event)
                .unwrap(),
        );
    }
}

#[test]
fn what_strangers_can_cause_on_the_default_branch_passes_by_name_alone() {
    for name in [
        "issue_comment",
        "issues",
        "discussion",
        "discussion_comment",
        "fork",
        "watch",
        "gollum",
        "pull_request_review",
        "pull_request_review_comment",
    ] {
        let mut event = fixture!("completed");
        event.workflow_run.event = name.to_owned();
        let globbed = gate(r#"{"run_events": ["*"]}"#).run(&event).unwrap();
        assert_eq!(ignored(globbed), Reason::RunEventByName(name.to_owned()));
        let named = gate(&format!(r#"{{"run_events": ["{name}"]}}"#));
        queued(named.run(&event).unwrap());
    }
}

#[test]
fn a_tag_named_like_the_default_branch_passes_as_the_branch_because_github_tells_no_difference() {
    let event = fixture!("tag-named-like-the-branch");
    let candidate = queued(decide(&event));
    assert_eq!(candidate.revision.branch.as_deref(), Some("main"));
    assert_eq!(candidate.revision.tag, None);
}

#[test]
fn what_the_gate_does_not_need_may_be_null_or_missing() {
    for event in [
        fixture!("only-what-counts"),
        fixture!("only-what-counts-missing"),
    ] {
        let candidate = queued(decide(&event));
        assert_eq!(candidate.dedupe_key, "run:1296269:30433642:1");
        let run = run_source(&candidate);
        assert_eq!((&run.actor, &run.url), (&None, &None));
    }
}

#[test]
fn another_branch_is_ignored_unless_the_gate_has_it() {
    let event = fixture!("another-branch");
    assert!(matches!(ignored(decide(&event)), Reason::Branch { .. }));
    queued(
        gate(r#"{"branches": ["main", "greet-*"]}"#)
            .run(&event)
            .unwrap(),
    );
    let mut nameless = event;
    nameless.repository.default_branch = None;
    assert_eq!(ignored(decide(&nameless)), Reason::NoDefaultBranch);
}

#[test]
fn repositories_are_matched_without_case() {
    let mut event = fixture!("completed");
    event.repository.full_name = "Octo-Org/Web".to_owned();
    let candidate = queued(
        gate(r#"{"repositories": ["OCTO-org/*"]}"#)
            .run(&event)
            .unwrap(),
    );
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    assert_eq!(run_source(&candidate).repository, "Octo-Org/Web");
    let other = gate(r#"{"repositories": ["octo-org/api", "octo/*"]}"#);
    assert!(matches!(
        ignored(other.run(&event).unwrap()),
        Reason::Repository(_)
    ));
}

#[test]
fn a_repository_name_that_github_does_not_give_is_an_error() {
    let mut event = fixture!("completed");
    for bad in ["", "web", "octo-org/web/x", "octo org/web", "../web"] {
        event.repository.full_name = bad.to_owned();
        assert!(gate("{}").run(&event).is_err(), "{bad:?}");
    }
}

#[test]
fn the_gates_expiry_goes_with_the_candidate() {
    let candidate = queued(
        gate(r#"{"expires_in": "30m"}"#)
            .run(&fixture!("completed"))
            .unwrap(),
    );
    assert_eq!(candidate.expires_in, Some(30 * 60));
}

#[test]
fn sources_decide_which_events_count() {
    let push_only = gate(r#"{"sources": ["push"]}"#);
    let reason = ignored(push_only.run(&fixture!("completed")).unwrap());
    assert_eq!(reason, Reason::Source("workflow_run".to_owned()));
    assert_eq!(gate("{}").ignore("push"), Reason::Source("push".to_owned()));
}

#[test]
fn ids_beyond_32_bits_and_beyond_javascripts_are_kept() {
    let candidate = queued(decide(&fixture!("large-ids")));
    assert_eq!(candidate.dedupe_key, "run:5000000000:9007199254740991:1");
    assert_eq!(run_source(&candidate).workflow_id, 1 << 62);
}

#[test]
fn names_too_long_to_be_git_refs_are_ignored_and_shown_ones_left_out() {
    let any = gate(r#"{"branches": ["*"], "workflows": ["*"]}"#);
    let long = "x".repeat(5000);
    let mut event = fixture!("completed");
    event.workflow_run.html_url = Some(long.clone());
    assert_eq!(run_source(&queued(any.run(&event).unwrap())).url, None);
    event.workflow_run.head_branch = Some(long.clone());
    let reason = ignored(any.run(&event).unwrap());
    assert!(reason.to_string().len() < 200);
    event.workflow_run.head_branch = Some("main".to_owned());
    event.workflow_run.path = Some(long);
    assert!(matches!(
        ignored(any.run(&event).unwrap()),
        Reason::Workflow(_)
    ));
}

pub(super) fn words(of: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(of).unwrap()
}

proptest! {
    #[test]
    fn what_is_queued_was_a_success_of_this_repository_on_an_admitted_branch(
        action in words("completed|requested|\\PC{0,4}"),
        conclusion in proptest::option::of(words("success|failure|\\PC{0,4}")),
        branch in proptest::option::of(words("main|dev|\\PC{0,4}")),
        head in proptest::option::of(1_296_268u64..1_296_271),
        run_event in words("push|pull_request|workflow_run|\\PC{0,4}"),
        path in proptest::option::of(words("\\.github/workflows/ci\\.yml(@x)?|\\PC{0,9}")),
    ) {
        let mut event = fixture!("completed");
        event.action = action.clone();
        let run = &mut event.workflow_run;
        run.conclusion = conclusion.clone();
        run.head_branch = branch.clone();
        run.head_repository = head.map(|id| event::HeadRepository { id });
        run.event = run_event.clone();
        run.path = path;
        if let Decision::Queue(candidate) = gate(r#"{"run_events": ["*"]}"#).run(&event).unwrap() {
            prop_assert_eq!((action.as_str(), conclusion.as_deref()), ("completed", Some("success")));
            prop_assert_eq!(branch.as_deref(), Some("main"));
            prop_assert_eq!(head, Some(event.repository.id));
            prop_assert!(!ONLY_BY_NAME.contains(&run_event.as_str()));
            prop_assert_eq!(candidate.channel.as_str(), "octo-org/web");
        }
    }
}
