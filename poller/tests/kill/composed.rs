//! A Compose project whose poller is killed: its folder, its poller, and what is to be seen of it. Whatever it has is removed at
//! the end.

use std::{fs, ops::Deref, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    poller::Poller,
    relay::manual,
    scene::{docker, required},
};

/// A project that is not up yet, and a poller that has not run.
pub(crate) struct Composed {
    pub(crate) name: String,
    folder: TempDir,
    file: &'static str,
    poller: Poller,
}

/// A container as it is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) service: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) runs: bool,
}

impl Deref for Composed {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl Composed {
    /// Project and service are called `name`. The project is in `file` of its folder, which `DIR` stands for in the
    /// service's `keys`; `more` are keys of its Compose.
    pub(crate) fn new(name: &str, file: &'static str, more: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = format!(
            "[service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             compose = {{ file = \"DIR/{file}\", project = \"{name}\"{more} }}\n{keys}\n"
        );
        let service = service.replace("DIR", folder.path().to_str().unwrap());
        Self {
            name: name.to_owned(),
            file,
            poller: Poller::new(&service, required("DOCKER_HOST")),
            folder,
        }
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the project's file.
    pub(crate) fn write(&self, text: &str) {
        fs::write(self.file(self.file), text).unwrap();
    }

    /// The relay holds an intent for this commit and what the registry has.
    pub(crate) fn ask(&self, number: u64, sha: &str) {
        let mut intent = manual(number);
        intent["service"] = json!(self.name);
        intent["revision"] = json!({ "sha": sha });
        intent.as_object_mut().unwrap().remove("image");
        self.offer(&[intent]);
    }

    /// `docker compose` as a user runs it.
    pub(crate) fn by_hand(&self, arguments: &[&str]) -> String {
        let file = self.file(self.file);
        let which = ["compose", "-p", &self.name, "-f", file.to_str().unwrap()];
        docker(&[&which, arguments].concat())
    }

    /// The project's containers.
    pub(crate) fn containers(&self) -> Vec<Seen> {
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &self.label()]);
        let mut ask = vec!["container", "inspect"];
        ask.extend(ids.lines());
        if ids.is_empty() {
            return Vec::new();
        }
        let all: Vec<Value> = serde_json::from_str(&docker(&ask)).unwrap();
        let each = all.iter().map(|shown| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Seen {
                service: text(&shown["Config"]["Labels"]["com.docker.compose.service"]),
                id: text(&shown["Id"]),
                name: text(&shown["Name"]),
                image: text(&shown["Image"]),
                runs: shown["State"]["Running"] == true,
            }
        });
        let mut containers: Vec<_> = each.collect();
        containers.sort();
        containers
    }

    /// What is chosen by its label is the project's.
    pub(crate) fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.name)
    }

    /// The outcome and message of the last report.
    pub(crate) fn told(&self) -> (String, String) {
        let reports = self.reports();
        let (_, last) = reports.last_key_value().unwrap();
        let text = |key: &str| last[key].as_str().unwrap().to_owned();
        (text("outcome"), text("message"))
    }

    /// A user's own `docker compose up` finds nothing to do.
    pub(crate) fn is_compose_s(&self) {
        let before = self.containers();
        self.by_hand(&["up", "--detach"]);
        assert_eq!(self.containers(), before);
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        for Seen { id, .. } in self.containers() {
            let remove = ["rm", "--force", "--volumes", &id];
            Command::new("docker").args(remove).output().ok();
        }
        let remove = ["network", "rm", &format!("{}_default", self.name)];
        Command::new("docker").args(remove).output().ok();
    }
}
