//! A container that Compose made stays Compose's: `docker compose up -d` finds nothing to do and sees no twin.

use std::{fs, process::Command};

use towline_protocol::Outcome;

use crate::scene::Scene;

/// Runs `docker compose up -d` on the file, and returns the container's id.
fn up(scene: &Scene, file: &str) -> String {
    let output = Command::new("docker")
        .args(["compose", "--file", file, "up", "--detach"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(scene.containers(), [scene.name]);
    scene.inspect()["Id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn compose_finds_nothing_to_do_after_a_success_and_after_a_rollback() {
    let mut scene = Scene::new("composed").await;
    scene.release("v1", "ok", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("compose.yml");
    let text = format!(
        "name: composed-project\nservices:\n  web:\n    image: {}\n    container_name: composed\n    ports: [\"127.0.0.1:{}:8080\"]\n    restart: unless-stopped\n    volumes: [data:/data, /anonymous]\nvolumes: {{data: {{}}}}\n",
        scene.image("live"),
        scene.port
    );
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let first = up(&scene, file);

    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let second = scene.inspect()["Id"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(up(&scene, file), second);

    scene.release("v3", "500", &[]);
    let applied = scene.deploy(&scene.checked("v3")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(up(&scene, file), second);
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
    let down = Command::new("docker")
        .args(["compose", "--file", file, "down", "--volumes"])
        .output()
        .unwrap();
    assert!(down.status.success());
}
