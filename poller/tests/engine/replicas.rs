//! Several containers of one label: replaced one after the other, each gated before the next, and taken back together.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use towline::{
    apply::{Applied, Progress, WayBack, go_back, inspect_service},
    plan::choose_version,
    settings::{Choice, Service, Settings},
    status::{self, Sought},
    store::JournalEntry,
};
use towline_protocol::{Outcome, Side};

use crate::scene::{Scene, docker, image, inspect, intent, launcher, push, required};

mod beside;
mod failed;

/// Three containers with one label, on v1.
struct Replicas {
    scene: Scene,
    /// Further lines of the service in the host's file.
    lines: &'static str,
}

impl Replicas {
    /// Those containers; `more` are further arguments for each. Where there is a variable TOY_DATA, a version that moves data
    /// when it starts can do so.
    async fn new(name: &'static str, more: [&[&str]; 3]) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        let replicas = Self { scene, lines: "" };
        for (at, more) in (1..).zip(more) {
            replicas.run(at, more);
        }
        replicas
    }

    /// The same, on a network of their own, where each can run beside its replacement and is asked to.
    async fn beside(name: &'static str, more: [&[&str]; 3]) -> Self {
        let network = format!("{name}-net");
        docker(&["network", "create", &network]);
        let joined = more.map(|more| [&["--network", &network], more].concat());
        let mut replicas = Self::new(name, [&joined[0], &joined[1], &joined[2]]).await;
        replicas.lines = "strategy = \"start-first\"\ndrain = \"1s\"\n";
        replicas
    }

    fn run(&self, at: usize, more: &[&str]) {
        let (name, label, image) = (self.name(at), self.label(), self.scene.image("live"));
        let policy = ["--restart", "unless-stopped"];
        let run = [
            "run", "--detach", "--pull", "always", "--name", &name, "--label", &label,
        ];
        docker(&[&run, &policy[..], more, &[&image]].concat());
    }

    fn name(&self, at: usize) -> String {
        format!("{}--{at}", self.scene.name)
    }

    fn label(&self) -> String {
        format!("octo.app={}", self.scene.name)
    }

    /// The service of all containers with the label, and further keys of `docker`.
    fn service(&self, keys: &str) -> Service {
        let name = format!("container = \"{}\"", self.scene.name);
        let check =
            "health = [{ tcp = \"{container}:8080\", within = \"20s\" }]\nstable_for = \"1s\"\n";
        let chosen = format!("label = \"{}\"{keys}", self.label());
        let lines = format!("{check}{}", self.lines);
        let text = self.scene.file(&lines).replace(&name, &chosen);
        let settings = Settings::parse(&text, "towline.toml").unwrap();
        settings.services.into_iter().next().unwrap()
    }

    async fn deploy(&mut self, keys: &str) -> Applied {
        let service = self.service(keys);
        self.scene.deploy(&service).await
    }

    fn ids(&self) -> [String; 3] {
        [1, 2, 3].map(|at| {
            let shown = inspect(&self.name(at));
            shown["Id"].as_str().unwrap().to_owned()
        })
    }

    /// Which of them run.
    fn running(&self) -> [bool; 3] {
        [1, 2, 3].map(|at| inspect(&self.name(at))["State"]["Running"] == true)
    }

    /// The names of all there are, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = self.scene.containers();
        names.sort();
        names
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        let names = self.scene.containers();
        let remove = ["rm", "--force", "--volumes"].map(str::to_owned);
        Command::new("docker")
            .args(remove.into_iter().chain(names))
            .output()
            .ok();
        // There is none unless they were on one of their own.
        let network = ["network", "rm", &format!("{}-net", self.scene.name)];
        Command::new("docker").args(network).output().ok();
    }
}

/// Looks again and again how many containers with a label run.
struct Watcher {
    stop: Arc<AtomicBool>,
    looks: JoinHandle<Vec<usize>>,
}

