//! What is planned, and what is known of the container before.

use super::*;

#[test]
fn of_an_image_with_several_digests_the_one_that_a_deploy_brought_counts_as_long_as_it_is_among_them()
 {
    let mut shown = observed("ghcr.io/octo-org/web:main");
    let both = [OLD, NEW].map(|digest| format!("ghcr.io/octo-org/web@{digest}"));
    shown.image = Some(json!({ "RepoDigests": both }));
    let digest = |text: &str| text.parse().ok();
    assert_eq!(shown.digest(), digest(OLD));
    let shown = shown.brought(digest(NEW));
    assert_eq!(shown.digest(), digest(NEW));
    let another = format!("sha256:{}", "3".repeat(64));
    assert_eq!(shown.brought(digest(&another)).digest(), digest(OLD));
}

#[test]
fn only_a_container_that_the_engine_started_again_a_moment_ago_counts_as_restarting() {
    let was_restarting = |state: Value, count: u64| {
        let mut observed = observed("ghcr.io/octo-org/web:main");
        observed.container["State"] = state;
        observed.container["RestartCount"] = json!(count);
        let plan = planned(&observed, &new_image(), None).unwrap();
        plan.deploy.members[0].was_restarting
    };
    let since = |at: &str| json!({ "Running": true, "StartedAt": at });
    let (recent, long_ago) = (
        since("2026-11-20T14:59:30.1Z"),
        since("2026-11-20T14:00:00Z"),
    );
    assert!(was_restarting(recent.clone(), 2));
    assert!(!was_restarting(recent, 0));
    assert!(!was_restarting(long_ago, 2), "it has run for an hour since");
    assert!(was_restarting(
        json!({ "Running": true, "Restarting": true }),
        0
    ));
}

#[test]
fn a_plan_moves_the_tag_only_when_it_leads_elsewhere() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let plan = planned(&observed, &new_image(), Some("sha256:old")).unwrap();
    let member = &plan.deploy.members[0];
    assert_eq!(
        member.tag.as_ref().unwrap().from.as_deref(),
        Some("sha256:old")
    );
    assert_eq!((member.old.as_str(), member.runs), (ID, true));
    assert_eq!(plan.create[0].0.body["Image"], "ghcr.io/octo-org/web:main");
    assert_eq!(plan.deploy.from.digest, Some(digest(OLD)));
    let moved = planned(&observed, &new_image(), Some("sha256:new")).unwrap();
    assert_eq!(moved.deploy.members[0].tag, None);
}

#[test]
fn another_digest_and_another_platform_are_refused_before_anything_is_stopped() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let mut image = new_image();
    image["RepoDigests"] = json!([format!("ghcr.io/octo-org/web@{OLD}")]);
    assert_eq!(
        planned(&observed, &image, None).unwrap_err(),
        ImageMistake::Digest(digest(NEW))
    );
    let mut image = new_image();
    image["Architecture"] = json!("arm64");
    let error = planned(&observed, &image, None).unwrap_err().to_string();
    assert_eq!(
        error,
        "the image is for linux/arm64, and the container that it would replace is linux/amd64"
    );
}

#[test]
fn what_runs_is_known_by_digest() {
    let observed = observed("ghcr.io/octo-org/web:main");
    assert!(observed.has(&digest(OLD)) && !observed.has(&digest(NEW)));
    assert_eq!(observed.digest(), Some(digest(OLD)));
}
