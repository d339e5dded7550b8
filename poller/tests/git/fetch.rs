//! What is fetched, from whom, and which commits may be deployed.

use std::fs;

use towline::git::{Fate, GitError, Wanted};
use towline_protocol::{GitTag, Glob};

use crate::scene::Scene;

#[test]
fn a_commit_of_the_rules_branch_is_fetched_and_nothing_of_the_checkout_is_touched() {
    let mut scene = Scene::new();
    let old = scene.head(&scene.git.path);
    let new = scene.commit("app.txt", "two");
    let fetched = scene.fetch_on(&new, Some("main"), &["main"]).unwrap();
    assert_eq!(fetched.branch.as_deref(), Some("main"));
    assert_eq!(scene.here(&["cat-file", "-t", new.as_str()]), "commit");
    assert_eq!(
        scene.here(&["rev-parse", "refs/remotes/origin/main"]),
        new.as_str()
    );
    assert_eq!(
        (scene.head(&scene.git.path), scene.content("app.txt")),
        (old, Some("one".to_owned()))
    );
    assert!(!scene.file(".git/FETCH_HEAD").exists());
    assert!(scene.begun > 0, "each git is on record before it may begin");
}

#[test]
fn an_older_commit_of_the_branch_may_be_deployed_again() {
    let mut scene = Scene::new();
    let older = scene.head(&scene.git.path);
    scene.commit("app.txt", "two");
    assert_eq!(scene.fetch(&older).unwrap().branch.as_deref(), Some("main"));
}

#[test]
fn a_branch_that_was_forced_is_followed_and_what_it_left_is_refused() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    let left = scene.commit("app.txt", "left");
    scene.fetch(&left).unwrap();
    scene.git(&work, &["reset", "--quiet", "--hard", "HEAD~1"]);
    let forced = scene.commit("app.txt", "forced");
    assert!(scene.fetch(&forced).is_ok());
    let refused = scene.fetch(&left).unwrap_err();
    assert_eq!(refused.fate(), Fate::Refused);
    assert!(
        refused
            .to_string()
            .contains(&format!("commit {} is not on main", left.short())),
        "{refused}"
    );
}

#[test]
fn what_was_forced_off_one_branch_is_refused_also_where_the_intent_names_another() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    scene.git(&work, &["checkout", "--quiet", "-b", "release"]);
    let left = scene.commit("app.txt", "left");
    let rule = ["main", "release"];
    scene.fetch_on(&left, Some("release"), &rule).unwrap();
    scene.git(&work, &["reset", "--quiet", "--hard", "HEAD~1"]);
    scene.git(&work, &["push", "--quiet", "--force", "origin", "HEAD"]);
    let refused = scene.fetch_on(&left, Some("main"), &rule).unwrap_err();
    assert!(matches!(refused, GitError::NotOnBranch { .. }), "{refused}");
}

#[test]
fn a_fetch_that_another_git_is_in_the_way_of_waits() {
    let mut scene = Scene::new();
    let to = scene.commit("app.txt", "two");
    let lock = scene.file(".git/refs/remotes/origin/main.lock");
    fs::write(&lock, "").unwrap();
    let error = scene.fetch(&to).unwrap_err();
    assert!(error.may_never_pass(), "{error}");
    assert_eq!(error.fate(), Fate::Waits);
    fs::remove_file(&lock).unwrap();
    scene.fetch(&to).unwrap();
}

#[test]
fn a_commit_of_another_branch_is_refused_although_it_is_there() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    scene.git(&work, &["checkout", "--quiet", "-b", "feature"]);
    let other = scene.commit("app.txt", "feature");
    let refused = scene
        .fetch_on(&other, Some("feature"), &["main", "release/*"])
        .unwrap_err();
    assert!(matches!(refused, GitError::NotOnBranch { .. }), "{refused}");
    assert_eq!(refused.fate(), Fate::Refused);
    assert!(scene.fetch_on(&other, None, &["feat*"]).is_ok());
}

#[test]
fn the_branch_of_the_intent_counts_where_the_rule_has_a_pattern() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    scene.git(&work, &["checkout", "--quiet", "-b", "release/2026/11"]);
    let release = scene.commit("app.txt", "release");
    scene.git(
        &work,
        &["push", "--quiet", "origin", "HEAD:refs/heads/release/copy"],
    );
    let wanted = Some("release/2026/11");
    let fetched = scene
        .fetch_on(&release, wanted, &["main", "release/*"])
        .unwrap();
    assert_eq!(fetched.branch.as_deref(), wanted);
}

