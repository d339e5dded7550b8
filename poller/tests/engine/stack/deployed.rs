//! Intents applied to a project by the whole of `apply`: forth, and back with the images and the containers from before.

use std::{future::pending, process::Command};

use tempfile::TempDir;
use towline::{
    apply::{Applied, Job, sequence::Host},
    machine::Fault,
    settings::{Service, Settings, Work},
    store::Store,
};
use towline_protocol::Outcome;

use super::*;
use crate::{choose::check, planned::names, scene::intent};

/// Two services of one's own.
const FILE: &str =
    "services:\n  api:\n    image: @-api:live\n  worker:\n    image: @-worker:live\n";

/// A project that is deployed, with the state of a host.
pub(super) struct Deployed {
    pub(super) stack: Stack,
    pub(super) store: Store,
    pub(super) service: Service,
    pub(super) deploys: u32,
    _state: TempDir,
}

impl Deployed {
    pub(super) async fn new(name: &'static str) -> Self {
        Self::of(Stack::new(name, FILE).await, "")
    }

    /// The project with both of its images on v1, and these further lines in the host's file.
    pub(super) fn of(stack: Stack, lines: &str) -> Self {
        stack.release("api", "v1");
        stack.release("worker", "v1");
        let state = tempfile::tempdir().unwrap();
        Self {
            service: service(&stack, lines),
            stack,
            store: Store::open(&state.path().join("state")).unwrap(),
            deploys: 0,
            _state: state,
        }
    }

    pub(super) async fn deploy(&mut self) -> Applied {
        let Work::Parts(parts) = &self.service.work else {
            panic!("it is no project");
        };
        self.deploys += 1;
        let intent = intent(None);
        let job = Job {
            service: &self.service,
            intent: &intent,
            attempt: 1,
            deploy: format!("{:08x}", self.deploys),
        };
        let launcher = launcher();
        let host = Host {
            engine: Some(&self.stack.engine),
            launcher: &launcher,
        };
        let store = &mut self.store;
        let told = &mut |_| ();
        towline::apply::sequence::apply(host, store, &job, parts, pending(), pending(), told)
            .await
            .unwrap()
    }

    /// What `check --plan` of the commit that is deployed says, and its exit status, with these further lines in the host's
    /// file.
    fn plan(&self, lines: &str) -> (String, i32) {
        let file = self.stack.path("towline.toml");
        fs::write(&file, text(&self.stack, lines)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args(["check", "--plan", &"a".repeat(40), "--config"])
            .arg(&file)
            .arg("--state-dir")
            .arg(self.stack.path("state"))
            .output()
            .unwrap();
        assert!(!self.stack.path("state").exists());
        let said = String::from_utf8(output.stdout).unwrap();
        (said, output.status.code().unwrap())
    }

    /// All of the project that a plan could touch: its containers, and the tags and images of its repositories.
    async fn touchable(&self) -> (Vec<(String, String, bool)>, String) {
        let shown = "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}";
        let images = docker(&["images", "--all", "--no-trunc", "--format", shown]);
        let own = images.lines().filter(|line| line.contains(self.stack.name));
        let mut own: Vec<_> = own.collect();
        own.sort_unstable();
        (self.seen().await, own.join("\n"))
    }

    /// Each container's service, image and whether it runs.
    pub(super) async fn seen(&self) -> Vec<(String, String, bool)> {
        let all = self.stack.containers().await.into_iter();
        all.map(|one| (one.service, one.image, one.runs)).collect()
    }
}

/// The host's file with these further lines.
pub(super) fn text(stack: &Stack, lines: &str) -> String {
    let (name, file) = (stack.name, stack.path("compose.yml"));
    format!(
        "[relay]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"/nowhere\"\n[service.{name}]\n\
         repository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"4s\"\n\
         compose = {{ file = {:?} }}\n{lines}",
        file.display().to_string()
    )
}

/// The service of the host's file with these further lines.
pub(super) fn service(stack: &Stack, lines: &str) -> Service {
    let text = text(stack, lines);
    let mut settings = Settings::parse(&text, "towline.toml").unwrap();
    settings.services.remove(0)
}

#[tokio::test]
async fn a_project_is_brought_up_by_digests_and_has_nothing_to_do_then() {
    let mut deployed = Deployed::new("deployed-up").await;
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    let before = deployed.seen().await;
    assert!(
        before.len() == 2 && before.iter().all(|(_, _, runs)| *runs),
        "{before:?}"
    );
    assert_eq!(deployed.deploy().await.outcome, Outcome::Unchanged);
    deployed.stack.release("api", "v2");
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    let after = deployed.seen().await;
    assert_ne!(before[0], after[0], "the api has another image");
    assert_eq!(before[1], after[1], "the worker is as it was");
    let steps: Vec<_> = applied
        .steps
        .iter()
        .map(|step| step.step.as_str())
        .collect();
    assert_eq!(steps, ["resolve", "pull", "tag", "up", "gate"]);
}

#[tokio::test]
async fn a_second_project_of_the_same_file_comes_up_only_where_somebody_has_brought_it_up_by_hand()
{
    let mut deployed = Deployed::new("twinned").await;
    // Takes down what the test brings up by this name.
    let _older = Stack::new("twinned-older", "").await;
    let older = ["--project-name", "twinned-older"];
    let up = [&older[..], &["up", "--detach"]].concat();
    deployed.stack.by_hand(&up);

    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Refused, "{applied:?}");
    let told =
        "the project twinned-older was brought up from this file, and twinned has no container";
    assert!(applied.message.contains(told), "{applied:?}");
    assert_eq!(deployed.seen().await, []);
    let checked = || check(&text(&deployed.stack, ""));
    let (said, status) = checked();
    assert!(status == Some(1) && said.contains(told), "{said}");

