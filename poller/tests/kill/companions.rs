//! Containers that share the network of a host's service: they go forth and back with it, whoever is killed meanwhile.

use std::{process::Command, thread, time::Duration};

use serde_json::Value;

use crate::{
    images::Images,
    scene::{docker, inspect},
};

/// Those of one service; removed at the end.
#[derive(Default)]
pub(crate) struct Companions {
    /// Each name, and the id at the beginning.
    olds: Vec<(String, String)>,
}

/// What is to be seen of one: its id, whether it runs, and since when.
pub(crate) type Shown = (String, bool, String);

impl Companions {
    /// Two beside the container `lender`, which runs.
    pub(crate) fn of(lender: &str) -> Self {
        let network = format!("container:{lender}");
        let one = |other: &str| {
            let name = format!("{lender}.{other}");
            let run = ["run", "--detach", "--name", &name, "--network", &network];
            let rest = ["--restart", "always", Images::idle()];
            let id = docker(&[&run[..], &rest].concat());
            (name, id)
        };
        Self {
            olds: ["app", "side"].map(one).into(),
        }
    }

    /// Those that there are, what a deploy has put beside them included.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let all = self.olds.iter().flat_map(|(name, _)| names(name));
        let each = all.map(|name| {
            let shown = inspect(&name);
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let runs = shown["State"]["Running"] == true;
            (text(&shown["Id"]), runs, text(&shown["State"]["StartedAt"]))
        });
        each.collect()
    }

    /// Starts each, as somebody has to after a start of the engine, which may try it before the one that it shares with runs.
    pub(crate) fn start(&self) {
        for (name, _) in &self.olds {
            docker(&["start", name]);
        }
    }

    /// Each is the new one or the old one, runs, reaches the service at its own address, and nothing is left beside it.
    pub(crate) fn are(&self, is_new: bool, lender: &str, story: &str) {
        for (name, old) in &self.olds {
            let shown = inspect(name);
            assert_eq!(shown["Id"] != **old, is_new, "{story}: {name}");
            assert_eq!(shown["State"]["Running"], true, "{story}: {name}");
            let host = &shown["HostConfig"];
            assert_eq!(host["RestartPolicy"]["Name"], "always", "{story}: {name}");
            let network = format!("container:{lender}");
            assert_eq!(host["NetworkMode"], *network, "{story}: {name}");
            assert!(reaches(name), "{story}: {name} is in a dead network");
            assert_eq!(names(name), [name.as_str()], "{story}");
        }
    }
}

/// Whether the service answers inside of the container, soon.
fn reaches(name: &str) -> bool {
    (0..100).any(|_| {
        let mut asked = Command::new("docker");
        let asked = asked.args(["exec", name, "/toy", "health"]).output();
        let is_well = asked.unwrap().status.success();
        if !is_well {
            thread::sleep(Duration::from_millis(100));
        }
        is_well
    })
}

/// The names of the container and of what a deploy has put beside it.
fn names(name: &str) -> Vec<String> {
    let filter = format!("name=^/?{name}(--.*)?$");
    let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    names.lines().map(str::to_owned).collect()
}

impl Drop for Companions {
    fn drop(&mut self) {
        for name in self.olds.iter().flat_map(|(name, _)| names(name)) {
            let remove = ["rm", "--force", &name];
            Command::new("docker").args(remove).output().ok();
        }
    }
}
