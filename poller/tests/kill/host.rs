//! A host whose poller is killed, with a service in a container that has a volume.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    ops::Deref,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use serde_json::{Value, json};

use crate::{
    companions::{Companions, Shown},
    images::{Images, V2},
    poller::Poller,
    relay::manual,
    scene::{docker, inspect, required},
};

/// A service on v1, with data in a volume, and a poller that has not run yet.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// The id of the container on v1.
    pub(crate) old: String,
    poller: Poller,
    pub(crate) companions: Companions,
    way: Way,
}

/// How a host's service is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The old version is stopped first.
    StopFirst,
    /// The new version takes over first.
    StartFirst {
        /// Whether a hook finds it good then.
        is_good: bool,
    },
}

impl Way {
    /// The service's lines; `port` is the host's that it has by the first way.
    fn lines(self, name: &str, port: u16) -> String {
        let (more, at) = match self {
            Self::StopFirst => (String::new(), format!("127.0.0.1:{port}")),
            Self::StartFirst { is_good } => {
                let hook = if is_good { "/bin/true" } else { "/bin/false" };
                let more = format!(
                    "strategy = \"start-first\"\ndrain = \"1s\"\nshared_volumes = \"/data\"\n\
                     hooks = {{ after = {{ run = [\"{hook}\"] }} }}\n"
                );
                (more, "{container}:8080".to_owned())
            }
        };
        let check =
            format!("[[service.{name}.health]]\nhttp = \"http://{at}/\"\nwithin = \"30s\"\n");
        more + &check
    }
}

impl Deref for Host {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

/// What is seen of the service's containers.
#[derive(Debug, PartialEq)]
pub(crate) struct World {
    /// Id and restart policy, by name.
    pub(crate) containers: BTreeMap<String, (String, String)>,
    /// What the container with the service's name shows of its state: whether it runs, and since when.
    pub(crate) state: Option<(bool, String)>,
    /// Those that share its network.
    companions: Vec<Shown>,
}

impl Host {
    /// Everything is called `name`; the intent that the relay holds asks for a v2 that does this.
    pub(crate) fn new(name: String, v2: V2) -> Self {
        Self::of(name, Images::get().digest(v2))
    }

    /// The same, with containers that share its network.
    pub(crate) fn accompanied(name: String, v2: V2) -> Self {
        let mut host = Self::new(name, v2);
        host.companions = Companions::of(&host.name);
        host
    }

    /// The same, whose new version takes over while the old one runs.
    pub(crate) fn beside(name: String, v2: V2) -> Self {
        let way = Way::StartFirst { is_good: true };
        Self::with(way, name, Images::get().digest(v2))
    }

    /// The same, whose new version is found bad when it has taken over.
    pub(crate) fn badly_beside(name: String, v2: V2) -> Self {
        let way = Way::StartFirst { is_good: false };
        Self::with(way, name, Images::get().digest(v2))
    }

    /// A host whose intent asks for the image that has this digest.
    pub(crate) fn of(name: String, digest: &str) -> Self {
        Self::with(Way::StopFirst, name, digest)
    }

    fn with(way: Way, name: String, digest: &str) -> Self {
        let port = free_port();
        let service = format!(
            "[service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             docker = {{ container = \"{name}\" }}\n{}",
            way.lines(&name, port)
        );
        let poller = Poller::new(&service, required("DOCKER_HOST"));
        let mut intent = manual(1);
        intent["service"] = json!(name);
        intent["image"] = json!({ "digest": digest });
        poller.offer(&[intent]);
        let mut host = Self {
            port,
            old: String::new(),
            poller,
            companions: Companions::default(),
            name,
            way,
        };
        host.run();
        host
    }

    fn run(&mut self) {
        let name = &self.name;
        let image = Images::get().tagged_v1(name);
        let publish = format!("127.0.0.1:{}:8080", self.port);
        let volume = format!("{name}-data:/data");
        let network = self.network();
        let place: &[&str] = match self.way {
            Way::StopFirst => &["--publish", &publish],
            Way::StartFirst { .. } => {
                docker(&["network", "create", &network]);
                &["--network", &network, "--network-alias", "api"]
            }
        };
        let run = [
            &["run", "--detach", "--name", name, "--restart", "always"],
            place,
            &["--volume", &volume, &image],
        ];
        self.old = docker(&run.concat());
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        docker(&["cp", kept, &format!("{name}:/data/kept")]);
    }

    /// The names of the service's containers, those beside it included.
    fn containers(&self) -> Vec<String> {
        let filter = format!("name=^/?{}(--.*)?$", self.name);
        let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    fn network(&self) -> String {
        format!("{}-net", self.name)
    }

    /// The container's place on the service's network.
    fn endpoint(&self) -> Value {
        let shown = inspect(&self.name);
        shown["NetworkSettings"]["Networks"][&self.network()].clone()
    }

    /// What the service answers.
    pub(crate) fn get(&self) -> Option<String> {
        let at = match self.way {
            Way::StopFirst => format!("127.0.0.1:{}", self.port),
            Way::StartFirst { .. } => {
                let endpoint = self.endpoint();
                format!("{}:8080", endpoint["IPAddress"].as_str()?)
            }
        };
        let address = format!("http://{at}/");
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
            companions: self.companions.shown(),
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
        self.companions.are(is_new, id, story);
        if self.way != Way::StopFirst {
            let endpoint = self.endpoint();
            let aliases = endpoint["Aliases"].as_array();
            let is_found = aliases.is_some_and(|all| all.iter().any(|alias| alias == "api"));
            assert!(is_found, "{story}: {endpoint}");
        }
        outcome.to_owned()
    }

    /// The data in the volume, as the container that has the service's name sees it.
    fn data(&self) -> String {
        let copy = self.path("copy");
        let from = format!("{}:/data/kept", self.name);
        docker(&["cp", &from, copy.to_str().unwrap()]);
        fs::read_to_string(copy).unwrap()
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

impl Drop for Host {
    fn drop(&mut self) {
        for name in self.containers() {
            let remove = ["rm", "--force", &name];
            Command::new("docker").args(remove).output().ok();
        }
        let volume = ["volume", "rm", &format!("{}-data", self.name)];
        Command::new("docker").args(volume).output().ok();
        if self.way != Way::StopFirst {
            let network = ["network", "rm", &self.network()];
            Command::new("docker").args(network).output().ok();
        }
    }
}
