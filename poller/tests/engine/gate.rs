//! Good versions stay, bad ones lead back to the same old container.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use towline::{apply::Progress, machine::Fault};
use towline_protocol::{Gate, Image, Outcome};

use crate::scene::{Scene, docker};

/// A service on v1 with a restart policy, and its container's id.
async fn on_v1(name: &'static str) -> (Scene, String) {
    let scene = Scene::new(name).await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--restart", "unless-stopped"]);
    let id = scene.inspect()["Id"].as_str().unwrap().to_owned();
    (scene, id)
}

/// The same old container serves again, armed, under its name, and nothing else is left.
fn assert_back(scene: &Scene, id: &str) {
    let now = scene.inspect();
    assert_eq!(now["Id"], id);
    assert_eq!(now["State"]["Running"], true);
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(scene.containers(), [scene.name]);
    assert_eq!(scene.get().unwrap(), "toy v1 \n");
    let tagged = docker(&[
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        &scene.image("live"),
    ]);
    assert_eq!(now["Image"], tagged.as_str());
}

#[tokio::test]
async fn a_good_version_takes_over_and_says_so_step_by_step() {
    let (mut scene, old) = on_v1("good").await;
    let digest = scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
    let now = scene.inspect();
    assert_ne!(now["Id"], old.as_str());
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(now["Config"]["Image"], scene.image("live").as_str());
    assert_eq!(scene.containers(), ["good"]);
    let digest = digest.parse().unwrap();
    assert_eq!(applied.to.digest.as_ref(), Some(&digest));
    let lines = scene.told.iter().filter(|told| !told.is_passing());
    let lines: Vec<String> = lines.map(ToString::to_string).collect();
    let pulled = format!("pulled {digest}: 1 layer, ");
    assert!(lines[0].starts_with(&pulled), "{lines:?}");
    let passed = format!("passed http://127.0.0.1:{}/", scene.port);
    assert_eq!(
        lines[1..],
        [
            "created the new container",
            "stopped the old container",
            "swapped: the new container has the name",
            "started the new container",
            passed.as_str(),
            "healthy",
            "committed"
        ]
    );
    let steps: Vec<&str> = applied
        .steps
        .iter()
        .map(|step| step.step.as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "resolve", "pull", "tag", "create", "disarm", "stop", "park", "promote", "start",
            "gate", "commit"
        ]
    );
}

