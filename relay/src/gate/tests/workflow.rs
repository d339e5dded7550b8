//! Which workflow a run is of, by the paths that GitHub gives.

use proptest::prelude::*;

use super::{
    super::run::workflow_path,
    run::{decide, fixture, run_source, words},
    *,
};

#[test]
fn a_path_with_repository_and_ref_is_the_same_workflow() {
    let event = fixture!("path-with-ref");
    for workflows in [
        "[]",
        r#"["ci.yml"]"#,
        r#"[".github/workflows/ci.yml"]"#,
        r#"["*/ci.*"]"#,
    ] {
        let gate = gate(&format!(r#"{{"workflows": {workflows}}}"#));
        let candidate = queued(gate.run(&event).unwrap());
        assert_eq!(run_source(&candidate).workflow, ".github/workflows/ci.yml");
    }
    let other = gate(r#"{"workflows": ["release.yml"]}"#);
    assert!(matches!(
        ignored(other.run(&event).unwrap()),
        Reason::Workflow(_)
    ));
}

#[test]
fn another_repositorys_workflow_of_the_same_name_is_another_workflow() {
    let event = fixture!("path-of-another-repository");
    for workflows in [r#"["ci.yml"]"#, r#"[".github/workflows/ci.yml"]"#] {
        let gate = gate(&format!(r#"{{"workflows": {workflows}}}"#));
        assert!(matches!(
            ignored(gate.run(&event).unwrap()),
            Reason::Workflow(_)
        ));
    }
}

#[test]
fn a_path_loses_its_own_repository_and_its_ref_and_nothing_else() {
    let path = |path| workflow_path(path, "octo-org/web").unwrap();
    for (given, expected) in [
        ("octo-org/web/a.yaml@refs/heads/x@y.yml@z", "a.yaml"),
        ("octo-org/web/a.yml@refs/heads/x.yml@refs/y", "a.yml"),
        ("a.yml@b.yml@refs/heads/main", "a.yml@b.yml"),
        ("a.yml@b.yaml@refs/tags/v1", "a.yml@b.yaml"),
        (
            "Octo-Org/Web/.github/workflows/ci.yml@v1",
            ".github/workflows/ci.yml",
        ),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        (
            ".github/workflows/c@i.yml@main",
            ".github/workflows/c@i.yml",
        ),
        ("octo-org/web2/ci.yml@main", "octo-org/web2/ci.yml"),
        ("dynamic/pages/pages-build", "dynamic/pages/pages-build"),
        ("", ""),
    ] {
        assert_eq!(path(given), expected);
    }
}

#[test]
fn a_file_whose_name_has_an_at_is_not_taken_for_the_one_before_it() {
    let redeploy = gate(r#"{"workflows": ["redeploy.yml"]}"#);
    let decide = |run: &str, flow: Option<&str>| {
        let mut event = fixture!("completed");
        event.workflow_run.path = Some(run.to_owned());
        event.workflow.as_mut().unwrap().path = flow.map(str::to_owned);
        redeploy.run(&event).unwrap()
    };
    let named = |name: &str| format!(".github/workflows/{name}");
    let evil = named("redeploy.yml@evil.yml");
    for run in ["", "@main", "@refs/heads/main", "@x.yml"].map(|at| format!("{evil}{at}")) {
        let reason = ignored(decide(&run, Some(&evil)));
        assert_eq!(reason, Reason::Workflow(evil.clone()), "{run}");
        ignored(decide(&run, None));
    }
    for unclear in ["redeploy.yml@evil.yml", "redeploy.yml@evil.yaml@main"] {
        let reason = ignored(decide(&named(unclear), None));
        assert_eq!(reason, Reason::WorkflowName(named(unclear)));
    }
    // The workflow's own path says that this is a branch.
    let good = named("redeploy.yml");
    queued(decide(&named("redeploy.yml@evil.yml"), Some(&good)));
    queued(decide(&named("redeploy.yml@main"), None));
}

#[test]
fn a_run_without_a_path_takes_the_workflows_and_without_either_is_ignored() {
    let mut event = fixture!("completed");
    event.workflow_run.path = None;
    let candidate = queued(decide(&event));
    assert_eq!(run_source(&candidate).workflow, ".github/workflows/ci.yml");
    event.workflow = None;
    assert_eq!(ignored(decide(&event)), Reason::NoWorkflow);
}

proptest! {
    #[test]
    fn another_repositorys_path_never_becomes_one_of_ours(
        owner in words("[a-z0-9-]{1,8}"), name in words("[a-z0-9._-]{1,8}"), at in words("[a-z/@.]{0,8}"),
    ) {
        let full_name = format!("{owner}/{name}");
        prop_assume!(full_name != "octo-org/web");
        let path = format!("{full_name}/.github/workflows/ci.yml@{at}");
        prop_assert_ne!(workflow_path(&path, "octo-org/web"), Some(".github/workflows/ci.yml"));
    }
}
