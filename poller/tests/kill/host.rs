//! A host whose poller is killed: the real binary, a relay that remembers what it was told, a service with a volume.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    images::{Images, V2},
    relay::{Relay, manual, news},
    scene::{docker, required},
};

/// A service on v1, with data in a volume, and a poller that has not run yet.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// The id of the container on v1.
    pub(crate) old: String,
    relay: Relay,
    dir: TempDir,
}

/// What is seen of the service's containers.
#[derive(Debug, PartialEq)]
pub(crate) struct World {
    /// Id and restart policy, by name.
    pub(crate) containers: BTreeMap<String, (String, String)>,
    /// What the container with the service's name shows of its state: whether it runs, and since when.
    pub(crate) state: Option<(bool, String)>,
}

impl Host {
    /// Everything is called `name`; the intent that the relay holds asks for a v2 that does this.
    pub(crate) fn new(name: String, v2: V2) -> Self {
        Self::of(name, Images::get().digest(v2))
    }

    /// The same, and the intent asks for the image that has this digest.
    pub(crate) fn of(name: String, digest: &str) -> Self {
        let relay = Relay::start();
        let mut intent = manual(1);
        intent["service"] = json!(name);
        intent["image"] = json!({ "digest": digest });
        relay.change(|state| state.intents = news(&[intent]));
        let mut host = Self {
            port: free_port(),
            old: String::new(),
            relay,
            dir: tempfile::tempdir().unwrap(),
            name,
        };
        host.run();
        host.write_files();
        host
    }

    fn run(&mut self) {
        let name = &self.name;
        let image = Images::get().tagged_v1(name);
        let publish = format!("127.0.0.1:{}:8080", self.port);
        let volume = format!("{name}-data:/data");
        let run = [
            &["run", "--detach", "--name", name, "--restart", "always"],
            &["--publish", &publish, "--volume", &volume, &image][..],
        ];
        self.old = docker(&run.concat());
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        docker(&["cp", kept, &format!("{name}:/data/kept")]);
    }

    fn write_files(&self) {
        let (name, port) = (&self.name, self.port);
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

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// `towline once`, which writes down the points that it comes to.
    fn command(&self) -> Command {
        self.towline(&["once"])
    }

    /// `towline` for this host, which writes down the points that it comes to.
    pub(crate) fn towline(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("towline.toml"))
            .arg("--state-dir")
            .arg(self.state())
            .env("DOCKER_HOST", required("DOCKER_HOST"))
            .env("TOWLINE_FAILPOINT_LOG", self.path("passed"));
        command
    }

    /// The points that the last run has come to.
    pub(crate) fn passed(&self) -> Vec<String> {
        let points = fs::read_to_string(self.path("passed")).unwrap_or_default();
        points.lines().map(str::to_owned).collect()
    }

    /// Runs `towline once` to its end; returns its exit status, its log and the points that it passed.
    pub(crate) fn once(&self) -> (i32, String, Vec<String>) {
        fs::remove_file(self.path("passed")).ok();
        let (status, log) = ended(self.command().output().unwrap());
        (status.code().unwrap(), log, self.passed())
    }

    /// Runs `towline once` with the engine at this address; returns its exit status and its log.
    pub(crate) fn once_by(&self, engine: &str) -> (i32, String) {
        let mut once = self.towline(&["once"]);
        let (status, log) = ended(once.env("DOCKER_HOST", engine).output().unwrap());
        (status.code().unwrap(), log)
    }

    /// Runs `towline retry`; returns its exit status and its log.
    pub(crate) fn retry(&self) -> (i32, String) {
        let retried = self.towline(&["retry", &self.name]).output();
        let (status, log) = ended(retried.unwrap());
        (status.code().unwrap(), log)
    }

    /// Runs `towline once`, which is killed at `point`.
    pub(crate) fn killed_at(&self, point: &str) {
        fs::remove_file(self.path("passed")).ok();
        let killed = self.command().env("TOWLINE_FAILPOINT", point).output();
        let (status, log) = ended(killed.unwrap());
        assert_eq!(status.signal(), Some(9), "{point}: {log}");
        assert_eq!(self.passed().last().unwrap(), point);
    }

