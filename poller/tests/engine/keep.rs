//! What is kept of earlier versions, so that a service can be taken back to them.

use std::collections::BTreeSet;

use towline::settings::Service;
use towline_protocol::{Outcome, ServiceName};

use crate::scene::{Scene, docker, prune};

/// A service on v1.
async fn on_v1(name: &'static str) -> (Scene, String) {
    let scene = Scene::new(name).await;
    let digest = scene.release("v1", "ok", &[]);
    scene.run(&["--env", "SECRET=s3cr3t"]);
    (scene, digest)
}

/// The service with a check that every good version passes, and this `keep`.
fn keeping(scene: &Scene, keep: &str) -> Service {
    let (name, port) = (scene.name, scene.port);
    scene.service(&format!(
        "{keep}\n[[service.{name}.health]]\nhttp = \"http://127.0.0.1:{port}/\"\ncontains = \"toy v\"\nwithin = \"5s\"\n"
    ))
}

/// Releases and deploys a good version; returns its digest.
async fn deploy(scene: &mut Scene, service: &Service, version: &str) -> String {
    let digest = scene.release(version, "ok", &[]);
    let applied = scene.deploy(service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    digest
}

/// The short digests of what is kept by local tags.
fn tags(scene: &Scene) -> BTreeSet<String> {
    let tags = docker(&[
        "image",
        "ls",
        "--format",
        "{{.Tag}}",
        &format!("towline/{}", scene.name),
    ]);
    tags.lines().map(str::to_owned).collect()
}

/// The short digests of the versions whose settings are in the store, the last one first.
fn versions(scene: &Scene) -> Vec<String> {
    let name: ServiceName = scene.name.parse().unwrap();
    let versions = scene.store.versions(&name).unwrap().into_iter();
    versions
        .map(|version| version.digest.unwrap().short().to_owned())
        .collect()
}

fn short(digest: &str) -> String {
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect()
}

/// How many images of the service take room on the disk.
fn images(scene: &Scene) -> usize {
    let repository = scene.image("live").replace(":live", "");
    let left = docker(&["image", "ls", "--quiet", "--no-trunc", &repository]);
    left.lines().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn the_current_and_the_previous_version_are_kept_and_older_ones_are_let_go() {
    let (mut scene, _) = on_v1("kept").await;
    let service = keeping(&scene, "");
    let mut digests = Vec::new();
    for version in ["v2", "v3", "v4"] {
        digests.push(deploy(&mut scene, &service, version).await);
    }
    let [_, before, current] = &digests[..] else {
        panic!("{digests:?}")
    };
    assert_eq!(tags(&scene), [short(before), short(current)].into());
    assert_eq!(versions(&scene), [short(before)]);
    assert_eq!(images(&scene), 2, "images take room on the disk");
}

#[tokio::test]
async fn with_keep_3_two_versions_before_the_current_one_are_kept_and_a_pruning_spares_them() {
    let (mut scene, first) = on_v1("keep3").await;
    let service = keeping(&scene, "keep = 3");
    let second = deploy(&mut scene, &service, "v2").await;
    let third = deploy(&mut scene, &service, "v3").await;
    assert_eq!(
        tags(&scene),
        [short(&first), short(&second), short(&third)].into()
    );
    assert_eq!(versions(&scene), [short(&second), short(&first)]);
    prune(scene.name);
    assert_eq!(images(&scene), 3);
    let fourth = deploy(&mut scene, &service, "v4").await;
    assert_eq!(
        tags(&scene),
        [short(&second), short(&third), short(&fourth)].into()
    );
    assert_eq!(versions(&scene), [short(&third), short(&second)]);
    let secret = &scene.store.versions(&scene.name.parse().unwrap()).unwrap()[0].container;
    assert!(
        secret["Config"]["Env"].to_string().contains("s3cr3t"),
        "as it ran"
    );
}

#[tokio::test]
async fn an_image_that_another_container_was_made_from_is_not_let_go() {
    let (mut scene, first) = on_v1("keep1").await;
    let service = keeping(&scene, "keep = 1");
    let image = scene.inspect()["Image"].as_str().unwrap().to_owned();
    docker(&["create", "--name", "keep1-other", &image]);
    let second = deploy(&mut scene, &service, "v2").await;
    assert_eq!(tags(&scene), [short(&first), short(&second)].into());
    docker(&["rm", "keep1-other"]);
    let third = deploy(&mut scene, &service, "v3").await;
    assert_eq!(tags(&scene), [short(&third)].into());
    assert_eq!(versions(&scene), [""; 0]);
    assert_eq!(images(&scene), 1);
}

#[tokio::test]
async fn a_version_that_failed_is_not_kept_and_costs_none_of_those_that_are() {
    let (mut scene, first) = on_v1("keepbad").await;
    let service = keeping(&scene, "");
    let second = deploy(&mut scene, &service, "v2").await;
    scene.release("v3", "500", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(tags(&scene), [short(&first), short(&second)].into());
    assert_eq!(
        versions(&scene),
        [short(&second), short(&first)],
        "the current one is among them"
    );
    assert_eq!(images(&scene), 2);
}
