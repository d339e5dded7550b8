//! What cannot be deployed is refused before anything is touched, in words that say what to do.

use towline::compose::taken;

use super::{Stack, program};
use crate::{
    choose::check,
    scene::{docker, image},
};

/// What is said against a project with this file, of which nothing is on the engine afterwards.
async fn refused(text: &str) -> String {
    said_of(&Stack::new("refused", text).await).await
}

async fn said_of(stack: &Stack) -> String {
    let said = stack.resolve(&[]).await.unwrap_err().to_string();
    assert_eq!(stack.containers().await, []);
    let file = stack.part.file.display().to_string();
    assert!(said.starts_with(&file), "{said}");
    said
}

#[tokio::test]
async fn a_file_that_compose_does_not_understand_is_refused_in_its_words() {
    for (text, words) in [
        ("services: {web: {image: w}", "yaml: line "),
        ("services: {web: {imag: w}}", "imag"),
        (
            "services: {web: {image: w, depends_on: [gone]}}",
            "undefined service",
        ),
        ("services: {web: {}}", "neither an image nor a build"),
        (
            "services: {web: {image: 'w:${X:?must be set}'}}",
            "must be set",
        ),
        (
            "services: {web: {image: w, container_name: a, deploy: {replicas: 2}}}",
            "container name must be unique",
        ),
        (
            "services: {web: {image: w, env_file: gone.env}}",
            "gone.env not found",
        ),
    ] {
        let said = refused(text).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn what_compose_finds_out_too_late_is_refused_in_ours() {
    for (text, words) in [
        ("services: {web: {build: .}}", "Towline builds nothing"),
        (
            "services: {web: {image: 'W:'}}",
            "the service web: image reference",
        ),
        (
            "services: {a: {image: w, container_name: x}, b: {image: w, container_name: x}}",
            "the services a and b have the same container_name",
        ),
        (
            "services: {a: {image: w, profiles: [p]}}",
            "no service of it is active",
        ),
    ] {
        let said = refused(text).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_variable_that_nobody_sets_is_refused_wherever_it_stands() {
    for text in [
        "services: {web: {image: 'w:${MISSING}'}}",
        "services: {web: {image: w, environment: {A: $MISSING}}}",
        "services: {web: {image: w}, other: {image: w, profiles: [off], command: '${MISSING}'}}",
        "include: [more.yml]\nservices: {web: {image: w}}",
    ] {
        let stack = Stack::new("unset", text).await;
        stack.write("more.yml", "services: {more: {image: 'w:${MISSING}'}}");
        let said = said_of(&stack).await;
        assert!(
            said.contains("MISSING is not set and has no default"),
            "{said}"
        );
    }
    let said = refused("services: {web: {image: 'w:${TOWLINE_TAG}'}}").await;
    assert!(said.contains("this deploy knows no TOWLINE_TAG"), "{said}");
}

#[tokio::test]
async fn a_variable_with_a_default_or_a_value_is_not_missed() {
    let text =
        "services: {web: {image: 'w:${A:-1}-${B}-${TOWLINE_SHA-none}', command: \"$$HOME\"}}";
    let stack = Stack::new("set", text).await;
    stack.write(".env", "B=two\n");
    let resolved = stack.resolve(&[]).await.unwrap();
    assert_eq!(resolved.services["web"].image, "w:1-two-none");
}

#[tokio::test]
async fn nothing_of_our_own_environment_gets_into_a_project() {
    // Cargo sets it for this test.
    let said = refused("services: {web: {image: 'w:${CARGO_PKG_NAME}'}}").await;
    assert!(said.contains("CARGO_PKG_NAME is not set"), "{said}");
}

#[tokio::test]
async fn a_service_or_a_file_that_is_not_there_is_refused() {
    let stack = Stack::new("gone", "services: {web: {image: w}}")
        .await
        .wants(&["wbe"]);
    let said = said_of(&stack).await;
    assert!(said.contains("no such service: wbe"), "{said}");

    let mut stack = Stack::new("gone", "services: {web: {image: w}}").await;
    stack.part.env_file = Some(stack.path("prod.env"));
    let said = said_of(&stack).await;
    assert!(
        said.contains("env file") && said.contains("prod.env"),
        "{said}"
    );

    let mut stack = Stack::new("gone", "").await;
    stack.part.file = stack.path("other.yml");
    let said = said_of(&stack).await;
    assert!(said.contains("no such file or directory"), "{said}");
}

#[tokio::test]
async fn a_compose_whose_words_are_not_known_is_not_believed() {
    let silent = program("docker", "#!/bin/sh\necho 'a variable has no value' >&2\n");
    let own = [("PATH".to_owned(), silent.path().display().to_string())];
    let stack = Stack::new("silent", "services: {web: {image: w}}").await;
    let cli = towline::compose::Cli::new(crate::scene::launcher(), own, &stack.engine);
    let error = cli.resolve(&stack.project(), &[]).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("not say in words that are known here"),
        "{said}"
    );
    assert!(said.contains("a variable has no value"), "{said}");
}

#[tokio::test]
async fn a_name_that_another_container_has_is_found_before() {
    let text = "services: {web: {image: \"@-web:live\", container_name: named-web}}";
    let stack = Stack::new("named", text).await;
    stack.release("web", "v1");
    let (resolved, pulled) = stack.deploy(&[]).await;
    assert_eq!(
        taken(&stack.engine, &resolved).await.unwrap(),
        None,
        "it is its own"
    );

    docker(&["rename", "named-web", "named-elsewhere"]);
    docker(&["create", "--name", "named-web", &pulled[0].id]);
    let said = taken(&stack.engine, &resolved).await.unwrap();
    docker(&["rm", "named-web"]);
    assert!(
        said.unwrap()
            .contains("named-web of the service web is taken")
    );
}

#[tokio::test]
async fn a_check_tells_a_project_in_which_nothing_has_the_healthcheck_that_is_asked_for() {
    let plain = "services: {web: {image: \"@-web:live\"}}";
    let stack = Stack::new("unhealed", plain).await;
    stack.release("web", "v1");
    let checked = || {
        let file = stack.part.file.display();
        check(&format!(
            "[relay]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"/nowhere\"\n[service.web]\nchannel = \"stacks\"\n\
             compose = {{ file = \"{file}\" }}\nhealth = [{{ docker = true }}]\n"
        ))
    };
    let told = "project: PROBLEM: docker = true of `health` asks for a healthcheck, and no service has one (web)";
    let (said, status) = checked();
    assert_eq!(status, Some(0), "its image is not here: {said}");
    docker(&["pull", "--quiet", &image("unhealed-web", "live")]);
    let (said, status) = checked();
    assert!(said.contains(told) && status == Some(1), "{said}");
    let own = "healthcheck: {test: [\"CMD\", \"/toy\", \"health\"]}";
    stack.write("compose.yml", &plain.replace("}}", &format!(", {own}}}}}")));
    let (said, status) = checked();
    assert_eq!(status, Some(0), "{said}");
}
