//! A service of a test's own: its container, images and port on the sandbox's engine, and deploys to it.

use std::{
    env,
    net::TcpListener,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use towline::{
    apply::{Applied, Job, Progress, apply},
    credentials::Keyring,
    docker::{Docker, Patience},
    machine::{Deploy, Member},
    process::Launcher,
    report::acknowledgement,
    settings::{Service, Settings},
    store::{Store, StoreError},
};
use towline_protocol::{Image, Intent, Mark, Revision, Side, Source};

/// The kind of manifest that `docker push` makes.
pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// One service on the engine. What it made is removed at the end, so that tests do not wait for each other's ports.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) docker: Docker,
    pub(crate) store: Store,
    pub(crate) told: Vec<Progress>,
    deploys: u32,
    _state: TempDir,
}

impl Scene {
    /// A scene in which everything is called `name`.
    pub(crate) async fn new(name: &'static str) -> Self {
        let host = required("DOCKER_HOST");
        let state = tempfile::tempdir().unwrap();
        Self {
            name,
            port: free_port(),
            docker: Docker::connect(Some(&host)).await.unwrap(),
            store: Store::open(state.path()).unwrap(),
            told: Vec::new(),
            deploys: 0,
            _state: state,
        }
    }

    /// Waits no longer than this for registries from now on.
    pub(crate) async fn hurry(&mut self, patience: Patience) {
        let engine = Docker::connect(Some(&required("DOCKER_HOST"))).await;
        self.docker = engine.unwrap().with_patience(patience);
    }

    /// Asks registries with these logins from now on.
    pub(crate) async fn log_in(&mut self, keyring: Keyring) {
        let engine = Docker::connect(Some(&required("DOCKER_HOST"))).await;
        self.docker = engine.unwrap().with_keyring(keyring);
    }

    /// Pushes an image of the toy service; returns its digest.
    pub(crate) fn push(&self, version: &str, mode: &str, instructions: &[&str]) -> String {
        push(self.name, version, mode, instructions)
    }

    /// The service's repository at `tag`.
    pub(crate) fn image(&self, tag: &str) -> String {
        image(self.name, tag)
    }

    /// Pushes a version and lets the tag `live`, which the container is made with, lead to it in the registry.
    pub(crate) fn release(&self, version: &str, mode: &str, instructions: &[&str]) -> String {
        release(self.name, version, mode, instructions)
    }

    /// Runs the container from `live`, with the service's port published and further arguments.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let publish = format!("127.0.0.1:{}:8080", self.port);
        let mut all = vec![
            "run",
            "--detach",
            "--name",
            self.name,
            "--publish",
            &publish,
        ];
        all.extend(arguments);
        let image = self.image("live");
        all.push(&image);
        docker(&all);
    }

    /// The host's file with the service, and these lines behind its name.
    pub(crate) fn file(&self, lines: &str) -> String {
        let name = self.name;
        format!(
            "[relay]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"/nowhere\"\n\
             [service.{name}]\nrepository = \"octo-org/{name}\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             docker = {{ container = \"{name}\" }}\n{lines}"
        )
    }

    /// The service, with these lines behind its name in the host's file.
    pub(crate) fn service(&self, lines: &str) -> Service {
        Settings::parse(&self.file(lines), "towline.toml")
            .unwrap()
            .services
            .remove(0)
    }

    /// The service with an HTTP check for a good answer that names `version`.
    pub(crate) fn checked(&self, version: &str) -> Service {
        let (name, port) = (self.name, self.port);
        self.service(&format!(
            "[[service.{name}.health]]\nhttp = \"http://127.0.0.1:{port}/\"\ncontains = \"toy {version} \"\nwithin = \"5s\"\n"
        ))
    }

    /// Deploys to the service whatever an intent without an image asks for.
    pub(crate) async fn deploy(&mut self, service: &Service) -> Applied {
        self.deploy_image(service, None).await
    }

    /// Deploys an image that the intent names. Deploys are numbered from 00000001.
    pub(crate) async fn deploy_image(
        &mut self,
        service: &Service,
        image: Option<Image>,
    ) -> Applied {
        self.deploy_while(service, image, || ()).await
    }

    /// The same; `pulled` is done once, when the new image has been pulled.
    pub(crate) async fn deploy_while(
        &mut self,
        service: &Service,
        image: Option<Image>,
        pulled: impl FnOnce(),
    ) -> Applied {
        let intent = intent(image);
        self.deploys += 1;
        let deploy = format!("{:08x}", self.deploys);
        let job = Job {
            service,
            intent: &intent,
            attempt: 1,
            deploy,
        };
        let told = &mut self.told;
        let mut pulled = Some(pulled);
        apply(
            &self.docker,
            &launcher(),
            &mut self.store,
            &job,
            std::future::pending(),
            std::future::pending(),
            &mut |progress| {
                if matches!(progress, Progress::Pulled { .. })
                    && let Some(pulled) = pulled.take()
                {
                    pulled();
                }
                told.push(progress);
            },
        )
        .await
        .unwrap()
    }

    /// A deploy 0a1b2c3d that is to replace the healthy container as it is now, and of which nothing is done yet.
    pub(crate) fn begun(&self) -> Deploy {
        let old = self.inspect();
        let member = Member {
            name: self.name.to_owned(),
            old: old["Id"].as_str().unwrap().to_owned(),
            policy: old["HostConfig"]["RestartPolicy"].clone(),
            runs: true,
            was_healthy: true,
            was_restarting: false,
            tag: None,
        };
        let (from, to) = (Side::default(), Side::default());
        Deploy::new("0a1b2c3d".to_owned(), vec![member], from, to)
    }

    /// What `docker inspect` says of the container that has the service's name.
    pub(crate) fn inspect(&self) -> Value {
        inspect(self.name)
    }

    /// The names of the service's containers, those beside it included.
    pub(crate) fn containers(&self) -> Vec<String> {
        let filter = format!("name=^/?{}(--.*)?$", self.name);
        let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    /// What the service answers.
    pub(crate) fn get(&self) -> Option<String> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}/", self.port))
            .call()
            .ok()?;
        answer.body_mut().read_to_string().ok()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for name in self.containers() {
            Command::new("docker")
                .args(["rm", "--force", &name])
                .output()
                .ok();
        }
    }
}

