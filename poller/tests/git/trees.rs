//! Trees that hold more than files of their own: submodules; copies of trees, and trees of another user.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use towline::git::{self, Entry, Fate, GitError};
use towline_protocol::Sha;
use towline_tests::git_server::Mood;

use crate::scene::Scene;

/// Adds `lib`, a repository of its own, as a submodule of `name` at `path`, and publishes that.
fn add_submodule(scene: &Scene, name: &str, lib: &str, path: &str) -> Sha {
    let url = format!("../{lib}.git");
    let work = scene.work(name);
    let served = scene.url(name);
    // Relative addresses begin at the remote's.
    scene.git(&work, &["remote", "set-url", "origin", &served]);
    scene.git(&work, &["submodule", "--quiet", "add", &url, path]);
    let bare = scene.bare(name);
    scene.git(
        &work,
        &["remote", "set-url", "origin", bare.to_str().unwrap()],
    );
    scene.publish(name, "submodule")
}

fn library(scene: &Scene, name: &str, content: &str) -> Sha {
    if !scene.bare(name).exists() {
        scene.repository(name);
    }
    fs::write(scene.work(name).join("lib.txt"), content).unwrap();
    scene.publish(name, content)
}

#[test]
fn submodules_come_with_the_commit_at_what_it_records_and_go_with_it() {
    let mut scene = Scene::new();
    library(&scene, "inner", "inner");
    library(&scene, "lib", "lib one");
    add_submodule(&scene, "lib", "inner", "inner");
    let to = add_submodule(&scene, "web", "lib", "vendor/lib");
    library(&scene, "lib", "lib two");
    let old = scene.deploy(&to).unwrap();
    assert_eq!(
        scene.content("vendor/lib/lib.txt").as_deref(),
        Some("lib one")
    );
    assert_eq!(
        scene.content("vendor/lib/inner/lib.txt").as_deref(),
        Some("inner")
    );
    assert!(scene.look().submodules);
    scene.back(&old, Entry::First).unwrap();
    assert!(
        !scene.file("vendor/lib").exists(),
        "what only the failed commit had is gone"
    );
    scene.deploy(&to).unwrap();
    assert_eq!(
        scene.content("vendor/lib/lib.txt").as_deref(),
        Some("lib one")
    );
}

#[test]
fn a_submodule_moves_forth_and_back_with_its_commit() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    let first = add_submodule(&scene, "web", "lib", "lib");
    let before = library(&scene, "lib", "lib two");
    scene.git(&scene.work("web").join("lib"), &["fetch", "--quiet"]);
    scene.git(
        &scene.work("web").join("lib"),
        &["checkout", "--quiet", before.as_str()],
    );
    let second = scene.publish("web", "newer lib");
    scene.deploy(&first).unwrap();
    let old = scene.deploy(&second).unwrap();
    assert_eq!(scene.content("lib/lib.txt").as_deref(), Some("lib two"));
    scene.back(&old, Entry::AfterInterruption).unwrap();
    assert_eq!(scene.content("lib/lib.txt").as_deref(), Some("lib one"));
}

#[test]
fn a_submodule_that_cannot_be_had_is_told_before_anything_is_touched() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    let to = add_submodule(&scene, "web", "lib", "lib");
    fs::remove_dir_all(scene.bare("lib")).unwrap();
    let error = scene.fetch(&to).unwrap_err();
    assert!(error.to_string().starts_with("submodule lib: "), "{error}");
    assert!(!scene.file("lib").exists());
}

#[test]
fn a_submodule_whose_remote_is_in_trouble_is_waited_for_like_the_checkouts_own() {
    for (mood, may_never_pass) in [
        (Mood::HangsUp, false),
        (Mood::Answers(503), false),
        (Mood::Answers(418), true),
    ] {
        let mut scene = Scene::new();
        library(&scene, "lib", "lib one");
        let to = add_submodule(&scene, "web", "lib", "lib");
        scene.server.set_for("/lib.git", mood);
        let error = scene.fetch(&to).unwrap_err();
        assert!(error.to_string().starts_with("submodule lib: "), "{error}");
        let waits = (error.fate(), error.may_never_pass());
        assert_eq!(waits, (Fate::Waits, may_never_pass), "{error}");
        scene.server.set(Mood::Serves);
        scene.deploy(&to).unwrap();
        assert_eq!(scene.content("lib/lib.txt").as_deref(), Some("lib one"));
    }
}

#[test]
fn a_submodule_that_needs_another_login_is_not_waited_for() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    let to = add_submodule(&scene, "web", "lib", "lib");
    scene.server.set_for("/lib.git", Mood::Answers(403));
    let error = scene.fetch(&to).unwrap_err();
    assert_eq!(error.fate(), Fate::Failed, "{error}");
}

#[test]
fn a_change_within_a_submodule_is_a_change() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    let to = add_submodule(&scene, "web", "lib", "lib");
    scene.deploy(&to).unwrap();
    fs::write(scene.file("lib/lib.txt"), "mine").unwrap();
    let next = scene.commit("app.txt", "two");
    scene.fetch(&next).unwrap();
    let refused = scene.ready(&next).unwrap_err();
    assert!(
        matches!(&refused, GitError::Changed { changes, .. } if changes == &["lib"]),
        "{refused}"
    );
    scene.git.discard_changes = true;
    scene.deploy(&next).unwrap();
    assert_eq!(scene.content("lib/lib.txt").as_deref(), Some("lib one"));
}

