//! Put at a commit, put back, and made again after a death in the middle.

use std::fs;

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
