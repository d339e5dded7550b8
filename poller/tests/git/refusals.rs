//! What is refused before anything is touched, in words that say what to do.

use std::{fs, time::Duration};

use towline::git::{Entry, Fate, GitError, RemoteTrouble};
use towline_tests::git_server::Mood;

use crate::scene::Scene;

#[test]
fn a_path_that_is_no_checkout_is_refused() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    let checkout = scene.git.path.clone();
    fs::create_dir(checkout.join("folder")).unwrap();
    fs::create_dir(scene.home().join("empty")).unwrap();
    for (path, expected) in [
        (
            scene.home().join("nowhere"),
            "there is no such folder; clone the repository there first",
        ),
        (
            scene.home().join("empty"),
            "it is no git checkout; clone the repository there first",
        ),
        (
            checkout.join("app.txt"),
            "it is a file, and no folder; name the top folder of the checkout",
        ),
        (scene.bare("web"), "it has no work tree"),
        (checkout.join(".git"), "it has no work tree"),
        (
            checkout.join("folder"),
            "it is a folder inside of a checkout, whose top is",
        ),
    ] {
        scene.git.path = path;
        let error = scene.fetch(&sha).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.fate(), Fate::Refused);
    }
}

#[test]
fn a_checkout_without_a_commit_is_refused() {
    let mut scene = Scene::empty();
    scene.git(&scene.home(), &["init", "--quiet", "checkout"]);
    let error = scene
        .with(async |tools, place| towline::git::look(tools, place).await)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("it has no commit yet; check one out first"),
        "{error}"
    );
}

#[test]
fn a_remote_that_is_not_there_is_told_with_those_that_are() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    for name in ["upstream", "--upload-pack=touch", ""] {
        name.clone_into(&mut scene.git.remote);
        let error = scene.fetch(&sha).unwrap_err();
        let expected = format!("there is no remote {name:?}; it has: origin");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

#[test]
fn what_may_pass_waits_and_what_does_not_fails() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    for (mood, trouble, fate) in [
        (Mood::HangsUp, RemoteTrouble::Unreachable, Fate::Waits),
        (Mood::Answers(503), RemoteTrouble::Unreachable, Fate::Waits),
        (Mood::Answers(429), RemoteTrouble::Unreachable, Fate::Waits),
        (
            Mood::Wants("octocat:right".to_owned()),
            RemoteTrouble::Denied,
            Fate::Failed,
        ),
        (Mood::Answers(403), RemoteTrouble::Denied, Fate::Failed),
        (
            Mood::Answers(404),
            RemoteTrouble::NoRepository,
            Fate::Failed,
        ),
    ] {
        scene.server.set(mood.clone());
        let error = scene.fetch(&sha).unwrap_err();
        assert!(
            matches!(&error, GitError::Remote { trouble: its, .. } if *its == trouble),
            "{mood:?}: {error}"
        );
        assert_eq!(error.fate(), fate, "{mood:?}");
    }
}

#[test]
fn a_remote_at_which_nobody_listens_waits() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    let nobody = format!(
        "http://127.0.0.1:{}/web.git",
        towline_tests::place::free_port().unwrap()
    );
    scene.here(&["remote", "set-url", "origin", &nobody]);
    assert_eq!(scene.fetch(&sha).unwrap_err().fate(), Fate::Waits);
}

#[test]
fn a_remote_that_hangs_is_left_in_time() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    scene.server.set(Mood::Hangs);
    scene.limits.network = Duration::from_millis(500);
    let error = scene.fetch(&sha).unwrap_err();
    assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
    assert_eq!(error.fate(), Fate::Waits);
}

#[test]
fn changes_of_tracked_files_are_refused_and_named() {
    let mut scene = Scene::new();
    scene.commit("other.txt", "x");
    let to = scene.commit("third.txt", "x");
    scene.here(&["pull", "--quiet"]);
    let to_next = scene.commit("app.txt", "two");
    scene.fetch(&to_next).unwrap();
    fs::write(scene.file("app.txt"), "mine").unwrap();
    fs::remove_file(scene.file("other.txt")).unwrap();
    fs::write(scene.file("staged.txt"), "staged").unwrap();
    scene.here(&["add", "staged.txt"]);
    let refused = scene.ready(&to_next).unwrap_err();
    assert_eq!(refused.fate(), Fate::Refused);
    let expected = "tracked files were changed here: staged.txt, app.txt, other.txt; \
                    commit, stash or undo that, or set discard_changes = true";
    let told = refused.to_string();
    for file in ["staged.txt", "app.txt", "other.txt"] {
        assert!(told.contains(file), "{told}");
    }
    assert_eq!(
        told.len(),
        format!("{}: {expected}", scene.git.path.display()).len()
    );
    assert_eq!(scene.content("app.txt").as_deref(), Some("mine"));
    assert_eq!(scene.head(&scene.git.path), to);
}

#[test]
fn changes_are_thrown_away_where_the_file_says_so() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    fs::write(scene.file("app.txt"), "mine").unwrap();
    fs::write(scene.file("staged.txt"), "staged").unwrap();
    scene.here(&["add", "staged.txt"]);
    scene.git.discard_changes = true;
    scene.deploy(&to).unwrap();
    assert_eq!(scene.content("app.txt").as_deref(), Some("two"));
    assert_eq!(scene.content("staged.txt"), None);
}

