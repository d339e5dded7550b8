//! What is told of a deploy: its steps in words, and the variables of its commands.

use std::collections::BTreeMap;

use super::{
    super::{About, Ending, Event, Revision, Sequence, Version, Which, compose_variables},
    play::is_the,
    scene::{Kind, a_mere_command, a_project, a_service},
};
use crate::{process::Identity, testing::SHA};

fn service() -> Sequence {
    let scene = a_service(Kind::Fit);
    let mut deploy = scene.deploy(&mut scene.host(), 0);
    deploy.before.new = revision();
    deploy
}

fn revision() -> Revision {
    Revision {
        sha: Some(SHA.parse().unwrap()),
        branch: Some("main".to_owned()),
        tag: Some("v1.2.3".parse().unwrap()),
        run_number: Some(7),
    }
}

fn variables(deploy: &Sequence, which: Which, version: Version) -> BTreeMap<String, String> {
    let about = About {
        service: &"web".parse().unwrap(),
        channel: Some(&"octo-org/web".parse().unwrap()),
        intent: &towline_protocol::IntentId::of_key("1"),
        attempt: 2,
    };
    let all = deploy.variables(about, which.word(), version);
    all.into_iter().collect()
}

#[test]
fn the_steps_of_a_deploy_are_told_in_their_order() {
    assert_eq!(
        service().steps(),
        [
            "stop: ./stop",
            "back up /srv/data as 00000001.tar.gz",
            "check out 3484a3f in /srv/app (now 0000000)",
            "run: ./update",
            "start: ./start",
            "wait until the service passes its checks",
        ]
    );
    let scene = a_project(Kind::Fit);
    let project = scene.deploy(&mut scene.host(), 0).steps();
    assert_eq!(
        project[2..],
        [
            "let the local tag web0:latest lead to image 1",
            "let the local tag web1:latest lead to image 1",
            "docker compose up -d, of /srv/compose.yaml",
            "wait until the service passes its checks",
        ]
    );
}

#[test]
fn an_argument_that_a_shell_would_part_is_shown_in_quotes() {
    let mut deploy = service();
    let command = deploy.parts.command.as_mut().unwrap();
    command.run = ["sh", "-c", "make all", ""].map(str::to_owned).to_vec();
    assert_eq!(deploy.steps()[3], "run: sh -c \"make all\" \"\"");
}

#[test]
fn a_command_is_told_what_it_brings_and_what_was_there() {
    let told = variables(&service(), Which::Run, Version::New);
    let zeros = "0".repeat(40);
    let should = [
        ("TOWLINE_SERVICE", "web"),
        ("TOWLINE_CHANNEL", "octo-org/web"),
        ("TOWLINE_ATTEMPT", "2"),
        ("TOWLINE_DEPLOY", "00000001"),
        ("TOWLINE_STEP", "run"),
        ("TOWLINE_SHA", SHA),
        ("TOWLINE_SHORT_SHA", "3484a3f"),
        ("TOWLINE_BRANCH", "main"),
        ("TOWLINE_TAG", "v1.2.3"),
        ("TOWLINE_RUN_NUMBER", "7"),
        ("TOWLINE_PREVIOUS_SHA", &zeros),
    ];
    for (name, value) in should {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(told["TOWLINE_INTENT"].starts_with("in_"));
    assert_eq!(told.len(), should.len() + 1);
}

#[test]
fn a_way_back_is_told_what_it_brings_back_and_what_has_failed() {
    let told = variables(&service(), Which::RollBack, Version::Old);
    assert_eq!(told["TOWLINE_STEP"], "rollback");
    assert_eq!(told["TOWLINE_SHA"], "0".repeat(40));
    assert_eq!(told["TOWLINE_PREVIOUS_SHA"], SHA);
    assert_eq!(told["TOWLINE_FAILED_SHA"], SHA);
    assert!(!told.contains_key("TOWLINE_BRANCH"), "nobody knows it");
}

#[test]
fn a_branch_that_means_something_to_a_shell_is_not_told() {
    let mut deploy = service();
    for (branch, is_told) in [
        ("release/1.2", true),
        ("fix#12", true),
        ("-x", false),
        ("$(reboot)", false),
        ("a b", false),
        ("a..b", false),
        ("a\nb", false),
        ("`x`", false),
        ("", false),
    ] {
        deploy.before.new.branch = Some(branch.to_owned());
        let told = variables(&deploy, Which::Run, Version::New);
        assert_eq!(told.contains_key("TOWLINE_BRANCH"), is_told, "{branch:?}");
    }
    deploy.before.new.branch = Some("a".repeat(251));
    let told = variables(&deploy, Which::Run, Version::New);
    assert!(!told.contains_key("TOWLINE_BRANCH"));
}

#[test]
fn a_project_is_told_commit_and_tag_only_where_they_are_known() {
    let names = |revision: &Revision| -> Vec<String> {
        let all = compose_variables(revision);
        all.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&revision()), ["TOWLINE_SHA", "TOWLINE_TAG"]);
    assert!(names(&Revision::default()).is_empty());
}

/// What an operator is told when the `run` of a command fails that nothing leads back from.
fn operator_is_told(has_checks: bool, was_healthy: bool) -> String {
    let scene = a_mere_command(Kind::FailsToInstall);
    let deploy = scene.deploy(&mut scene.host(), 0);
    // A host's file that names the service no more takes nothing back.
    let mut deploy = deploy.checked(Some(has_checks)).checked(None);
    deploy.before.was_healthy = was_healthy;
    while let Some(action) = deploy.next() {
        deploy = if is_the(&action, Which::Run) {
            let why = "it ended with 1".to_owned();
            let process = Identity {
                pid: 1,
                started: 1,
                boot: String::new(),
            };
            deploy.begun(process).on(Event::Failed { why })
        } else {
            deploy.on(Event::Done)
        };
    }
    match deploy.ending() {
        Some(Ending::NeedsOperator { why }) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operator_is_told_of_checks_only_what_they_said_and_where_there_are_none_that() {
    for (checks, was_healthy, said) in [
        (true, true, "its checks say that it is as well as before"),
        (true, false, "its checks did not pass before either"),
        (false, true, "it has no checks (`health`)"),
    ] {
        let told = operator_is_told(checks, was_healthy);
        assert!(told.contains(said), "{told}");
        let others = told.matches("checks").count();
        assert_eq!(others, 1, "{told}");
    }
}
