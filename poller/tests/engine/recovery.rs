//! A deploy that was interrupted is taken to its end by the journal, on whatever the engine shows.

use std::{
    future::pending,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use towline::{
    apply::{Applied, Progress, recover},
    machine::{Deploy, Event, Fault, Kept},
    settings::Service,
    store::JournalEntry,
    uptime::Uptime,
};
use towline_protocol::{Gate, Outcome};

use crate::{
    ordered::until,
    scene::{Scene, docker, intent, launcher},
};

/// A service on v1 whose deploy to v2 went as far as the gate, by hand; that deploy; and the old container's id.
async fn half_way(name: &'static str) -> (Scene, Deploy, String) {
    half_way_from(name, "ok").await
}

/// The same with a v1 in this mode.
async fn half_way_from(name: &'static str, mode: &str) -> (Scene, Deploy, String) {
    let scene = Scene::new(name).await;
    scene.release("v1", mode, &[]);
    scene.run(&["--restart", "always"]);
    let deploy = scene.begun();
    let id = deploy.members[0].old.clone();
    let publish = format!("127.0.0.1:{}:8080", scene.port);
    let new = candidate(&scene, &["--publish", &publish]);
    // Stopped first: engine 20.10 refuses to update a container that is just crashing.
    docker(&["stop", name]);
    docker(&["update", "--restart", "no", name]);
    docker(&["rename", name, &format!("{name}--old-0a1b2c3d")]);
    docker(&["rename", &format!("{name}--new-0a1b2c3d"), name]);
    docker(&["start", name]);
    let created = deploy.on(Event::Created { id: new });
    let started = (0..5).fold(created, |deploy, _| deploy.on(Event::Done));
    let looked = Event::Looked {
        starts: vec![started_at(&scene)],
        now: Some(Uptime::now()),
    };
    (scene, started.on(looked), id)
}

/// Makes the new container of deploy 0a1b2c3d beside the old one, on v2; returns its id.
fn candidate(scene: &Scene, arguments: &[&str]) -> String {
    scene.push("v2", "ok", &[]);
    let (called, image) = (format!("{}--new-0a1b2c3d", scene.name), scene.image("v2"));
    let create = [
        "create",
        "--label",
        "towline.deploy=0a1b2c3d",
        "--name",
        &called,
    ];
    docker(&[&create, arguments, &[&image]].concat())
}

/// A service whose v1 does not heed SIGTERM; its deploy was killed while the engine stops v1, which has some seconds left;
/// and who waits for that stop.
async fn stopping(name: &'static str) -> (Scene, Deploy, Child) {
    let scene = Scene::new(name).await;
    scene.release("v1", "deaf", &[]);
    scene.run(&["--restart", "always", "--stop-timeout", "5"]);
    let deploy = scene.begun();
    let new = candidate(&scene, &[]);
    docker(&["update", "--restart", "no", name]);
    let mut command = Command::new("docker");
    let stop = command
        .args(["stop", name])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_event(name, "kill");
    let disarmed = deploy.on(Event::Created { id: new }).on(Event::Done);
    (scene, disarmed, stop)
}

/// Waits until the engine tells of this of the container.
fn wait_for_event(name: &str, event: &str) {
    let (container, event) = (format!("container={name}"), format!("event={event}"));
    let filters = ["--filter", &container, "--filter", &event];
    for _ in 0..200 {
        let now = docker(&["info", "--format", "{{.SystemTime}}"]);
        let events = ["events", "--since", "10m", "--until", &now];
        if !docker(&[&events, &filters[..]].concat()).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{name}: {event} was not seen");
}

/// The same, and the machine was started again: nothing of the service runs, and nothing starts by itself.
async fn half_way_and_rebooted(name: &'static str) -> (Scene, Deploy, String) {
    let half_way = half_way(name).await;
    docker(&["stop", name]);
    half_way
}

/// When the container that has the name was started, in the engine's words.
fn started_at(scene: &Scene) -> String {
    let shown = scene.inspect();
    shown["State"]["StartedAt"].as_str().unwrap().to_owned()
}

async fn recovered(scene: &mut Scene, deploy: &Deploy, service: Option<&Service>) -> Applied {
    let entry = entry(scene, deploy);
    recover(
        &scene.docker,
        &launcher(),
        &mut scene.store,
        &entry,
        service,
        pending(),
        &mut |_| (),
    )
    .await
    .unwrap()
}

fn entry(scene: &Scene, deploy: &Deploy) -> JournalEntry {
    JournalEntry {
        deploy: deploy.deploy.clone(),
        service: scene.name.parse().unwrap(),
        intent: intent(None).id,
        attempt: 1,
        body: deploy.to_journal().unwrap(),
        on_purpose: None,
        begun: None,
    }
}

#[tokio::test]
async fn a_new_container_that_does_not_run_any_more_gives_way_to_the_same_old_one() {
    let (mut scene, deploy, old) = half_way_and_rebooted("back").await;
    let entry = entry(&scene, &deploy);
    let service = scene.checked("v1");
    let mut told = Vec::new();
    let mut tell = |progress: Progress| told.push(progress);
    let applied = recover(
        &scene.docker,
        &launcher(),
        &mut scene.store,
        &entry,
        Some(&service),
        pending(),
        &mut tell,
    )
    .await
    .unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("interrupted (gate)")
            && applied.message.contains("it ended with status 0"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old.as_str());
    assert_eq!(
        scene.inspect()["HostConfig"]["RestartPolicy"]["Name"],
        "always"
    );
    assert_eq!(scene.containers(), ["back"]);
    assert_eq!(scene.get().unwrap(), "toy v1 \n");
    assert!(
        matches!(
            &told[..],
            [
                Progress::RollingBack { .. },
                Progress::StoppedNew,
                Progress::StartedOld,
                Progress::RolledBack
            ]
        ),
        "{told:?}"
    );
    let again = recover(
        &scene.docker,
        &launcher(),
        &mut scene.store,
        &entry,
        Some(&service),
        pending(),
        &mut |_| (),
    )
    .await
    .unwrap();
    assert_eq!(again.outcome, Outcome::RolledBack, "{}", again.message);
    assert_eq!(scene.inspect()["Id"], old.as_str());
}

#[tokio::test]
async fn an_old_container_that_is_still_being_stopped_ends_and_is_started_again() {
    let (mut scene, deploy, mut stop) = stopping("dying").await;
    let before = scene.inspect();
    assert_eq!(before["State"]["Running"], true, "it is still there");
    let service = scene.checked("v1");
    let applied = recovered(&mut scene, &deploy, Some(&service)).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    stop.wait().unwrap();
    let after = scene.inspect();
    assert_eq!(after["Id"], before["Id"]);
    assert_eq!(after["State"]["Running"], true, "the stop has ended it");
    assert_ne!(after["State"]["StartedAt"], before["State"]["StartedAt"]);
    assert_eq!(after["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(scene.get().unwrap(), "toy v1 \n");
    assert_eq!(scene.containers(), ["dying"]);
}

#[tokio::test]
async fn a_gate_that_was_interrupted_goes_on_with_the_container_that_runs() {
    let (mut scene, deploy, old) = half_way("again").await;
    let service = scene.checked("v2");
    let since = started_at(&scene);
    let applied = recovered(&mut scene, &deploy, Some(&service)).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
    assert_ne!(scene.inspect()["Id"], old.as_str());
    assert_eq!(started_at(&scene), since, "it was never stopped");
    assert_eq!(
        scene.inspect()["HostConfig"]["RestartPolicy"]["Name"],
        "always"
    );
    assert_eq!(scene.containers(), ["again"]);
}

#[tokio::test]
async fn a_gate_whose_time_was_used_up_before_the_crash_is_not_given_it_again() {
    let (mut scene, mut deploy, old) = half_way("late").await;
    let service = scene.service(&format!(
        "[[service.late.health]]\nhttp = \"http://127.0.0.1:{}/\"\ncontains = \"toy v1 \"\nwithin = \"10m\"\n",
        scene.port
    ));
    let watch = deploy.watch.as_mut().unwrap();
    watch.waited.ms = Duration::from_mins(10).as_millis().try_into().unwrap();
    let applied = recovered(&mut scene, &deploy, Some(&service)).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(applied.message.contains("gate"), "{}", applied.message);
    assert_eq!(scene.inspect()["Id"], old.as_str());
}

#[tokio::test]
async fn a_gate_of_a_service_that_has_left_the_file_is_not_gone_on_with() {
    let (mut scene, deploy, old) = half_way("orphan").await;
    let applied = recovered(&mut scene, &deploy, None).await;
    assert_eq!(
        (applied.outcome, applied.fault),
        (Outcome::RolledBack, Fault::Interruption),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old.as_str());
}

#[tokio::test]
async fn an_interrupted_try_keeps_its_image_for_the_next_one() {
    let (mut scene, mut deploy, _) = half_way_and_rebooted("fetched").await;
    let tag = "towline/fetched:000000000002";
    docker(&["tag", &scene.image("v2"), tag]);
    deploy.kept = Some(Kept {
        new: tag.to_owned(),
        old: "towline/fetched:000000000001".to_owned(),
        made: true,
    });
    let service = scene.checked("v1");
    let applied = recovered(&mut scene, &deploy, Some(&service)).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    docker(&["image", "inspect", tag]);
}

#[tokio::test]
async fn a_new_container_that_was_started_again_meanwhile_gives_way() {
    let (mut scene, deploy, old) = half_way("restarted").await;
    docker(&["restart", "restarted"]);
    let service = scene.checked("v1");
    let applied = recovered(&mut scene, &deploy, Some(&service)).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("has restarted"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old.as_str());
    assert_eq!(scene.containers(), ["restarted"]);
}

#[tokio::test]
async fn a_commit_after_which_the_engine_was_restarted_brings_the_new_version_up_again() {
    let (mut scene, deploy, old) = half_way("onward").await;
    let deploy = deploy.on(Event::Passed {
        gate: Gate::Healthy,
    });
    docker(&["stop", "onward"]);
    let applied = recovered(&mut scene, &deploy, None).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_ne!(scene.inspect()["Id"], old.as_str());
    until("it answers", || scene.get().is_some());
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
    assert_eq!(scene.containers(), ["onward"]);
}

#[tokio::test]
async fn an_old_version_that_ends_again_is_not_called_back_however_unwell_it_was() {
    let (mut scene, mut deploy, _) = half_way_from("unwell", "exit").await;
    deploy.members[0].was_healthy = false;
    docker(&["stop", "unwell"]);
    let applied = recovered(&mut scene, &deploy, None).await;
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    assert!(
        applied.message.contains("it restarted"),
        "{}",
        applied.message
    );
}

#[tokio::test]
async fn after_the_commit_the_new_container_stays_and_the_old_one_goes() {
    let (mut scene, deploy, old) = half_way("forth").await;
    let deploy = deploy.on(Event::Passed {
        gate: Gate::Healthy,
    });
    let applied = recovered(&mut scene, &deploy, None).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
    let now = scene.inspect();
    assert_ne!(now["Id"], old.as_str());
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(scene.containers(), ["forth"]);
}

#[tokio::test]
async fn an_old_container_that_somebody_removed_meanwhile_needs_an_operator() {
    let (mut scene, deploy, _) = half_way_and_rebooted("taken").await;
    docker(&["rm", "taken--old-0a1b2c3d"]);
    let applied = recovered(&mut scene, &deploy, None).await;
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    assert!(
        applied.message.contains("No such container"),
        "{}",
        applied.message
    );
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_touches_nothing_and_needs_an_operator() {
    let (mut scene, deploy, _) = half_way("damaged").await;
    let before: Value = scene.inspect()["State"].clone();
    let damaged = JournalEntry {
        body: json!({ "format": 1 }).to_string(),
        ..entry(&scene, &deploy)
    };
    let applied = recover(
        &scene.docker,
        &launcher(),
        &mut scene.store,
        &damaged,
        None,
        pending(),
        &mut |_| (),
    )
    .await
    .unwrap();
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["State"], before);
    assert_eq!(scene.containers().len(), 2);
}
