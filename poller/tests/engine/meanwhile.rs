//! What somebody does to the container while the new image is pulled.

use towline_protocol::Outcome;

use crate::scene::{Scene, docker};

/// A container on version 1, with version 2 in the registry.
async fn on_v1(name: &'static str) -> Scene {
    let scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    scene.release("v2", "ok", &[]);
    scene
}

#[tokio::test]
async fn one_that_is_stopped_stays_stopped() {
    let mut scene = on_v1("stopmeanwhile").await;
    let service = scene.checked("v2");
    let stop = || drop(docker(&["stop", "stopmeanwhile"]));
    let applied = scene.deploy_while(&service, None, stop).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(scene.inspect()["State"]["Status"], "created");
}

#[tokio::test]
async fn limits_and_networks_that_are_given_to_it_are_kept() {
    let mut scene = on_v1("updatemeanwhile").await;
    let network = "updatemeanwhile-net";
    docker(&["network", "create", network]);
    let service = scene.checked("v2");
    let change = || {
        docker(&["network", "connect", network, "updatemeanwhile"]);
        docker(&["update", "--cpu-shares", "512", "updatemeanwhile"]);
    };
    let applied = scene.deploy_while(&service, None, change).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = scene.inspect();
    assert_eq!(now["HostConfig"]["CpuShares"], 512);
    assert!(now["NetworkSettings"]["Networks"][network].is_object());
    docker(&["rm", "--force", "updatemeanwhile"]);
    docker(&["network", "rm", network]);
}

#[tokio::test]
async fn one_that_is_made_anew_is_replaced_with_its_new_settings() {
    let mut scene = on_v1("anewmeanwhile").await;
    let service = scene.checked("v2");
    let image = scene.image("v1");
    let publish = format!("127.0.0.1:{}:8080", scene.port);
    let live = scene.image("live");
    let anew = || {
        docker(&["rm", "--force", "anewmeanwhile"]);
        docker(&["tag", &image, &live]);
        docker(&[
            "run",
            "--detach",
            "--name",
            "anewmeanwhile",
            "--publish",
            &publish,
            "--env",
            "ANEW=1",
            &live,
        ]);
    };
    docker(&["pull", &image]);
    let applied = scene.deploy_while(&service, None, anew).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let variables = scene.inspect()["Config"]["Env"].clone();
    assert!(
        variables.as_array().unwrap().contains(&"ANEW=1".into()),
        "{variables}"
    );
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}
