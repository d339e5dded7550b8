//! A container that is chosen by its label: what a deploy leaves beside it never counts, nor is what is no replica of it taken for
//! one.

use std::{fs, process::Command};

use towline::{
    apply::inspect_service,
    settings::{Choice, Service, Settings},
    status::{self, Sought},
};
use towline_protocol::Outcome;

use crate::scene::{Scene, docker, image, push, required};

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
    create_from(&scene.image("live"), name, label);
}

fn create_from(image: &str, name: &str, label: &str) {
    docker(&["create", "--name", name, "--label", label, image]);
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
async fn none_and_several_of_different_images_are_refused_with_their_names_and_stopped_ones_count()
{
    let mut scene = Scene::new("several").await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--label", "octo.app=several"]);
    let nobody = labelled(&scene, "octo.app=nobody", "");
    let why = refused(&scene, &nobody).await;
    assert!(
        why.contains("no container with the label octo.app=nobody"),
        "{why}"
    );

    push("several-other", "v1", "ok", &[]);
    create_from(
        &image("several-other", "v1"),
        "several--twin",
        "octo.app=several",
    );
    let service = labelled(&scene, "octo.app=several", "");
    let why = refused(&scene, &service).await;
    assert!(why.contains("2 have it: several ("), "{why}");
    assert!(why.contains(", several--twin ("), "{why}");
    let before = scene.inspect();
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    assert_eq!(scene.inspect(), before);

    let sought = |label: &str| Sought::Container {
        choice: Choice::Label(label.parse().unwrap()),
        brought: None,
    };
    let asked = ["octo.app=several", "octo.app=nobody"].map(sought);
    let host = required("DOCKER_HOST");
    let states = |seen: status::Seen| -> Vec<(String, Option<String>)> {
        let each = seen.services.into_iter().map(|one| one.observed.unwrap());
        each.map(|one| (one.state, one.name)).collect()
    };
    let seen = status::look(Some(&host), &asked).await;
    let nothing = |state: &str| (state.to_owned(), None);
    assert_eq!(states(seen), [nothing("ambiguous"), nothing("absent")]);
    docker(&["rm", "several--twin"]);
    let seen = status::look(Some(&host), &asked[..1]).await;
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

/// What `towline check` says of this file, and its exit status.
pub(crate) fn check(file: &str) -> (String, Option<i32>) {
    let dir = tempfile::tempdir().unwrap();
    let towline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command.args(arguments).current_dir(dir.path());
        command.env("TOKEN_KEY", "a key for tests of thirty-two bytes or more");
        command.output().unwrap()
    };
    let token = towline(&["token", "--role", "host", "--name", "pi", "--channel", "*"]);
    fs::write(dir.path().join("token"), token.stdout).unwrap();
    fs::write(
        dir.path().join("towline.toml"),
        file.replace("/nowhere", "token"),
    )
    .unwrap();
    let said = towline(&["check", "--config", "towline.toml"]);
    (String::from_utf8(said.stdout).unwrap(), said.status.code())
}

#[tokio::test]
async fn a_check_says_which_container_a_label_leads_to_and_what_would_be_refused() {
    let scene = Scene::new("looked").await;
    // It shares the ports of everything here, so that it must not listen.
    scene.release("v1", "idle", &[]);
    let image = scene.image("live");
    docker(&[
        "run",
        "--detach",
        "--name",
        "looked",
        "--network",
        "host",
        "--label",
        "octo.looked",
        &image,
    ]);
    let by_name = scene.file("");
    let of = |label: &str, lines: &str| {
        let text = by_name.replace("container = \"looked\"", &format!("label = \"{label}\""));
        check(&format!("{text}{lines}"))
    };
    let (said, status) = of("octo.looked", "");
    assert!(said.contains("container: looked runs"), "{said}");
    assert_eq!(status, Some(0), "{said}");
    let (said, status) = of("octo.nobody", "");
    assert!(
        said.contains("PROBLEM: there is no container with the label octo.nobody"),
        "{said}"
    );
    assert_eq!(status, Some(1), "{said}");
    let (said, status) = of("octo.looked", "health = [{ tcp = \"{container}:8080\" }]\n");
    assert!(
        said.contains("asks 127.0.0.1 instead of {container}"),
        "{said}"
    );
    assert_eq!(status, Some(1), "{said}");
    let twice = "[service.other]\nchannel = \"other\"\ndocker = { container = \"looked\" }\n";
    let (said, status) = of("octo.looked", twice);
    assert!(
        said.contains("PROBLEM: service looked has the same container")
            || said.contains("PROBLEM: service other has the same container"),
        "{said}"
    );
    assert_eq!(status, Some(1), "{said}");
}

#[tokio::test]
async fn a_check_says_where_no_healthcheck_can_ever_say_healthy() {
    let scene = Scene::new("unasked").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let lines = "[[service.unasked.health]]\ndocker = true\n";
    let (said, status) = check(&scene.file(lines));
    let told = "health.docker: PROBLEM: neither unasked nor its image has a healthcheck";
    assert!(said.contains(told) && status == Some(1), "{said}");
    docker(&["rm", "--force", "unasked"]);
    scene.run(&["--health-cmd", "/toy"]);
    let (said, status) = check(&scene.file(lines));
    assert_eq!(status, Some(0), "{said}");
}
