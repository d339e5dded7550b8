//! Bringing a project up: what is wanted and nothing else, and what a user's own `docker compose` finds afterwards.

use std::{collections::BTreeMap, fs, time::Duration};

use towline::compose::{Project, unchanged};

use super::{Stack, image_id, told};
use crate::scene::image;

const PAIR: &str = "services:\n  web: {image: \"@-web:live\", depends_on: [db]}\n  db: {image: \"@-db:live\", volumes: [\"/kept\"]}\n";

/// The ids of the images by service.
fn by_service(pulled: &[towline::compose::Pulled]) -> BTreeMap<String, String> {
    let all = pulled.iter().flat_map(|pulled| {
        let services = pulled.services.iter();
        services.map(|service| (service.clone(), pulled.id.clone()))
    });
    all.collect()
}

#[tokio::test]
async fn an_image_is_pulled_by_digest_and_only_then_tagged_and_a_user_finds_nothing_to_do_after_it()
{
    let stack = Stack::new("pair", PAIR).await;
    let tag = image("pair-web", "live");
    stack.release("db", "v1");
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    let first = stack.only("web").await;

    let digest = stack.release("web", "v2");
    let (resolved, pulled) = stack.prepared(&[]).await;
    assert_eq!(image_id(&tag), first.image, "not touched yet");
    assert!(!unchanged(
        &resolved,
        &stack.containers().await,
        &by_service(&pulled)
    ));
    let web = pulled.iter().find(|one| one.services == ["web"]).unwrap();
    assert_eq!(web.digest.as_ref().unwrap().to_string(), digest);
    let db = pulled.iter().find(|one| one.services == ["db"]).unwrap();
    assert_eq!((db.is_new, &db.tag), (false, &None));

    stack.tag(&pulled).await;
    stack
        .up(&resolved.wanted, &[], &BTreeMap::new())
        .await
        .unwrap();
    let now = stack.containers().await;
    assert_eq!(stack.only("web").await.image, web.id);
    assert!(unchanged(&resolved, &now, &by_service(&pulled)));

    stack.by_hand(&["up", "--detach"]);
    assert_eq!(stack.containers().await, now);
    stack
        .up(&resolved.wanted, &[], &BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(stack.containers().await, now, "once more changes nothing");
}

#[tokio::test]
async fn a_dependency_that_is_not_named_keeps_its_image_and_is_pulled_only_when_it_is_missing() {
    let stack = Stack::new("depends", PAIR).await.wants(&["web"]);
    stack.release("db", "v1");
    stack.release("web", "v1");
    let (_, pulled) = stack.deploy(&[]).await;
    assert_eq!(pulled.len(), 2, "both were missing");
    let db = stack.only("db").await;

    stack.release("db", "v2");
    stack.release("web", "v2");
    let (_, pulled) = stack.deploy(&[]).await;
    assert_eq!(pulled.len(), 1);
    assert_eq!(stack.only("db").await, db);
}

#[tokio::test]
async fn a_dependency_that_would_have_to_be_built_has_to_be_here() {
    let text = "services:\n  web: {image: \"@-web:live\", depends_on: [db]}\n  db: {build: .}\n";
    let stack = Stack::new("built", text).await.wants(&["web"]);
    stack.release("web", "v1");
    let resolved = stack.resolve(&[]).await.unwrap();
    let missing = towline::compose::pull_missing(&stack.engine, &resolved, &mut |_| ()).await;
    let said = missing.unwrap_err().to_string();
    assert!(said.contains("docker compose build db"), "{said}");

    stack.release("db", "v1");
    let reference = image("built-db", "live");
    crate::scene::docker(&["pull", "--quiet", &reference]);
    crate::scene::docker(&["tag", &reference, "built-db"]);
    stack.deploy(&[]).await;
    assert_eq!(stack.only("db").await.image, image_id("built-db"));
}

#[tokio::test]
async fn a_commit_and_values_of_a_file_get_into_the_project() {
    let text =
        "services:\n  web: {image: \"@-web:${TOWLINE_SHA}\", environment: {SET: \"${SET}\"}}\n";
    let mut stack = Stack::new("values", text).await;
    stack.write("prod.env", "SET=from prod.env\n");
    stack.part.env_file = Some(stack.path("prod.env"));
    for version in ["aaaaaaa", "bbbbbbb"] {
        crate::scene::push("values-web", version, "ok", &[]);
        stack.deploy(&told(version)).await;
        let web = stack.only("web").await;
        assert_eq!(web.reference, image("values-web", version));
        let shown = crate::scene::inspect(&web.id);
        assert!(
            shown["Config"]["Env"]
                .to_string()
                .contains("SET=from prod.env")
        );
    }
}

#[tokio::test]
async fn only_what_is_named_or_active_is_brought_up() {
    let text = "services:\n  web: {image: \"@-web:live\"}\n  job: {image: \"@-web:live\", profiles: [jobs]}\n  \
                other: {image: \"@-web:live\", profiles: [others]}\n";
    let stack = Stack::new("profiled", text).await;
    stack.release("web", "v1");
    let services = async |stack: &Stack| {
        let all = stack.containers().await;
        all.into_iter().map(|one| one.service).collect::<Vec<_>>()
    };
    stack.deploy(&[]).await;
    assert_eq!(services(&stack).await, ["web"]);
    let stack = stack.wants(&["other"]);
    let (resolved, pulled) = stack.deploy(&[]).await;
    assert_eq!(services(&stack).await, ["other", "web"]);
    assert!(unchanged(
        &resolved,
        &stack.containers().await,
        &by_service(&pulled)
    ));
    let mut stack = stack.wants(&[]);
    stack.part.profiles = vec!["jobs".to_owned()];
    stack.deploy(&[]).await;
    assert_eq!(services(&stack).await, ["job", "other", "web"]);
}

#[tokio::test]
async fn a_service_that_ends_well_is_done_and_nothing_is_left_to_do() {
    let text = "services:\n  web: {image: \"@-web:live\"}\n  job: {image: \"@-web:live\", command: [done]}\n";
    let stack = Stack::new("oneshot", text).await;
    stack.release("web", "v1");
    let (resolved, pulled) = stack.deploy(&[]).await;
    while !stack.only("job").await.is_done {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let now = stack.containers().await;
    assert!(unchanged(&resolved, &now, &by_service(&pulled)));
    // A user's own Compose starts it once more, and so does another deploy.
    stack.by_hand(&["up", "--detach"]);
    assert_eq!(stack.only("job").await.id, now[0].id);
}

#[tokio::test]
async fn a_service_inside_of_another_is_never_said_to_be_unchanged() {
    let text = "services:\n  web: {image: \"@-web:live\"}\n  side: {image: \"@-web:live\", command: [wait], network_mode: \"service:web\"}\n";
    let stack = Stack::new("shared", text).await;
    stack.release("web", "v1");
    let (resolved, pulled) = stack.deploy(&[]).await;
    let now = stack.containers().await;
    assert!(
        !unchanged(&resolved, &now, &by_service(&pulled)),
        "Compose's hash of it is not told"
    );
    stack.deploy(&[]).await;
    assert_eq!(stack.containers().await, now);
}

#[tokio::test]
async fn a_dependency_that_fails_is_why_the_project_is_not_up() {
    let text = "services:\n  web: {image: \"@-web:live\", depends_on: {job: {condition: service_completed_successfully}}}\n  \
                job: {image: \"@-web:live\", command: [env]}\n";
    let stack = Stack::new("unmet", text).await;
    stack.release("web", "v1");
    let (resolved, pulled) = stack.prepared(&[]).await;
    stack.tag(&pulled).await;
    let none = BTreeMap::new();
    let up = stack.up(&resolved.wanted, &[], &none).await;
    let said = up.unwrap_err().to_string();
    assert!(said.contains("job") && said.contains("exit 1"), "{said}");
}

#[tokio::test]
async fn a_scratch_copy_of_another_commit_is_the_same_project() {
    let stack = Stack::new("checkout", PAIR).await;
    let checkout = stack.path("");
    let scratch = tempfile::tempdir().unwrap();
    fs::write(
        scratch.path().join("compose.yml"),
        "services: {web: {image: 'w:${COMPOSE_PROJECT_NAME}'}}",
    )
    .unwrap();
    let project = Project::in_scratch(&stack.part, &checkout, scratch.path());
    let resolved = stack.cli.resolve(&project, &[]).await.unwrap();
    assert_eq!(resolved.name, "checkout");
    assert_eq!(resolved.services["web"].image, "w:checkout");

    fs::write(
        scratch.path().join("compose.yml"),
        "name: other\nservices: {web: {image: w}}",
    )
    .unwrap();
    let resolved = stack.cli.resolve(&project, &[]).await.unwrap();
    assert_eq!(resolved.name, "other");
}
