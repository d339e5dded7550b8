//! A container's hooks: what runs on this host and in the container before and after, and what follows from their ends.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use towline::{apply::Applied, machine::Fault};
use towline_protocol::Outcome;
use towline_tests::program;

use crate::scene::{Scene, inspect, required};

/// A service on v1 whose v2 is in the registry, and a folder for its hooks.
struct Hooked {
    scene: Scene,
    folder: TempDir,
}

impl Hooked {
    async fn new(name: &'static str) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        scene.run(&[]);
        scene.release("v2", "ok", &[]);
        let folder = tempfile::tempdir().unwrap();
        Self { scene, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A hook that runs this script on the host, in words of the host's file.
    fn script(&self, name: &str, script: &str) -> String {
        let path = self.path(name);
        program::write(&path, &format!("#!/bin/sh\n{script}\n")).unwrap();
        format!("{{ run = [{:?}] }}", path.display().to_string())
    }

    /// A deploy with this hook.
    async fn deploy(&mut self, key: &str, hook: &str) -> Applied {
        let service = self
            .scene
            .service(&format!("hooks = {{ {key} = {hook} }}\n"));
        self.scene.deploy(&service).await
    }

    fn id(&self) -> String {
        inspect(self.scene.name)["Id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_hook_before_puts_a_deploy_off_or_refuses_it_and_nothing_is_touched() {
    let mut hooked = Hooked::new("hook-before").await;
    let old = hooked.id();
    let busy = hooked.script("busy", "echo a backup is running; exit 75");
    let put_off = hooked.deploy("before", &busy).await;
    assert_eq!(put_off.outcome, Outcome::Waiting, "{put_off:?}");
    assert!(put_off.pause.is_some());
    assert_eq!(
        put_off.message,
        "postponed by the hook before: exit status 75: a backup is running"
    );

    let never = hooked.script("never", "echo it is freeze; exit 1");
    let refused = hooked.deploy("before", &never).await;
    assert_eq!(refused.outcome, Outcome::FailedUntouched, "{refused:?}");
    assert_eq!(refused.fault, Fault::Host);
    assert_eq!(refused.log_tail, "it is freeze\n");
    assert!(
        refused.message.ends_with("exit status 1: it is freeze"),
        "{}",
        refused.message
    );

    let endless = hooked.script("endless", "echo waits; sleep 600");
    let endless = endless.replace(" }", ", timeout = \"1s\" }");
    let refused = hooked.deploy("before", &endless).await;
    assert_eq!(refused.outcome, Outcome::FailedUntouched, "{refused:?}");
    assert!(
        refused.message.contains("hooks.before.timeout"),
        "{}",
        refused.message
    );
    assert_eq!(hooked.id(), old);
    assert_eq!(hooked.scene.containers(), ["hook-before"]);
}

#[tokio::test]
async fn a_hook_before_knows_what_is_deployed_and_runs_once_before_anything_is_touched() {
    let mut hooked = Hooked::new("hook-knows").await;
    let (old, seen) = (hooked.id(), hooked.path("seen"));
    let script = format!(
        "env | grep ^TOWLINE_ >> {seen}; docker --host {host} inspect --format {{{{.Id}}}} hook-knows >> {seen}",
        seen = seen.display(),
        host = required("DOCKER_HOST"),
    );
    let hook = hooked.script("knows", &script);
    let applied = hooked.deploy("before", &hook).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    let seen = fs::read_to_string(seen).unwrap();
    let digest = applied.to.digest.unwrap();
    for line in [
        "TOWLINE_SERVICE=hook-knows",
        "TOWLINE_STEP=before",
        "TOWLINE_DEPLOY=00000001",
        &format!("TOWLINE_DIGEST={digest}"),
        &old,
    ] {
        let lines = seen.lines().filter(|it| *it == line);
        assert_eq!(lines.count(), 1, "{line} in {seen}");
    }
    assert_ne!(hooked.id(), old);
}

#[tokio::test]
async fn a_hook_after_has_a_version_taken_back_that_passed_its_checks() {
    let mut hooked = Hooked::new("hook-after").await;
    let old = hooked.id();
    let fails = hooked.script("fails", "echo the login page is blank; exit 3");
    let back = hooked.deploy("after", &fails).await;
    assert_eq!(back.outcome, Outcome::RolledBack, "{back:?}");
    assert_eq!(back.fault, Fault::Version);
    assert!(
        back.log_tail.contains("the login page is blank"),
        "{back:?}"
    );
    assert!(
        back.message
            .contains("gate: the hook after: exit status 3: the login page is blank"),
        "{}",
        back.message
    );
    assert_eq!(hooked.id(), old);

    let not_now = hooked.script("not_now", "exit 75");
    let back = hooked.deploy("after", &not_now).await;
    assert_eq!(back.outcome, Outcome::RolledBack, "{back:?}");
    // Nobody is to blame, so that it is tried again.
    assert_eq!(back.fault, Fault::Interruption);
    assert!(back.pause.is_some());
    assert_eq!(hooked.id(), old);
    assert_eq!(inspect("hook-after")["State"]["Running"], true);
}

#[tokio::test]
async fn a_hook_may_run_in_the_container_the_old_one_before_and_the_new_one_after() {
    let mut hooked = Hooked::new("hook-exec").await;
    let old = hooked.id();
    // `toy env` prints the container's environment and ends with status 1.
    let refused = hooked
        .deploy("before", "{ exec = [\"/toy\", \"env\"] }")
        .await;
    assert_eq!(refused.outcome, Outcome::FailedUntouched, "{refused:?}");
    assert!(
        refused
            .log_tail
            .contains(&format!("HOSTNAME={}", &old[..12])),
        "{refused:?}"
    );
    let back = hooked
        .deploy("after", "{ exec = [\"/toy\", \"env\"] }")
        .await;
    assert_eq!(back.outcome, Outcome::RolledBack, "{back:?}");
    assert!(
        !back.log_tail.contains(&format!("HOSTNAME={}", &old[..12])),
        "{back:?}"
    );
    assert_eq!(hooked.id(), old);
    hooked.scene.release("v3", "ok", &[]);
    let applied = hooked
        .deploy("after", "{ exec = [\"/toy\", \"health\"] }")
        .await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
}

#[tokio::test]
async fn a_hook_that_cannot_be_run_is_found_before_anything_is_touched() {
    let mut hooked = Hooked::new("hook-missing").await;
    let old = hooked.id();
    for key in ["before", "after"] {
        let refused = hooked.deploy(key, "{ run = [\"/no/such/hook\"] }").await;
        assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
        let expected = format!("hooks.{key}: ");
        assert!(
            refused.message.starts_with(&expected),
            "{}",
            refused.message
        );
        assert!(
            refused.message.contains("/no/such/hook"),
            "{}",
            refused.message
        );
    }
    assert_eq!(hooked.id(), old);
}
