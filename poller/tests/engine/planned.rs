//! `towline check --plan` of a container: what it says is what the deploy that follows does, and nothing is touched before.

use std::{fs, process::Command};

use towline_protocol::Outcome;

use crate::scene::{Scene, docker};

/// What `check --plan` says, and its exit status.
fn plan(scene: &Scene) -> (String, i32) {
    plan_of(scene, "", &[])
}

/// The same with these further lines in the host's file, and these further arguments.
fn plan_of(scene: &Scene, lines: &str, arguments: &[&str]) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("towline.toml");
    fs::write(&file, scene.file(lines)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_towline"))
        .args(["check", "--plan", &"a".repeat(40)])
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .output()
        .unwrap();
    assert!(!folder.path().join("state").exists());
    let said = String::from_utf8(output.stdout).unwrap();
    (said, output.status.code().unwrap())
}

/// The names of the numbered steps.
pub(crate) fn names(plan: &str) -> Vec<String> {
    let numbered = plan.lines().filter_map(|line| {
        let (number, rest) = line.trim().split_once(". ")?;
        number.parse::<u32>().ok()?;
        Some(rest.split_once(':')?.0.to_owned())
    });
    numbered.collect()
}

#[tokio::test]
async fn a_plan_names_the_steps_of_the_deploy_that_follows_and_touches_nothing() {
    let mut scene = Scene::new("planned").await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--restart", "unless-stopped"]);
    let (said, status) = plan(&scene);
    assert!(status == 0 && said.contains("  unchanged: "), "{said}");
    let digest = scene.release("v2", "ok", &[]);
    let seen = |scene: &Scene| {
        let tag = docker(&[
            "image",
            "inspect",
            "--format",
            "{{.Id}}",
            &scene.image("live"),
        ]);
        let repository = scene.image("live").replace(":live", "");
        // Without their ages, which grow.
        let shown = "{{.ID}} {{.Tag}} {{.Digest}}";
        let images = docker(&[
            "images",
            "--all",
            "--no-trunc",
            "--format",
            shown,
            &repository,
        ]);
        (scene.inspect(), scene.containers(), tag, images)
    };
    let before = seen(&scene);
    let (said, status) = plan(&scene);
    assert_eq!(status, 0, "{said}");
    assert!(seen(&scene) == before, "{said}");
    for part in [
        &digest,
        "not here yet",
        "start the old container",
        "unless-stopped",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let service = scene.service("");
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let done: Vec<_> = applied.steps.into_iter().map(|step| step.step).collect();
    assert_eq!(names(&said), done, "{said}");
}

#[tokio::test]
async fn an_image_that_is_named_by_the_runs_number_has_to_be_told_it() {
    let scene = Scene::new("planned-run").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let digest = scene.release("v7", "ok", &[]);
    let image = format!("image = \"{}\"\n", scene.image("v{run_number}"));
    let (said, status) = plan_of(&scene, &image, &[]);
    assert!(
        status == 1 && said.contains("--run-number NUMBER"),
        "{said}"
    );
    let (said, status) = plan_of(&scene, &image, &["--run-number", "7"]);
    assert_eq!(status, 0, "{said}");
    let resolved = format!("{} is {digest}", scene.image("v7"));
    assert!(said.contains(&resolved), "{resolved} is not in {said}");
}
