//! What is refused or waited for, with the container untouched.

use towline::apply::{InspectError, inspect_service};
use towline::docker::{Docker, EngineError};
use towline_protocol::{Image, Outcome};

use crate::scene::{Scene, docker};

async fn on_v1(name: &'static str, arguments: &[&str]) -> (Scene, serde_json::Value) {
    let scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(arguments);
    let id = scene.inspect()["Id"].clone();
    (scene, id)
}

#[tokio::test]
async fn a_container_made_with_rm_is_refused_by_check_and_by_a_deploy() {
    let (mut scene, old) = on_v1("autoremove", &["--rm"]).await;
    scene.release("v2", "ok", &[]);
    let service = scene.checked("v2");
    let refused = inspect_service(&scene.docker, &service).await.unwrap_err();
    assert!(
        matches!(refused, InspectError::Refused(_)) && refused.to_string().contains("--rm"),
        "{refused}"
    );
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused);
    assert_eq!(scene.inspect()["Id"], old);
}

#[tokio::test]
async fn containers_that_borrow_its_volumes_or_link_to_it_are_named() {
    let (mut scene, old) = on_v1("base", &["--volume", "/data"]).await;
    let image = scene.image("live");
    docker(&[
        "create",
        "--name",
        "base-vol",
        "--volumes-from",
        "base",
        &image,
    ]);
    docker(&[
        "create",
        "--name",
        "base-link",
        "--link",
        "base:backend",
        &image,
    ]);
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Refused);
    for words in ["base-vol (volumes)", "base-link (link)"] {
        assert!(applied.message.contains(words), "{}", applied.message);
    }
    assert_eq!(scene.inspect()["Id"], old);
}

#[tokio::test]
async fn one_that_shares_memory_is_refused_while_that_one_is_down_or_gone() {
    let mut scene = Scene::new("joined").await;
    scene.release("v1", "ok", &[]);
    let image = scene.image("live");
    docker(&[
        "run",
        "--detach",
        "--name",
        "joined-base",
        "--ipc",
        "shareable",
        &image,
    ]);
    scene.run(&["--ipc", "container:joined-base"]);
    let old = scene.inspect()["Id"].clone();
    scene.release("v2", "ok", &[]);
    let service = scene.service("");
    docker(&["stop", "joined-base"]);
    let down = scene.deploy(&service).await;
    docker(&["rm", "joined-base"]);
    let gone = scene.deploy(&service).await;
    for (applied, word) in [
        (down, "joined-base, which does not run"),
        (gone, "which is gone"),
    ] {
        assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
        assert!(applied.message.contains(word), "{}", applied.message);
    }
    assert_eq!(scene.inspect()["Id"], old);
    assert_eq!(scene.inspect()["State"]["Running"], true);
}

#[tokio::test]
async fn a_container_that_does_not_exist_and_a_foreign_repository_are_refused() {
    let (mut scene, old) = on_v1("foreign", &[]).await;
    let missing = scene.service("").clone();
    docker(&["rename", "foreign", "foreign-elsewhere"]);
    let applied = scene.deploy(&missing).await;
    assert!(
        applied.outcome == Outcome::Refused && applied.message.contains("no container foreign"),
        "{}",
        applied.message
    );
    docker(&["rename", "foreign-elsewhere", "foreign"]);
    let image = Image {
        reference: Some("ghcr.io/mallory/web:v1".to_owned()),
        digest: None,
    };
    let applied = scene.deploy_image(&missing, Some(image)).await;
    assert!(
        applied.outcome == Outcome::Refused && applied.message.contains("ghcr.io/mallory/web"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old);
}

#[tokio::test]
async fn a_tag_or_a_registry_that_is_not_there_is_waited_for() {
    let (mut scene, old) = on_v1("absent", &[]).await;
    let image = scene.image("not-yet");
    let applied = scene
        .deploy(&scene.service(&format!("image = \"{image}\"\n")))
        .await;
    assert!(
        applied.outcome == Outcome::Waiting && applied.message.contains("not in the registry"),
        "{}",
        applied.message
    );
    let applied = scene
        .deploy(&scene.service("image = \"127.0.0.1:1/absent:v1\"\n"))
        .await;
    assert!(
        applied.outcome == Outcome::Waiting && applied.message.contains("does not answer"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old);
}

#[tokio::test]
async fn a_container_that_cannot_be_made_leaves_everything_as_it_was() {
    let (mut scene, old) = on_v1("unmade", &[]).await;
    let image = scene.image("live");
    let before = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    docker(&["create", "--name", "unmade--new-00000001", &image]);
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(
        applied.outcome,
        Outcome::FailedUntouched,
        "{}",
        applied.message
    );
    assert!(
        applied.message.contains("already in use"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old);
    assert_eq!(scene.inspect()["State"]["Running"], true);
    assert_eq!(
        docker(&["image", "inspect", "--format", "{{.Id}}", &image]),
        before
    );
    assert_eq!(
        scene.containers().len(),
        2,
        "a container of somebody else's was removed"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told_with_its_address() {
    let error = Docker::connect(Some("unix:///nowhere/docker.sock"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, EngineError::Unreachable { .. })
            && error.to_string().contains("/nowhere/docker.sock"),
        "{error}"
    );
}
