//! Put at a commit, put back, and made again after a death in the middle.

use std::{fs, path::PathBuf};

use towline::git::{Checkout, Entry, GitError};
use towline_tests::program;

use crate::scene::Scene;

#[test]
fn a_checkout_is_put_at_exactly_the_commit_and_no_branch_moves() {
    let mut scene = Scene::new();
    let old = scene.head(&scene.git.path);
    let to = scene.commit("app.txt", "two");
    let later = scene.commit("app.txt", "three");
    scene.fetch(&later).unwrap();
    let before = scene.deploy(&to).unwrap();
    let main = Some("main".to_owned());
    assert_eq!(
        before,
        Checkout {
            commit: old.clone(),
            branch: main
        }
    );
    let look = scene.look();
    assert_eq!(
        look.at,
        Checkout {
            commit: to,
            branch: None
        }
    );
    assert_eq!((look.changes.len(), look.in_progress), (0, None));
    assert_eq!(scene.content("app.txt").as_deref(), Some("two"));
    assert_eq!(scene.here(&["rev-parse", "main"]), old.as_str());
}

#[test]
fn back_is_the_commit_before_on_its_branch_with_only_the_users_files_beside() {
    let mut scene = Scene::new();
    let to = scene.commit("new/only.txt", "new");
    let old = scene.deploy(&to).unwrap();
    fs::write(scene.file("mine.txt"), "mine").unwrap();
    fs::write(scene.file("new/mine.txt"), "mine").unwrap();
    // What `npm install` and its like do to tracked files.
    fs::write(scene.file("app.txt"), "changed by a command").unwrap();
    fs::remove_file(scene.file("new/only.txt")).unwrap();
    scene.back(&old, Entry::First).unwrap();
    assert_eq!(scene.look().at, old);
    assert_eq!(scene.here(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(scene.content("app.txt").as_deref(), Some("one"));
    assert_eq!(scene.content("new/only.txt"), None);
    assert_eq!(scene.content("mine.txt").as_deref(), Some("mine"));
    assert_eq!(scene.content("new/mine.txt").as_deref(), Some("mine"));
}

#[test]
fn a_branch_that_has_moved_is_not_gone_back_to() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    let old = scene.deploy(&to).unwrap();
    scene.here(&["branch", "--force", "main", to.as_str()]);
    scene.back(&old, Entry::First).unwrap();
    let detached = Checkout {
        branch: None,
        ..old
    };
    assert_eq!(scene.look().at, detached);
    assert_eq!(scene.here(&["rev-parse", "main"]), to.as_str());
}

#[test]
fn a_detached_checkout_goes_back_detached() {
    let mut scene = Scene::new();
    scene.here(&["checkout", "--quiet", "--detach"]);
    let to = scene.commit("app.txt", "two");
    let old = scene.deploy(&to).unwrap();
    assert_eq!(old.branch, None);
    scene.back(&old, Entry::First).unwrap();
    assert_eq!(scene.look().at, old);
}

#[test]
fn a_checkout_that_was_broken_off_is_made_again() {
    let mut scene = Scene::new();
    let old = scene.look().at;
    scene.commit("new.txt", "all of it");
    let to = scene.commit("app.txt", "two");
    scene.fetch(&to).unwrap();
    // Killed in the middle: files half written, the index and HEAD as before, their locks left.
    fs::write(scene.file("new.txt"), "half").unwrap();
    fs::write(scene.file("app.txt"), "tw").unwrap();
    for lock in [".git/index.lock", ".git/HEAD.lock"] {
        fs::write(scene.file(lock), "").unwrap();
    }
    let locked = scene.check_out(&to, Entry::First).unwrap_err();
    assert!(
        locked.has_touched_nothing(),
        "a lock may be another git's: {locked}"
    );
    assert!(scene.file(".git/index.lock").exists());
    scene.check_out(&to, Entry::AfterInterruption).unwrap();
    assert_eq!(scene.content("new.txt").as_deref(), Some("all of it"));
    assert_eq!(scene.look().at.commit, to);
    scene.check_out(&to, Entry::AfterInterruption).unwrap();
    fs::write(scene.file(".git/index.lock"), "").unwrap();
    scene.back(&old, Entry::AfterInterruption).unwrap();
    scene.back(&old, Entry::AfterInterruption).unwrap();
    assert_eq!(scene.look().at, old);
    assert_eq!(scene.content("new.txt"), None);
}

#[test]
fn a_checkout_that_was_broken_off_is_put_back_and_half_written_files_are_gone() {
    let mut scene = Scene::new();
    let old = scene.look().at;
    scene.commit("new.txt", "all of it");
    let to = scene.commit("app.txt", "two");
    scene.fetch(&to).unwrap();
    fs::write(scene.file("app.txt"), "tw").unwrap();
    fs::write(scene.file(".git/index.lock"), "").unwrap();
    scene.back(&old, Entry::AfterInterruption).unwrap();
    assert_eq!(
        (scene.look().at, scene.content("app.txt").as_deref()),
        (old, Some("one"))
    );
}

#[test]
fn a_git_that_was_killed_leaves_nothing_that_is_in_the_way_of_going_back() {
    let mut scene = Scene::new();
    let old = scene.look().at;
    scene.commit(".gitattributes", "new.txt filter=deadly\n");
    let to = scene.commit("new.txt", "new");
    // What git writes the file by ends git, as a system does that is short of memory.
    scene.here(&["config", "filter.deadly.smudge", "kill -9 $PPID"]);
    scene.fetch(&to).unwrap();
    let error = scene.check_out(&to, Entry::First).unwrap_err();
    let expected = GitError::Killed {
        what: "checkout".to_owned(),
        signal: 9,
    };
    assert_eq!(error, expected);
    scene.back(&old, Entry::First).unwrap();
    assert_eq!(scene.look().at, old);
}

#[test]
fn hooks_of_the_checkout_do_not_run() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    let hook = scene.file(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    program::write(&hook, "#!/bin/sh\ntouch hooked\n").unwrap();
    scene.deploy(&to).unwrap();
    assert_eq!(scene.content("hooked"), None);
    // It is a hook that works.
    scene.here(&["checkout", "--quiet", "main"]);
    assert!(scene.file("hooked").exists());
}

#[test]
fn what_git_says_is_not_believed() {
    let mut scene = Scene::new();
    scene.commit(".gitattributes", "*.txt filter=spoil\n");
    scene.here(&["pull", "--quiet"]);
    // A filter of the operator's whose output is not what it makes of it: such a file is never clean.
    scene.here(&["config", "filter.spoil.smudge", "sed s/two/three/"]);
    scene.here(&["config", "filter.spoil.clean", "cat"]);
    let to = scene.commit("app.txt", "two");
    scene.fetch(&to).unwrap();
    let error = scene.check_out(&to, Entry::First).unwrap_err();
    assert!(matches!(error, GitError::Elsewhere { .. }), "{error}");
    assert!(
        error.to_string().ends_with("changed are app.txt"),
        "{error}"
    );
}

/// A checkout at a commit that has no `data.db` any more and ignores it, with what is written there since: by a program that has
/// put its data where the commit before had a file, a folder and a link.
fn with_data_in_the_way(scene: &mut Scene) -> Checkout {
    scene.commit("data.db", "seed");
    scene.commit("same.txt", "same");
    scene.commit("conf", "file");
    scene.commit("var/state/kept", "kept");
    let first = scene.commit("cache/.keep", "");
    scene.deploy(&first).unwrap();
    scene.here(&["checkout", "--quiet", "-B", "main"]);
    let work = scene.work("web");
    scene.git(&work, &["rm", "-rq", "data.db", "same.txt", "conf", "var"]);
    let to = scene.commit(".gitignore", "data.db\nuploads\n");
    let old = scene.deploy(&to).unwrap();
    fs::write(scene.file("data.db"), "rows").unwrap();
    fs::write(scene.file("data.db.towline-d1"), "of before").unwrap();
    fs::write(scene.file("same.txt"), "same").unwrap();
    fs::create_dir(scene.file("conf")).unwrap();
    fs::write(scene.file("conf/uploads"), "mine").unwrap();
    std::os::unix::fs::symlink("/nowhere", scene.file("var")).unwrap();
    // One that git tracks, with something else in its place.
    fs::remove_dir_all(scene.file("cache")).unwrap();
    fs::write(scene.file("cache"), "no folder").unwrap();
    old
}

#[test]
fn what_git_does_not_track_is_moved_aside_where_the_commit_before_has_files() {
    let mut scene = Scene::new();
    let old = with_data_in_the_way(&mut scene);
    let mut aside = scene.back(&old, Entry::First).unwrap();
    aside.sort();
    let expected = [
        "cache.towline-d1",
        "conf.towline-d1",
        "data.db.towline-d1",
        "data.db.towline-d1.2",
        "var.towline-d1",
    ];
    assert_eq!(aside, expected.map(PathBuf::from));
    assert_eq!(scene.look().at, old);
    for (file, content) in [
        ("data.db", "seed"),
        ("data.db.towline-d1.2", "rows"),
        ("data.db.towline-d1", "of before"),
        ("same.txt", "same"),
        ("conf", "file"),
        ("conf.towline-d1/uploads", "mine"),
        ("var/state/kept", "kept"),
        ("cache.towline-d1", "no folder"),
    ] {
        assert_eq!(scene.content(file).as_deref(), Some(content), "{file}");
    }
    let link = fs::read_link(scene.file("var.towline-d1")).unwrap();
    assert_eq!(link, PathBuf::from("/nowhere"));
}

#[test]
fn a_way_back_that_was_broken_off_moves_nothing_twice_and_still_tells_what_it_has_moved() {
    let mut scene = Scene::new();
    let old = with_data_in_the_way(&mut scene);
    // It has moved one, and begun to write its files; the index is as before.
    fs::rename(scene.file("conf"), scene.file("conf.towline-d1")).unwrap();
    fs::write(scene.file("conf"), "file").unwrap();
    let first = scene.back(&old, Entry::AfterInterruption).unwrap();
    assert!(first.contains(&"conf.towline-d1".into()), "{first:?}");
    assert!(!scene.file("conf.towline-d1.2").exists());
    let again = scene.back(&old, Entry::AfterInterruption).unwrap();
    assert_eq!(again, first);
}