#[test]
fn an_edit_made_right_before_the_checkout_is_refused_by_git_itself() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    scene.fetch(&to).unwrap();
    let old = scene.ready(&to).unwrap().at;
    fs::write(scene.file("app.txt"), "mine").unwrap();
    let refused = scene.check_out(&to, Entry::First).unwrap_err();
    assert!(refused.has_touched_nothing(), "{refused}");
    assert_eq!(scene.content("app.txt").as_deref(), Some("mine"));
    assert_eq!(scene.look().at, old);
}

#[test]
fn what_is_to_be_thrown_away_is_named_before() {
    let mut scene = Scene::new();
    scene.commit("new.txt", "theirs");
    let to = scene.commit("app.txt", "two");
    scene.fetch(&to).unwrap();
    for file in ["app.txt", "new.txt", "beside.txt"] {
        fs::write(scene.file(file), "mine").unwrap();
    }
    scene.git.discard_changes = true;
    let look = scene.ready(&to).unwrap();
    assert_eq!(look.changes, ["app.txt", "new.txt"]);
}

#[test]
fn a_rebase_or_merge_that_has_begun_is_refused_always() {
    for (file, what) in [
        (".git/MERGE_HEAD", "merge"),
        (".git/rebase-merge", "rebase"),
        (".git/CHERRY_PICK_HEAD", "cherry-pick"),
        (".git/BISECT_LOG", "bisect"),
    ] {
        let mut scene = Scene::new();
        let to = scene.commit("app.txt", "two");
        scene.fetch(&to).unwrap();
        let head = scene.head(&scene.git.path);
        fs::write(scene.file(file), format!("{head}\n")).unwrap();
        scene.git.discard_changes = true;
        let refused = scene.ready(&to).unwrap_err();
        let expected = format!("a {what} has begun there; finish or abort it first");
        assert!(refused.to_string().ends_with(&expected), "{refused}");
    }
}

#[test]
fn an_untracked_file_that_the_commit_would_overwrite_is_refused() {
    let mut scene = Scene::new();
    let to = scene.commit("conf/new.txt", "theirs");
    scene.fetch(&to).unwrap();
    fs::create_dir(scene.file("conf")).unwrap();
    fs::write(scene.file("conf/new.txt"), "mine").unwrap();
    let refused = scene.ready(&to).unwrap_err();
    assert!(
        refused.to_string().contains("conf/new.txt is in the way"),
        "{refused}"
    );
    // And git itself would not do it either, had somebody written it only now.
    let refused = scene.check_out(&to, Entry::First).unwrap_err();
    assert!(refused.has_touched_nothing(), "{refused}");
    assert_eq!(scene.content("conf/new.txt").as_deref(), Some("mine"));
    scene.git.discard_changes = true;
    scene.deploy(&to).unwrap();
    assert_eq!(scene.content("conf/new.txt").as_deref(), Some("theirs"));
}

#[test]
fn a_file_where_the_commit_has_a_folder_and_a_folder_where_it_has_a_file_are_in_the_way() {
    let mut scene = Scene::new();
    scene.commit("a/b.txt", "x");
    let to = scene.commit("c", "x");
    scene.fetch(&to).unwrap();
    fs::write(scene.file("a"), "mine").unwrap();
    fs::create_dir(scene.file("c")).unwrap();
    scene.here(&["status"]);
    fs::write(scene.file("c/mine"), "mine").unwrap();
    let refused = scene.ready(&to).unwrap_err();
    assert!(
        refused.to_string().contains("a, c/mine are in the way"),
        "{refused}"
    );
}

#[test]
fn a_tracked_file_that_becomes_a_folder_is_not_in_the_way() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    fs::remove_file(work.join("app.txt")).unwrap();
    let to = scene.commit("app.txt/one", "x");
    let old = scene.deploy(&to).unwrap();
    assert_eq!(scene.content("app.txt/one").as_deref(), Some("x"));
    scene.back(&old, Entry::First).unwrap();
    assert_eq!(scene.content("app.txt").as_deref(), Some("one"));
}

#[test]
fn an_ignored_file_is_data_and_never_overwritten_not_even_with_discard_changes() {
    let mut scene = Scene::new();
    scene.commit(".gitignore", "*.db\ndata/\n");
    scene.here(&["pull", "--quiet"]);
    scene.commit("app.db", "theirs");
    let to = scene.commit("data/x", "theirs");
    scene.fetch(&to).unwrap();
    fs::write(scene.file("app.db"), "mine").unwrap();
    fs::create_dir(scene.file("data")).unwrap();
    fs::write(scene.file("data/x"), "mine").unwrap();
    for discard in [false, true] {
        scene.git.discard_changes = discard;
        let refused = scene.ready(&to).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("app.db, data/x are in the way"),
            "{refused}"
        );
    }
    scene.git.discard_changes = false;
    assert!(scene.check_out(&to, Entry::First).is_err());
    assert_eq!(scene.content("app.db").as_deref(), Some("mine"));
    assert_eq!(scene.content("data/x").as_deref(), Some("mine"));
}
