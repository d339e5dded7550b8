//! A Compose project whose poller is killed: two services, of which one gets new versions, and data that both of them show.

use std::{
    fs,
    net::TcpListener,
    ops::Deref,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    poller::Poller,
    relay::manual,
    scene::{docker, image, release, required},
};

/// What is known of the version that is deployed.
pub(crate) const SHA: &str = "2222222222222222222222222222222222222222";

/// A project on v1 of its own, and a poller that has not run yet.
pub(crate) struct Project {
    pub(crate) name: String,
    port: u16,
    folder: TempDir,
    poller: Poller,
}

/// A container as it is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    service: String,
    id: String,
    pub(crate) image: String,
    runs: bool,
}

impl Deref for Project {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl Project {
    /// Brought up by hand from the images `@-web:live` and `@-side:live`, whose address `@` stands for. The service has more
    /// keys in the host's file, in which `DIR` is the project's folder.
    pub(crate) fn new(name: &str, keys: &str) -> Self {
        Self::of(name, "ok", keys)
    }

    /// The same, where v1 of `web` does this.
    pub(crate) fn of(name: &str, mode: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let dir = folder.path().display();
        let service = format!(
            "[service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"3s\"\n\
             compose = {{ file = \"{dir}/compose.yml\", project = \"{name}\" }}\n{}\n",
            keys.replace("DIR", &dir.to_string())
        );
        let project = Self {
            name: name.to_owned(),
            port,
            poller: Poller::new(&service, required("DOCKER_HOST")),
            folder,
        };
        fs::create_dir(project.folder.path().join("data")).unwrap();
        fs::write(project.data(), "first\n").unwrap();
        project.write(&Self::file(port, "@-web:live"));
        for (part, mode) in [("web", mode), ("side", "ok")] {
            release(&format!("{name}-{part}"), "v1", mode, &[]);
        }
        project.by_hand(&["up", "--detach", "--quiet-pull"]);
        project
    }

    /// The project's file, in which the service `web` has this image.
    fn file(port: u16, web: &str) -> String {
        let toy = |image: &str, port: u16| {
            format!(
                "{{image: \"{image}\", restart: always, ports: [\"127.0.0.1:{port}:8080\"], \
                 volumes: [\"./data:/data\"], environment: {{TOY_DATA: /data/log}}}}"
            )
        };
        let (web, side) = (toy(web, port), toy("@-side:live", port + 1));
        format!("services:\n  web: {web}\n  side: {side}\n")
    }

    /// From now on the file has this image for `web`.
    pub(crate) fn names(&self, web: &str) {
        self.write(&Self::file(self.port, web));
    }

    fn write(&self, text: &str) {
        let own = image(&self.name, "").trim_end_matches(':').to_owned();
        let file = self.folder.path().join("compose.yml");
        fs::write(file, text.replace('@', &own)).unwrap();
    }

    /// The file of data that both services show.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data/log")
    }

    /// Pushes a v2 of `web` that does this, and lets the relay hold an intent for it.
    pub(crate) fn offer_v2(&self, mode: &str) {
        release(&format!("{}-web", self.name), "v2", mode, &[]);
        self.ask(1);
    }

    /// The relay holds an intent for what the registry has.
    pub(crate) fn ask(&self, number: u64) {
        let mut intent = manual(number);
        intent["service"] = json!(self.name);
        intent["revision"] = json!({ "sha": SHA });
        intent.as_object_mut().unwrap().remove("image");
        self.offer(&[intent]);
    }

    /// `docker compose` as a user runs it.
    pub(crate) fn by_hand(&self, arguments: &[&str]) -> String {
        let file = self.folder.path().join("compose.yml");
        let which = ["compose", "-p", &self.name, "-f", file.to_str().unwrap()];
        docker(&[&which, arguments].concat())
    }

    /// The project's containers.
    pub(crate) fn containers(&self) -> Vec<Seen> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        let mut ask = vec!["container", "inspect"];
        ask.extend(ids.lines());
        if ids.is_empty() {
            return Vec::new();
        }
        let all: Vec<Value> = serde_json::from_str(&docker(&ask)).unwrap();
        let text =
            |shown: &Value, path: &str| shown.pointer(path).unwrap().as_str().unwrap().to_owned();
        let each = all.iter().map(|shown| {
            let service = shown["Config"]["Labels"]["com.docker.compose.service"]
                .as_str()
                .unwrap();
            let runs = shown["State"]["Running"] == true;
            Seen {
                service: service.to_owned(),
                id: text(shown, "/Id"),
                image: text(shown, "/Image"),
                runs,
            }
        });
        let mut containers: Vec<_> = each.collect();
        containers.sort();
        containers
    }

    /// What `web` and `side` answer, in this order.
    pub(crate) fn answers(&self) -> [Option<String>; 2] {
        [self.port, self.port + 1].map(|port| get(port, ""))
    }

    /// Has `web` add a line to the data.
    pub(crate) fn visit(&self) {
        get(self.port, "visit");
    }

    /// How the last attempt has ended, as the relay was told, and its message; what is to be seen is that, and nothing is left
    /// over.
    pub(crate) fn truth(&self, story: &str) -> (String, String) {
        let reports = self.reports();
        let (_, last) = reports.last_key_value().unwrap();
        let outcome = last["outcome"].as_str().unwrap().to_owned();
        let version = if outcome == "succeeded" { "v2" } else { "v1" };
        let [web, side] = self.answers();
        assert!(
            web.unwrap_or_default()
                .starts_with(&format!("toy {version} ")),
            "{story}: {last}"
        );
        assert!(
            side.unwrap_or_default().starts_with("toy v1 "),
            "{story}: {last}"
        );
        let names: Vec<_> = self
            .containers()
            .into_iter()
            .map(|one| one.service)
            .collect();
        assert_eq!(names, ["side", "web"], "{story}: {last}");
        (outcome, last["message"].as_str().unwrap().to_owned())
    }

    /// A user's own `docker compose up` finds nothing to do.
    pub(crate) fn is_compose_s(&self) {
        let before = self.containers();
        self.by_hand(&["up", "--detach"]);
        assert_eq!(self.containers(), before);
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let asked = ureq::get(format!("http://127.0.0.1:{port}/{path}")).call();
    asked.ok()?.body_mut().read_to_string().ok()
}

/// The first of two ports that are free.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(23_000);
    loop {
        let port = NEXT.fetch_add(2, Ordering::Relaxed);
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for Seen { id, .. } in self.containers() {
            let remove = ["rm", "--force", "--volumes", &id];
            Command::new("docker").args(remove).output().ok();
        }
        let remove = ["network", "rm", &format!("{}_default", self.name)];
        Command::new("docker").args(remove).output().ok();
    }
}
