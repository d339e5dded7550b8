//! Releases, of which only their publishing counts.

use towline_protocol::ReleaseSource;

use super::*;
use crate::event::ReleaseEvent;

pub(super) fn published() -> ReleaseEvent {
    let body = include_bytes!("../../../../tests/fixtures/github/release.published.json");
    let Event::Release(release) = event::read("release", body).unwrap() else {
        panic!("a release");
    };
    *release
}

/// What becomes of the published release after a change, at a gate with `more` of its members.
fn after(more: &str, change: impl FnOnce(&mut ReleaseEvent)) -> Decision {
    let mut event = published();
    change(&mut event);
    gate(&format!(r#"{{"sources": ["release"]{more}}}"#))
        .release(&event)
        .unwrap()
}

#[test]
fn a_published_release_becomes_a_candidate_for_its_tag() {
    let candidate = queued(after("", |_| ()));
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    assert_eq!(candidate.dedupe_key, "release:1296269:55120331:published");
    let source = ReleaseSource {
        repository_id: 1_296_269,
        repository: "octo-org/web".to_owned(),
        release_id: 55_120_331,
        prerelease: false,
        actor: Some("octocat".to_owned()),
        url: Some("https://github.com/octo-org/web/releases/tag/v1.4.0".to_owned()),
    };
    assert_eq!(candidate.source, Source::Release(source));
    // The branch that a release says it was made from is a claim, and void where the tag was there before.
    let revision = Revision {
        sha: None,
        branch: None,
        tag: Some("v1.4.0".parse().unwrap()),
    };
    assert_eq!(candidate.revision, revision);
}

#[test]
fn only_publishing_counts_and_a_draft_never_does() {
    for action in [
        "created",
        "prereleased",
        "released",
        "edited",
        "deleted",
        "unpublished",
        "",
    ] {
        let reason = ignored(after("", |event| event.action = action.to_owned()));
        assert!(matches!(reason, Reason::Action { .. }), "{action}");
    }
    let draft = ignored(after("", |event| event.release.draft = Some(true)));
    assert_eq!(draft, Reason::Draft);
}

#[test]
fn a_pre_release_passes_as_one_so_that_the_host_can_tell() {
    let candidate = queued(after("", |event| event.release.prerelease = Some(true)));
    let Source::Release(release) = candidate.source else {
        panic!("a release");
    };
    assert!(release.prerelease);
}

#[test]
fn the_gates_branches_are_about_a_releases_tag_where_there_are_any() {
    queued(after(r#", "branches": ["v*"]"#, |_| ()));
    let reason = ignored(after(r#", "branches": ["main"]"#, |_| ()));
    assert!(matches!(reason, Reason::Branch { .. }), "{reason}");
    let elsewhere = ignored(after(r#", "repositories": ["octo-org/api"]"#, |_| ()));
    assert!(matches!(elsewhere, Reason::Repository(_)), "{elsewhere}");
}

#[test]
fn a_commit_is_taken_only_where_the_release_names_one() {
    let sha = "a".repeat(40);
    let named = Some(sha.clone());
    let candidate = queued(after("", |event| event.release.target_commitish = named));
    assert_eq!(candidate.revision.sha.unwrap().as_str(), sha);
    let without = queued(after("", |event| event.release.target_commitish = None));
    assert_eq!(without.revision.sha, None);
}

#[test]
fn a_tag_that_no_template_can_hold_is_ignored() {
    for tag in ["release/1", "v 1", "", "-v1"] {
        let reason = ignored(after("", |event| event.release.tag_name = tag.to_owned()));
        assert_eq!(reason, Reason::Tag(tag.to_owned()));
    }
}

#[test]
fn another_release_is_another_cause_and_the_same_one_is_not() {
    let key = |change: fn(&mut ReleaseEvent)| queued(after("", change)).dedupe_key;
    let first = key(|_| ());
    assert_eq!(first, key(|event| event.release.html_url = None));
    assert_ne!(first, key(|event| event.release.id += 1));
}
