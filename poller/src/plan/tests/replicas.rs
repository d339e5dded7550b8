//! Several containers of one label: whether they are replicas, what they are to have, and one deploy of all.

use super::*;

/// The container `name`, made from `reference`.
fn replica(name: &str, reference: &str) -> Observed {
    let mut observed = observed(reference);
    observed.container["Id"] = json!(format!("id-of-{name}"));
    observed.container["Name"] = json!(format!("/{name}"));
    observed
}

const LIVE: &str = "ghcr.io/octo-org/web:live";

fn told(found: &[Observed]) -> Option<String> {
    let label = "app=web".parse().unwrap();
    unlike(&label, found).map(|refused| refused.to_string())
}

#[test]
fn containers_of_one_repository_are_replicas_whatever_tag_or_digest_they_were_made_from() {
    let pinned = format!("ghcr.io/octo-org/web@{OLD}");
    let by_id = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let references = [LIVE, "ghcr.io/octo-org/web:next", &pinned, by_id];
    assert_eq!(told(&references.map(|one| replica("web", one))), None);
}

#[test]
fn containers_of_different_repositories_are_refused_with_what_each_was_made_from() {
    let found = [
        replica("api", "ghcr.io/octo-org/api:live"),
        replica("web", LIVE),
    ];
    let expected = "the label app=web must lead to one container, or to several of one image repository, and 2 have it: \
                    api (ghcr.io/octo-org/api:live), web (ghcr.io/octo-org/web:live)";
    assert_eq!(told(&found).as_deref(), Some(expected));
}

#[test]
fn replicas_with_different_tags_need_an_image_or_a_digest_that_says_which_they_are_to_have() {
    let found = [
        replica("web-1", LIVE),
        replica("web-2", "ghcr.io/octo-org/web:next"),
    ];
    let refused = targets(None, &intent(None), &found)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("web-2 (ghcr.io/octo-org/web:next)") && refused.contains("set image"),
        "{refused}"
    );
    let image = template("ghcr.io/octo-org/web:{sha}");
    let wanted = targets(image.as_ref(), &intent(None), &found).unwrap();
    assert_eq!(wanted[0].wanted, wanted[1].wanted);
    assert_eq!(wanted[1].shown(&digest(NEW)), "ghcr.io/octo-org/web:next");
    let by_digest = intent(Some(Image {
        reference: None,
        digest: Some(digest(NEW)),
    }));
    assert_eq!(targets(None, &by_digest, &found).unwrap().len(), 2);
}

/// The plan of one deploy of all of them, whose tags lead nowhere yet.
fn whole(found: &[Observed]) -> Plan {
    let one = |observed: &Observed| {
        let naming = Naming {
            container: observed.name(),
            ..naming(None)
        };
        let target = target(None, &intent(None), observed).unwrap();
        let to = Side::default();
        plan(observed, &target, &digest(NEW), &new_image(), naming, to).unwrap()
    };
    joined(found.iter().map(one).collect()).unwrap()
}

#[test]
fn one_deploy_replaces_all_of_them_and_moves_their_tag_once() {
    let found = ["web-1", "web-2", "web-3"].map(|name| replica(name, LIVE));
    let plan = whole(&found);
    let names: Vec<_> = plan.deploy.members.iter().map(|one| &one.name).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    let moves = plan.deploy.members.iter().map(|one| one.tag.is_some());
    assert_eq!(moves.collect::<Vec<_>>(), [true, false, false]);
    let made = plan.create.iter().map(|(create, image)| {
        let of = &create.body["Labels"]["towline.predecessor"];
        (of.as_str().unwrap(), image.as_str())
    });
    let expected = ["web-1", "web-2", "web-3"].map(|name| (format!("id-of-{name}"), "sha256:new"));
    let expected = expected.iter().map(|(id, image)| (id.as_str(), *image));
    assert!(made.eq(expected), "{plan:?}");
    assert_eq!(plan.deploy.from.digest, Some(digest(OLD)));
}

#[test]
fn where_they_had_different_versions_the_deploy_is_from_none_of_these() {
    let mut second = replica("web-2", LIVE);
    let other = format!("ghcr.io/octo-org/web@sha256:{}", "3".repeat(64));
    second.image.as_mut().unwrap()["RepoDigests"] = json!([other]);
    let found = [replica("web-1", LIVE), second];
    assert_eq!(whole(&found).deploy.from.digest, None);
    assert_eq!(digest_of(&found), None);
    assert_eq!(digest_of(&found[..1]), Some(digest(OLD)));
    assert!(joined(Vec::new()).is_none() && digest_of(&[]).is_none());
}

#[test]
fn names_are_told_as_people_say_them() {
    let found = ["web-1", "web-2", "web-3"].map(|name| replica(name, LIVE));
    assert_eq!(named(&found), "web-1, web-2 and web-3");
    assert_eq!(named(&found[..2]), "web-1 and web-2");
    assert_eq!(named(&found[..1]), "web-1");
    assert_eq!(named([]), "");
}