#[tokio::test]
async fn a_version_that_ends_at_once_is_rolled_back_with_its_last_words() {
    let (mut scene, old) = on_v1("ends").await;
    scene.release("v2", "exit", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    let end = (applied.outcome, applied.fault);
    let whose = (Outcome::RolledBack, Fault::Version);
    assert_eq!(end, whose, "{}", applied.message);
    assert!(
        applied
            .message
            .contains("ended with status 1, and said last \"toy v2 starts in mode exit\""),
        "{}",
        applied.message
    );
    assert_eq!(applied.log_tail.trim(), "toy v2 starts in mode exit");
    assert_back(&scene, &old);
}

#[tokio::test]
async fn what_a_failed_version_tells_of_its_secrets_is_not_told_further() {
    let mut scene = Scene::new("leaks").await;
    scene.release("v1", "ok", &[]);
    let long = "0123456789".repeat(30);
    let variables = [
        "DB_PASSWORD=correct-horse",
        "GREETING=plain-words",
        "DATABASE=postgres://app:s3cr3t-words@db/app",
        &format!("SIGNING_KEY={long}"),
    ];
    scene.run(&variables.map(|variable| ["--env", variable]).concat());
    scene.release("v2", "leak", &["ENV SESSION_SECRET=of-the-new-image"]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    let log = &applied.log_tail;
    assert!(log.contains("GREETING=plain-words"), "{log}");
    assert!(log.contains("DB_PASSWORD=***"), "{log}");
    assert!(log.contains("DATABASE=postgres://***@db/app"), "{log}");
    for secret in ["correct-horse", "s3cr3t-words", "56789", "of-the-new-image"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn a_value_in_the_answers_json_decides() {
    let (mut scene, old) = on_v1("json").await;
    let port = scene.port;
    let service = scene.service(&format!(
        "[[service.json.health]]\nhttp = \"http://127.0.0.1:{port}/\"\njson = {{ pointer = \"/version\", equals = \"v3\" }}\nwithin = \"3s\"\n"
    ));
    scene.release("v2", "json", &[]);
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    let why = "its answer has \"v2\" at \"/version\", not \"v3\"";
    assert!(applied.message.contains(why), "{}", applied.message);
    assert_back(&scene, &old);
    scene.release("v3", "json", &[]);
    let applied = scene.deploy(&service).await;
    let end = (applied.outcome, applied.gate);
    assert_eq!(
        end,
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
}

#[tokio::test]
async fn a_secret_in_the_last_answer_is_not_told_with_the_reason() {
    let mut scene = Scene::new("says").await;
    scene.release("v1", "ok", &[]);
    let secret = "correct-horse-battery";
    scene.run(&[
        "--env",
        "GREETING=correct-horse-battery",
        "--env",
        "API_KEY=correct-horse-battery",
    ]);
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v3")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    let why = "begins with \"toy v2 ***";
    assert!(applied.message.contains(why), "{}", applied.message);
    let told = format!("{:?} {applied:?}", scene.told);
    assert!(!told.contains(secret), "{told}");
}

#[tokio::test]
async fn without_the_healthcheck_that_the_file_asks_for_nothing_is_touched() {
    let (mut scene, old) = on_v1("unchecked").await;
    let digest = scene.release("v2", "ok", &[]);
    let service = scene.service("health = [{ docker = true }]\n");
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    let why = "neither the container nor the new image has one: write a HEALTHCHECK";
    assert!(applied.message.contains(why), "{}", applied.message);
    assert_back(&scene, &old);
    let images = docker(&["images", "--all", "--digests"]);
    assert!(!images.contains(&digest), "it only takes room: {images}");
}

#[tokio::test]
async fn a_healthcheck_that_the_container_turns_off_is_told_before_anything_is_touched() {
    let mut scene = Scene::new("turned-off").await;
    scene.release("v1", "ok", &[]);
    scene.run(&["--no-healthcheck"]);
    let old = scene.inspect();
    scene.release("v2", "ok", &["HEALTHCHECK CMD [\"/toy\", \"health\"]"]);
    let service = scene.service("health = [{ docker = true }]\n");
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    let why = "the container turns that of its image off";
    assert!(applied.message.contains(why), "{}", applied.message);
    let now = scene.inspect();
    assert_eq!((&now["Id"], &now["State"]), (&old["Id"], &old["State"]));
}

#[tokio::test]
async fn a_version_that_answers_500_is_rolled_back() {
    let (mut scene, old) = on_v1("five").await;
    scene.release("v2", "500", &[]);
    let applied = scene.deploy(&scene.checked("v")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("it answered 500"),
        "{}",
        applied.message
    );
    assert!(
        matches!(scene.told.last(), Some(Progress::RolledBack)),
        "{:?}",
        scene.told
    );
    let failed = format!("towline/five:{}", applied.to.digest.unwrap().short());
    assert_eq!(docker(&["image", "ls", "--quiet", &failed]), "");
    assert_back(&scene, &old);
}

#[tokio::test]
async fn a_version_without_its_program_is_rolled_back() {
    let (mut scene, old) = on_v1("nope").await;
    scene.release("v2", "ok", &["ENTRYPOINT [\"/nope\"]"]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    let end = (applied.outcome, applied.fault);
    let whose = (Outcome::RolledBack, Fault::Version);
    assert_eq!(end, whose, "{}", applied.message);
    for words in ["start: ", "/nope", "no such file or directory"] {
        assert!(applied.message.contains(words), "{}", applied.message);
    }
    assert_back(&scene, &old);
}

#[tokio::test]
async fn a_version_that_dies_after_its_first_good_answers_is_rolled_back() {
    let (mut scene, old) = on_v1("dies").await;
    scene.release("v2", "crash", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("gate: it ended with status"),
        "{}",
        applied.message
    );
    assert_back(&scene, &old);
}

#[tokio::test]
async fn dockers_own_healthcheck_decides_where_nothing_else_is_asked_for() {
    let (mut scene, _) = on_v1("own").await;
    let check = "HEALTHCHECK --interval=200ms --timeout=1s --retries=2 CMD [\"/toy\", \"health\"]";
    scene.release("v2", "ok", &[check]);
    let applied = scene.deploy(&scene.service("")).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Healthy)),
        "{}",
        applied.message
    );
    let good = scene.inspect()["Id"].clone();

    scene.release("v3", "500", &[check]);
    let within = "[[service.own.health]]\ndocker = true\nwithin = \"3s\"\n";
    let applied = scene.deploy(&scene.service(within)).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(applied.message.contains("unhealthy"), "{}", applied.message);
    assert_eq!(scene.inspect()["Id"], good);
}

#[tokio::test]
async fn with_nothing_to_check_it_must_run_for_a_while_and_that_is_weak() {
    let (mut scene, _) = on_v1("weak").await;
    scene.release("v2", "ok", &[]);
    let begun = Instant::now();
    let applied = scene.deploy(&scene.service("")).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, Some(Gate::Weak)),
        "{}",
        applied.message
    );
    assert!(begun.elapsed() > Duration::from_secs(9));
}

#[tokio::test]
async fn a_stopped_container_is_replaced_and_stays_stopped() {
    let (mut scene, old) = on_v1("stopped").await;
    docker(&["stop", "stopped"]);
    scene.release("v2", "exit", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(
        (applied.outcome, applied.gate),
        (Outcome::Succeeded, None),
        "{}",
        applied.message
    );
    let now = scene.inspect();
    assert_ne!(now["Id"], old.as_str());
    assert_eq!(now["State"]["Status"], "created");
    assert_eq!(scene.containers(), ["stopped"]);
}

#[tokio::test]
async fn a_service_that_crashes_again_and_again_can_get_its_fix_and_a_worse_version_is_undone() {
    let mut scene = Scene::new("loops").await;
    scene.release("v1", "exit", &[]);
    scene.run(&["--restart", "always"]);
    let old = scene.inspect()["Id"].clone();
    scene.release("v2", "500", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(scene.inspect()["Id"], old);
    scene.release("v3", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v3")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(scene.get().unwrap(), "toy v3 \n");
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let mut scene = Scene::new("deaf").await;
    scene.release("v1", "deaf", &[]);
    scene.run(&[]);
    scene.release("v2", "ok", &[]);
    let begun = Instant::now();
    let service = scene.service("stop_timeout = \"1s\"\n[[service.deaf.health]]\nhttp = \"http://127.0.0.1:PORT/\"\nwithin = \"5s\"\n".replace("PORT", &scene.port.to_string()).as_str());
    let applied = scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
}

/// Takes `port` as soon as it is free, and holds it for `hold`.
fn steal(port: u16, hold: Duration) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                std::thread::sleep(hold);
                drop(listener);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

#[tokio::test]
async fn a_port_that_somebody_takes_in_between_leads_back() {
    let (mut scene, old) = on_v1("port").await;
    scene.release("v2", "ok", &[]);
    let thief = steal(scene.port, Duration::from_secs(4));
    let applied = scene.deploy(&scene.checked("v2")).await;
    thief.join().unwrap();
    let end = (applied.outcome, applied.fault);
    let whose = (Outcome::RolledBack, Fault::Host);
    assert_eq!(end, whose, "{}", applied.message);
    for words in ["start: ", "address already in use"] {
        assert!(applied.message.contains(words), "{}", applied.message);
    }
    assert_back(&scene, &old);
}

#[tokio::test]
async fn a_port_that_somebody_keeps_needs_an_operator_and_both_containers_are_kept() {
    let (mut scene, old) = on_v1("thief").await;
    scene.release("v2", "ok", &[]);
    let thief = steal(scene.port, Duration::from_secs(14));
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    assert!(
        applied
            .message
            .contains("could not start the old container"),
        "{}",
        applied.message
    );
    assert_eq!(scene.inspect()["Id"], old.as_str());
    assert_eq!(scene.containers().len(), 2);
    thief.join().unwrap();
}

#[tokio::test]
async fn the_same_digest_again_changes_nothing() {
    let (mut scene, old) = on_v1("same").await;
    let applied = scene.deploy(&scene.checked("v1")).await;
    assert_eq!(applied.outcome, Outcome::Unchanged, "{}", applied.message);
    assert_eq!(scene.inspect()["Id"], old.as_str());
    assert!(scene.told.is_empty());
}

#[tokio::test]
async fn an_intent_that_names_a_digest_gets_exactly_that_whatever_the_tag_says() {
    let (mut scene, _) = on_v1("exact").await;
    let wanted = scene.push("v2", "ok", &[]);
    scene.release("v3", "ok", &[]);
    let image = Image {
        reference: None,
        digest: Some(wanted.parse().unwrap()),
    };
    let applied = scene.deploy_image(&scene.checked("v2"), Some(image)).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}
