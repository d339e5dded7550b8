//! Somebody removes, starts, stops or renames containers in the middle of a deploy: the outcome is true, and what is not
//! the service's is left alone.

use std::{
    process::{Command, Output},
    sync::{Arc, OnceLock},
};

use towline::apply::Applied;
use towline_protocol::Outcome;

use crate::{
    interposed::{
        ARM, CREATE, GATE, PARK, PROMOTE, Place, REMOVE, STARTED, STOP, TO_DISARM, TO_START, before,
    },
    scene::{Scene, docker, inspect},
    stranger::Stranger,
};

/// A service whose deploy from v1 to v2 has ended, in which somebody gave the engine a command of their own.
struct Meddled {
    scene: Scene,
    applied: Applied,
    /// The id of the container on v1.
    old: String,
    _stranger: Stranger,
}

impl Meddled {
    /// In the command `NAME` is the service's container, `IMAGE` its image, `DEPLOY` the deploy.
    async fn new(name: &'static str, at: Place, command: &str) -> Self {
        let mut scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        docker(&["pull", "--quiet", &scene.image("live")]);
        let stranger = Stranger::new(&scene);
        scene.run(&[
            "--restart",
            "always",
            "--volume",
            &format!("{}:/data", stranger.volume),
        ]);
        let old = scene.inspect()["Id"].as_str().unwrap().to_owned();
        scene.release("v2", "ok", &[]);
        let command = command
            .replace("IMAGE", &scene.image("live"))
            .replace("NAME", name)
            .replace("DEPLOY", "00000001");
        let given: Arc<OnceLock<Output>> = Arc::default();
        let gives = Arc::clone(&given);
        scene.docker = before(at, move || {
            let output = Command::new("docker").args(command.split(' ')).output();
            gives.set(output.unwrap()).unwrap();
        })
        .await;
        let applied = scene.deploy(&scene.checked("v2")).await;
        let output = given.get();
        assert!(output.is_some_and(|it| it.status.success()), "{output:?}");
        stranger.assert_untouched();
        Self {
            scene,
            applied,
            old,
            _stranger: stranger,
        }
    }

    fn assert_told(&self, outcome: Outcome, words: &str) {
        let message = &self.applied.message;
        assert_eq!(self.applied.outcome, outcome, "{message}");
        assert!(message.contains(words), "{words}: {message}");
    }

    /// The same old container serves, armed, under its name, and nothing is beside it.
    fn assert_back(&self, words: &str) {
        self.assert_told(Outcome::RolledBack, words);
        let now = self.scene.inspect();
        assert_eq!(now["Id"], self.old.as_str());
        assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
        assert_eq!(self.scene.containers(), [self.scene.name]);
        assert_eq!(self.scene.get().unwrap(), "toy v1 \n");
    }

    /// Another container serves, on v2.
    fn assert_forth(&self) {
        self.assert_told(Outcome::Succeeded, " -> ");
        let now = self.scene.inspect();
        assert_ne!(now["Id"], self.old.as_str());
        assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
        assert_eq!(self.scene.containers(), [self.scene.name]);
        assert_eq!(self.scene.get().unwrap(), "toy v2 \n");
    }

