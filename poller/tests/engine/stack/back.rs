//! The way back: the images before run again, whether or not their version is known, and nothing is left beside them.

use std::{collections::BTreeMap, time::Duration};

use towline::compose::{
    Back, Patience, Variables, beside, keep_pulled, keep_running, let_go, missing, pins,
    resolve_old, strayed, tag_away, up_old,
};

use super::{Stack, image_id, told};
use crate::scene::{image, push};

/// The services, images and states before, as a journal keeps them.
fn states(before: &[towline::compose::Container]) -> Vec<(&str, &str, bool)> {
    let all = before.iter();
    all.map(|one| (one.service.as_str(), one.image.as_str(), one.runs))
        .collect()
}

#[tokio::test]
async fn with_its_tags_back_a_project_runs_the_old_images_and_nothing_new() {
    let old = "services:\n  web: {image: \"@-web:live\"}\n";
    let stack = Stack::new("goback", old).await;
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    let before = stack.containers().await;

    stack.release("web", "v2");
    stack.release("extra", "v2");
    stack.write("compose.yml", &format!("{old}  extra: {{image: \"@-extra:live\", volumes: [\"kept:/kept\"]}}\nvolumes: {{kept: {{}}}}\n"));
    let (new, pulled) = stack.deploy(&[]).await;
    assert!(missing(states(&before), &stack.containers().await).is_some());

    stack.untag(&pulled).await;
    stack.write("compose.yml", old);
    let services = ["web".to_owned()];
    stack.up(&services, &[], &BTreeMap::new()).await.unwrap();
    let now = stack.containers().await;
    assert_eq!(missing(states(&before), &now), None);
    let brought: Vec<_> = new.services.keys().map(String::as_str).collect();
    for extra in beside(&states(&before), &brought, &now) {
        stack.engine.stop(&extra.id, None).await.unwrap();
        stack.engine.remove(&extra.id).await.unwrap();
    }
    assert_eq!(stack.only("web").await.image, before[0].image);
    assert_eq!(stack.containers().await.len(), 1);
    let tags: Vec<_> = pulled
        .iter()
        .filter_map(|pulled| pulled.tag.clone())
        .collect();
    tag_away(&stack.engine, &tags).await.unwrap();
    let left = crate::scene::docker(&["images", "--quiet", &image("goback-extra", "live")]);
    assert_eq!(left, "", "a tag that was not there before");
    crate::scene::docker(&["volume", "inspect", "goback_kept"]);

    stack.by_hand(&["up", "--detach"]);
    assert_eq!(stack.containers().await.len(), 1);
}

#[tokio::test]
async fn a_version_before_that_nobody_knows_is_named_by_its_image() {
    let text = "services:\n  web: {image: \"@-web:${TOWLINE_SHA:-live}\"}\n";
    let stack = Stack::new("unknown", text).await;
    push("unknown-web", "v1", "ok", &[]);
    push("unknown-web", "v2", "ok", &[]);
    stack.deploy(&told("v1")).await;
    let before = stack.containers().await;
    stack.deploy(&told("v2")).await;

    let resolved = stack.resolve(&[]).await.unwrap();
    let images: Vec<_> = before
        .iter()
        .map(|one| (one.service.as_str(), one.image.as_str()))
        .collect();
    let by_id = pins(&stack.engine, &resolved, &images).await.unwrap();
    assert_eq!(by_id["web"], image_id(&image("unknown-web", "v1")));
    stack.up(&resolved.wanted, &[], &by_id).await.unwrap();
    assert_eq!(missing(states(&before), &stack.containers().await), None);

    let known = stack.resolve(&told("v1")).await.unwrap();
    let none = pins(&stack.engine, &known, &images).await.unwrap();
    assert_eq!(none, BTreeMap::new(), "its own name leads there");
}

#[tokio::test]
async fn an_image_that_is_kept_outlives_a_pruning_until_it_is_let_go() {
    let stack = Stack::new("keeper", "services: {web: {image: \"@-web:live\"}}").await;
    let service = "keeper".parse().unwrap();
    stack.release("web", "v1");
    let (resolved, pulled) = stack.deploy(&[]).await;
    let old = stack.containers().await;
    let kept = keep_running(&stack.engine, &service, &old, &resolved.wanted)
        .await
        .unwrap();
    assert_eq!(
        kept,
        keep_pulled(&stack.engine, &service, &pulled).await.unwrap()
    );
    assert_eq!(kept[0].reference, image("keeper-web", "live"));
    assert!(
        kept[0].tag.starts_with("towline/keeper:"),
        "{}",
        kept[0].tag
    );

    stack.release("web", "v2");
    stack.deploy(&[]).await;
    crate::scene::prune(stack.name);
    assert_eq!(image_id(&kept[0].tag), old[0].image);
    let_go(&stack.engine, &[kept[0].tag.clone()].into()).await;
    assert_eq!(stack.engine.image(&old[0].image).await.unwrap(), None);
}

