//! What ended, and why it was begun.

use serde_json::json;

use crate::{
    cli::table::history::{cause, history},
    history::Entry,
    store::Cause,
};

#[test]
fn what_caused_a_deploy_is_told_for_each_kind_of_cause() {
    let told = |mut source: serde_json::Value, branch: Option<&str>, tag: Option<&str>| {
        source["repository_id"] = json!(7);
        source["repository"] = json!("octo-org/web");
        source["actor"] = json!("octocat");
        let mut intent = crate::testing::intent(7, 1);
        intent.source = serde_json::from_value(source).unwrap();
        intent.revision.branch = branch.map(str::to_owned);
        intent.revision.tag = tag.map(|tag| tag.parse().unwrap());
        cause(&Cause::of(&intent))
    };
    let push = || json!({ "kind": "push" });
    assert_eq!(
        told(push(), Some("ma\u{1b}in"), None),
        "push ma in by octocat"
    );
    assert_eq!(told(push(), None, Some("v1")), "push v1 by octocat");
    let package = json!({ "kind": "registry_package", "package": "web", "tag": "v1" });
    assert_eq!(told(package, None, None), "image v1 by octocat");
    let release = json!({ "kind": "release", "release_id": 5 });
    assert_eq!(told(release, None, Some("v1")), "release v1 by octocat");
    let deployment = json!({ "kind": "deployment", "deployment_id": 5, "environment": "live", "task": "deploy" });
    assert_eq!(
        told(deployment, Some("main"), None),
        "deployment live by octocat"
    );
    let actions = json!({ "kind": "actions", "repository_owner_id": 1, "workflow": "x.yml", "run_id": 1,
                          "run_number": 12, "run_attempt": 1, "event": "workflow_dispatch" });
    assert_eq!(told(actions, None, None), "job of run 12 by octocat");
}

#[test]
fn a_history_is_as_wide_as_the_terminal() {
    let side = json!({ "sha": crate::testing::SHA, "digest": null });
    let entry = json!({
        "at": "2026-11-20T15:00:00.5Z", "service": "web", "outcome": "rolled_back", "intent": crate::testing::intent(7, 1).id,
        "attempt": 1, "from": side, "to": { "sha": null, "digest": crate::testing::digest('b') },
        "cause": { "kind": "workflow_run", "run_number": 12, "by": "octocat" }, "ms": 65_432,
        "message": "http://127.0.0.1:8080/health answered 500 for 60 s, so that the version before serves again"
    });
    let deploys: Vec<Entry> = serde_json::from_value(json!([entry])).unwrap();
    let narrow = history(&deploys, Some(100));
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 100),
        "{narrow}"
    );
    insta::assert_snapshot!(format!("{}\n{narrow}", history(&deploys, None)));
    assert_eq!(history(&[], None), "no deploy has ended yet\n");
}