impl Watcher {
    fn new(label: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let looks = thread::spawn(move || {
            let mut looks = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let filter = format!("label={label}");
                let list = Command::new("docker")
                    .args(["ps", "--quiet", "--filter", &filter])
                    .output();
                looks.push(
                    String::from_utf8(list.unwrap().stdout)
                        .unwrap()
                        .lines()
                        .count(),
                );
                thread::sleep(Duration::from_millis(20));
            }
            looks
        });
        Self { stop, looks }
    }

    /// The fewest that ever ran.
    fn fewest(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let looks = self.looks.join().unwrap();
        looks.into_iter().min().unwrap()
    }
}

/// A version that starts only where there is a variable TOY_DATA.
const MOVES: [&str; 1] = ["ENV TOY_MOVES=1"];
const WITH_DATA: &[&str] = &["--env", "TOY_DATA=/data"];

#[tokio::test]
async fn they_are_replaced_one_after_the_other_and_never_is_more_than_one_down() {
    let mut replicas = Replicas::new("rolled", [&[], &["--env", "SECOND=2"], &[]]).await;
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &[]);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy("").await;
    assert_eq!(watcher.fewest(), 2);
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = replicas.ids();
    assert!(
        before.iter().all(|id| !now.contains(id)),
        "{before:?} {now:?}"
    );
    assert_eq!(replicas.running(), [true; 3]);
    assert_eq!(replicas.names(), ["rolled--1", "rolled--2", "rolled--3"]);
    let second = inspect("rolled--2");
    let has_own = |shown: &serde_json::Value| {
        let mut all = shown["Config"]["Env"].as_array().into_iter().flatten();
        all.any(|one| one == "SECOND=2")
    };
    assert!(has_own(&second) && !has_own(&inspect("rolled--1")));
    assert_eq!(
        second["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    let started = replicas
        .scene
        .told
        .iter()
        .filter(|one| **one == Progress::Started);
    assert_eq!(started.count(), 3);

    let again = replicas.deploy("").await;
    assert_eq!(again.outcome, Outcome::Unchanged, "{}", again.message);
    assert!(
        again
            .message
            .starts_with("rolled--1, rolled--2 and rolled--3 have"),
        "{}",
        again.message
    );
    assert_eq!(replicas.ids(), now);
    let sought = Sought::Container {
        choice: Choice::Label(replicas.label().parse().unwrap()),
        brought: applied.to.digest.clone(),
    };
    let seen = status::look(Some(&required("DOCKER_HOST")), &[sought]).await;
    let shown = &seen.services[0];
    assert_eq!(shown.replicas.len(), 3);
    assert_eq!(shown.observed.as_ref().unwrap().digest, applied.to.digest);
}

#[tokio::test]
async fn one_that_was_stopped_stays_so_and_two_at_a_time_leave_one_that_serves() {
    let mut replicas = Replicas::new("paired", [&[]; 3]).await;
    docker(&["stop", &replicas.name(1)]);
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &[]);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy(", max_parallel = 2").await;
    assert_eq!(watcher.fewest(), 1);
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(replicas.running(), [false, true, true]);
    let now = replicas.ids();
    assert!(
        before.iter().all(|id| !now.contains(id)),
        "{before:?} {now:?}"
    );
}

#[tokio::test]
async fn those_that_have_the_version_already_are_left_as_they_are() {
    let mut replicas = Replicas::new("partly", [&[]; 3]).await;
    replicas.scene.release("v2", "ok", &[]);
    docker(&["rm", "--force", &replicas.name(2)]);
    replicas.run(2, &[]);
    let before = replicas.ids();
    let applied = replicas.deploy("").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert!(
        applied.message.contains("partly--2 has it already"),
        "{}",
        applied.message
    );
    let now = replicas.ids();
    let is_same = [0, 1, 2].map(|at| now[at] == before[at]);
    assert_eq!(is_same, [false, true, false]);
}