    /// An operator is told this, and finds these containers with the name's addition and their state.
    fn assert_stuck(&self, words: &str, left: &[(&str, &str)]) {
        self.assert_told(Outcome::NeedsOperator, words);
        let name = self.scene.name;
        let mut found: Vec<(String, String)> = self
            .scene
            .containers()
            .iter()
            .map(|called| {
                let status = inspect(called)["State"]["Status"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                (called.replace(name, ""), status)
            })
            .collect();
        found.sort();
        let left: Vec<(String, String)> = left
            .iter()
            .map(|(beside, status)| ((*beside).to_owned(), (*status).to_owned()))
            .collect();
        assert_eq!(found, left);
    }
}

#[tokio::test]
async fn an_old_container_that_somebody_removes_before_it_is_parked_needs_an_operator() {
    for (name, at) in [
        ("gone-early", CREATE),
        ("gone-armed", STOP),
        ("gone-down", PARK),
    ] {
        let meddled = Meddled::new(name, at, "rm --force NAME").await;
        let left = [("--new-00000001", "created")];
        meddled.assert_stuck("somebody removed the old container", &left);
    }
}

#[tokio::test]
async fn a_new_container_that_somebody_removes_gives_way_to_the_same_old_one() {
    for (name, at, new) in [
        ("lost-early", TO_DISARM, "NAME--new-DEPLOY"),
        ("lost-parked", PROMOTE, "NAME--new-DEPLOY"),
        ("lost-named", TO_START, "NAME"),
    ] {
        let meddled = Meddled::new(name, at, &format!("rm --force {new}")).await;
        meddled.assert_back("No such container");
    }
    let meddled = Meddled::new("lost-late", GATE, "rm --force NAME").await;
    meddled.assert_back("was removed");
}

#[tokio::test]
async fn a_new_container_that_somebody_stops_or_restarts_in_the_gate_gives_way() {
    let meddled = Meddled::new("halted", STARTED, "stop NAME").await;
    meddled.assert_back("gate: it ended with status 0");
    let meddled = Meddled::new("bounced", GATE, "restart NAME").await;
    meddled.assert_back("gate: it restarted");
}

#[tokio::test]
async fn an_old_container_that_somebody_starts_again_keeps_its_port_and_serves_on() {
    for (name, at, old) in [
        ("revived-named", PARK, "NAME"),
        ("revived-parked", TO_START, "NAME--old-DEPLOY"),
    ] {
        let meddled = Meddled::new(name, at, &format!("start {old}")).await;
        meddled.assert_back("port is already allocated");
    }
}

#[tokio::test]
async fn an_old_container_that_gets_its_name_back_from_somebody_serves_again() {
    let meddled = Meddled::new("named-back", PROMOTE, "rename NAME--old-DEPLOY NAME").await;
    meddled.assert_back("is already in use");
}

#[tokio::test]
async fn a_name_that_somebody_takes_needs_an_operator_and_both_containers_are_kept() {
    let stranger = "run --detach --name NAME --label mine=yes IMAGE";
    let meddled = Meddled::new("occupied", PROMOTE, stranger).await;
    let left = [
        ("", "running"),
        ("--new-00000001", "created"),
        ("--old-00000001", "exited"),
    ];
    meddled.assert_stuck("could not give the old container its name back", &left);
    assert_eq!(meddled.scene.inspect()["Config"]["Labels"]["mine"], "yes");
}

#[tokio::test]
async fn a_new_container_that_somebody_renames_needs_an_operator_and_both_are_kept() {
    let meddled = Meddled::new("called", GATE, "rename NAME NAME--mine").await;
    let left = [("--mine", "running"), ("--old-00000001", "exited")];
    meddled.assert_stuck(
        "somebody has renamed the container called to called--mine",
        &left,
    );
}

#[tokio::test]
async fn a_committed_container_that_somebody_removes_needs_an_operator_and_the_old_one_is_kept() {
    let meddled = Meddled::new("unmade", ARM, "rm --force NAME").await;
    let left = [("--old-00000001", "exited")];
    meddled.assert_stuck("its restart policy could not be set", &left);
}

#[tokio::test]
async fn what_does_not_stand_in_the_new_versions_way_does_not_stop_it() {
    for (name, at, command) in [
        ("stopped-by-hand", STOP, "stop NAME"),
        ("old-removed-late", TO_START, "rm --force NAME--old-DEPLOY"),
        ("stopped-armed", ARM, "stop NAME"),
        ("old-removed-last", REMOVE, "rm --force NAME--old-DEPLOY"),
    ] {
        Meddled::new(name, at, command).await.assert_forth();
    }
}
