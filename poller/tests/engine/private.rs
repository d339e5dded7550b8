//! A registry that asks who is there: the real one, with a user and a password of the test's own.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;
use towline::{credentials::Keyring, settings::Service};
use towline_protocol::{Digest, Image, Outcome};

use crate::scene::{Scene, docker, required};

/// The registry's only user, and a password whose base64 has what only one of the two alphabets has.
const USER: &str = "octocat";
const PASSWORD: &str = "??>>~~??>>~~ÿÿÿ";

/// The registry; it ends with the test.
struct Private {
    address: String,
    dir: TempDir,
    process: Child,
}

impl Private {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        fs::write(dir.path().join("users"), format!("{USER}:{hash}\n")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/setup/registry");
        let process = Command::new(script)
            .arg(&address)
            .arg(dir.path().join("images"))
            .arg(dir.path().join("users"))
            .stdout(fs::File::create(dir.path().join("log")).unwrap())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no registry");
            thread::sleep(Duration::from_millis(20));
        }
        Self {
            address,
            dir,
            process,
        }
    }

    /// A file of logins in which the registry's user has `password`.
    fn logins(&self, name: &str, password: &str) -> PathBuf {
        let auth = data_encoding::BASE64.encode(format!("{USER}:{password}").as_bytes());
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let config = json!({ "auths": { &self.address: { "auth": auth } } });
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Copies the scene's `v2` here, as `docker login` and `docker push` would; returns the reference by tag, and the digest.
    fn take(&self, scene: &Scene) -> (String, Digest) {
        let config = self.logins("push/config.json", PASSWORD);
        let (from, to) = (
            scene.image("v2"),
            format!("{}/{}:v2", self.address, scene.name),
        );
        docker(&["pull", "--quiet", &from]);
        docker(&["tag", &from, &to]);
        let folder = config.parent().unwrap().to_str().unwrap();
        docker(&["--config", folder, "push", "--quiet", &to]);
        let digests = docker(&[
            "image",
            "inspect",
            "--format",
            "{{join .RepoDigests \"\\n\"}}",
            &to,
        ]);
        let mut digests = digests.lines().filter_map(|line| line.split_once('@'));
        let here = digests.find(|(name, _)| name.starts_with(&self.address));
        let digest = here.unwrap().1.parse().unwrap();
        docker(&["image", "rm", &from, &to]);
        (to, digest)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A service on v1, and v2 in a private registry.
async fn scene(name: &'static str) -> (Scene, Private, Service) {
    let (scene, registry, service, _) = scene_at(name).await;
    (scene, registry, service)
}

/// The same, and the digest of v2.
async fn scene_at(name: &'static str) -> (Scene, Private, Service, Digest) {
    let scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    scene.push("v2", "ok", &[]);
    let registry = Private::start();
    let (image, digest) = registry.take(&scene);
    let health = format!(
        "image = \"{image}\"\n[[service.{name}.health]]\nhttp = \"http://127.0.0.1:{}/\"\ncontains = \"toy v2 \"\nwithin = \"5s\"\n",
        scene.port
    );
    let service = scene.service(&health);
    (scene, registry, service, digest)
}

fn nothing(_: &str) -> Option<std::ffi::OsString> {
    None
}

#[tokio::test]
async fn a_private_image_is_deployed_with_the_login_of_the_named_file() {
    let (mut scene, registry, service) = scene("named").await;
    let file = registry.logins("logins.json", PASSWORD);
    scene.log_in(Keyring::new(Some(&file), nothing)).await;
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}

#[tokio::test]
async fn a_private_image_is_deployed_with_the_login_that_docker_login_keeps() {
    let (mut scene, registry, service) = scene("kept-login").await;
    let file = registry.logins("docker/config.json", PASSWORD);
    let folder = file.parent().unwrap();
    let variable = |name: &str| (name == "DOCKER_CONFIG").then(|| folder.into());
    scene.log_in(Keyring::new(None, variable)).await;
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}

#[tokio::test]
async fn a_private_image_is_pulled_by_its_digest_with_the_login_too() {
    let (mut scene, registry, service, digest) = scene_at("by-digest").await;
    let image = Image {
        reference: None,
        digest: Some(digest),
    };
    let denied = scene.deploy_image(&service, Some(image.clone())).await;
    assert_eq!(denied.outcome, Outcome::Waiting, "{}", denied.message);
    let file = registry.logins("logins.json", PASSWORD);
    scene.log_in(Keyring::new(Some(&file), nothing)).await;
    let applied = scene.deploy_image(&service, Some(image)).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
}

#[tokio::test]
async fn a_wrong_login_and_none_at_all_are_told_apart_and_touch_nothing() {
    let (mut scene, registry, service) = scene("denied").await;
    let old = scene.inspect()["Id"].clone();
    let wrong = registry.logins("wrong.json", "not the passw0rd");
    for (keyring, said) in [
        (
            Keyring::new(Some(&wrong), nothing),
            "asked with the login of",
        ),
        (Keyring::empty(), "asked without a login"),
    ] {
        scene.log_in(keyring).await;
        let applied = scene.deploy(&service).await;
        let message = &applied.message;
        assert_eq!(applied.outcome, Outcome::Waiting, "{message}");
        assert!(
            message.contains("access denied") && message.contains(said),
            "{message}"
        );
        assert!(!message.contains("passw0rd"), "{message}");
        let now = scene.inspect();
        assert_eq!((&now["Id"], &now["State"]["Running"]), (&old, &true.into()));
        assert_eq!(scene.containers(), [scene.name]);
        let kept = docker(&["image", "ls", "--quiet", &format!("towline/{}", scene.name)]);
        assert_eq!(kept, "", "nothing was deployed");
    }
}

#[tokio::test]
async fn check_asks_the_credential_helper_and_says_whose_login_it_gave_or_why_none() {
    let scene = Scene::new("helped").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "credHelpers": { required("TOWLINE_TEST_REGISTRY"): "towline-test" } });
    fs::write(dir.path().join("logins.json"), config.to_string()).unwrap();
    let file = scene
        .file("")
        .replacen('[', "registry_auth_file = \"logins.json\"\n[", 1);
    fs::write(dir.path().join("towline.toml"), file).unwrap();
    let helper = dir.path().join("docker-credential-towline-test");
    for (script, said) in [
        (
            "read -r server; echo '{\"Username\": \"octocat\", \"Secret\": \"s3cret\"}'",
            "as octocat by docker-credential-towline-test",
        ),
        (
            "read -r server; echo \"the vault is sealed to $server\"; exit 1",
            "PROBLEM: the credential helper docker-credential-towline-test gave no login for 127.0.0.1:5000: the vault is sealed to 127.0.0.1:5000",
        ),
        (
            "read -r server; echo 'credentials not found in native keychain'; exit 1",
            "without a login: ",
        ),
        (
            "read -r server; echo s3cret",
            "its answer is not what helpers say",
        ),
    ] {
        fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o700)).unwrap();
        let path = format!("{}:{}", dir.path().display(), required("PATH"));
        let output = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args(["check", "--config"])
            .arg(dir.path().join("towline.toml"))
            .env("PATH", path)
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let line = shown
            .lines()
            .find(|line| line.contains("registry: "))
            .unwrap();
        let said = said.replace("127.0.0.1:5000", &required("TOWLINE_TEST_REGISTRY"));
        assert!(line.contains(&said) && !shown.contains("s3cret"), "{shown}");
    }
}
