//! A container that is chosen by its label: it must be the only one, and what a deploy leaves beside it never counts.

use towline::{
    apply::inspect_service,
    settings::{Choice, Service, Settings},
    status::{self, Sought},
};
use towline_protocol::Outcome;

use crate::scene::{Scene, docker, required};

/// The service, with this label in place of the container's name.
fn labelled(scene: &Scene, label: &str, lines: &str) -> Service {
    let name = format!("container = \"{}\"", scene.name);
    let text = scene
        .file(lines)
        .replace(&name, &format!("label = \"{label}\""));
    let settings = Settings::parse(&text, "towline.toml").unwrap();
    settings.services.into_iter().next().unwrap()
}

/// Why the service's container cannot be told.
async fn refused(scene: &Scene, service: &Service) -> String {
    let refused = inspect_service(&scene.docker, service).await;
    refused.unwrap_err().to_string()
}

/// A container that was never started.
fn create(scene: &Scene, name: &str, label: &str) {
    let image = scene.image("live");
    docker(&["create", "--name", name, "--label", label, &image]);
}

#[tokio::test]
async fn the_only_container_with_the_label_is_replaced_and_keeps_name_and_label() {
    let mut scene = Scene::new("labelled").await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--label", "octo.app=labelled"]);
    // As an earlier deploy would leave it for an operator.
    create(&scene, "labelled--old-0a1b2c3d", "octo.app=labelled");
    create(&scene, "labelled--new-0a1b2c3d", "octo.app=labelled");
    create(&scene, "labelled--other", "octo.app=other");
    let check = "health = [{ tcp = \"{container}:8080\", within = \"3s\" }]\n";
    let service = labelled(&scene, "octo.app=labelled", check);
    let before = scene.inspect();
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = scene.inspect();
    assert_ne!(now["Id"], before["Id"]);
    assert_eq!(now["Config"]["Labels"]["octo.app"], "labelled");
    assert_eq!(scene.get().unwrap(), "toy v2 \n");

    scene.release("v3", "idle", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(scene.inspect()["Id"], now["Id"]);
    assert_eq!(scene.containers().len(), 4);
}

#[tokio::test]
async fn none_and_several_are_refused_with_their_names_and_stopped_ones_count() {
    let mut scene = Scene::new("several").await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--label", "octo.app=several"]);
    let nobody = labelled(&scene, "octo.app=nobody", "");
    let why = refused(&scene, &nobody).await;
    assert!(
        why.contains("no container with the label octo.app=nobody"),
        "{why}"
    );

    create(&scene, "several--twin", "octo.app=several");
    let service = labelled(&scene, "octo.app=several", "");
    let why = refused(&scene, &service).await;
    assert!(why.contains("2 have it: several, several--twin"), "{why}");
    let before = scene.inspect();
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    assert_eq!(scene.inspect(), before);

    let sought = |label: &str| Sought {
        choice: Choice::Label(label.parse().unwrap()),
        brought: None,
    };
    let asked = ["octo.app=several", "octo.app=nobody"].map(sought);
    let host = required("DOCKER_HOST");
    let states = |seen: Vec<status::Observed>| -> Vec<(String, Option<String>)> {
        let each = seen.into_iter().map(|one| (one.state, one.name));
        each.collect()
    };
    let seen = status::look(Some(&host), &asked).await.unwrap();
    let nothing = |state: &str| (state.to_owned(), None);
    assert_eq!(states(seen), [nothing("ambiguous"), nothing("absent")]);
    docker(&["rm", "several--twin"]);
    let seen = status::look(Some(&host), &asked[..1]).await.unwrap();
    let found = Some("several".to_owned());
    assert_eq!(states(seen), [("running".to_owned(), found)]);
}

#[tokio::test]
async fn a_label_that_would_be_lost_with_the_old_image_is_refused_before_anything_is_touched() {
    let mut scene = Scene::new("loses").await;
    scene.release("v1", "ok", &["LABEL octo.loses=yes"]);
    scene.run(&[]);
    let before = scene.inspect();
    scene.release("v2", "ok", &[]);
    let service = labelled(&scene, "octo.loses=yes", "");
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    let why = "would not have the label octo.loses=yes";
    assert!(applied.message.contains(why), "{}", applied.message);
    assert_eq!(scene.inspect(), before);
    scene.release("v3", "ok", &["LABEL octo.loses=yes"]);
    let service = labelled(
        &scene,
        "octo.loses",
        "health = [{ tcp = \"{container}:8080\" }]\n",
    );
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
}