#[test]
fn a_submodule_of_a_path_on_this_host_is_refused_by_git() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    let bare = scene.bare("lib");
    scene.git(
        &scene.work("web"),
        &["submodule", "--quiet", "add", bare.to_str().unwrap(), "lib"],
    );
    let to = scene.publish("web", "by path");
    let error = scene.fetch(&to).unwrap_err();
    assert!(
        error.to_string().contains("transport 'file' not allowed"),
        "{error}"
    );
}

#[test]
fn a_copy_of_a_commit_has_all_of_its_files_and_the_checkout_stays() {
    let mut scene = Scene::new();
    library(&scene, "lib", "lib one");
    scene.commit("deep/new.txt", "new");
    let to = add_submodule(&scene, "web", "lib", "vendor/lib");
    scene.fetch(&to).unwrap();
    fs::write(scene.file(".env"), "mine").unwrap();
    let before = scene.look();
    let into = scene.home().join("copy");
    fs::create_dir(&into).unwrap();
    let (sha, folder): (&Sha, &Path) = (&to, &into);
    scene
        .with(async |tools, place| git::export(tools, place, sha, folder).await)
        .unwrap();
    let read = |file: &str| fs::read_to_string(into.join(file)).ok();
    assert_eq!(read("deep/new.txt").as_deref(), Some("new"));
    assert_eq!(read("vendor/lib/lib.txt").as_deref(), Some("lib one"));
    assert_eq!(read(".towline-index"), None);
    assert_eq!(scene.look(), before);
    assert_eq!(scene.content("deep/new.txt"), None);
}

#[test]
fn files_that_git_does_not_track_are_listed_for_the_copy() {
    let mut scene = Scene::new();
    let to = scene.commit("conf/tracked", "x");
    scene.deploy(&to).unwrap();
    fs::write(scene.file(".git/info/exclude"), "*.env\n").unwrap();
    fs::write(scene.file("secret.env"), "x").unwrap();
    fs::write(scene.file("conf/mine"), "x").unwrap();
    fs::create_dir(scene.file("data")).unwrap();
    fs::write(scene.file("data/x.db"), "x").unwrap();
    let others = scene
        .with(async |tools, place| git::others(tools, place).await)
        .unwrap();
    let expected: Vec<PathBuf> = ["conf/mine", "data", "secret.env"]
        .map(PathBuf::from)
        .into();
    assert_eq!(others, expected);
}

#[test]
fn another_users_checkout_is_refused_and_as_that_user_it_is_his_alone() {
    if !is_root() {
        return;
    }
    let mut scene = Scene::new();
    let to = scene.commit("new.txt", "new");
    give(&scene.dir.path().join("checkout"), "nobody");
    open_up(scene.dir.path());
    let refused = scene.fetch(&to).unwrap_err();
    assert!(
        refused.to_string().contains("it belongs to nobody"),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .ends_with("set user = \"nobody\" at the service"),
        "{refused}"
    );
    scene.user = Some("nobody".to_owned());
    scene.deploy(&to).unwrap();
    use std::os::unix::fs::MetadataExt;
    let own = fs::metadata(scene.file(".git")).unwrap().uid();
    assert_eq!(fs::metadata(scene.file("new.txt")).unwrap().uid(), own);
    assert_ne!(own, 0);
}

#[test]
fn what_another_users_git_has_left_in_a_checkout_is_told_as_what_it_is_and_not_as_a_wrong_login() {
    if !is_root() {
        return;
    }
    let mut scene = Scene::new();
    scene.user = Some("nobody".to_owned());
    give(&scene.git.path, "nobody");
    open_up(scene.dir.path());
    let look = async |tools: &mut git::Tools<'_>, place: &git::Place<'_>| {
        git::writable(tools, place).await
    };
    scene.with(look).unwrap();
    let to = scene.commit("new.txt", "new");
    // Of no deploy's business.
    give(&scene.file(".git/hooks"), "root");
    let below = scene.file(".git/refs/remotes/origin");
    give(&below, "root");
    let refused = scene.fetch(&to).unwrap_err();
    assert_eq!(refused.fate(), Fate::Refused, "{refused}");
    let (top, below) = (scene.git.path.display(), below.display());
    let expected = format!(
        "{top}: git runs as nobody and cannot write {below}, which belongs to root; give all of it to one user: \
         chown -R nobody: {top}, or set user = \"root\" at the service"
    );
    assert_eq!(refused.to_string(), expected);
    assert_eq!(scene.with(look).unwrap_err(), refused);
    give(&scene.git.path, "nobody");
    scene.with(look).unwrap();
    scene.deploy(&to).unwrap();
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn number(user: &str, which: &str) -> u32 {
    let id = Command::new("id").args([which, user]).output().unwrap();
    String::from_utf8(id.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Gives a tree to a user.
fn give(path: &Path, user: &str) {
    chown(path, Some(number(user, "-u")), Some(number(user, "-g"))).unwrap();
    let is_folder = fs::symlink_metadata(path).unwrap().is_dir();
    for entry in is_folder
        .then(|| fs::read_dir(path).unwrap())
        .into_iter()
        .flatten()
    {
        give(&entry.unwrap().path(), user);
    }
}

/// Lets others into a temporary folder.
fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
