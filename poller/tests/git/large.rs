//! Files in Git LFS: there whole, or the commit is refused. Without `git-lfs` here, that it is missed is what is tried.

use std::{fs, process::Command};

use towline::git::{Entry, Fate, GitError};
use towline_protocol::Sha;
use towline_tests::git_server::Mood;

use crate::{
    login::{line, with_login},
    scene::Scene,
};

const OID: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
const CONTENT: &str = "foo";

/// A commit with a file in Git LFS, whose object is at the server or not.
fn large(scene: &Scene, object: bool) -> Sha {
    if object {
        upload(scene);
    }
    scene.commit(
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    let version = "https://git-lfs.github.com/spec/v1";
    let pointer = format!("version {version}\noid sha256:{OID}\nsize 3\n");
    scene.commit("model.bin", &pointer)
}

fn upload(scene: &Scene) {
    let object = scene.bare("web").join("lfs/objects/2c/26").join(OID);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, CONTENT).unwrap();
}

fn is_lfs_here() -> bool {
    let version = Command::new("git").args(["lfs", "version"]).output();
    version.is_ok_and(|output| output.status.success())
}

#[test]
fn a_commit_with_large_files_is_there_whole_or_refused_where_git_lfs_is_missing() {
    let mut scene = Scene::new();
    let to = large(&scene, true);
    if is_lfs_here() {
        let old = scene.deploy(&to).unwrap();
        assert_eq!(scene.content("model.bin").as_deref(), Some(CONTENT));
        assert!(scene.look().lfs);
        scene.back(&old, Entry::First).unwrap();
    } else {
        let refused = scene.fetch(&to).unwrap_err().to_string();
        let expected = "has files in Git LFS, and git-lfs is not installed here; install it";
        assert!(refused.ends_with(expected), "{refused}");
        assert!(scene.check_out(&to, Entry::First).is_err());
    }
    assert_eq!(scene.content("model.bin"), None);
}

#[test]
fn a_large_file_that_the_server_does_not_have_is_told_before_anything_is_touched() {
    let mut scene = Scene::new();
    let to = large(&scene, false);
    let error = scene.fetch(&to).unwrap_err();
    assert!(matches!(error, GitError::Lfs { .. }), "{error}");
    assert_eq!(error.fate(), Fate::Failed);
    assert_eq!(scene.content("model.bin"), None);
}

#[test]
fn large_files_come_by_the_same_login_also_into_a_clone_that_has_pointers() {
    if !is_lfs_here() {
        return;
    }
    let mut scene = Scene::empty();
    large(&scene, true);
    scene.git(
        &scene.home(),
        &["clone", "--quiet", &scene.url("web"), "checkout"],
    );
    assert!(scene.content("model.bin").unwrap().starts_with("version "));
    let to = scene.commit("app.txt", "two");
    let login = line(&scene, "x-access-token:s3cret-token");
    with_login(&mut scene, &login);
    scene
        .server
        .set(Mood::Wants("x-access-token:s3cret-token".to_owned()));
    scene.deploy(&to).unwrap();
    assert_eq!(scene.content("model.bin").as_deref(), Some(CONTENT));
}

#[test]
fn large_files_are_waited_for_while_their_server_is_in_trouble() {
    if !is_lfs_here() {
        return;
    }
    let mut scene = Scene::new();
    let to = large(&scene, true);
    for mood in [Mood::HangsUp, Mood::Answers(503), Mood::Answers(429)] {
        scene.server.set_for("/info/lfs/", mood.clone());
        let error = scene.fetch(&to).unwrap_err();
        assert!(matches!(error, GitError::Lfs { .. }), "{error}");
        assert_eq!(error.fate(), Fate::Waits, "{mood:?}: {error}");
    }
    scene.server.set_for("/info/lfs/", Mood::Answers(403));
    assert_eq!(scene.fetch(&to).unwrap_err().fate(), Fate::Failed);
    scene.server.set(Mood::Serves);
    scene.deploy(&to).unwrap();
    assert_eq!(scene.content("model.bin").as_deref(), Some(CONTENT));
}
