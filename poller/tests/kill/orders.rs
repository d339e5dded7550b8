//! What an operator asks and orders of a Compose project, by the real binary: `status`, `check --plan`, `retry` and `resolve`.

use std::ops::Deref;

use crate::{
    composed::Composed,
    engine,
    images::V2,
    project::{Project, SHA},
    remote::{Remote, git},
    seen,
    stack::{Origin, Stack},
};

/// The commit of an intent that comes later.
const NEXT: &str = "3333333333333333333333333333333333333333";

/// What `towline ARGUMENTS` prints and says, and its exit status.
fn called(project: &impl Deref<Target = Composed>, arguments: &[&str]) -> (String, i32) {
    let output = project.towline(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (said.concat(), output.status.code().unwrap())
}

/// The names of the numbered steps in a plan.
fn steps(plan: &str) -> Vec<&str> {
    let step = |line: &'_ str| -> Option<usize> { line.trim().split_once(". ")?.0.parse().ok() };
    let lines = plan.lines().filter(|line| step(line).is_some());
    lines
        .map(|line| line.split_once(". ").unwrap().1.split_once(':').unwrap().0)
        .collect()
}

#[test]
fn a_project_whose_deploy_failed_is_tried_again_by_a_retry_and_what_is_gone_then_is_told() {
    let _served = engine::served();
    let project = Project::new("orders-retry", "");
    project.offer_v2("crash");
    let (status, log, _) = project.once();
    assert_eq!(
        (status, project.truth("crash").0.as_str()),
        (3, "rolled_back"),
        "{log}"
    );
    project.offer_v2("ok");
    let (said, status) = called(&project, &["retry", &project.name]);
    assert_eq!(
        (status, project.truth("retry").0.as_str()),
        (0, "succeeded"),
        "{said}"
    );
    project.is_compose_s();

    let (table, _) = called(&project, &["status"]);
    assert!(
        table.contains("2 well") && table.contains(&SHA[..7]),
        "{table}"
    );
    project.by_hand(&["rm", "--stop", "--force", "side"]);
    let (table, _) = called(&project, &["status"]);
    assert!(table.contains("1 of 2 well"), "{table}");
    assert!(table.contains("not well any more: side is gone"), "{table}");
    project.by_hand(&["down"]);
    let (table, _) = called(&project, &["status"]);
    let gone = "all of its containers are gone";
    assert!(table.contains("absent") && table.contains(gone), "{table}");

    // Another project of the file is no reason to refuse one that a deploy has left in place before.
    let other = ["--project-name", "orders-retry-other"];
    project.by_hand(&[&other[..], &["create", "side"]].concat());
    project.forget_reports();
    project.ask(2, NEXT);
    let (status, log, _) = project.once();
    let told = (status, project.truth("taken down").0);
    assert_eq!(told, (0, "succeeded".to_owned()), "{log}");
    project.by_hand(&[&other[..], &["down"]].concat());
}

#[test]
fn a_project_that_an_operator_is_needed_for_stays_until_resolve_and_takes_the_next_intent_then() {
    let _served = engine::served();
    let project = Project::new("orders-resolve", "");
    project.offer_v2("crash");
    let paused = project.paused_at("rolling_back.up.before");
    project.write("services: {");
    paused.go_on();
    let (status, log) = paused.ended();
    assert_eq!(
        (status, project.told().0.as_str()),
        (4, "needs_operator"),
        "{log}"
    );
    let (table, _) = called(&project, &["status"]);
    for part in [
        "needs operator",
        "what is in place is not known",
        "towline resolve",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }

    project.names("@-web:live");
    project.offer_v2("ok");
    project.forget_reports();
    project.ask(2, NEXT);
    let before = project.containers();
    let (plan, status) = called(&project, &["check", "--plan", NEXT]);
    let first = plan.lines().nth(1).unwrap();
    assert!(
        status == 1 && first.contains("PROBLEM: an operator is needed"),
        "{plan}"
    );
    assert!(steps(&plan).contains(&"up"), "{plan}");
    assert_eq!(project.once().0, 4);
    assert_eq!(project.containers(), before, "nothing was touched");

    let (said, status) = called(&project, &["resolve", &project.name]);
    assert!(
        status == 0 && said.contains("may be deployed again"),
        "{said}"
    );
    let (status, log, _) = project.once();
    assert_eq!(
        (status, project.truth("next").0.as_str()),
        (0, "succeeded"),
        "{log}"
    );
    let (table, _) = called(&project, &["status"]);
    assert!(
        table.contains(&NEXT[..7]) && !table.contains("is not known"),
        "{table}"
    );
}

#[test]
fn a_plan_of_a_project_in_a_checkout_names_the_steps_of_its_deploy_and_touches_nothing() {
    let _served = engine::served();
    let remote = Remote::new();
    let stack = Stack::new("orders-plan".to_owned(), V2::Good, Origin::Git(&remote));
    let app = stack.file("app");
    let seen = || {
        let objects = git(&app, &["count-objects", "-v"]);
        (
            stack.ids(),
            seen::checkout(&app),
            objects,
            stack.state().exists(),
        )
    };
    let before = seen();
    let (plan, status) = called(&stack, &["check", "--plan", &remote.good]);
    assert!(status == 0 && plan.contains("not fetched yet"), "{plan}");
    let unknown =
        "what the Compose file of the commit names, which is not known before it is fetched";
    assert!(plan.contains(unknown), "{plan}");
    assert_eq!(seen(), before, "{plan}");

    git(&app, &["fetch", "-q", "origin"]);
    let before = seen();
    let (plan, status) = called(&stack, &["check", "--plan", &remote.good]);
    assert_eq!((status, seen()), (0, before), "{plan}");
    for part in [
        "which is here already",
        "let the local tag ",
        ": api",
        "check out ",
    ] {
        assert!(plan.contains(part), "{part} is not in {plan}");
    }
    let (status, log, _) = stack.once();
    assert_eq!((status, stack.told().0.as_str()), (0, "succeeded"), "{log}");
    let reports = stack.reports();
    let (_, report) = reports.last_key_value().unwrap();
    let done = report["steps"].as_array().unwrap().iter();
    let done: Vec<_> = done.map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps(&plan), done, "{plan}");
}