#[tokio::test]
async fn containers_of_different_repositories_are_refused_and_none_is_touched() {
    let mut replicas = Replicas::new("unlike", [&[]; 3]).await;
    push("unlike-other", "v1", "ok", &[]);
    let other = image("unlike-other", "v1");
    docker(&[
        "run",
        "--detach",
        "--name",
        "unlike--4",
        "--label",
        &replicas.label(),
        &other,
    ]);
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &[]);
    let applied = replicas.deploy("").await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    assert!(
        applied.message.contains("unlike--4 ("),
        "{}",
        applied.message
    );
    docker(&["rm", "--force", "unlike--4"]);
    docker(&["pause", &replicas.name(3)]);
    let applied = replicas.deploy("").await;
    assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
    assert!(
        applied
            .message
            .starts_with("unlike--3: the container is paused"),
        "{}",
        applied.message
    );
    assert_eq!(replicas.ids(), before);
}

#[tokio::test]
async fn all_of_them_are_taken_back_on_purpose_each_with_its_own_settings() {
    let each: [&[&str]; 3] = [
        &["--env", "NUMBER=1"],
        &["--env", "NUMBER=2"],
        &["--env", "NUMBER=3"],
    ];
    let mut replicas = Replicas::new("returned", each).await;
    let image_of = |at: usize| inspect(&format!("returned--{at}"))["Image"].clone();
    let first = image_of(1);
    replicas.scene.release("v2", "ok", &[]);
    let applied = replicas.deploy("").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let service = replicas.service("");
    let Scene { docker, store, .. } = &mut replicas.scene;
    let found = inspect_service(docker, &service).await.unwrap();
    let kept = store.versions(&service.name).unwrap();
    let version = choose_version(&kept, &found, &[], None).unwrap();
    let from = Side::default();
    let (service, found) = (&service, &found[..]);
    let way = WayBack {
        service,
        found,
        from,
        version,
    };
    let entry = JournalEntry {
        deploy: "0a1b2c3d".to_owned(),
        service: service.name.clone(),
        intent: intent(None).id,
        attempt: 2,
        body: String::new(),
        on_purpose: None,
        begun: None,
    };
    let never = std::future::pending();
    let back = go_back(docker, &launcher(), store, &way, entry, never, &mut |_| ()).await;
    let back = back.unwrap();
    assert_eq!(back.outcome, Outcome::Succeeded, "{}", back.message);
    for at in 1..=3 {
        assert_eq!(image_of(at), first);
        let shown = inspect(&format!("returned--{at}"));
        let env = shown["Config"]["Env"].as_array().unwrap();
        assert!(
            env.iter().any(|one| *one == format!("NUMBER={at}")),
            "{env:?}"
        );
    }
    assert_eq!(replicas.running(), [true; 3]);
}

#[tokio::test]
async fn compose_finds_nothing_to_do_with_a_service_of_several_containers() {
    let mut scene = Scene::new("scaled").await;
    scene.release("v1", "ok", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("compose.yml");
    let text = format!(
        "name: scaled\nservices:\n  web:\n    image: {}\n    scale: 3\n    restart: always\n    labels: {{octo.app: scaled}}\n",
        scene.image("live")
    );
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let compose = |arguments: &[&str]| docker(&[&["compose", "--file", file], arguments].concat());
    let ids = || {
        let all = compose(&["ps", "--all", "--quiet", "--no-trunc"]);
        let mut all: Vec<_> = all.lines().map(str::to_owned).collect();
        all.sort();
        all
    };
    compose(&["up", "--detach"]);
    let before = ids();
    let text = scene
        .file("stable_for = \"1s\"\n")
        .replace("container = \"scaled\"", "label = \"octo.app=scaled\"");
    let service = Settings::parse(&text, "towline.toml")
        .unwrap()
        .services
        .remove(0);
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&service).await;
    let now = ids();
    compose(&["up", "--detach"]);
    let after = ids();
    compose(&["down", "--volumes"]);
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert!(
        now.len() == 3 && before.iter().all(|id| !now.contains(id)),
        "{before:?} {now:?}"
    );
    assert_eq!(after, now);
}
