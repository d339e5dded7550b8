//! The login of `credential_file`: offered to the remote's own host, and found nowhere else.

use std::fs;

use data_encoding::BASE64;
use towline::git::{Fate, GitError};
use towline_tests::git_server::{GitServer, Mood};

use crate::scene::Scene;

fn with_login(scene: &mut Scene, content: &str) {
    let path = scene.home().join("login");
    fs::write(&path, content).unwrap();
    scene.git.credential_file = Some(path);
}

#[test]
fn a_token_alone_lets_a_fetch_in() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    scene
        .server
        .set(Mood::Wants("x-access-token:s3cret-token".to_owned()));
    with_login(&mut scene, "s3cret-token\n");
    scene.fetch(&to).unwrap();
    scene.server.set(Mood::Serves);
    scene.deploy(&to).unwrap();
    let kept = fs::read_to_string(scene.file(".git/config")).unwrap();
    assert!(!kept.contains("s3cret"));
}

#[test]
fn a_line_of_gits_own_store_lets_a_fetch_in() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    scene.server.set(Mood::Wants(
        "octocat:it's a \"$(touch x)\" secret".to_owned(),
    ));
    let host = scene.server.url.strip_prefix("http://").unwrap().to_owned();
    let line = format!(
        "https://x:y@github.com\nhttp://octocat:it's%20a%20%22$(touch%20x)%22%20secret@{host}\n"
    );
    with_login(&mut scene, &line);
    scene.fetch(&to).unwrap();
    assert!(!scene.file("x").exists());
}

#[test]
fn a_wrong_login_is_denied_and_not_repeated() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    scene.server.set(Mood::Wants("octocat:right".to_owned()));
    with_login(&mut scene, "wr0ng-token\n");
    let error = scene.fetch(&sha).unwrap_err();
    assert_eq!(error.fate(), Fate::Failed);
    let told = error.to_string();
    assert!(
        told.contains("access denied") && !told.contains("wr0ng"),
        "{told}"
    );
    assert!(!format!("{error:?}").contains("wr0ng"));
}

#[test]
fn the_login_is_offered_to_no_other_host() {
    let mut scene = Scene::new();
    let other = GitServer::start(&scene.home().join("srv")).unwrap();
    other.set(Mood::Wants("nobody:knows".to_owned()));
    with_login(&mut scene, "s3cret-token\n");
    // A submodule at another host, whose address whoever may push chooses.
    let work = scene.work("web");
    let lib = format!("{}/web.git", other.url);
    fs::write(
        work.join(".gitmodules"),
        format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {lib}\n"),
    )
    .unwrap();
    let commit = scene.head(&work);
    scene.git(
        &work,
        &[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{commit},lib"),
        ],
    );
    scene.git(&work, &["add", ".gitmodules"]);
    scene.git(&work, &["commit", "--quiet", "-m", "lib"]);
    scene.git(&work, &["push", "--quiet", "origin", "HEAD"]);
    let to = scene.head(&work);
    scene
        .server
        .set(Mood::Wants("x-access-token:s3cret-token".to_owned()));
    let error = scene.fetch(&to).unwrap_err();
    assert!(matches!(error, GitError::Submodule { .. }), "{error}");
    let offered = other.logins();
    assert!(
        !offered.is_empty() && offered.iter().all(String::is_empty),
        "{offered:?}"
    );
    let right = format!("Basic {}", BASE64.encode(b"x-access-token:s3cret-token"));
    assert!(scene.server.logins().contains(&right));
}

#[test]
fn a_login_that_cannot_be_used_is_refused_before_the_remote_is_asked() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    with_login(&mut scene, "https://x:y@github.com\n");
    let error = scene.fetch(&sha).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it has no login for http://127.0.0.1"),
        "{error}"
    );
    scene.git.credential_file = Some(scene.home().join("nowhere"));
    let error = scene.fetch(&sha).unwrap_err();
    assert!(
        error.to_string().contains("cannot read the login"),
        "{error}"
    );
    let bare = scene.bare("web");
    scene.here(&["remote", "set-url", "origin", bare.to_str().unwrap()]);
    let error = scene.fetch(&sha).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a login is sent over https:// only"),
        "{error}"
    );
    assert_eq!(error.fate(), Fate::Refused);
}
