//! Several containers on a real engine, gated together: which of them may end, and which must not.

use std::{process::Command, time::Duration};

use towline::{
    health::{Member, gate_set, is_well_set, returned_set},
    redact::Secrets,
    settings::{HealthCheck, Probe},
};
use towline_protocol::Gate;

use crate::scene::{Scene, docker};

/// A container beside the scene's own, with these arguments to `docker run`, that has ended with status 0.
fn done(scene: &Scene, name: &str, arguments: &[&str]) -> Member {
    let name = format!("{}--{name}", scene.name);
    let image = scene.image("live");
    let run = [&["run", "--detach", "--name", &name], arguments, &[&image]].concat();
    let id = docker(&run);
    // Before it serves it may not heed TERM yet.
    while !is_served(&id) {
        std::thread::sleep(Duration::from_millis(50));
    }
    docker(&["stop", &id]);
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.ExitCode}}", &id]),
        "0"
    );
    member(id, "job")
}

fn is_served(id: &str) -> bool {
    let mut asked = Command::new("docker");
    asked
        .args(["exec", id, "/toy", "health"])
        .output()
        .unwrap()
        .status
        .success()
}

fn member(id: String, name: &str) -> Member {
    Member {
        id,
        name: Some(name.to_owned()),
        must_run: false,
        secrets: Secrets::default(),
    }
}

/// How the gate ends for these.
async fn gate(scene: &Scene, members: &[Member]) -> Result<Gate, String> {
    let none = Duration::ZERO;
    let brief = Some(Duration::from_secs(1));
    let verdict = gate_set(&scene.docker, members, &[], brief, none, &|_| ()).await;
    verdict.unwrap()
}

#[tokio::test]
async fn a_job_that_is_done_is_well_beside_what_runs_unless_it_should_run_on() {
    let scene = Scene::new("set").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let web = member(scene.inspect()["Id"].as_str().unwrap().to_owned(), "web");
    let job = done(&scene, "job", &[]);
    let both = [web.clone(), job.clone()];
    assert_eq!(gate(&scene, &both).await, Ok(Gate::Weak));
    assert_eq!(is_well_set(&scene.docker, &both, &[]).await, Ok(true));
    assert_eq!(
        returned_set(&scene.docker, &both, &[], true).await,
        Ok(Ok(()))
    );
    let kept_up = done(&scene, "kept", &["--restart", "unless-stopped"]);
    let ended = "job: it ended with status 0, and said last ";
    let why = gate(&scene, &[web.clone(), kept_up]).await.unwrap_err();
    assert!(why.starts_with(ended), "{why}");
    let ran_before = Member {
        must_run: true,
        ..job
    };
    let why = gate(&scene, &[web.clone(), ran_before]).await;
    assert!(why.unwrap_err().starts_with(ended));
    let image = scene.image("live");
    let never = docker(&["create", "--name", "set--never", &image]);
    let never = gate(&scene, &[web, member(never, "never")]).await;
    assert!(never.unwrap_err().starts_with("never: "));
}

#[tokio::test]
async fn a_container_that_ends_badly_fails_the_whole_set_by_name() {
    let scene = Scene::new("badset").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    let web = member(scene.inspect()["Id"].as_str().unwrap().to_owned(), "web");
    scene.release("v2", "exit", &[]);
    let image = scene.image("live");
    docker(&["pull", "--quiet", &image]);
    let bad = docker(&["run", "--detach", "--name", "badset--bad", &image]);
    docker(&["wait", &bad]);
    let bad = [web, member(bad, "migrate")];
    let why = "migrate: it ended with status 1, and said last \"toy v2 starts in mode exit\"";
    assert_eq!(gate(&scene, &bad).await, Err(why.to_owned()));
    assert_eq!(is_well_set(&scene.docker, &bad, &[]).await, Ok(false));
}

#[tokio::test]
async fn a_container_that_is_started_again_and_again_is_told_before_the_check_that_nobody_answers()
{
    let scene = Scene::new("looped").await;
    scene.release("v1", "exit", &[]);
    let image = scene.image("live");
    docker(&["pull", "--quiet", &image]);
    let run = ["run", "--detach", "--name", "looped--web", "--restart"];
    let id = docker(&[&run[..], &["always", &image]].concat());
    let check = HealthCheck::Tried {
        probe: Probe::Tcp("127.0.0.1:1".parse().unwrap()),
        within: Duration::from_secs(8),
    };
    let members = [member(id, "web")];
    let none = Duration::ZERO;
    let verdict = gate_set(&scene.docker, &members, &[check], None, none, &|_| ()).await;
    let why = verdict.unwrap().unwrap_err();
    assert!(why.starts_with("web: it restarted "), "{why}");
    let end = "after it ended with status 1, and said last \"toy v1 starts in mode exit\"; \
        tcp 127.0.0.1:1 was not good within 8 s: ";
    assert!(why.contains(end), "{why}");
}
