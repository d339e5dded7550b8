//! Which image is asked for, and which local tag moves.

use towline_protocol::ActionsSource;

use super::*;

#[test]
fn without_a_template_the_containers_own_tag_is_asked_for() {
    let target = target(None, &intent(None), &observed("ghcr.io/octo-org/web:main")).unwrap();
    assert_eq!(target.wanted.to_string(), "ghcr.io/octo-org/web:main");
    assert_eq!(target.shown(&digest(NEW)), "ghcr.io/octo-org/web:main");
    assert_eq!(
        target.tag().unwrap().to_string(),
        "ghcr.io/octo-org/web:main"
    );
}

#[test]
fn a_template_says_what_is_pulled_and_the_container_keeps_its_reference() {
    let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
    let target = target(
        template.as_ref(),
        &intent(None),
        &observed("ghcr.io/octo-org/web:main"),
    )
    .unwrap();
    assert_eq!(
        target.wanted.to_string(),
        "ghcr.io/octo-org/web:sha-3484a3f"
    );
    assert_eq!(
        target.at(&digest(NEW)).to_string(),
        format!("ghcr.io/octo-org/web@{NEW}")
    );
    assert_eq!(target.shown(&digest(NEW)), "ghcr.io/octo-org/web:main");
}

#[test]
fn the_local_tag_of_another_repository_is_left_alone() {
    let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
    for placeholder in ["nginx:latest", "nginx", "ghcr.io/octo-org/web2:main"] {
        let target = target(template.as_ref(), &intent(None), &observed(placeholder)).unwrap();
        let own = "ghcr.io/octo-org/web:sha-3484a3f";
        assert_eq!(target.shown(&digest(NEW)), own, "{placeholder}");
        assert_eq!(target.tag().unwrap().to_string(), own, "{placeholder}");
    }
}

#[test]
fn a_reference_with_a_digest_keeps_its_form_and_moves_no_tag() {
    let observed = observed(&format!("ghcr.io/octo-org/web:v1@{OLD}"));
    let target = target(None, &intent(None), &observed).unwrap();
    assert_eq!(
        target.shown(&digest(NEW)),
        format!("ghcr.io/octo-org/web:v1@{NEW}")
    );
    assert_eq!(target.tag(), None);
}

#[test]
fn the_number_of_the_run_that_asks_is_not_that_of_a_run_that_has_built_something() {
    let numbered = template("ghcr.io/octo-org/web:{run_number}");
    let observed = observed("ghcr.io/octo-org/web:main");
    let built = target(numbered.as_ref(), &intent(None), &observed).unwrap();
    assert_eq!(built.wanted.tag(), Some("163"));
    let asked = Source::Actions(ActionsSource {
        repository_id: 1,
        repository_owner_id: 2,
        repository: "octo-org/web".to_owned(),
        workflow: ".github/workflows/redeploy.yml".to_owned(),
        run_id: 3,
        run_number: 7,
        run_attempt: 1,
        event: "workflow_dispatch".to_owned(),
        actor: None,
        reason: String::new(),
    });
    let asked = Intent {
        source: asked,
        ..intent(None)
    };
    assert!(target(numbered.as_ref(), &asked, &observed).is_err());
}

#[test]
fn an_intent_may_change_tag_and_digest_but_not_the_repository() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let asked = by_reference(&format!("ghcr.io/octo-org/web:v2@{NEW}"));
    let found = target(None, &asked, &observed).unwrap();
    assert_eq!(
        (found.wanted.tag(), found.digest),
        (Some("v2"), Some(digest(NEW)))
    );
    for other in [
        "ghcr.io/mallory/web:v2",
        "octo-org/web:v2",
        "ghcr.io/octo-org/web2",
    ] {
        let refused = target(None, &by_reference(other), &observed).unwrap_err();
        assert!(matches!(refused, Refusal::Repository { .. }), "{refused}");
    }
    assert!(matches!(
        target(None, &by_reference("Not a reference"), &observed),
        Err(Refusal::Reference(_))
    ));
    let both = intent(Some(Image {
        reference: Some(format!("ghcr.io/octo-org/web@{OLD}")),
        digest: Some(digest(NEW)),
    }));
    assert_eq!(target(None, &both, &observed), Err(Refusal::TwoDigests));
}

#[test]
fn a_template_that_the_intent_cannot_fill_is_refused_unless_a_digest_says_enough() {
    let template = template("ghcr.io/octo-org/web:{tag}");
    let observed = observed("ghcr.io/octo-org/web:main");
    assert!(matches!(
        target(template.as_ref(), &intent(None), &observed),
        Err(Refusal::Template(_))
    ));
    let by_digest = intent(Some(Image {
        reference: None,
        digest: Some(digest(NEW)),
    }));
    let found = target(template.as_ref(), &by_digest, &observed).unwrap();
    assert_eq!(
        found.at(&digest(NEW)).to_string(),
        format!("ghcr.io/octo-org/web@{NEW}")
    );
}

#[test]
fn a_container_made_from_an_id_needs_a_template() {
    for id in [
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789ab",
    ] {
        assert!(
            matches!(
                target(None, &intent(None), &observed(id)),
                Err(Refusal::NoTag(_))
            ),
            "{id}"
        );
        let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
        let found = target(template.as_ref(), &intent(None), &observed(id)).unwrap();
        assert_eq!(
            found.shown(&digest(NEW)),
            "ghcr.io/octo-org/web:sha-3484a3f"
        );
    }
    let pinned = observed(&format!("ghcr.io/octo-org/web@{OLD}"));
    assert!(matches!(
        target(None, &intent(None), &pinned),
        Err(Refusal::NoTag(_))
    ));
}