    deployed.stack.by_hand(&["up", "--detach"]);
    let (said, status) = checked();
    assert_eq!(status, Some(0), "{said}");
    deployed.stack.release("api", "v2");
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");

    // Here nobody keeps what a deploy has left in place.
    deployed.stack.by_hand(&["down"]);
    assert_eq!(deployed.deploy().await.outcome, Outcome::Refused);
    deployed.stack.by_hand(&[&older[..], &["down"]].concat());
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
}

#[tokio::test]
async fn what_compose_says_against_a_project_has_no_secret_of_its_file_of_variables() {
    let mut deployed = Deployed::new("secretive").await;
    let wrong = format!("{FILE}    ports: [\"${{DB_PASSWORD}}:80\"]\n");
    deployed.stack.write("compose.yml", &wrong);
    for (variables, told) in [
        ("DB_PASSWORD=hunter22\n", "Invalid hostPort: ***"),
        ("DB_PASSWORD=\"hunter22\n", "unterminated quoted value ("),
        (
            "DB_PASSWORD=first\nhunter22!line\n",
            "unexpected character (",
        ),
    ] {
        deployed.stack.write(".env", variables);
        let applied = deployed.deploy().await;
        assert_eq!(applied.outcome, Outcome::Refused, "{applied:?}");
        assert!(applied.message.contains(told), "{applied:?}");
        assert!(!format!("{applied:?}").contains("hunter22"), "{applied:?}");
    }
}

#[tokio::test]
async fn a_profile_that_no_service_has_is_refused_and_told_by_check() {
    let mut deployed = Deployed::new("profiled").await;
    let wrong = text(&deployed.stack, "").replace(" }\n", ", profiles = \"wroker\" }\n");
    deployed.service = Settings::parse(&wrong, "towline.toml")
        .unwrap()
        .services
        .remove(0);
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Refused, "{applied:?}");
    let told = "no service has the profile \"wroker\"";
    assert!(applied.message.contains(told), "{applied:?}");
    assert_eq!(deployed.seen().await, []);
    let (said, status) = check(&wrong);
    assert!(status == Some(1) && said.contains(told), "{said}");
}

#[tokio::test]
async fn a_project_without_the_healthcheck_that_the_file_asks_for_is_refused_before_it_is_touched()
{
    let mut deployed = Deployed::new("deployed-unhealed").await;
    assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
    let before = deployed.touchable().await;
    let asks = "health = [{ docker = true }]\n";
    deployed.service = service(&deployed.stack, asks);
    deployed.stack.release("api", "v2");
    let (said, status) = deployed.plan(asks);
    assert_eq!(status, 0, "its image is not here: {said}");
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Refused, "{applied:?}");
    assert_eq!(applied.fault, Fault::Host, "it is not put in quarantine");
    let told =
        "asks for a healthcheck, and no service has one (api, worker): write a `healthcheck`";
    assert!(applied.message.contains(told), "{applied:?}");
    assert_eq!(deployed.touchable().await, before);

    let api = image("deployed-unhealed-api", "v2");
    docker(&["pull", "--quiet", &api]);
    let (said, status) = deployed.plan(asks);
    assert!(status == 1 && said.contains(told), "{said}");

    let own = "    healthcheck: {test: [\"CMD\", \"/toy\", \"health\"], interval: 200ms}\n";
    let text = FILE.replace("-api:live\n", &format!("-api:live\n{own}"));
    deployed.stack.write("compose.yml", &text);
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
}

#[tokio::test]
async fn a_project_whose_new_version_ends_is_taken_back_to_its_old_images_with_its_last_words() {
    let mut deployed = Deployed::new("deployed-back").await;
    assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
    let before = deployed.seen().await;
    release(&deployed.stack.repository("api"), "v2", "crash", &[]);
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{applied:?}");
    assert_eq!(deployed.seen().await, before);
    assert!(!applied.log_tail.is_empty(), "{applied:?}");
}

#[tokio::test]
async fn a_plan_of_a_project_names_the_steps_of_the_deploy_that_follows_and_touches_nothing() {
    let mut deployed = Deployed::new("deployed-plan").await;
    assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
    let (said, status) = deployed.plan("");
    assert!(status == 0 && said.contains("  unchanged: "), "{said}");

    let digests = ["api", "worker"].map(|part| deployed.stack.release(part, "v2"));
    let before = deployed.touchable().await;
    let (said, status) = deployed.plan("");
    assert_eq!(status, 0, "{said}");
    assert_eq!(deployed.touchable().await, before, "{said}");
    let tag = format!(
        "let the local tag {} lead to",
        image("deployed-plan-api", "live")
    );
    for part in [
        &*digests[0],
        &*digests[1],
        &*tag,
        "not here yet",
        ": api, worker",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    let done: Vec<_> = applied.steps.into_iter().map(|step| step.step).collect();
    assert_eq!(names(&said), done, "{said}");

    let gone = "services:\n  api:\n    image: '@-api:${GONE}'\n";
    deployed.stack.write("compose.yml", gone);
    let (said, status) = deployed.plan("");
    assert!(
        status == 1 && said.contains("it would be refused") && said.contains("GONE is not set"),
        "{said}"
    );
}