    /// Runs `towline once` up to `point`, where it waits.
    pub(crate) fn paused_at(&self, point: &str) -> Paused {
        fs::remove_file(self.path("passed")).ok();
        let go = self.path("go");
        let mut command = self.command();
        command
            .env("TOWLINE_FAILPOINT", point)
            .env("TOWLINE_FAILPOINT_WAIT", &go)
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        while self.passed().last().is_none_or(|last| last != point) {
            assert_eq!(process.try_wait().unwrap(), None, "{point} was not met");
            thread::sleep(Duration::from_millis(20));
        }
        Paused { process, go }
    }

    /// The names of the service's containers, those beside it included.
    fn containers(&self) -> Vec<String> {
        let filter = format!("name=^/?{}(--.*)?$", self.name);
        let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    /// What the service answers.
    pub(crate) fn get(&self) -> Option<String> {
        let address = format!("http://127.0.0.1:{}/", self.port);
        let mut answer = ureq::get(address).call().ok()?;
        answer.body_mut().read_to_string().ok()
    }

    /// What is to be seen now.
    pub(crate) fn world(&self) -> World {
        let names = self.containers();
        let mut ask = vec!["container", "inspect"];
        ask.extend(names.iter().map(String::as_str));
        let all: Vec<Value> = serde_json::from_str(&docker(&ask)).unwrap();
        let mut world = World {
            containers: BTreeMap::new(),
            state: None,
        };
        for shown in all {
            let text = |path: &str| shown.pointer(path).unwrap().as_str().unwrap().to_owned();
            let name = text("/Name").trim_start_matches('/').to_owned();
            if name == self.name {
                let running = shown["State"]["Running"].as_bool().unwrap();
                world.state = Some((running, text("/State/StartedAt")));
            }
            let shown = (text("/Id"), text("/HostConfig/RestartPolicy/Name"));
            world.containers.insert(name, shown);
        }
        world
    }

    /// How the deploy has ended, as the relay was told it last: what is to be seen is that, and nothing is left over or lost.
    pub(crate) fn truth(&self, story: &str) -> String {
        let name = &self.name;
        let reports = self.reports();
        let (_, last) = reports.last_key_value().unwrap();
        let outcome = last["outcome"].as_str().unwrap();
        let world = self.world();
        let names: Vec<_> = world.containers.keys().collect();
        assert_eq!(names, [name], "{story}: {last}");
        let (id, policy) = &world.containers[name];
        assert_eq!(policy, "always", "{story}: {last}");
        let runs = world.state.is_some_and(|(runs, _)| runs);
        assert!(runs, "{story}: {last}");
        let is_new = outcome == "succeeded";
        assert_eq!(*id != self.old, is_new, "{story}: {last}");
        let answers = if is_new { "toy v2 \n" } else { "toy v1 \n" };
        assert_eq!(self.get().as_deref(), Some(answers), "{story}: {last}");
        assert!(self.data().contains("[package]"), "{story}");
        outcome.to_owned()
    }

    /// The data in the volume, as the container that has the service's name sees it.
    fn data(&self) -> String {
        let copy = self.path("copy");
        let from = format!("{}:/data/kept", self.name);
        docker(&["cp", &from, copy.to_str().unwrap()]);
        fs::read_to_string(copy).unwrap()
    }

    /// The final reports that the relay was sent, by attempt; each attempt has one, however often it was sent.
    pub(crate) fn reports(&self) -> BTreeMap<u64, Value> {
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

/// A port that is free, below those that the system gives to connections: nobody takes it while the service is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn ended(output: Output) -> (ExitStatus, String) {
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// A run that waits at a point; it ends with the test.
pub(crate) struct Paused {
    process: Child,
    go: PathBuf,
}

impl Paused {
    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        fs::write(&self.go, "").unwrap();
    }

    /// Waits for its end; returns its exit status and its log.
    pub(crate) fn ended(mut self) -> (i32, String) {
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for name in self.containers() {
            let remove = ["rm", "--force", &name];
            Command::new("docker").args(remove).output().ok();
        }
        let remove = ["volume", "rm", &format!("{}-data", self.name)];
        Command::new("docker").args(remove).output().ok();
    }
}
