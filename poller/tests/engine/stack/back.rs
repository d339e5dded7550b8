//! The way back: the images before run again, whether or not their version is known, and nothing is left beside them.

use std::collections::BTreeMap;

use towline::compose::{
    Back, Found, Of, Pulled, Tools, Variables, beside, fetch, keep_pulled, keep_running, let_go,
    look, missing, pins, strayed, tag_away, up_new, up_old,
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
    for extra in beside(&["web"], &brought, &now) {
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
    crate::scene::docker(&["image", "prune", "--force"]);
    assert_eq!(image_id(&kept[0].tag), old[0].image);
    let_go(&stack.engine, &[kept[0].tag.clone()].into()).await;
    assert_eq!(stack.engine.image(&old[0].image).await.unwrap(), None);
}

/// Goes back from the version `new` to one that `old` is known of, with the file as it is.
async fn go_back(
    stack: &Stack,
    old: &Variables,
    new: &Variables,
    found: &Found,
    pulled: &[Pulled],
) {
    stack.untag(pulled).await;
    let project = stack.project();
    let images: Vec<_> = found
        .before
        .iter()
        .map(|one| (one.service.as_str(), one.image.as_str()))
        .collect();
    let back = Back {
        old: Of {
            project: &project,
            told: old,
        },
        new,
        brought: &found.brought(pulled),
        before: &images,
        tags: &pulled
            .iter()
            .filter_map(|one| one.tag.clone())
            .collect::<Vec<_>>(),
        stop_timeout: None,
    };
    let tools = Tools {
        cli: &stack.cli,
        engine: &stack.engine,
    };
    up_old(tools, back, &mut |_| Ok(()), &mut |_| ())
        .await
        .unwrap();
}

/// Brings up what `told` says, and returns what was found before.
async fn go_on(stack: &Stack, old: &Variables, told: &Variables) -> (Found, Vec<Pulled>) {
    let project = stack.project();
    let of = |told| Of {
        project: &project,
        told,
    };
    let tools = Tools {
        cli: &stack.cli,
        engine: &stack.engine,
    };
    let found = look(tools, of(told), of(old), None).await.unwrap();
    let pulled = fetch(&stack.engine, &found, &mut |_| ()).await.unwrap();
    stack.tag(&pulled).await;
    let brought = found.brought(&pulled);
    up_new(
        tools,
        of(told),
        &brought,
        None,
        &mut |_| Ok(()),
        &mut |_| (),
    )
    .await
    .unwrap();
    assert_eq!(
        strayed(&brought.wanted, &stack.containers().await, &brought.images),
        None
    );
    (found, pulled)
}

#[tokio::test]
async fn the_first_deploy_of_a_file_that_must_be_told_its_commit_can_be_taken_back() {
    let text =
        "services:\n  web: {image: \"@-web:${TOWLINE_SHA:?}\"}\n  db: {image: \"@-web:v1\"}\n";
    let stack = Stack::new("first", text).await;
    push("first-web", "v1", "ok", &[]);
    push("first-web", "v2", "ok", &[]);
    stack.deploy(&told("v1")).await;
    let before = stack.containers().await;

    let (found, pulled) = go_on(&stack, &[], &told("v2")).await;
    assert!(missing(states(&before), &stack.containers().await).is_some());
    go_back(&stack, &[], &told("v2"), &found, &pulled).await;
    assert_eq!(missing(states(&before), &stack.containers().await), None);
    let left = crate::scene::docker(&["images", "--quiet", &image("first-web", "v2")]);
    assert_eq!(left, "", "a tag that was not there before");
}

#[tokio::test]
async fn back_from_the_very_first_version_nothing_is_left_but_volumes() {
    let text =
        "services: {web: {image: \"@-web:live\", volumes: [\"kept:/kept\"]}}\nvolumes: {kept: {}}";
    let stack = Stack::new("nothing", text).await;
    stack.release("web", "v1");
    let (found, pulled) = go_on(&stack, &[], &[]).await;
    assert_eq!(found.before, []);
    go_back(&stack, &[], &[], &found, &pulled).await;
    assert_eq!(stack.containers().await, []);
    crate::scene::docker(&["volume", "inspect", "nothing_kept"]);
}

#[tokio::test]
async fn a_project_that_somebody_is_bringing_up_is_left_alone() {
    let stack = Stack::new("busy", "services: {web: {image: \"@-web:live\"}}").await;
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    let half = [
        "--label=com.docker.compose.project=busy",
        "--label=com.docker.compose.service=web",
    ];
    let image = image("busy-web", "live");
    let create = [
        "create",
        "--name",
        "0123456789ab_busy-web-1",
        half[0],
        half[1],
        &image,
    ];
    crate::scene::docker(&create);
    let project = stack.project();
    let of = Of {
        project: &project,
        told: &[],
    };
    let tools = Tools {
        cli: &stack.cli,
        engine: &stack.engine,
    };
    let refused = look(tools, of, of, None).await.unwrap_err().to_string();
    assert!(
        refused.contains("a container of the project is half made"),
        "{refused}"
    );
}
