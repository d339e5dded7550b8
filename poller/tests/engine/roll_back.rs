//! `towline rollback` as a process, on services whose registry is gone by then.

use std::{
    fs, io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use towline::{
    report,
    settings::Service,
    store::{End, Running, Store},
};
use towline_protocol::{Outcome, ServiceName};

use crate::scene::{Scene, docker, inspect, prune, reopened, required};

/// The registry at an address of its own, until it is dropped.
struct Registry {
    address: String,
    closed: Arc<AtomicBool>,
}

impl Registry {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = closed.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let registry = TcpStream::connect(required("TOWLINE_TEST_REGISTRY")).unwrap();
                pipe(&client, &registry);
                pipe(&registry, &client);
            }
        });
        Self { address, closed }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        TcpStream::connect(&self.address).ok();
    }
}

fn pipe(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}

/// A host with one service, and nothing but the engine.
pub(crate) struct Host {
    pub(crate) scene: Scene,
    service: Service,
    registry: Option<Registry>,
    dir: TempDir,
    pub(crate) state: TempDir,
}

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Host {
    /// A service on v1, run with these arguments, whose versions pass when they answer `good`.
    pub(crate) async fn on_v1(
        name: &'static str,
        keep: u32,
        good: &str,
        arguments: &[&str],
    ) -> Self {
        let scene = Scene::new(name).await;
        let labelled = format!("LABEL towline.test={name}");
        scene.release("v1", "ok", &[&labelled]);
        let registry = Registry::new();
        let publish = format!("127.0.0.1:{}:8080", scene.port);
        let image = format!("{}/{name}:live", registry.address);
        let run = ["run", "--detach", "--name", name, "--publish", &publish];
        docker(&[&run, arguments, &[image.as_str()]].concat());
        Self::of(scene, Some(registry), keep, good)
    }

    /// The host of a container that is there already.
    fn of(scene: Scene, registry: Option<Registry>, keep: u32, good: &str) -> Self {
        let (name, port) = (scene.name, scene.port);
        let lines = format!(
            "keep = {keep}\n[[service.{name}.health]]\nhttp = \"http://127.0.0.1:{port}/\"\ncontains = \"{good}\"\nwithin = \"5s\"\n"
        );
        Self {
            registry,
            ..Self::with(scene, &lines)
        }
    }

    /// The same, with these lines behind the service's name in the host's file.
    pub(crate) fn with(mut scene: Scene, lines: &str) -> Self {
        let name = scene.name;
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        scene.store = Store::open(state.path()).unwrap();
        let file = format!(
            "[relay]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"token\"\n[service.{name}]\n\
             repository = \"octo-org/{name}\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             docker = {{ container = \"{name}\" }}\n{lines}"
        );
        fs::write(dir.path().join("towline.toml"), file).unwrap();
        let token = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args(["token", "--role", "host", "--name", "pi", "--channel", "*"])
            .env("TOKEN_KEY", "a key for tests of thirty-two bytes or more")
            .output()
            .unwrap();
        fs::write(dir.path().join("token"), token.stdout).unwrap();
        fs::set_permissions(dir.path().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
        let service = scene.service(lines);
        Self {
            scene,
            service,
            registry: None,
            dir,
            state,
        }
    }

    pub(crate) fn name(&self) -> ServiceName {
        self.scene.name.parse().unwrap()
    }

    /// Releases and deploys a version, and closes the journal as the poller does; returns its digest.
    pub(crate) async fn deploy(&mut self, version: &str) -> String {
        let labelled = format!("LABEL towline.test={}", self.scene.name);
        let digest = self.scene.release(version, "ok", &[&labelled]);
        let applied = self.scene.deploy(&self.service).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        let name = self.name();
        let entry = self.scene.store.open_journals().unwrap().remove(0);
        let now = Timestamp::now();
        let report = report::blank(entry.intent.clone(), &name, 1, applied.outcome, now);
        let running = Running {
            side: applied.to,
            version: None,
            revision: None,
            placed: None,
            intent: Some(entry.intent),
            since: now,
            unwell: None,
        };
        let end = End {
            running: Some(running),
            ..End::of(report)
        };
        let store = &mut self.scene.store;
        store.close_journal(&entry.deploy, &name, &end).unwrap();
        digest
    }

    /// Runs `towline rollback` with these arguments behind the service.
    pub(crate) fn roll_back(&mut self, arguments: &[&str]) -> Said {
        self.let_go();
        let said = self.say(&[&["rollback", self.scene.name], arguments].concat());
        self.scene.store = reopened(self.state.path());
        said
    }

    /// Has the relay at this port of the host's own address from now on.
    pub(crate) fn relay_at(&self, port: u16) {
        let relay = format!("http://127.0.0.1:{port}\"");
        self.change("http://127.0.0.1:1\"", &relay);
    }

    /// Lets nothing go wrong for so long after the checks, from now on.
    pub(crate) fn stable_for(&self, time: &str) {
        self.change("keep = ", &format!("stable_for = \"{time}\"\nkeep = "));
    }

    /// Changes the host's file.
    fn change(&self, from: &str, to: &str) {
        let file = self.dir.path().join("towline.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    /// Leaves the state to another process, since it belongs to one at a time.
    pub(crate) fn let_go(&mut self) {
        let elsewhere = tempfile::tempdir().unwrap();
        self.scene.store = Store::open(elsewhere.path()).unwrap();
    }

    /// `towline` with these arguments, for this host.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.dir.path().join("towline.toml"))
            .arg("--state-dir")
            .arg(self.state.path());
        command
    }

    /// Runs `towline` with these arguments, to its end.
    pub(crate) fn say(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What is to be refused with these words, without a touch.
    fn refused(&mut self, arguments: &[&str], words: &str) {
        let before = self.scene.inspect();
        let said = self.roll_back(arguments);
        assert_eq!(said.status, 1, "{}{}", said.out, said.err);
        assert!(said.err.contains(words), "{}", said.err);
        assert_eq!(self.scene.inspect()["Id"], before["Id"]);
        assert_eq!(
            self.scene.inspect()["State"]["StartedAt"],
            before["State"]["StartedAt"]
        );
    }

    fn came_back(&mut self, arguments: &[&str], version: &str) {
        let said = self.roll_back(arguments);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        assert!(said.out.starts_with("succeeded: "), "{}", said.out);
        assert_eq!(self.scene.get().unwrap(), format!("toy {version} \n"));
        assert_eq!(self.scene.containers(), [self.scene.name]);
    }
}

/// What the operator had set on a container, as the engine shows it.
fn set(container: &Value) -> Value {
    let mut mounts = container["Mounts"].as_array().unwrap().clone();
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    let networks: Vec<_> = networks.keys().collect();
    serde_json::json!([
        container["Config"]["Env"],
        container["Config"]["Image"],
        container["HostConfig"]["RestartPolicy"],
        container["HostConfig"]["PortBindings"],
        container["Image"],
        mounts
            .iter()
            .map(|mount| [&mount["Name"], &mount["Destination"]])
            .collect::<Vec<_>>(),
        networks,
    ])
}

#[tokio::test]
async fn the_version_before_comes_back_offline_with_its_settings_volumes_and_networks() {
    docker(&["network", "create", "rewound-net"]);
    let arguments = [
        "--env",
        "SECRET=s3cr3t",
        "--network",
        "rewound-net",
        "--restart",
        "unless-stopped",
        "--volume",
        "rewound-data:/data",
        "--volume",
        "/anonymous",
    ];
    let mut host = Host::on_v1("rewound", 2, "toy v", &arguments).await;
    let before = host.scene.inspect();
    let second = host.deploy("v2").await;
    host.registry = None;
    prune("rewound");
    host.came_back(&[], "v1");
    let after = host.scene.inspect();
    assert_eq!(set(&after), set(&before));
    assert_ne!(after["Id"], before["Id"]);
    let live = before["Config"]["Image"].as_str().unwrap();
    assert_eq!(
        inspect(live)["Id"],
        before["Image"],
        "the tag leads there again"
    );

    let (store, name) = (&host.scene.store, host.name());
    assert_eq!(
        store.quarantine(&name).unwrap()[0].version.to_string(),
        second
    );
    assert!(store.hold(&name).unwrap().is_some());
    let told = store.spooled(9).unwrap().pop().unwrap().report;
    assert_eq!((told.outcome, told.attempt), (Some(Outcome::RolledBack), 2));

    host.refused(&[], "--to");
    let cut: String = second.chars().take("sha256:".len() + 10).collect();
    host.came_back(&["--to", &cut], "v2");
    host.refused(&["--to", &cut], "already");
    drop(host);
    docker(&["network", "rm", "rewound-net"]);
    docker(&["volume", "rm", "rewound-data"]);
}

#[tokio::test]
async fn with_keep_3_the_version_before_the_last_one_can_be_named() {
    let mut host = Host::on_v1("goback3", 3, "toy v", &[]).await;
    let first = inspect(host.scene.inspect()["Image"].as_str().unwrap())["RepoDigests"][0].clone();
    let first = first
        .as_str()
        .unwrap()
        .split_once('@')
        .unwrap()
        .1
        .to_owned();
    host.deploy("v2").await;
    host.deploy("v3").await;
    host.registry = None;
    host.came_back(&["--to", &first], "v1");
    host.came_back(&[], "v2");
}

#[tokio::test]
async fn an_earlier_version_that_does_not_pass_is_left_again_for_the_current_one() {
    let mut host = Host::on_v1("gobackbad", 2, "toy v2", &[]).await;
    host.deploy("v2").await;
    let before = host.scene.inspect();
    let said = host.roll_back(&[]);
    assert_eq!(said.status, 3, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("rolled_back: "), "{}", said.out);
    assert_eq!(host.scene.inspect()["Id"], before["Id"]);
    assert_eq!(host.scene.get().unwrap(), "toy v2 \n");
    let (store, name) = (&host.scene.store, host.name());
    assert_eq!(
        (store.hold(&name).unwrap(), store.quarantine(&name).unwrap()),
        (None, vec![])
    );
    let tags = docker(&["image", "ls", "--quiet", "towline/gobackbad"]);
    assert_eq!(tags.lines().count(), 2, "both versions are kept as before");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_gone_back_to_and_nothing_is_touched() {
    let mut host = Host::on_v1("gobackno", 2, "toy v", &[]).await;
    host.refused(&[], "no earlier version is kept");
    host.deploy("v2").await;
    host.refused(
        &["--to", "sha256:0000"],
        "begins with sha256:0000; kept are: ",
    );
    let said = host.roll_back(&["--to", "v1"]);
    assert_eq!(said.status, 2, "{}", said.err);
    // A name alone does not spare an image from this.
    docker(&[
        "image",
        "prune",
        "--all",
        "--force",
        "--filter",
        "label=towline.test=gobackno",
    ]);
    host.refused(&[], "not on this host any more");
    assert_eq!(host.scene.get().unwrap(), "toy v2 \n");
    docker(&["rm", "--force", "gobackno"]);
    let said = host.roll_back(&[]);
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(
        said.err.contains("there is no container gobackno"),
        "{}",
        said.err
    );
}

#[tokio::test]
async fn compose_finds_nothing_to_do_after_it() {
    let scene = Scene::new("gobackcompose").await;
    scene.release("v1", "ok", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("compose.yml");
    let text = format!(
        "name: gobackcompose-project\nservices:\n  web:\n    image: {}\n    container_name: gobackcompose\n    ports: [\"127.0.0.1:{}:8080\"]\n    volumes: [data:/data, /anonymous]\nvolumes: {{data: {{}}}}\n",
        scene.image("live"),
        scene.port
    );
    fs::write(&file, text).unwrap();
    let compose = |what: &[&str]| {
        let file = ["compose", "--file", file.to_str().unwrap()];
        docker(&[&file, what].concat());
    };
    compose(&["up", "--detach"]);
    let mut host = Host::of(scene, None, 2, "toy v");
    host.deploy("v2").await;
    host.came_back(&[], "v1");
    let before = host.scene.inspect();
    compose(&["up", "--detach"]);
    assert_eq!(host.scene.inspect()["Id"], before["Id"]);
    assert_eq!(host.scene.containers(), ["gobackcompose"]);
    compose(&["down", "--volumes"]);
}

#[tokio::test]
async fn a_version_without_the_label_that_chooses_the_service_by_now_is_not_gone_back_to() {
    let mut host = Host::on_v1("golabel", 2, "toy v", &[]).await;
    host.deploy("v2").await;
    let image = host.scene.inspect()["Config"]["Image"].clone();
    let publish = format!("127.0.0.1:{}:8080", host.scene.port);
    docker(&["rm", "--force", "golabel"]);
    let run = [
        "run",
        "--detach",
        "--name",
        "golabel",
        "--publish",
        &publish,
    ];
    let label = ["--label", "octo.app=golabel", image.as_str().unwrap()];
    docker(&[&run[..], &label].concat());
    host.change("container = \"golabel\"", "label = \"octo.app=golabel\"");
    host.refused(&[], "octo.app=golabel");
}
