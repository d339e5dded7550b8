//! A host without the Compose that is needed.

use std::env;

use towline::compose::Cli;

use super::{Stack, launcher, program};

/// What a Compose says of itself that is found in `path`, with Docker's plugins nowhere else.
async fn version(path: &str) -> String {
    let stack = Stack::new("absent", "services: {}").await;
    let own = [
        ("PATH", path),
        ("HOME", "/nonexistent"),
        ("DOCKER_CONFIG", "/nonexistent"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cli = Cli::new(launcher(), own, &stack.engine);
    cli.version().await.unwrap_err().to_string()
}

#[tokio::test]
async fn the_real_one_will_do() {
    let stack = Stack::new("present", "services: {}").await;
    let version = stack.cli.version().await.unwrap();
    assert!(version.starts_with("2."), "{version}");
}

#[tokio::test]
async fn a_docker_without_the_plugin_is_told_and_so_is_no_docker_at_all() {
    let said = version(&env::var("PATH").unwrap()).await;
    assert!(said.starts_with("Compose v2 is missing: "), "{said}");
    assert!(said.contains("install Docker's plugin"), "{said}");
    let said = version("/nonexistent").await;
    assert!(said.starts_with("Compose v2 is missing: "), "{said}");
    assert!(said.contains("docker"), "{said}");
}

#[tokio::test]
async fn compose_v1_is_refused_with_a_hint() {
    let v1 = program("docker-compose", "#!/bin/sh\necho 1.29.2\n");
    let path = format!("{}:{}", v1.path().display(), env::var("PATH").unwrap());
    let said = version(&path).await;
    assert!(
        said.contains("docker-compose 1.29.2, whose time is over"),
        "{said}"
    );
}

#[tokio::test]
async fn a_compose_that_is_too_old_is_refused() {
    let old = program("docker", "#!/bin/sh\necho 2.5.0\n");
    let said = version(old.path().to_str().unwrap()).await;
    assert_eq!(
        said,
        "Compose 2.5.0 is too old: Towline needs 2.20 or newer"
    );
}
