//! A container that Compose made stays Compose's: `docker compose up -d` finds nothing to do and sees no twin. Run in the
//! middle of a deploy it interferes, and the outcome says so.

use std::{
    fs,
    process::{Command, Output},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tempfile::TempDir;
use towline::apply::{Applied, recover};
use towline_protocol::Outcome;

use crate::{
    interposed::{ARM, CREATE, GATE, PROMOTE, Place, STARTED, STOP, before, cut},
    scene::{Scene, docker, inspect, launcher},
    stranger::Stranger,
};

/// A Compose project that has the scene's service and others; it is taken down at the end.
struct Project {
    scene: Scene,
    file: String,
    _folder: TempDir,
}

/// Runs `docker compose` on a file.
fn compose(file: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(["compose", "--file", file]).args(arguments);
    command.output().unwrap()
}

impl Project {
    /// A project of one service on v1 whose container is called `name`.
    async fn new(name: &'static str) -> Self {
        let scene = Scene::new(name).await;
        let (image, port) = (scene.image("live"), scene.port);
        let text = format!(
            "name: {name}-project\nservices:\n  web:\n    image: {image}\n    container_name: {name}\n    \
             ports: [\"127.0.0.1:{port}:8080\"]\n    restart: unless-stopped\n    \
             volumes: [data:/data, /anonymous]\nvolumes: {{data: {{}}}}\n"
        );
        Self::of(scene, &text)
    }

    /// A project with this text, whose scene's service is on v1.
    fn of(scene: Scene, text: &str) -> Self {
        scene.release("v1", "ok", &[]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yml");
        fs::write(&file, text).unwrap();
        let project = Self {
            scene,
            file: file.to_str().unwrap().to_owned(),
            _folder: folder,
        };
        project.up(&[]);
        project
    }

    /// Runs `docker compose up -d`, and returns the id of the service's container, which is the only one.
    fn up(&self, more: &[&str]) -> String {
        let output = compose(&self.file, &[&["up", "--detach"], more].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(self.scene.containers(), [self.scene.name]);
        self.id()
    }

    fn id(&self) -> String {
        self.scene.inspect()["Id"].as_str().unwrap().to_owned()
    }

    /// What the service answers, as soon as it does.
    async fn answer(&self) -> Option<String> {
        for _ in 0..100 {
            if let Some(answer) = self.scene.get() {
                return Some(answer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    async fn deploy(&mut self, version: &str, mode: &str) -> Applied {
        self.scene.release(version, mode, &[]);
        let service = self.scene.checked(version);
        self.scene.deploy(&service).await
    }

    /// A deploy to v2 that somebody runs Compose in the middle of.
    async fn deploy_with(&mut self, at: Place, arguments: &'static [&str]) -> Applied {
        let ran: Arc<OnceLock<Output>> = Arc::default();
        let (file, runs) = (self.file.clone(), Arc::clone(&ran));
        self.scene.docker = before(at, move || {
            runs.set(compose(&file, arguments)).unwrap();
        })
        .await;
        let applied = self.deploy("v2", "ok").await;
        assert!(ran.get().is_some(), "the deploy never came by there");
        applied
    }

    /// A deploy to v2 that is killed at `at`, and what a recovery makes of it.
    async fn recovered_from(&mut self, at: Place) -> Applied {
        let (docker, reached) = cut(at).await;
        let direct = std::mem::replace(&mut self.scene.docker, docker);
        let service = self.scene.checked("v2");
        tokio::select! {
            biased;
            reached = reached => reached.unwrap(),
            applied = self.deploy("v2", "ok") => panic!("it came to its end: {applied:?}"),
        }
        self.scene.docker = direct;
        let Scene { docker, store, .. } = &mut self.scene;
        let entry = store.open_journals().unwrap().remove(0);
        let never = std::future::pending();
        recover(
            docker,
            &launcher(),
            store,
            &entry,
            Some(&service),
            never,
            &mut |_| (),
        )
        .await
        .unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        compose(&self.file, &["down", "--volumes"]);
    }
}

#[tokio::test]
async fn compose_finds_nothing_to_do_after_a_success_and_after_a_rollback() {
    let mut project = Project::new("composed").await;
    let first = project.id();
    let applied = project.deploy("v2", "ok").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let second = project.id();
    assert_ne!(second, first);
    assert_eq!(project.up(&[]), second);

    let applied = project.deploy("v3", "500").await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(project.up(&[]), second);
    assert_eq!(project.scene.get().unwrap(), "toy v2 \n");
}

#[tokio::test]
async fn compose_finds_nothing_to_do_after_a_recovery() {
    for (name, at, outcome) in [
        ("recomposed-down", STOP, Outcome::RolledBack),
        ("recomposed-parked", PROMOTE, Outcome::RolledBack),
        ("recomposed-up", STARTED, Outcome::Succeeded),
        ("recomposed-forth", ARM, Outcome::Succeeded),
    ] {
        let mut project = Project::new(name).await;
        let old = project.id();
        let applied = project.recovered_from(at).await;
        assert_eq!(applied.outcome, outcome, "{name}: {}", applied.message);
        let serving = project.id();
        assert_eq!(serving == old, outcome == Outcome::RolledBack, "{name}");
        assert_eq!(project.up(&[]), serving, "{name}");
    }
}

#[tokio::test]
async fn one_service_of_several_keeps_its_place_among_them_and_its_version() {
    let scene = Scene::new("stacked-web-1").await;
    let (image, port, other) = (scene.image("live"), scene.port, scene.image("v1"));
    let text = format!(
        "name: stacked\nservices:\n  web:\n    image: {image}\n    depends_on: [db]\n    \
         ports: [\"127.0.0.1:{port}:8080\"]\n    networks: {{default: {{}}, back: {{aliases: [www]}}}}\n  \
         db:\n    image: {other}\n    container_name: stacked-database\nnetworks: {{back: {{}}}}\n"
    );
    let mut project = Project::of(scene, &text);
    let database = || inspect("stacked-database")["Id"].clone();
    let before = database();
    let applied = project.deploy("v2", "ok").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let networks = &project.scene.inspect()["NetworkSettings"]["Networks"];
    for (network, alias) in [
        ("stacked_default", "web"),
        ("stacked_back", "web"),
        ("stacked_back", "www"),
    ] {
        let aliases = networks[network]["Aliases"].as_array().unwrap();
        assert!(aliases.iter().any(|known| known == alias), "{networks}");
    }
    let second = project.id();
    assert_eq!(project.up(&[]), second);
    assert_eq!(database(), before);

    assert_ne!(project.up(&["--force-recreate"]), second);
    let before = database();
    assert_eq!(
        project.scene.inspect()["Config"]["Image"],
        project.scene.image("live")
    );
    let services = docker(&["compose", "--file", &project.file, "ps", "--services"]);
    let mut services: Vec<&str> = services.lines().collect();
    services.sort_unstable();
    assert_eq!(services, ["db", "web"]);
    assert_eq!(project.answer().await.unwrap(), "toy v2 \n");
    let applied = project.deploy("v3", "ok").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(database(), before);
}

#[tokio::test]
async fn compose_finds_nothing_to_do_for_those_that_share_a_namespace_of_a_deployed_one() {
    let scene = Scene::new("shared-web-1").await;
    scene.push("idle", "idle", &[]);
    let (image, port, idle) = (scene.image("live"), scene.port, scene.image("idle"));
    let text = format!(
        "name: shared\nservices:\n  web:\n    image: {image}\n    ipc: shareable\n    ports: [\"127.0.0.1:{port}:8080\"]\n  \
         app:\n    image: {idle}\n    network_mode: \"service:web\"\n    depends_on: {{db: {{condition: service_started}}}}\n  \
         side:\n    image: {idle}\n    pid: \"service:app\"\n    ipc: \"service:web\"\n    profiles: [more]\n  \
         named:\n    image: {idle}\n    network_mode: \"container:shared-web-1\"\n    depends_on: [web]\n  \
         db:\n    image: {idle}\n"
    );
    let mut project = Project::of(scene, &text);
    let others = [
        "shared-app-1",
        "shared-side-1",
        "shared-named-1",
        "shared-db-1",
    ];
    let up = |project: &Project| {
        let all = compose(&project.file, &["--profile", "more", "up", "--detach"]);
        assert!(all.status.success(), "{all:?}");
        let ids = others.map(|name| inspect(name)["Id"].as_str().unwrap().to_owned());
        (project.id(), ids)
    };
    let first = up(&project);
    let applied = project.deploy("v2", "ok").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let with = "with it: shared-app-1, shared-named-1, shared-side-1";
    assert!(applied.message.ends_with(with), "{}", applied.message);
    let now = others.map(|name| inspect(name)["Id"].as_str().unwrap().to_owned());
    let is_new = now.iter().zip(&first.1).map(|(now, before)| now != before);
    assert_eq!(is_new.collect::<Vec<_>>(), [true, true, true, false]);
    let second = (project.id(), now);
    assert_eq!(up(&project), second);

    let applied = project.deploy("v3", "500").await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(up(&project), second);

    let text = fs::read_to_string(&project.file).unwrap();
    fs::write(
        &project.file,
        text.replace("pid: ", "labels: {a: b}\n    pid: "),
    )
    .unwrap();
    let applied = project.deploy("v4", "ok").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let told = "`docker compose up` will make shared-side-1 anew";
    assert!(applied.message.contains(told), "{}", applied.message);
}

#[tokio::test]
async fn compose_up_in_the_middle_of_a_deploy_is_told_and_up_is_also_the_way_out() {
    for (name, at, words) in [
        ("up-early", CREATE, "somebody removed the old container"),
        ("up-armed", STOP, "somebody removed the old container"),
        (
            "up-parked",
            PROMOTE,
            "could not give the old container its name back",
        ),
        ("up-gate", GATE, "was removed"),
        ("up-forth", ARM, "its restart policy could not be set"),
    ] {
        let mut project = Project::new(name).await;
        let stranger = Stranger::new(&project.scene);
        let applied = project.deploy_with(at, &["up", "--detach"]).await;
        let message = applied.message;
        assert_eq!(applied.outcome, Outcome::NeedsOperator, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        let again = compose(&project.file, &["up", "--detach"]);
        let answer = project.answer().await;
        assert_eq!(answer.as_deref(), Some("toy v2 \n"), "{name}: {again:?}");
        stranger.assert_untouched();
    }
}

#[tokio::test]
async fn compose_down_in_the_middle_of_a_deploy_is_told_and_nothing_is_started_again() {
    for (name, at, words) in [
        ("down-early", CREATE, "somebody removed the old container"),
        ("down-armed", STOP, "somebody removed the old container"),
        (
            "down-parked",
            PROMOTE,
            "could not give the old container its name back",
        ),
        ("down-gate", GATE, "was removed"),
        ("down-forth", ARM, "its restart policy could not be set"),
    ] {
        let mut project = Project::new(name).await;
        let stranger = Stranger::new(&project.scene);
        let applied = project.deploy_with(at, &["down"]).await;
        let message = applied.message;
        assert_eq!(applied.outcome, Outcome::NeedsOperator, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        assert_eq!(project.scene.get(), None, "{name}");
        docker(&["volume", "inspect", &format!("{name}-project_data")]);
        stranger.assert_untouched();
    }
}
