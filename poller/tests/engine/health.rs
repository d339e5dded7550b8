//! Each kind of check lets a good version pass and a bad one not, and says why.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use towline::apply::{Applied, inspect_service};
use towline_protocol::{Gate, Outcome};

use crate::scene::{Scene, docker};

/// A service on v1, run with further arguments.
async fn on_v1(name: &'static str, arguments: &[&str]) -> Scene {
    let scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(arguments);
    scene
}

/// Deploys a version in this mode, which must pass the checks, for which it has more time than a bad one.
async fn passes(scene: &mut Scene, version: &str, mode: &str, checks: &str) {
    scene.release(version, mode, &[]);
    let checks = checks.replace("within = \"3s\"", "within = \"60s\"");
    let applied = scene.deploy(&scene.service(&checks)).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
}

/// Deploys a version in this mode, which must fail the checks; the reason that is told.
async fn fails(scene: &mut Scene, version: &str, mode: &str, checks: &str) -> String {
    let before = scene.inspect()["Id"].clone();
    scene.release(version, mode, &[]);
    let applied = scene.deploy(&scene.service(checks)).await;
    assert_rolled_back(scene, &applied);
    assert_eq!(scene.inspect()["Id"], before);
    applied.message
}

fn assert_rolled_back(scene: &Scene, applied: &Applied) {
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(scene.inspect()["State"]["Running"], true);
    assert_eq!(scene.containers(), [scene.name]);
}

#[tokio::test]
async fn a_port_of_the_container_must_take_a_connection() {
    let mut scene = on_v1("tcp", &[]).await;
    let check = "health = [{ tcp = \"{container}:8080\", within = \"3s\" }]\n";
    passes(&mut scene, "v2", "ok", check).await;
    let why = fails(&mut scene, "v3", "idle", check).await;
    let told = "tcp {container}:8080 was not good within 3 s: Connection refused";
    assert!(why.contains(told), "{why}");
}

#[tokio::test]
async fn a_published_port_behind_which_nobody_listens_is_not_good_though_the_engine_takes_the_connection()
 {
    let mut scene = on_v1("proxied", &[]).await;
    let port = scene.port;
    let check = format!("health = [{{ tcp = \"127.0.0.1:{port}\", within = \"3s\" }}]\n");
    passes(&mut scene, "v2", "ok", &check).await;
    let why = fails(&mut scene, "v3", "idle", &check).await;
    assert!(why.contains("at once"), "{why}");
}

#[tokio::test]
async fn a_command_in_the_container_decides_by_its_status() {
    let mut scene = on_v1("exec", &[]).await;
    let check = "health = [{ exec = [\"/toy\", \"health\"], within = \"3s\" }]\n";
    passes(&mut scene, "v2", "ok", check).await;
    let why = fails(&mut scene, "v3", "500", check).await;
    let told = "exec /toy ... was not good within 3 s: it ended with status 1 and said nothing";
    assert!(why.contains(told), "{why}");
}

#[tokio::test]
async fn what_a_failed_command_says_is_told_without_secrets() {
    let secrets = ["--env", "API_KEY=correct-horse-battery"];
    let mut scene = on_v1("words", &secrets).await;
    let check = "health = [{ exec = [\"/toy\", \"env\"], within = \"1s\" }]\n";
    let why = fails(&mut scene, "v2", "ok", check).await;
    assert!(why.contains("it ended with status 1 and said"), "{why}");
    assert!(why.contains("API_KEY=***"), "{why}");
    assert!(!why.contains("battery"), "{why}");
}

#[tokio::test]
async fn a_command_that_hangs_or_is_not_there_does_not_hold_the_deploy_up() {
    let mut scene = on_v1("hangs", &[]).await;
    let check = "health = [{ exec = [\"/toy\", \"wait\"], within = \"2s\" }]\n";
    let why = fails(&mut scene, "v2", "ok", check).await;
    assert!(why.contains("it had not ended after"), "{why}");
    let check = "health = [{ exec = [\"/nope\"], within = \"3s\" }]\n";
    let why = fails(&mut scene, "v3", "ok", check).await;
    assert!(why.contains("exec /nope was not good"), "{why}");
    assert!(why.contains("no such file"), "{why}");
}

#[tokio::test]
async fn a_container_without_a_published_port_is_asked_at_its_own_address() {
    let mut scene = Scene::new("inside").await;
    scene.release("v1", "ok", &[]);
    let networks = ["inside-one", "inside-two"];
    for network in networks {
        docker(&["network", "create", network]);
    }
    let image = scene.image("live");
    docker(&[
        "run",
        "--detach",
        "--name",
        "inside",
        "--network",
        "inside-two",
        &image,
    ]);
    docker(&["network", "connect", "inside-one", "inside"]);
    let checks = |version: &str| {
        format!(
            "[[service.inside.health]]\nhttp = \"http://{{container}}:8080/\"\ncontains = \"toy {version} \"\nwithin = \"3s\"\n\
             [[service.inside.health]]\ntcp = \"{{container}}:8080\"\n"
        )
    };
    passes(&mut scene, "v2", "ok", &checks("v2")).await;
    let why = fails(&mut scene, "v3", "500", &checks("v3")).await;
    assert!(
        why.contains("http://{container}:8080/ was not good within 3 s: it answered 500"),
        "{why}"
    );
    docker(&["rm", "--force", "inside"]);
    for network in networks {
        docker(&["network", "rm", network]);
    }
}

