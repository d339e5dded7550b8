//! The login of `credential_file`: offered to the remote's own host, and found nowhere else.

use std::fs;

use data_encoding::BASE64;
use towline::git::{Fate, GitError};
use towline_tests::git_server::{GitServer, Mood};

use crate::scene::Scene;

/// A line of the file for the scene's own server.
pub(crate) fn line(scene: &Scene, login: &str) -> String {
    let host = scene.server.url.strip_prefix("http://").unwrap();
    format!("http://{login}@{host}\n")
}

pub(crate) fn with_login(scene: &mut Scene, content: &str) {
    let path = scene.home().join("login");
    fs::write(&path, content).unwrap();
    scene.git.credential_file = Some(path);
}

#[test]
fn a_token_with_its_host_lets_a_fetch_in() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    scene
        .server
        .set(Mood::Wants("x-access-token:s3cret-token".to_owned()));
    let login = line(&scene, "x-access-token:s3cret-token");
    with_login(&mut scene, &login);
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
    let own = line(&scene, "octocat:it's%20a%20%22$(touch%20x)%22%20secret");
    with_login(&mut scene, &format!("https://x:y@github.com\n{own}"));
    scene.fetch(&to).unwrap();
    assert!(!scene.file("x").exists());
}

#[test]
fn a_wrong_login_is_denied_and_not_repeated() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    scene.server.set(Mood::Wants("octocat:right".to_owned()));
    let login = line(&scene, "octocat:wr0ng-token");
    with_login(&mut scene, &login);
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
    let login = line(&scene, "x-access-token:s3cret-token");
    with_login(&mut scene, &login);
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

#[test]
fn a_login_does_not_follow_a_remote_that_the_user_leads_elsewhere() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    let other = GitServer::start(&scene.home().join("srv")).unwrap();
    other.set(Mood::Wants("nobody:knows".to_owned()));
    let elsewhere = format!("{}/web.git", other.url);
    scene.here(&["remote", "set-url", "origin", &elsewhere]);
    let own = line(&scene, "x-access-token:s3cret-token");
    for (content, why) in [
        ("s3cret-token\n", "not the host that this is for"),
        (own.as_str(), "it has no login for"),
    ] {
        with_login(&mut scene, content);
        let error = scene.fetch(&sha).unwrap_err();
        assert_eq!(error.fate(), Fate::Refused);
        let told = error.to_string();
        assert!(told.contains(why) && !told.contains("s3cret"), "{told}");
    }
    assert_eq!(other.logins(), Vec::<String>::new());
}
