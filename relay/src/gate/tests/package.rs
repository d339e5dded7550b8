//! Published packages, of which only a tagged container image counts.

use towline_protocol::{Image, PackageSource};

use super::*;
use crate::event::{PackageEvent, PackageVersion};

const DIGEST: &str = "sha256:8f1b3c5d7e9fa0b2c4d6e8f00112233445566778899aabbccddeeff001122334";

macro_rules! fixture {
    ($name:literal) => {
        read(include_bytes!(concat!(
            "../../../../tests/fixtures/github/registry_package.",
            $name,
            ".json"
        )))
    };
}

fn read(body: &[u8]) -> PackageEvent {
    let Event::RegistryPackage(package) = event::read("registry_package", body).unwrap() else {
        panic!("a package");
    };
    *package
}

pub(super) fn published() -> PackageEvent {
    fixture!("published")
}

fn decide(event: &PackageEvent) -> Decision {
    gate(r#"{"sources": ["registry_package"]}"#)
        .package(event)
        .unwrap()
}

/// What becomes of the published image after a change.
fn after(change: impl FnOnce(&mut PackageEvent)) -> Decision {
    let mut event = published();
    change(&mut event);
    decide(&event)
}

fn version(event: &mut PackageEvent) -> &mut PackageVersion {
    event.registry_package.package_version.as_mut().unwrap()
}

fn set_tag(event: &mut PackageEvent, name: Option<&str>) {
    let container = version(event).container_metadata.as_mut().unwrap();
    container.tag.as_mut().unwrap().name = name.map(str::to_owned);
}

fn reference(decision: Decision) -> String {
    queued(decision).image.unwrap().reference.unwrap()
}

#[test]
fn a_published_image_becomes_a_candidate_for_its_digest() {
    let candidate = queued(decide(&published()));
    assert_eq!(candidate.channel.as_str(), "octo-org/web");
    let key = format!("package:1296269:web:{DIGEST}:v1.4.0");
    assert_eq!(candidate.dedupe_key, key);
    let image = Image {
        reference: Some("ghcr.io/octo-org/web:v1.4.0".to_owned()),
        digest: Some(DIGEST.parse().unwrap()),
    };
    assert_eq!(candidate.image, Some(image));
    let source = PackageSource {
        repository_id: 1_296_269,
        repository: "octo-org/web".to_owned(),
        package: "web".to_owned(),
        tag: "v1.4.0".to_owned(),
        actor: Some("octocat".to_owned()),
        url: Some("https://github.com/orgs/octo-org/packages/container/package/web".to_owned()),
    };
    assert_eq!(candidate.source, Source::RegistryPackage(source));
    let sha = "3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap();
    let revision = Revision {
        sha: Some(sha),
        ..Revision::default()
    };
    assert_eq!(candidate.revision, revision);
}

#[test]
fn a_tag_that_moves_to_an_image_of_before_counts_and_any_other_action_does_not() {
    queued(after(|event| event.action = "updated".to_owned()));
    let reason = ignored(after(|event| event.action = "deleted".to_owned()));
    assert_eq!(
        reason.to_string(),
        "the action is \"deleted\"; only \"published\" or \"updated\" counts"
    );
}

#[test]
fn the_untagged_manifests_of_an_image_for_several_platforms_are_ignored() {
    assert_eq!(ignored(decide(&fixture!("untagged"))), Reason::NoTag);
    assert_eq!(ignored(after(|event| set_tag(event, None))), Reason::NoTag);
    let without = after(|event| version(event).container_metadata = None);
    assert_eq!(ignored(without), Reason::NoTag);
}

#[test]
fn a_package_of_another_kind_is_ignored() {
    let npm = ignored(decide(&fixture!("npm")));
    assert_eq!(npm, Reason::PackageType("npm".to_owned()));
    let none = after(|event| event.registry_package.package_version = None);
    assert!(matches!(ignored(none), Reason::PackageType(_)));
}

#[test]
fn an_image_is_known_by_any_of_the_three_places_that_say_it() {
    for place in 0..3 {
        let decision = after(|event| {
            let package = &mut event.registry_package;
            let kinds = [
                &mut package.package_type,
                &mut package.ecosystem,
                &mut package.registry.as_mut().unwrap().kind,
            ];
            for (at, kind) in kinds.into_iter().enumerate() {
                *kind = (at == place).then(|| "docker".to_owned());
            }
        });
        queued(decision);
    }
}

#[test]
fn a_version_that_is_no_digest_is_ignored() {
    for bad in [None, Some("1.4.0"), Some("sha256:8f1b"), Some("")] {
        let decision = after(|event| version(event).version = bad.map(str::to_owned));
        assert!(matches!(ignored(decision), Reason::NoDigest(_)), "{bad:?}");
    }
}

#[test]
fn a_package_without_a_repository_has_no_channel() {
    let reason = ignored(after(|event| event.repository = None));
    assert_eq!(reason, Reason::NoRepository);
    let mut event = published();
    event.repository.as_mut().unwrap().full_name = "web".to_owned();
    let gate = gate(r#"{"sources": ["registry_package"]}"#);
    assert!(gate.package(&event).is_err());
}

#[test]
fn a_tag_that_is_none_is_ignored() {
    for bad in ["a/b", "-x", "$(id)", &"x".repeat(129)] {
        let reason = ignored(after(|event| set_tag(event, Some(bad))));
        assert!(matches!(reason, Reason::Tag(_)), "{bad}");
    }
}

#[test]
fn an_address_that_is_not_the_images_is_put_together_from_owner_and_name() {
    for url in [
        "",
        "ghcr.io/octo-org/web:",
        "ghcr.io/octo-org/web:v9",
        "web:v1.4.0",
        "https://ghcr.io/octo-org/web:v1.4.0",
        "ghcr.io/octo-org/$(id):v1.4.0",
        "ghcr.io/../web:v1.4.0",
        ":v1.4.0",
    ] {
        let decision = after(|event| version(event).package_url = Some(url.to_owned()));
        assert_eq!(reference(decision), "ghcr.io/octo-org/web:v1.4.0", "{url}");
    }
    let own = "containers.ghe.example:5000/octo-org/web/api:v1.4.0";
    let decision = after(|event| version(event).package_url = Some(own.to_owned()));
    assert_eq!(reference(decision), own);
}

#[test]
fn without_an_address_and_an_owner_there_is_no_reference() {
    let decision = after(|event| {
        version(event).package_url = None;
        event.registry_package.owner = None;
    });
    assert_eq!(ignored(decision), Reason::NoReference("web".to_owned()));
    let odd = after(|event| {
        version(event).package_url = None;
        event.registry_package.name = "Not a name".to_owned();
    });
    assert!(matches!(ignored(odd), Reason::NoReference(_)));
}

#[test]
fn the_commit_of_an_image_that_this_one_was_built_upon_is_not_its_own() {
    let labels = |event: &mut PackageEvent, source: Option<&str>| {
        let container = version(event).container_metadata.as_mut().unwrap();
        let labels = container.labels.as_mut().unwrap().all_labels.as_mut();
        let source = source.map(str::to_owned);
        labels
            .unwrap()
            .insert("org.opencontainers.image.source".to_owned(), source);
    };
    let sha = |source: Option<&str>| queued(after(|event| labels(event, source))).revision.sha;
    for own in [
        "https://github.com/Octo-Org/Web",
        "https://github.com/octo-org/web.git",
    ] {
        assert!(sha(Some(own)).is_some(), "{own}");
    }
    for other in [
        None,
        Some("https://github.com/alpine/docker"),
        Some("octo-org/web/"),
    ] {
        assert_eq!(sha(other), None, "{other:?}");
    }
}

#[test]
fn the_commit_that_github_names_goes_before_the_labels() {
    let built = "f".repeat(40);
    let target = Some(built.clone());
    let candidate = queued(after(|event| version(event).target_commitish = target));
    assert_eq!(candidate.revision.sha.unwrap().as_str(), built);
}

#[test]
fn the_same_image_of_two_repositories_or_under_two_tags_is_two_causes() {
    let key = |decision| queued(decision).dedupe_key;
    let first = key(decide(&published()));
    let again = key(after(|event| event.action = "updated".to_owned()));
    assert_eq!(first, again);
    let other = key(after(|event| event.repository.as_mut().unwrap().id = 7));
    let tag = key(after(|event| set_tag(event, Some("latest"))));
    assert!(first != other && first != tag && other != tag);
}