/// Deploys `new` and goes back, with the file as it is, to what there was, of which `old` is known.
async fn there_and_back(stack: &Stack, old: &Variables, new: &Variables) {
    let before = stack.containers().await;
    let (resolved, pulled) = stack.deploy(new).await;
    let images: BTreeMap<_, _> = pulled
        .iter()
        .flat_map(|one| {
            one.services
                .iter()
                .map(|service| (service.clone(), one.id.clone()))
        })
        .collect();
    assert_eq!(
        strayed(&resolved.wanted, &stack.containers().await, &images),
        None
    );
    stack.untag(&pulled).await;
    let brought: Vec<_> = resolved.services.into_keys().collect();
    let back = Back {
        project: &stack.project(),
        name: stack.name,
        old,
        new,
        before: &states(&before),
        brought: &brought,
        tags: &pulled
            .iter()
            .filter_map(|one| one.tag.clone())
            .collect::<Vec<_>>(),
        stop_timeout: None,
        patience: Patience::AFTER_ANOTHER,
    };
    for _ in 0..2 {
        let (mut begun, mut line) = (|_: &_| Ok(()), |_: &_| ());
        up_old(&stack.cli, &stack.engine, &back, &mut begun, &mut line)
            .await
            .unwrap();
        let now = stack.containers().await;
        assert_eq!(missing(states(&before), &now), None);
        let old = states(&before);
        let is_old = |one: &towline::compose::Container| {
            old.iter()
                .any(|(service, image, _)| (*service, *image) == (&one.service, &one.image))
        };
        assert!(now.iter().all(is_old), "{now:?}");
        assert!(now.len() <= before.len(), "{now:?}");
    }
}

#[tokio::test]
async fn the_first_deploy_of_a_file_that_must_be_told_its_commit_can_be_taken_back() {
    let text =
        "services:\n  web: {image: \"@-web:${TOWLINE_SHA:?}\"}\n  db: {image: \"@-web:v1\"}\n";
    let stack = Stack::new("first", text).await;
    push("first-web", "v1", "ok", &[]);
    push("first-web", "v2", "ok", &[]);
    stack.deploy(&told("v1")).await;
    there_and_back(&stack, &[], &told("v2")).await;
    let left = crate::scene::docker(&["images", "--quiet", &image("first-web", "v2")]);
    assert_eq!(left, "", "a tag that was not there before");
}

#[tokio::test]
async fn a_job_that_others_wait_for_is_done_again_by_its_old_image() {
    let text = "services:\n  web: {image: \"@-web:${TOWLINE_SHA:?}\", depends_on: {job: {condition: service_completed_successfully}}}\n  \
                job: {image: \"@-web:${TOWLINE_SHA:?}\", command: [done]}\n";
    let stack = Stack::new("job", text).await;
    push("job-web", "v1", "ok", &[]);
    push("job-web", "v2", "ok", &[]);
    stack.deploy(&told("v1")).await;
    let before = stack.only("job").await;
    assert!(before.is_done, "{before:?}");
    there_and_back(&stack, &[], &told("v2")).await;
    assert_eq!(stack.only("job").await.image, before.image);
}

#[tokio::test]
async fn a_service_that_was_scaled_by_hand_has_as_many_containers_again() {
    let text = "services:\n  web: {image: \"@-web:live\"}\n  worker: {image: \"@-web:live\", deploy: {replicas: 2}}\n  \
                named: {image: \"@-web:live\", container_name: scaled-by-name}\n";
    let stack = Stack::new("scaled", text).await;
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    stack.by_hand(&["up", "--detach", "--scale", "worker=3", "--scale", "web=2"]);
    assert_eq!(stack.containers().await.len(), 6);
    stack.release("web", "v2");
    there_and_back(&stack, &[], &[]).await;
}

#[tokio::test]
async fn of_services_that_did_not_run_no_container_of_the_failed_version_is_left() {
    let text = "services:\n  web: {image: \"@-web:live\"}\n  idle: {image: \"@-web:live\", volumes: [\"kept:/kept\"]}\n  \
                job: {image: \"@-web:live\", command: [done]}\nvolumes: {kept: {}}\n";
    let stack = Stack::new("left", text).await;
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    stack.by_hand(&["stop", "idle"]);
    while !stack.only("job").await.is_done {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stack.release("web", "v2");
    there_and_back(&stack, &[], &[]).await;
    let now = stack.containers().await;
    let names: Vec<_> = now.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["left-web-1"]);
    crate::scene::docker(&["volume", "inspect", "left_kept"]);
}

#[tokio::test]
async fn back_from_the_very_first_version_nothing_is_left_but_volumes() {
    let text =
        "services: {web: {image: \"@-web:live\", volumes: [\"kept:/kept\"]}}\nvolumes: {kept: {}}";
    let stack = Stack::new("nothing", text).await;
    stack.release("web", "v1");
    there_and_back(&stack, &[], &[]).await;
    crate::scene::docker(&["volume", "inspect", "nothing_kept"]);
}

#[tokio::test]
async fn a_file_that_nothing_could_go_back_to_is_refused_in_the_words_about_it() {
    let stack = Stack::new("broken", "services: {web: {image: 'w:${GONE}'}}").await;
    let project = stack.project();
    let refused = resolve_old(&stack.cli, &project, &[], &told("v2")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("GONE is not set"), "{refused}");
}
