//! A project's images: one that is not there, one by digest, one for another platform.

use towline::compose::{ImageTrouble, asked, digests, pull};

use super::Stack;
use crate::{
    faulty::{Fault, Faulty},
    scene::{Scene, docker, image},
};

#[tokio::test]
async fn an_image_that_is_not_there_yet_is_told_by_its_name_and_nothing_is_touched() {
    let text = "services: {web: {image: \"@-web:live\"}, worker: {image: \"@-worker:live\"}}";
    let stack = Stack::new("notyet", text).await;
    stack.release("web", "v1");
    let resolved = stack.resolve(&[]).await.unwrap();
    let missing = digests(&stack.engine, asked(&resolved, None).unwrap())
        .await
        .unwrap_err();
    assert!(missing.trouble.may_pass());
    assert!(
        missing.to_string().contains("notyet-worker:live"),
        "{missing}"
    );
    let tags = docker(&["images", "--quiet", &image("notyet-web", "live")]);
    assert_eq!(tags, "");
}

#[tokio::test]
async fn an_image_by_digest_is_pulled_and_has_no_tag_to_move() {
    let stack = Stack::new("pinned", "services: {}").await;
    let digest = stack.release("web", "v1");
    for reference in [format!("@-web@{digest}"), format!("@-web:v1@{digest}")] {
        let text = format!("services: {{web: {{image: \"{reference}\"}}}}");
        let text = text.replacen("@-web", &image("pinned-web", "").replace("web:", "web"), 1);
        std::fs::write(&stack.part.file, text).unwrap();
        let (_, pulled) = stack.deploy(&[]).await;
        assert_eq!(pulled[0].tag, None);
        assert_eq!(stack.only("web").await.image, pulled[0].id);
    }
}

#[tokio::test]
async fn an_image_for_another_platform_is_unfit_and_does_not_stay() {
    let scene = Scene::new("platform-web").await;
    let registry = Faulty::start(Fault::OtherPlatform, &scene);
    let stack = Stack::new("platform", "services: {web: {image: \"@-web:live\"}}").await;
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    let old = stack.containers().await;

    let repository = format!("{}/platform-web", registry.address);
    stack.write(
        "compose.yml",
        &format!("services: {{web: {{image: \"{repository}:v2\"}}}}"),
    );
    let resolved = stack.resolve(&[]).await.unwrap();
    let asked = digests(&stack.engine, asked(&resolved, None).unwrap())
        .await
        .unwrap();
    let unfit = pull(&stack.engine, &asked, &old, &mut |_| ())
        .await
        .unwrap_err();
    assert!(matches!(unfit, ImageTrouble::Unfit(_)), "{unfit}");
    assert!(unfit.to_string().contains("linux/s390x"), "{unfit}");
    assert_eq!(docker(&["images", "--quiet", &repository]), "");
    assert_eq!(stack.containers().await, old);
}
