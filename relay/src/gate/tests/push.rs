//! Pushes of branches and tags.

use towline_protocol::PushSource;

use super::*;
use crate::event::PushEvent;

const COMMIT: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

fn read(body: &[u8]) -> PushEvent {
    let Event::Push(push) = event::read("push", body).unwrap() else {
        panic!("a push");
    };
    *push
}

pub(super) fn branch() -> PushEvent {
    read(include_bytes!(
        "../../../../tests/fixtures/github/push.json"
    ))
}

fn annotated_tag() -> PushEvent {
    read(include_bytes!(
        "../../../../tests/fixtures/github/push.annotated-tag.json"
    ))
}

fn deleted() -> PushEvent {
    read(include_bytes!(
        "../../../../tests/fixtures/github/push.deleted.json"
    ))
}

/// A gate for pushes, with `more` of its members.
fn pushes(more: &str) -> Gate {
    gate(&format!(r#"{{"sources": ["push"]{more}}}"#))
}

#[test]
fn a_push_to_the_default_branch_becomes_a_candidate_for_its_commit() {
    let candidate = queued(pushes("").push(&branch()).unwrap());
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    assert_eq!(
        candidate.dedupe_key,
        format!("push:{}", branch().body_sha256)
    );
    let source = PushSource {
        repository_id: 1_296_269,
        repository: "octo-org/web".to_owned(),
        actor: Some("octo-dev".to_owned()),
        url: Some("https://github.com/octo-org/web/compare/0d5c4b3a2918...3484a3fb816e".to_owned()),
    };
    assert_eq!(candidate.source, Source::Push(source));
    let revision = Revision {
        sha: Some(COMMIT.parse().unwrap()),
        branch: Some("main".to_owned()),
        tag: None,
    };
    assert_eq!((candidate.revision, candidate.image), (revision, None));
}

#[test]
fn another_branch_passes_only_by_the_gates_branches() {
    let mut event = branch();
    event.reference = "refs/heads/release/2".to_owned();
    let reason = ignored(pushes("").push(&event).unwrap());
    assert!(reason.to_string().contains("the default branch, \"main\""));
    let wide = pushes(r#", "branches": ["release/*"]"#);
    let candidate = queued(wide.push(&event).unwrap());
    assert_eq!(candidate.revision.branch.as_deref(), Some("release/2"));
    assert!(matches!(
        ignored(wide.push(&branch()).unwrap()),
        Reason::Branch { .. }
    ));
}

#[test]
fn a_branch_whose_name_looks_like_a_ref_is_no_other_branch() {
    let mut event = branch();
    for name in [
        "refs/heads/refs/heads/main",
        "refs/heads/refs/tags/v1",
        "main",
    ] {
        event.reference = name.to_owned();
        ignored(pushes("").push(&event).unwrap());
    }
}

#[test]
fn what_was_deleted_is_never_deployed() {
    let any = pushes(r#", "branches": ["*"]"#);
    let gone = Reason::Deleted("refs/heads/main".to_owned());
    let mut event = deleted();
    assert_eq!(ignored(any.push(&event).unwrap()), gone);
    event.deleted = None;
    assert_eq!(ignored(any.push(&event).unwrap()), gone);
    event.after = "0".repeat(64).parse().unwrap();
    assert_eq!(ignored(any.push(&event).unwrap()), gone);
    event.after = COMMIT.parse().unwrap();
    event.deleted = Some(true);
    assert_eq!(ignored(any.push(&event).unwrap()), gone);
}

#[test]
fn a_tag_passes_only_by_the_gates_branches_and_is_called_a_tag() {
    let event = annotated_tag();
    let reason = ignored(pushes("").push(&event).unwrap());
    assert_eq!(reason, Reason::NoTags("v1.4.0".to_owned()));
    let other = pushes(r#", "branches": ["main"]"#);
    assert!(matches!(
        ignored(other.push(&event).unwrap()),
        Reason::Branch { .. }
    ));
    let candidate = queued(
        pushes(r#", "branches": ["main", "v*"]"#)
            .push(&event)
            .unwrap(),
    );
    let revision = &candidate.revision;
    assert_eq!(revision.tag.as_ref().unwrap().as_str(), "v1.4.0");
    assert_eq!(revision.branch, None);
}

#[test]
fn an_annotated_tags_own_object_is_not_taken_for_the_commit() {
    let any = pushes(r#", "branches": ["*"]"#);
    let mut event = annotated_tag();
    assert_ne!(event.after.as_str(), COMMIT);
    let sha = |event: &PushEvent| queued(any.push(event).unwrap()).revision.sha;
    assert_eq!(sha(&event).unwrap().as_str(), COMMIT);
    event.head_commit = None;
    assert_eq!(sha(&event), None);
}

#[test]
fn a_tag_that_no_template_can_hold_and_other_refs_are_ignored() {
    let any = pushes(r#", "branches": ["*"]"#);
    let mut event = annotated_tag();
    for (reference, reason) in [
        ("refs/tags/release/1", Reason::Tag("release/1".to_owned())),
        ("refs/tags/$(id)", Reason::Tag("$(id)".to_owned())),
        ("refs/tags/", Reason::Ref("refs/tags/".to_owned())),
        ("refs/heads/", Reason::Ref("refs/heads/".to_owned())),
        (
            "refs/notes/commits",
            Reason::Ref("refs/notes/commits".to_owned()),
        ),
        (
            "refs/pull/7/head",
            Reason::Ref("refs/pull/7/head".to_owned()),
        ),
        ("", Reason::Ref(String::new())),
    ] {
        event.reference = reference.to_owned();
        assert_eq!(ignored(any.push(&event).unwrap()), reason);
    }
}

#[test]
fn a_branch_longer_than_git_allows_is_ignored() {
    let mut event = branch();
    event.reference = format!("refs/heads/{}", "x".repeat(5000));
    let reason = ignored(pushes(r#", "branches": ["*"]"#).push(&event).unwrap());
    assert!(reason.to_string().len() < 200);
}

#[test]
fn another_repository_than_the_gates_is_ignored_and_expiry_goes_along() {
    let other = pushes(r#", "repositories": ["octo-org/api"]"#);
    assert!(matches!(
        ignored(other.push(&branch()).unwrap()),
        Reason::Repository(_)
    ));
    let short = pushes(r#", "expires_in": "90s""#);
    assert_eq!(queued(short.push(&branch()).unwrap()).expires_in, Some(90));
}