#[tokio::test]
async fn a_container_without_an_address_of_its_own_is_refused_before_anything_is_touched() {
    let mut scene = Scene::new("bare").await;
    scene.release("v1", "ok", &[]);
    let image = scene.image("live");
    docker(&[
        "run",
        "--detach",
        "--name",
        "bare",
        "--network",
        "none",
        &image,
    ]);
    let before = scene.inspect();
    let check = "health = [{ tcp = \"{container}:8080\" }]\n";
    let service = scene.service(check);
    let refused = inspect_service(&scene.docker, &service).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("{container}"), "{refused}");
    assert!(refused.contains("check it by exec"), "{refused}");
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    assert_eq!(scene.inspect(), before);
    let check = "health = [{ exec = [\"/toy\", \"health\"] }]\n";
    passes(&mut scene, "v2", "ok", check).await;
}

#[tokio::test]
async fn a_version_whose_answers_turn_bad_within_the_window_is_rolled_back() {
    let mut scene = on_v1("sick", &[]).await;
    let port = scene.port;
    let check = format!("health = [{{ http = \"http://127.0.0.1:{port}/\", within = \"5s\" }}]\n");
    let why = fails(&mut scene, "v2", "sick", &check).await;
    assert!(why.contains("it answered 500"), "{why}");
}

#[tokio::test]
async fn a_version_that_flaps_never_gets_through_its_window() {
    let mut scene = on_v1("flaps", &[]).await;
    let port = scene.port;
    let check = format!(
        "health = [{{ http = \"http://127.0.0.1:{port}/\", within = \"4s\" }}]\nstable_for = \"10s\"\n"
    );
    let why = fails(&mut scene, "v2", "flap", &check).await;
    assert!(
        why.contains("was good, and then not: it answered 500"),
        "{why}"
    );
}

/// Does something as soon as the container of this name is another one than `old`, and shows `wanted` at `path`.
fn meanwhile(
    name: &'static str,
    old: String,
    (path, wanted): (&'static str, &'static str),
    then: impl FnOnce() + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let format = format!("{{{{.Id}}}} {{{{{path}}}}}");
            let output = Command::new("docker")
                .args(["inspect", "--format", &format, name])
                .output()
                .unwrap();
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            if shown.trim().ends_with(&format!(" {wanted}")) && !shown.starts_with(&old) {
                return then();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{name} was not replaced");
    })
}

fn id(scene: &Scene) -> String {
    scene.inspect()["Id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_version_that_is_started_again_within_the_window_is_rolled_back() {
    let mut scene = on_v1("restarted", &[]).await;
    let runs = (".State.Running", "true");
    let restarting = meanwhile("restarted", id(&scene), runs, || {
        docker(&["restart", "--time", "0", "restarted"]);
    });
    let check =
        "stable_for = \"20s\"\nhealth = [{ tcp = \"{container}:8080\", within = \"20s\" }]\n";
    let why = fails(&mut scene, "v2", "ok", check).await;
    restarting.join().unwrap();
    assert!(
        why.contains("it restarted") || why.contains("it ended with status"),
        "{why}"
    );
}

#[tokio::test]
async fn a_longer_window_catches_what_dies_later_and_a_shorter_one_does_not_wait_for_it() {
    let mut scene = on_v1("window", &[]).await;
    let why = fails(&mut scene, "v2", "crash", "stable_for = \"20s\"\n").await;
    assert!(why.contains("ended with status 1"), "{why}");
    scene.release("v3", "ok", &[]);
    let applied = scene
        .deploy(&scene.service("stable_for = \"500ms\"\n"))
        .await;
    let end = (applied.outcome, applied.gate);
    assert_eq!(
        end,
        (Outcome::Succeeded, Some(Gate::Weak)),
        "{}",
        applied.message
    );
    let gate = applied
        .steps
        .iter()
        .find(|step| step.step == "gate")
        .unwrap();
    let usual = 10_000;
    assert!((500..usual).contains(&gate.ms), "{} ms", gate.ms);
}

#[tokio::test]
async fn a_healthcheck_may_be_unhealthy_before_it_is_healthy_and_not_after() {
    let mut scene = on_v1("turns", &[]).await;
    let check = "HEALTHCHECK --interval=200ms --timeout=10s --retries=1 CMD [\"/toy\", \"health\"]";
    scene.release("v2", "slow", &[check]);
    let service = scene.service("");
    let applied = scene.deploy(&service).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
    scene.release("v3", "ok", &[check]);
    let service = scene.service("stable_for = \"30s\"\n");
    let url = format!("http://127.0.0.1:{}/sicken", scene.port);
    let is_healthy = (".State.Health.Status", "healthy");
    let sickening = meanwhile("turns", id(&scene), is_healthy, || {
        ureq::get(url).call().unwrap();
    });
    let applied = scene.deploy(&service).await;
    sickening.join().unwrap();
    assert_rolled_back(&scene, &applied);
    let told = "it was healthy, and then unhealthy";
    assert!(applied.message.contains(told), "{}", applied.message);
}
