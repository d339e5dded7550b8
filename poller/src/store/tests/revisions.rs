//! What a service made of parts can be taken back to.

use super::*;
use crate::{sequence::Revision, version::VersionId};

/// A revision whose commit is this digit, with an image of this one, and which was replaced at this second.
fn revision(commit: char, image: char, until: i64) -> KeptRevision {
    let sha: towline_protocol::Sha = commit.to_string().repeat(40).parse().unwrap();
    let image = KeptImage {
        reference: "ghcr.io/octo-org/web:main".to_owned(),
        id: testing::digest(image).to_string(),
        digest: Some(testing::digest(image)),
        tag: format!("towline/web:{image}"),
    };
    KeptRevision {
        version: VersionId::Commit(sha.clone()),
        revision: Revision {
            sha: Some(sha),
            ..Revision::default()
        },
        images: vec![image],
        intent: None,
        since: None,
        until: Timestamp::from_second(until).unwrap(),
    }
}

/// A store in which these were kept one after the other.
fn kept(revisions: &[KeptRevision]) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for revision in revisions {
        store.keep_revision(&web(), revision).unwrap();
    }
    (dir, store)
}

fn commits(store: &Store) -> String {
    let revisions = store.revisions(&web()).unwrap().into_iter();
    let first = |one: KeptRevision| one.version.short().chars().next();
    revisions.filter_map(first).collect()
}

#[test]
fn the_revision_that_was_kept_last_comes_first_whatever_the_clock_says() {
    let (_dir, store) = kept(&[
        revision('1', 'a', 900),
        revision('2', 'b', 5),
        revision('1', 'a', 900),
        revision('3', 'c', 6),
    ]);
    assert_eq!(commits(&store), "312");
    assert_eq!(store.revisions(&"we".parse().unwrap()).unwrap(), []);
}

#[test]
fn what_is_kept_is_there_again_after_a_restart() {
    let (dir, store) = kept(&[revision('1', 'a', 9)]);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.revisions(&web()).unwrap(), [revision('1', 'a', 9)]);
}

#[test]
fn revisions_for_which_there_is_no_room_are_forgotten_with_what_only_they_needed() {
    let all = [('1', 'a'), ('2', 'b'), ('3', 'b'), ('4', 'c')];
    let all = all.map(|(commit, image)| revision(commit, image, 1));
    let forgotten = |keep, current: &KeptRevision| {
        let (_dir, mut store) = kept(&all);
        let forgotten = store.forget_revisions(&web(), keep, current).unwrap();
        let commits_gone = forgotten
            .commits
            .iter()
            .map(|sha| sha.short()[..1].to_owned());
        let tags: Vec<_> = forgotten.tags.iter().cloned().collect();
        (
            commits(&store),
            commits_gone.collect::<String>(),
            tags.join(" "),
        )
    };
    let told = |kept: &str, commits: &str, tags: &str| {
        (kept.to_owned(), commits.to_owned(), tags.to_owned())
    };
    let new = revision('5', 'd', 1);
    assert_eq!(forgotten(9, &new), told("4321", "", ""));
    assert_eq!(forgotten(3, &new), told("43", "12", "towline/web:a"));
    assert_eq!(
        forgotten(1, &new),
        told("", "1234", "towline/web:a towline/web:b towline/web:c")
    );
    let back = revision('2', 'b', 1);
    assert_eq!(forgotten(2, &back), told("42", "13", "towline/web:a"));
}

#[test]
fn a_revision_that_the_disk_does_not_take_is_not_kept_by_half() {
    let (_dir, mut store) = kept(&[revision('1', 'a', 1)]);
    store.tamper("CREATE TRIGGER full BEFORE INSERT ON revision BEGIN SELECT RAISE(FAIL, 'disk is full'); END");
    store
        .keep_revision(&web(), &revision('2', 'b', 2))
        .unwrap_err();
    assert_eq!(commits(&store), "1");
}
