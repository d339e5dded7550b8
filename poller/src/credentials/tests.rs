use std::{fs, time::Instant};

use serde_json::json;
use tempfile::TempDir;

use super::*;

/// What base64 makes of `octocat:s3cret`.
const AUTH: &str = "b2N0b2NhdDpzM2NyZXQ=";

fn written(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn nothing(_: &str) -> Option<OsString> {
    None
}

async fn login_in(text: &str, registry: &str) -> Result<Option<Login>, LoginError> {
    let (_kept, path) = written(text);
    Keyring::new(Some(&path), nothing).login(registry).await
}

fn octocat() -> Proof {
    Proof::Password {
        user: "octocat".to_owned(),
        password: Secret::new("s3cret"),
    }
}

#[tokio::test]
async fn a_login_is_found_under_its_registry_and_no_other() {
    let config =
        json!({ "auths": { "ghcr.io": { "auth": AUTH }, "127.0.0.1:5000": { "auth": AUTH } } });
    for registry in ["ghcr.io", "127.0.0.1:5000"] {
        let login = login_in(&config.to_string(), registry)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((login.proof, login.server.as_str()), (octocat(), registry));
        assert!(login.origin.ends_with("/config.json"), "{}", login.origin);
    }
    for registry in ["quay.io", "docker.io", "127.0.0.1:5001", "127.0.0.1"] {
        let found = login_in(&config.to_string(), registry).await;
        assert_eq!(found, Ok(None), "{registry}");
    }
}

#[tokio::test]
async fn docker_hub_is_known_by_the_name_that_docker_login_writes_and_by_the_plain_one() {
    for key in ["https://index.docker.io/v1/", "docker.io"] {
        let config = json!({ "auths": { key: { "auth": AUTH } } }).to_string();
        let login = login_in(&config, "docker.io").await.unwrap().unwrap();
        assert_eq!(login.proof, octocat(), "{key}");
    }
}

#[tokio::test]
async fn an_identity_token_comes_before_the_user_beside_it() {
    let entry = json!({ "auth": "MDAwOg==", "identitytoken": "t0ken" });
    let config = json!({ "auths": { "example.azurecr.io": entry } }).to_string();
    let login = login_in(&config, "example.azurecr.io")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(login.proof, Proof::IdentityToken(Secret::new("t0ken")));
}

#[tokio::test]
async fn what_is_no_file_of_logins_is_told_without_a_word_of_its_content() {
    for (text, said) in [
        ("{\n\"auths\": s3cret}", "no JSON at line 2"),
        ("[\"s3cret\"]", "not a JSON object"),
        ("{\"auths\": \"s3cret\"}", "another form"),
        (
            "{\"auths\": {\"ghcr.io\": {\"auth\": \"s3cret!\"}}}",
            "not base64",
        ),
        (
            "{\"auths\": {\"ghcr.io\": {\"auth\": \"czNjcmV0\"}}}",
            "not base64 of USER:PASSWORD",
        ),
    ] {
        let error = login_in(text, "ghcr.io").await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(
            told.contains(said) && told.contains("config.json"),
            "{told}"
        );
        assert!(
            !told.contains("s3cret") && !told.contains("czNjcmV0"),
            "{told}"
        );
        assert!(!error.may_pass(), "{told}");
    }
}

#[tokio::test]
async fn a_helper_that_is_not_installed_is_told_by_name_and_by_the_file_that_names_it() {
    for config in [
        json!({ "credHelpers": { "ghcr.io": "towline-absent" } }),
        json!({ "credsStore": "towline-absent", "auths": { "ghcr.io": {} } }),
    ] {
        let error = login_in(&config.to_string(), "ghcr.io").await.unwrap_err();
        let LoginError::NoHelper { path, helper } = error else {
            panic!("{error}");
        };
        assert!(path.ends_with("config.json"));
        assert_eq!(helper, "docker-credential-towline-absent");
    }
}

#[tokio::test]
async fn a_plain_login_needs_no_store() {
    let config =
        json!({ "credsStore": "towline-absent", "auths": { "ghcr.io": { "auth": AUTH } } });
    let login = login_in(&config.to_string(), "ghcr.io")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(login.proof, octocat());
}

#[tokio::test]
async fn a_file_that_the_host_s_file_names_must_be_there_and_docker_s_own_need_not() {
    let absent = Path::new("/nonexistent/logins.json");
    let error = Keyring::new(Some(absent), nothing).login("ghcr.io").await;
    assert!(
        matches!(error, Err(LoginError::Unreadable { .. })),
        "{error:?}"
    );
    let home = |name: &str| (name == "HOME").then(|| "/nonexistent".into());
    assert_eq!(Keyring::new(None, home).login("ghcr.io").await, Ok(None));
    assert_eq!(Keyring::new(None, nothing).login("ghcr.io").await, Ok(None));
}

#[test]
fn the_host_s_file_comes_before_systemd_s_credential_and_that_before_docker_s_own_places() {
    let (folder, _) = written("{}");
    let path = |keyring: &Keyring| keyring.source().unwrap().0.to_owned();
    let all = |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(folder.path().into()),
        "DOCKER_CONFIG" => Some("/docker".into()),
        "HOME" => Some("/root".into()),
        _ => None,
    };
    let named = Path::new("/etc/towline/logins.json");
    assert_eq!(path(&Keyring::new(Some(named), all)), named);
    assert_eq!(
        path(&Keyring::new(None, all)),
        Path::new("/docker/config.json")
    );
    fs::write(folder.path().join("registry-auth"), "{}").unwrap();
    assert_eq!(
        path(&Keyring::new(None, all)),
        folder.path().join("registry-auth")
    );
    let home = |name: &str| (name == "HOME").then(|| "/root".into());
    assert_eq!(
        path(&Keyring::new(None, home)),
        Path::new("/root/.docker/config.json")
    );
}

#[tokio::test]
async fn what_hangs_costs_its_limit_once_and_is_not_asked_a_second_time_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("config.json");
    // Opening a pipe waits until somebody writes.
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let keyring = Keyring::new(Some(&pipe), nothing).with_limit(Duration::from_millis(50));
    let begun = Instant::now();
    for _ in 0..2 {
        let error = keyring.login("ghcr.io").await.unwrap_err();
        assert!(matches!(error, LoginError::Silent { .. }), "{error}");
        assert!(error.may_pass() && error.to_string().contains("config.json"));
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    let hanging = dir.path().join("hanging");
    fs::rename(&pipe, &hanging).unwrap();
    fs::write(&pipe, "{}").unwrap();
    let keyring = keyring.with_limit(LIMIT);
    let other = keyring.login("docker.io").await;
    assert_eq!(other, Ok(None), "another registry's login is not held up");
    keyring.login("ghcr.io").await.unwrap_err();
    fs::write(&hanging, "{}").unwrap();
    while !locked(&keyring.asking).is_empty() {
        thread::yield_now();
    }
    assert_eq!(keyring.login("ghcr.io").await, Ok(None));
}

#[test]
fn no_debug_shows_a_secret() {
    let login = Login {
        server: "ghcr.io".to_owned(),
        proof: octocat(),
        origin: "x".to_owned(),
    };
    let shown = format!("{login:?} {}", login.proof);
    assert!(
        !shown.contains("s3cret") && shown.contains("octocat"),
        "{shown}"
    );
}
