//! A host whose poller is killed: the real binary, a relay that remembers what it was told, a service with a volume.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::relay::{Relay, manual, news};
use crate::scene::{Scene, docker, inspect, required};

/// A service on v1, with data in a volume, and a poller that has not run yet.
pub(super) struct Host {
    pub(super) scene: Scene,
    /// The id of the container on v1.
    pub(super) old: String,
    relay: Relay,
    dir: TempDir,
    _volume: Volume,
}

/// What is seen of the service's containers.
#[derive(Debug, PartialEq)]
pub(super) struct World {
    /// Id and restart policy, by name.
    pub(super) containers: BTreeMap<String, (String, String)>,
    /// What the container with the service's name shows of its state: whether it runs, and since when.
    pub(super) state: Option<(bool, String)>,
}

impl Host {
    /// Everything is called `name`; the intent that the relay holds asks for a v2 in this mode.
    pub(super) fn new(name: String, mode: &str) -> Self {
        let name: &'static str = name.leak();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let scene = runtime.block_on(Scene::new(name));
        scene.release("v1", "ok", &[]);
        let volume = Volume(format!("{name}-data"));
        let mount = format!("{}:/data", volume.0);
        scene.run(&["--restart", "always", "--volume", &mount]);
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        docker(&["cp", kept, &format!("{name}:/data/kept")]);
        let digest = scene.push("v2", mode, &[]);
        let relay = Relay::start();
        let mut intent = manual(1);
        intent["service"] = json!(name);
        intent["image"] = json!({ "digest": digest });
        relay.change(|state| state.intents = news(&[intent]));
        let host = Self {
            old: scene.inspect()["Id"].as_str().unwrap().to_owned(),
            scene,
            relay,
            dir: tempfile::tempdir().unwrap(),
            _volume: volume,
        };
        host.write_files();
        host
    }

    fn write_files(&self) {
        let (name, port) = (self.scene.name, self.scene.port);
        let file = format!(
            "[relay]\nurl = \"http://127.0.0.1:{}\"\ntoken_file = \"token\"\n\
             [service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             docker = {{ container = \"{name}\" }}\n\
             [[service.{name}.health]]\nhttp = \"http://127.0.0.1:{port}/\"\nwithin = \"30s\"\n",
            self.relay.port
        );
        fs::write(self.path("towline.toml"), file).unwrap();
        let token = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args("token --role host --name pi --channel octo-org/*".split(' '))
            .env("TOKEN_KEY", "a key for tests of thirty-two bytes or more")
            .output()
            .unwrap();
        fs::write(self.path("token"), token.stdout).unwrap();
        fs::set_permissions(self.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `towline once`, to be killed at `point` if one is given; returns the points that it passed.
    fn once_to(&self, point: Option<&str>) -> (Output, Vec<String>) {
        let passed = self.path("passed");
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command
            .arg("once")
            .arg("--config")
            .arg(self.path("towline.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .env("DOCKER_HOST", required("DOCKER_HOST"))
            .env("TOWLINE_FAILPOINT_LOG", &passed);
        if let Some(point) = point {
            command.env("TOWLINE_FAILPOINT", point);
        }
        let output = command.output().unwrap();
        let points = fs::read_to_string(&passed).unwrap_or_default();
        fs::remove_file(&passed).ok();
        (output, points.lines().map(str::to_owned).collect())
    }

    /// Runs `towline once` to its end; returns its exit status, its log and the points that it passed.
    pub(super) fn once(&self) -> (i32, String, Vec<String>) {
        let (output, passed) = self.once_to(None);
        let log = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), log, passed)
    }

    /// Runs `towline once`, which is killed at `point`.
    pub(super) fn killed_at(&self, point: &str) {
        let (output, passed) = self.once_to(Some(point));
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.signal(), Some(9), "{point}: {log}");
        assert_eq!(passed.last().unwrap(), point);
    }

    /// What is to be seen now.
    pub(super) fn world(&self) -> World {
        let seen = self.scene.containers().into_iter().map(|name| {
            let shown = inspect(&name);
            let text = |path: &str| shown.pointer(path).unwrap().as_str().unwrap().to_owned();
            let running = shown["State"]["Running"].as_bool().unwrap();
            let state = (running, text("/State/StartedAt"));
            let armed = text("/HostConfig/RestartPolicy/Name");
            (name, (text("/Id"), armed), state)
        });
        let mut world = World {
            containers: BTreeMap::new(),
            state: None,
        };
        for (name, shown, state) in seen {
            if name == self.scene.name {
                world.state = Some(state);
            }
            world.containers.insert(name, shown);
        }
        world
    }

    /// The data in the volume, as the container that has the service's name sees it.
    pub(super) fn data(&self) -> String {
        let copy = self.path("copy");
        let from = format!("{}:/data/kept", self.scene.name);
        docker(&["cp", &from, copy.to_str().unwrap()]);
        fs::read_to_string(copy).unwrap()
    }

    /// The final reports that the relay was sent, by attempt; each attempt has one, however often it was sent.
    pub(super) fn reports(&self) -> BTreeMap<u64, Value> {
        const PENDING: [&str; 2] = ["waiting", "applying"];
        let mut reports = BTreeMap::new();
        for report in self.relay.change(|state| state.heard.clone()) {
            let outcome = report["outcome"].as_str().unwrap_or_default();
            if outcome.is_empty() || PENDING.contains(&outcome) {
                continue;
            }
            let attempt = report["attempt"].as_u64().unwrap();
            let same = reports.entry(attempt).or_insert_with(|| report.clone());
            assert_eq!(*same, report, "an attempt has ended in two ways");
        }
        reports
    }
}

/// Removed when it is dropped, which is after the container that has it.
struct Volume(String);

impl Drop for Volume {
    fn drop(&mut self) {
        let remove = ["volume", "rm", "--force", &self.0];
        Command::new("docker").args(remove).output().ok();
    }
}
