//! Compose projects by the real binary: forth and back, somebody else at them in the middle, and an engine that is killed.

use std::{fs, thread, time::Duration};

use crate::{
    composed::Seen,
    engine::{self, Engine},
    poller::until,
    project::{Project, SHA},
};

#[test]
fn a_project_is_deployed_and_reported_and_stays_compose_s() {
    let _served = engine::served();
    let project = Project::new("stack-forth", "");
    let before = project.containers();
    project.offer_v2("ok");
    let (status, log, passed) = project.once();
    assert_eq!(status, 0, "{log}");
    assert!(
        passed.contains(&"replacing.up.begun".to_owned()),
        "{passed:?}"
    );
    assert_eq!(project.truth("forth").0, "succeeded", "{log}");
    assert_eq!(
        project.containers()[0],
        before[0],
        "what has no new version is left alone"
    );
    project.is_compose_s();

    project.ask(2, SHA);
    let (_, log, _) = project.once();
    assert!(log.contains("has all that it should already"), "{log}");
}

#[test]
fn a_version_that_fails_its_gate_is_taken_back_and_both_are_told() {
    let _served = engine::served();
    let project = Project::new("stack-back", "");
    let before = project.containers();
    project.offer_v2("crash");
    let (_, log, _) = project.once();
    let (outcome, message) = project.truth("back");
    assert_eq!(outcome, "rolled_back", "{log}");
    assert!(message.contains("gate: "), "{message}");
    let images = |all: Vec<Seen>| all.into_iter().map(|one| one.image).collect::<Vec<_>>();
    assert_eq!(images(project.containers()), images(before));
    project.is_compose_s();
}

/// Whether a run came to no step of a deploy.
fn never_began(passed: &[String]) -> bool {
    !passed.iter().any(|point| point.starts_with("replacing"))
}

#[test]
fn what_cannot_be_deployed_or_taken_back_is_told_before_anything_is_touched() {
    let _served = engine::served();
    let project = Project::new("stack-refused", "");
    let before = project.containers();
    project.names("@-web:live${UNKNOWN}");
    project.ask(1, SHA);
    let (_, log, passed) = project.once();
    let refused = &project.reports()[&1];
    assert_eq!(refused["outcome"], "refused", "{log}");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("UNKNOWN is not set"),
        "{refused}"
    );
    assert!(never_began(&passed), "{passed:?}");

    project.names("@-web:never");
    project.ask(2, SHA);
    let (_, log, passed) = project.once();
    assert!(log.contains("waiting"), "{log}");
    assert!(never_began(&passed), "{passed:?}");
    assert_eq!(project.containers(), before);
}

#[test]
fn the_first_deploy_of_a_file_that_names_its_commit_is_taken_back_to_the_image_that_ran() {
    let _served = engine::served();
    let project = Project::new("stack-first", "");
    crate::scene::push("stack-first-web", SHA, "crash", &[]);
    project.names("@-web:${TOWLINE_SHA:?}");
    project.ask(1, SHA);
    let (_, log, _) = project.once();
    assert_eq!(project.truth("first").0, "rolled_back", "{log}");
}

#[test]
fn somebody_who_brings_up_something_else_meanwhile_is_told_and_costs_the_version_nothing() {
    let _served = engine::served();
    let project = Project::new("stack-meanwhile", "");
    project.offer_v2("ok");
    let paused = project.paused_at("replacing.look.before");
    project.by_hand(&["rm", "--stop", "--force", "web"]);
    paused.go_on();
    let (_, log) = paused.ended();
    assert_eq!(project.truth("meanwhile").0, "rolled_back", "{log}");
    assert!(log.contains("web has no container: somebody else"), "{log}");
}

#[test]
fn services_see_the_data_that_were_put_back_under_them() {
    let _served = engine::served();
    let keys = "backup = { paths = [\"DIR/data\"], restore = true }";
    let project = Project::new("stack-data", keys);
    project.offer_v2("crash");
    let paused = project.paused_at("replacing.look.before");
    until("v2 answers", || project.answers()[0].is_some());
    project.visit();
    assert_eq!(
        fs::read_to_string(project.data()).unwrap(),
        "first\nvisit\n"
    );
    paused.go_on();
    let (_, log) = paused.ended();
    assert_eq!(project.truth("data").0, "rolled_back", "{log}");
    assert_eq!(fs::read_to_string(project.data()).unwrap(), "first\n");
    for answer in project.answers() {
        assert!(
            answer.as_deref().unwrap_or_default().ends_with(" first\n"),
            "{answer:?}"
        );
    }
    project.visit();
    assert_eq!(
        fs::read_to_string(project.data()).unwrap(),
        "first\nvisit\n",
        "in the same folder"
    );
}

/// Points at which the engine goes away, for a version that does this; how its deploy is to end all the same. Not while it
/// starts a container: an engine that is killed then takes the container's port for taken until it is started once more.
const LOST: [(&str, &str, &str); 4] = [
    ("ok", "replacing.up.before", "succeeded"),
    (IN_THE_MIDDLE.0, IN_THE_MIDDLE.1, "succeeded"),
    ("ok", "replacing.gate.before", "succeeded"),
    ("crash", "rolling_back.up.begun", "rolled_back"),
];
/// While Compose waits for the old container to stop, which it does not.
const IN_THE_MIDDLE: (&str, &str) = ("ok", "replacing.up.begun");

#[test]
fn an_engine_that_is_killed_in_the_middle_of_an_up_and_comes_back_costs_no_version_its_chance() {
    let Some(engine) = Engine::own() else { return };
    for (at, (mode, point, deserved)) in LOST.into_iter().enumerate() {
        let project = Project::of(&format!("stack-lost-{at}"), "deaf", "stop_timeout = \"5s\"");
        project.offer_v2(mode);
        let paused = project.paused_at(point);
        if (mode, point) == IN_THE_MIDDLE {
            paused.go_on();
            until("the new container is there", || {
                project.containers().len() == 3
            });
        }
        let down = engine.kill();
        paused.go_on();
        thread::sleep(Duration::from_secs(1));
        drop(down);
        let (status, mut log) = paused.ended();
        if status == 1 {
            // An engine that takes longer than it is waited for leaves the rest to the next run.
            log += &project.once().1;
        }
        assert_eq!(project.truth(point).0, deserved, "{point}: {log}");
        project.is_compose_s();
    }
}

#[test]
fn an_engine_that_stays_away_leaves_an_open_journal_that_the_next_run_takes_to_its_end() {
    let Some(engine) = Engine::own() else { return };
    let project = Project::new("stack-away", "");
    project.offer_v2("ok");
    let paused = project.paused_at("replacing.up.begun");
    let down = engine.kill();
    paused.go_on();
    let (status, log) = paused.ended();
    assert_eq!((status, project.reports().len()), (1, 0), "{log}");
    drop(down);
    let (_, log, _) = project.once();
    assert_eq!(project.truth("away").0, "succeeded", "{log}");
    project.is_compose_s();
}