/// Pushes an image of the toy service to the repository `name`; returns its digest.
pub(crate) fn push(name: &str, version: &str, mode: &str, instructions: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/toy/push");
    let output = Command::new(script)
        .args([name, version, mode])
        .args(instructions)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "push: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let reference = String::from_utf8(output.stdout).unwrap();
    reference.trim().split_once('@').unwrap().1.to_owned()
}

/// The repository `name` at `tag`.
pub(crate) fn image(name: &str, tag: &str) -> String {
    format!("{}/{name}:{tag}", required("TOWLINE_TEST_REGISTRY"))
}

/// Pushes a version and lets the tag `live` lead to it in the registry.
pub(crate) fn release(name: &str, version: &str, mode: &str, instructions: &[&str]) -> String {
    let digest = push(name, version, mode, instructions);
    let registry = required("TOWLINE_TEST_REGISTRY");
    let manifest = |tag: &str| format!("http://{registry}/v2/{name}/manifests/{tag}");
    let mut pushed = ureq::get(manifest(version))
        .header("Accept", MANIFEST)
        .call()
        .unwrap();
    let pushed = pushed.body_mut().read_to_vec().unwrap();
    ureq::put(manifest("live"))
        .header("Content-Type", MANIFEST)
        .send(&pushed)
        .unwrap();
    digest
}

/// The binary that starts programs.
pub(crate) fn launcher() -> Launcher {
    Launcher(env!("CARGO_BIN_EXE_towline").into())
}

/// An image that only sleeps, of a static busybox, which is `/busybox` in it.
pub(crate) fn sleeper(name: &str) {
    let script = r#"tar -C "$(dirname "$1")" -c "$(basename "$1")" | docker import --change 'ENTRYPOINT ["/busybox", "sleep", "600"]' - "$2""#;
    let busybox = required("TOWLINE_TEST_BUSYBOX");
    let output = Command::new("sh")
        .args(["-c", script, "sh", &busybox, name])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Does what `docker image prune` does, to the images with this in their name alone: those of other tests may be without a
/// tag for a moment.
pub(crate) fn prune(name: &str) {
    let format = "{{.Repository}} {{.ID}}";
    let mut list = vec!["images", "--filter", "dangling=true", "--no-trunc"];
    list.extend(["--format", format]);
    for image in docker(&list).lines().filter(|line| line.contains(name)) {
        let id = image.split(' ').next_back().unwrap();
        // One that a container has stays.
        let mut remove = Command::new("docker");
        remove.args(["image", "rm", id]).output().unwrap();
    }
}

/// A port that no other test gets, below those that systems give to outgoing connections: it is used a while later.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The state in `folder`, opened anew. A command that another test has just forked may hold its lock for a moment.
pub(crate) fn reopened(folder: &Path) -> Store {
    for _ in 0..100 {
        match Store::open(folder) {
            Err(StoreError::Locked { .. }) => std::thread::sleep(Duration::from_millis(50)),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", folder.display());
}

/// Lets the state hold `intent` as the newest, whose acknowledgement the relay has.
pub(crate) fn received(store: &mut Store, intent: &Intent) {
    let Intent { epoch, seq, .. } = *intent;
    let (mark, one) = (Mark { epoch, seq }, std::slice::from_ref(intent));
    let host = "pi".parse().unwrap();
    let acknowledged = |one: &Intent| acknowledgement(&host, &[], one, Timestamp::now());
    store
        .receive(&intent.channel, mark, one, acknowledged)
        .unwrap();
    let spooled = store.spooled(100).unwrap();
    let ids = spooled.iter().filter(|one| one.report.service.is_none());
    let ids: Vec<_> = ids.map(|one| one.id).collect();
    store.acknowledge(&ids).unwrap();
}

pub(crate) fn required(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run this by `make test`, or behind `tests/setup/sandbox`, which starts an engine and a registry")
    })
}

/// Runs the `docker` command, which must succeed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn inspect(name: &str) -> Value {
    let all: Vec<Value> = serde_json::from_str(&docker(&["inspect", name])).unwrap();
    all.into_iter().next().unwrap()
}

pub(crate) fn intent(image: Option<Image>) -> Intent {
    Intent {
        id: "in_aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
        channel: "octo-org/web".parse().unwrap(),
        epoch: 1,
        seq: 1,
        created_at: "2026-11-20T15:00:00Z".parse().unwrap(),
        expires_at: None,
        source: Source::Manual {
            by: "octocat".to_owned(),
            reason: String::new(),
        },
        revision: Revision {
            sha: Some("3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap()),
            ..Revision::default()
        },
        image,
        service: None,
        hosts: Vec::new(),
    }
}