#[test]
fn a_commit_that_the_remote_does_not_have_yet_waits_and_its_tips_are_told() {
    let mut scene = Scene::new();
    let tip = scene.head(&scene.work("web"));
    let nowhere = "1234567890123456789012345678901234567890".parse().unwrap();
    let error = scene.fetch(&nowhere).unwrap_err();
    assert_eq!(error.fate(), Fate::Waits);
    let expected = format!("has no commit 1234567; there main is {}", tip.short());
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn a_rule_whose_branch_is_not_there_is_told_so() {
    let mut scene = Scene::new();
    let sha = scene.head(&scene.git.path);
    let error = scene.fetch_on(&sha, None, &["master"]).unwrap_err();
    assert!(
        error.to_string().ends_with("web.git has no branch master"),
        "{error}"
    );
}

#[test]
fn a_tag_must_stand_for_the_commit() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    let released = scene.commit("app.txt", "two");
    scene.git(&work, &["tag", "-a", "-m", "v2", "v2"]);
    scene.git(&work, &["push", "--quiet", "origin", "v2"]);
    let later = scene.commit("app.txt", "three");
    let (v2, v3): (GitTag, GitTag) = ("v2".parse().unwrap(), "v3".parse().unwrap());
    let mut fetch = |sha, tag, branches: &[Glob]| {
        scene.fetch_wanted(&Wanted {
            sha,
            branch: None,
            tag: Some(tag),
            branches,
        })
    };
    assert_eq!(fetch(&released, &v2, &[]).unwrap().branch, None);
    assert_eq!(
        fetch(&released, &v2, &[Glob::new("main")])
            .unwrap()
            .branch
            .as_deref(),
        Some("main")
    );
    let elsewhere = fetch(&later, &v2, &[]).unwrap_err();
    assert!(
        matches!(elsewhere, GitError::TagElsewhere { .. }),
        "{elsewhere}"
    );
    let missing = fetch(&later, &v3, &[]).unwrap_err();
    assert_eq!(
        (
            missing.fate(),
            missing.to_string().ends_with("has no tag v3")
        ),
        (Fate::Waits, true)
    );
    assert_eq!(scene.here(&["rev-parse", "v2^{commit}"]), released.as_str());
}

#[test]
fn a_tag_of_a_commit_beside_the_rules_branches_is_refused() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    scene.git(&work, &["checkout", "--quiet", "-b", "hotfix"]);
    let fix = scene.commit("app.txt", "fix");
    scene.git(&work, &["tag", "v9"]);
    scene.git(&work, &["push", "--quiet", "origin", "v9"]);
    let refused = scene.fetch_wanted(&Wanted {
        sha: &fix,
        branch: None,
        tag: Some(&"v9".parse().unwrap()),
        branches: &[Glob::new("main")],
    });
    assert!(matches!(refused, Err(GitError::NotOnBranch { .. })));
}

#[test]
fn a_service_without_a_rule_for_branches_takes_a_commit_of_any_branch() {
    let mut scene = Scene::new();
    let work = scene.work("web");
    scene.git(&work, &["checkout", "--quiet", "-b", "feature"]);
    let sha = scene.commit("app.txt", "feature");
    assert_eq!(
        scene.fetch_on(&sha, None, &[]).unwrap().branch.as_deref(),
        Some("feature")
    );
}

#[test]
fn a_shallow_clone_of_one_branch_is_deepened_until_the_commit_is_found() {
    let mut scene = Scene::empty();
    let older = scene.commit("app.txt", "0");
    for count in 1..10 {
        scene.commit("app.txt", &count.to_string());
    }
    scene.git(
        &scene.home(),
        &[
            "clone",
            "--quiet",
            "--depth=1",
            &scene.url("web"),
            "checkout",
        ],
    );
    let new = scene.commit("app.txt", "new");
    assert_eq!(scene.fetch(&new).unwrap().branch.as_deref(), Some("main"));
    assert!(
        scene.file(".git/shallow").exists(),
        "what is not needed is not fetched"
    );
    assert_eq!(scene.fetch(&older).unwrap().branch.as_deref(), Some("main"));
}

#[test]
fn a_shallow_clone_refuses_the_commit_of_another_branch_as_well() {
    let mut scene = Scene::empty();
    scene.commit("app.txt", "0");
    scene.commit("app.txt", "1");
    scene.git(
        &scene.home(),
        &[
            "clone",
            "--quiet",
            "--depth=1",
            &scene.url("web"),
            "checkout",
        ],
    );
    scene.git(
        &scene.work("web"),
        &["checkout", "--quiet", "-b", "feature"],
    );
    let other = scene.commit("app.txt", "feature");
    let refused = scene.fetch(&other).unwrap_err();
    assert!(matches!(refused, GitError::NotOnBranch { .. }), "{refused}");
}

#[test]
fn commits_to_go_back_to_are_held_until_they_are_forgotten() {
    let mut scene = Scene::new();
    let service = "web".parse().unwrap();
    let sha = scene.head(&scene.git.path);
    let (one, two) = (&service, &sha);
    scene
        .with(async |tools, place| towline::git::keep(tools, place, one, two).await)
        .unwrap();
    let kept = scene.with(async |tools, place| towline::git::kept(tools, place, one).await);
    assert_eq!(kept.unwrap(), std::slice::from_ref(&sha));
    for _ in 0..2 {
        scene
            .with(async |tools, place| towline::git::forget(tools, place, one, two).await)
            .unwrap();
    }
    let kept = scene.with(async |tools, place| towline::git::kept(tools, place, one).await);
    assert!(kept.unwrap().is_empty());
}
