//! Registries that fail, as a real engine tells of them: each leaves the container as it was.

use std::time::Duration;

use towline::{
    docker::{Patience, RegistryTrouble},
    machine,
};
use towline_protocol::{Image, Outcome};

use crate::{
    faulty::{Fault, Faulty},
    scene::{Scene, docker},
};

/// How long a registry is waited for that says nothing.
const HURRY: Patience = Patience {
    resolve: Duration::from_secs(3),
    idle: Duration::from_secs(3),
};

/// Asks a registry with this fault for an image by tag, and for the same by digest. Both must end with `trouble`, as it
/// is promised, and without a trace. Returns what was said.
async fn fails(name: &'static str, fault: Fault, trouble: RegistryTrouble) -> String {
    let mut scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    if matches!(fault, Fault::Silent | Fault::StuckLayer) {
        scene.hurry(HURRY).await;
    }
    let registry = Faulty::start(fault, &scene);
    let repository = format!("{}/{name}", registry.address);
    let service = scene.service(&format!("image = \"{repository}:v2\"\n"));
    let old = scene.inspect();
    let by_digest = Image {
        reference: None,
        digest: Some(registry.digest()),
    };
    let mut said = Vec::new();
    for image in [None, Some(by_digest)] {
        let applied = scene.deploy_image(&service, image).await;
        let message = applied.message;
        let expected = if trouble.may_pass() {
            (Outcome::Waiting, machine::Fault::Host)
        } else {
            (Outcome::FailedUntouched, machine::Fault::Version)
        };
        let ended = (applied.outcome, applied.fault);
        assert_eq!(ended, expected, "{message}");
        assert_eq!(applied.trouble, Some(trouble), "{message}");
        let now = scene.inspect();
        assert_eq!(now["Id"], old["Id"]);
        assert_eq!(now["State"]["Running"], true);
        assert_eq!(now["State"]["StartedAt"], old["State"]["StartedAt"]);
        assert_eq!(scene.containers(), [name]);
        for images in [format!("towline/{name}"), repository.clone()] {
            assert_eq!(docker(&["image", "ls", "--quiet", &images]), "", "{images}");
        }
        said.push(message);
    }
    said.join("\n")
}

#[tokio::test]
async fn a_registry_that_wants_a_login_or_forbids_is_waited_for_with_advice() {
    for (name, fault) in [
        ("fault-401", Fault::Status(401, "UNAUTHORIZED")),
        ("fault-403", Fault::Status(403, "DENIED")),
    ] {
        let said = fails(name, fault, RegistryTrouble::Denied).await;
        assert_eq!(said.matches("asked without a login").count(), 2, "{said}");
    }
}

#[tokio::test]
async fn an_image_that_a_registry_does_not_have_is_waited_for() {
    let fault = Fault::Status(404, "MANIFEST_UNKNOWN");
    fails("fault-404", fault, RegistryTrouble::Absent).await;
}

#[tokio::test]
async fn a_registry_that_wants_fewer_requests_is_waited_for() {
    let fault = Fault::Status(429, "TOOMANYREQUESTS");
    fails("fault-429", fault, RegistryTrouble::RateLimited).await;
}

#[tokio::test]
async fn a_registry_that_fails_is_waited_for() {
    for (name, fault) in [
        ("fault-500", Fault::Status(500, "UNKNOWN")),
        ("fault-503", Fault::Status(503, "UNAVAILABLE")),
    ] {
        fails(name, fault, RegistryTrouble::Broken).await;
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_waited_for() {
    fails("fault-down", Fault::Down, RegistryTrouble::Unreachable).await;
}

#[tokio::test]
async fn a_layer_that_breaks_off_is_waited_for() {
    fails("fault-short", Fault::ShortLayer, RegistryTrouble::Broken).await;
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_waited_for() {
    for (name, fault, said) in [
        ("fault-silent", Fault::Silent, "no answer within 3 s"),
        ("fault-stuck", Fault::StuckLayer, "no progress of the pull"),
    ] {
        let told = fails(name, fault, RegistryTrouble::Unreachable).await;
        assert!(told.contains(said), "{told}");
    }
}

#[tokio::test]
async fn a_download_that_was_given_up_does_not_hold_up_the_next_try() {
    let name = "fault-given-up";
    let mut scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    scene.hurry(HURRY).await;
    let registry = Faulty::start(Fault::StuckLayer, &scene);
    let service = scene.service(&format!(
        "image = \"{}/{name}:v2\"\n[[service.{name}.health]]\nhttp = \"http://127.0.0.1:{}/\"\nwithin = \"5s\"\n",
        registry.address, scene.port
    ));
    let early = scene.deploy(&service).await;
    assert_eq!(early.outcome, Outcome::Waiting, "{}", early.message);
    registry.heal();
    let late = scene.deploy(&service).await;
    assert_eq!(late.outcome, Outcome::Succeeded, "{}", late.message);
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_final_and_the_versions_own_fault() {
    fails("fault-layer", Fault::WrongLayer, RegistryTrouble::Mismatch).await;
    let fault = Fault::WrongManifest;
    fails("fault-manifest", fault, RegistryTrouble::Mismatch).await;
}

#[tokio::test]
async fn an_image_without_this_platform_is_final_and_the_versions_own_fault() {
    let fault = Fault::OnlyOtherPlatforms;
    fails("fault-platform", fault, RegistryTrouble::Platform).await;
}

#[tokio::test]
async fn an_image_that_comes_later_is_waited_for_and_then_deployed() {
    let mut scene = Scene::new("fault-late").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let image = scene.image("v2");
    let health = format!(
        "image = \"{image}\"\n[[service.fault-late.health]]\nhttp = \"http://127.0.0.1:{}/\"\ncontains = \"toy v2 \"\nwithin = \"5s\"\n",
        scene.port
    );
    let service = scene.service(&health);
    let early = scene.deploy(&service).await;
    assert_eq!(early.outcome, Outcome::Waiting, "{}", early.message);
    assert_eq!(early.trouble, Some(RegistryTrouble::Absent));
    scene.push("v2", "ok", &[]);
    let late = scene.deploy(&service).await;
    assert_eq!(late.outcome, Outcome::Succeeded, "{}", late.message);
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}
