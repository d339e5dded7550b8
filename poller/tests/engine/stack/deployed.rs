//! Intents applied to a project by the whole of `apply`: forth, and back with the images and the containers from before.

use std::future::pending;

use tempfile::TempDir;
use towline::{
    apply::{Applied, Job, sequence::Host},
    settings::{Service, Settings, Work},
    store::Store,
};
use towline_protocol::Outcome;

use super::*;
use crate::scene::intent;

/// Two services of one's own.
const FILE: &str =
    "services:\n  api:\n    image: @-api:live\n  worker:\n    image: @-worker:live\n";

/// A project that is deployed, with the state of a host.
pub(super) struct Deployed {
    pub(super) stack: Stack,
    pub(super) store: Store,
    pub(super) service: Service,
    deploys: u32,
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

    /// Each container's service, image and whether it runs.
    pub(super) async fn seen(&self) -> Vec<(String, String, bool)> {
        let all = self.stack.containers().await.into_iter();
        all.map(|one| (one.service, one.image, one.runs)).collect()
    }
}

/// The service of the host's file with these further lines.
pub(super) fn service(stack: &Stack, lines: &str) -> Service {
    let (name, file) = (stack.name, stack.path("compose.yml"));
    let text = format!(
        "[relay]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"/nowhere\"\n[service.{name}]\n\
         repository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"4s\"\n\
         compose = {{ file = {:?} }}\n{lines}",
        file.display().to_string()
    );
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
