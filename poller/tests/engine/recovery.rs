//! A deploy that was interrupted is taken to its end by the journal, on whatever the engine shows.

use serde_json::{Value, json};
use towline::{
    apply::{Progress, recover},
    machine::{Deploy, Event, Member},
    store::JournalEntry,
};
use towline_protocol::{Gate, Outcome, Side};

use crate::scene::{Scene, docker, intent};

/// A service on v1 whose deploy to v2 went as far as the start of the new container, by hand; and that deploy.
async fn half_way(name: &'static str) -> (Scene, Deploy, String) {
    half_way_from(name, "ok").await
}

/// The same with a v1 in this mode.
async fn half_way_from(name: &'static str, mode: &str) -> (Scene, Deploy, String) {
    let scene = Scene::new(name).await;
    scene.release("v1", mode, &[]);
    scene.run(&["--restart", "always"]);
    let old = scene.inspect();
    let id = old["Id"].as_str().unwrap().to_owned();
    scene.push("v2", "ok", &[]);
    let publish = format!("127.0.0.1:{}:8080", scene.port);
    let candidate = format!("{name}--new-0a1b2c3d");
    let label = ["--label", "towline.deploy=0a1b2c3d"];
    let image = scene.image("v2");
    let new = docker(
        &[
            &["create", "--name", &candidate, "--publish", &publish],
            &label[..],
            &[&image],
        ]
        .concat(),
    );
    // Stopped first: engine 20.10 refuses to update a container that is just crashing.
    docker(&["stop", name]);
    docker(&["update", "--restart", "no", name]);
    docker(&["rename", name, &format!("{name}--old-0a1b2c3d")]);
    docker(&["rename", &candidate, name]);
    docker(&["start", name]);
    let member = Member {
        name: name.to_owned(),
        old: id.clone(),
        policy: old["HostConfig"]["RestartPolicy"].clone(),
        runs: true,
        was_healthy: true,
        was_restarting: false,
        tag: None,
    };
    let deploy = Deploy::new(
        "0a1b2c3d".to_owned(),
        vec![member],
        Side::default(),
        Side::default(),
    );
    let created = deploy.on(Event::Created { id: new });
    let started = (0..5).fold(created, |deploy, _| deploy.on(Event::Done));
    (scene, started, id)
}

fn entry(scene: &Scene, deploy: &Deploy) -> JournalEntry {
    JournalEntry {
        deploy: deploy.deploy.clone(),
        service: scene.name.parse().unwrap(),
        intent: intent(None).id,
        attempt: 1,
        body: deploy.to_journal().unwrap(),
        on_purpose: None,
    }
}

#[tokio::test]
async fn before_the_commit_the_same_old_container_comes_back() {
    let (mut scene, deploy, old) = half_way("back").await;
    let entry = entry(&scene, &deploy);
    let service = scene.checked("v1");
    let mut told = Vec::new();
    let mut tell = |progress: Progress| told.push(progress);
    let applied = recover(
        &scene.docker,
        &mut scene.store,
        &entry,
        Some(&service),
        &mut tell,
    )
    .await
    .unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("interrupted"),
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
    assert_eq!(told, [Progress::RolledBack]);
    let again = recover(
        &scene.docker,
        &mut scene.store,
        &entry,
        Some(&service),
        &mut |_| (),
    )
    .await
    .unwrap();
    assert_eq!(again.outcome, Outcome::RolledBack, "{}", again.message);
    assert_eq!(scene.inspect()["Id"], old.as_str());
}

#[tokio::test]
async fn an_old_version_that_ends_again_is_not_called_back_however_unwell_it_was() {
    let (mut scene, mut deploy, _) = half_way_from("unwell", "exit").await;
    deploy.members[0].was_healthy = false;
    let entry = entry(&scene, &deploy);
    let applied = recover(&scene.docker, &mut scene.store, &entry, None, &mut |_| ())
        .await
        .unwrap();
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
    let entry = entry(&scene, &deploy);
    let applied = recover(&scene.docker, &mut scene.store, &entry, None, &mut |_| ())
        .await
        .unwrap();
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
    let (mut scene, deploy, _) = half_way("taken").await;
    docker(&["rm", "taken--old-0a1b2c3d"]);
    let entry = entry(&scene, &deploy);
    let applied = recover(&scene.docker, &mut scene.store, &entry, None, &mut |_| ())
        .await
        .unwrap();
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
    let applied = recover(&scene.docker, &mut scene.store, &damaged, None, &mut |_| ())
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
