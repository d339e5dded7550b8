//! Deployments that somebody asked GitHub for.

use towline_protocol::DeploymentSource;

use super::*;
use crate::event::{DeploymentEvent, Payload};

macro_rules! fixture {
    ($name:literal) => {
        read(include_bytes!(concat!(
            "../../../../tests/fixtures/github/deployment.",
            $name,
            ".json"
        )))
    };
}

fn read(body: &[u8]) -> DeploymentEvent {
    let Event::Deployment(deployment) = event::read("deployment", body).unwrap() else {
        panic!("a deployment");
    };
    *deployment
}

pub(super) fn created() -> DeploymentEvent {
    fixture!("created")
}

/// What becomes of a deployment at a gate with `more` of its members.
fn decide(more: &str, event: &DeploymentEvent) -> Decision {
    gate(&format!(r#"{{"sources": ["deployment"]{more}}}"#))
        .deployment(event)
        .unwrap()
}

fn after(more: &str, change: impl FnOnce(&mut DeploymentEvent)) -> Decision {
    let mut event = created();
    change(&mut event);
    decide(more, &event)
}

#[test]
fn a_deployment_becomes_a_candidate_for_its_commit_and_environment() {
    let candidate = queued(decide("", &created()));
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    assert_eq!(candidate.dedupe_key, "deployment:1296269:145988746");
    let source = DeploymentSource {
        repository_id: 1_296_269,
        repository: "octo-org/web".to_owned(),
        deployment_id: 145_988_746,
        environment: "production".to_owned(),
        task: "deploy".to_owned(),
        actor: Some("octocat".to_owned()),
        url: Some("https://api.github.com/repos/octo-org/web/deployments/145988746".to_owned()),
    };
    assert_eq!(candidate.source, Source::Deployment(source));
    let revision = Revision {
        sha: Some("3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap()),
        branch: Some("main".to_owned()),
        tag: None,
    };
    assert_eq!(candidate.revision, revision);
}

#[test]
fn only_its_creation_counts_and_never_one_that_towline_has_created() {
    let later = ignored(after("", |event| event.action = "updated".to_owned()));
    assert!(matches!(later, Reason::Action { .. }));
    let ours = Some(Payload { is_ours: true });
    let reason = ignored(after("", |event| event.deployment.payload = ours));
    assert_eq!(reason, Reason::Ours);
}

#[test]
fn a_deployments_status_under_the_deployments_name_is_refused() {
    let body = include_bytes!("../../../../tests/fixtures/github/deployment_status.created.json");
    let error = event::read("deployment", body).unwrap_err();
    assert!(error.to_string().contains("deployment_status"), "{error}");
    let event = event::read("deployment_status", body).unwrap();
    assert_eq!(event, Event::Other("deployment_status".to_owned()));
}

#[test]
fn a_job_with_an_environment_is_judged_as_its_run_would_be() {
    queued(decide("", &fixture!("of-a-job")));
    let any = r#", "branches": ["*"], "run_events": ["*", "pull_request"]"#;
    let fork = fixture!("fork-main");
    assert_eq!(fork.deployment.reference, "main");
    assert_eq!(
        ignored(decide("", &fork)),
        Reason::RunEvent("pull_request".to_owned())
    );
    assert_eq!(ignored(decide(any, &fork)), Reason::Fork(88_112_233));
    let mut unsaid = fork;
    unsaid.workflow_run.as_mut().unwrap().head_repository = None;
    assert_eq!(ignored(decide(any, &unsaid)), Reason::NoHeadRepository);
    let globbed = decide(r#", "run_events": ["*"]"#, &unsaid);
    assert_eq!(
        ignored(globbed),
        Reason::RunEventByName("pull_request".to_owned())
    );
    unsaid.workflow_run.as_mut().unwrap().event = "push".to_owned();
    queued(decide("", &unsaid));
}

#[test]
fn a_jobs_deployment_without_its_run_is_ignored_since_it_may_be_a_forks() {
    let jobs = || {
        serde_json::from_value::<event::Actor>(serde_json::json!({"login": "github-actions[bot]"}))
            .unwrap()
    };
    queued(after("", |event| event.workflow_run = None));
    let sent = after("", |event| {
        (event.workflow_run, event.sender) = (None, Some(jobs()));
    });
    assert_eq!(ignored(sent), Reason::NoRun);
    let created = after("", |event| {
        (event.workflow_run, event.deployment.creator) = (None, Some(jobs()));
    });
    assert_eq!(ignored(created), Reason::NoRun);
    let mut known = fixture!("of-a-job");
    known.sender = Some(jobs());
    queued(decide("", &known));
}

#[test]
fn a_branch_passes_by_the_gates_branches_with_or_without_refs_heads() {
    let set = |name: &str| {
        let name = name.to_owned();
        move |event: &mut DeploymentEvent| event.deployment.reference = name
    };
    let candidate = queued(after("", set("refs/heads/main")));
    assert_eq!(candidate.revision.branch.as_deref(), Some("main"));
    let reason = ignored(after("", set("feature")));
    assert!(matches!(reason, Reason::Branch { .. }));
    queued(after(r#", "branches": ["f*"]"#, set("feature")));
    for nothing in ["", "refs/heads/"] {
        let reason = ignored(after("", set(nothing)));
        assert_eq!(reason, Reason::Ref(nothing.to_owned()));
    }
    assert_eq!(
        ignored(after("", set("refs/tags/v1"))),
        Reason::NoTags("v1".to_owned())
    );
    let tagged = queued(after(r#", "branches": ["v*"]"#, set("refs/tags/v1")));
    assert_eq!(tagged.revision.tag.unwrap().as_str(), "v1");
    assert_eq!(tagged.revision.branch, None);
}

#[test]
fn a_bare_commit_is_on_no_branch_and_passes_only_where_any_will_do() {
    let bare = |event: &mut DeploymentEvent| {
        event.deployment.reference = event.deployment.sha.to_string();
    };
    assert!(matches!(ignored(after("", bare)), Reason::Branch { .. }));
    let candidate = queued(after(r#", "branches": ["*"]"#, bare));
    assert_eq!(candidate.revision.branch, None);
    assert!(candidate.revision.sha.is_some());
}

#[test]
fn absurdly_long_names_are_ignored_and_a_missing_task_is_deploy() {
    let long = "x".repeat(5000);
    let environment = long.clone();
    let reason = ignored(after("", |event| {
        event.deployment.environment = environment;
    }));
    assert_eq!(reason, Reason::TooLong("the environment"));
    let reason = ignored(after("", |event| event.deployment.task = Some(long)));
    assert_eq!(reason, Reason::TooLong("the task"));
    let candidate = queued(after("", |event| event.deployment.task = None));
    let Source::Deployment(deployment) = candidate.source else {
        panic!("a deployment");
    };
    assert_eq!(deployment.task, "deploy");
}
