//! Projects that are taken back on purpose: to the images that were kept, and forth again when those do not pass.

use std::future::pending;

use towline::{
    apply::{
        Applied, ApplyError,
        sequence::{Host, WayBack, current, go_back},
    },
    plan::{NoWayBack, choose_revision},
    process::Launcher,
    settings::{Parts, Service, Work},
    store::{JournalEntry, KeptImage, KeptRevision},
};
use towline_protocol::{IntentId, Outcome};
use towline_tests::place::free_port;

use super::{
    deployed::{Deployed, service},
    *,
};
use crate::scene::{docker, prune};

fn parts(service: &Service) -> &Parts {
    let Work::Parts(parts) = &service.work else {
        panic!("it is no project");
    };
    parts
}

fn host<'a>(engine: &'a Docker, launcher: &'a Launcher) -> Host<'a> {
    Host {
        engine: Some(engine),
        launcher,
    }
}

impl Deployed {
    /// A way back that is refused, in these words, and the project as it was.
    async fn refused(&mut self, to: &KeptRevision) -> String {
        let before = self.all().await;
        let refused = self.back(to).await.unwrap_err();
        assert!(refused.has_touched_nothing());
        assert_eq!(self.all().await, before);
        refused.to_string()
    }

    /// What was kept last.
    pub(super) fn kept(&self) -> KeptRevision {
        self.store.revisions(&self.service.name).unwrap().remove(0)
    }

    /// What `towline rollback` would go back to.
    pub(super) async fn stored(&self, to: Option<&str>) -> Result<KeptRevision, NoWayBack> {
        let parts = parts(&self.service);
        let launcher = launcher();
        let host = host(&self.stack.engine, &launcher);
        let now = current(host, &self.store, &self.service, parts).await;
        let kept = self.store.revisions(&self.service.name).unwrap();
        choose_revision(&kept, now.unwrap().as_ref(), &[], to).cloned()
    }

    pub(super) async fn back(&mut self, to: &KeptRevision) -> Result<Applied, ApplyError> {
        let parts = parts(&self.service);
        let launcher = launcher();
        let host = host(&self.stack.engine, &launcher);
        let service = &self.service;
        let now = current(host, &self.store, service, parts).await.unwrap();
        assert_ne!(now.as_ref(), Some(&to.version));
        let way = WayBack { service, parts, to };
        let entry = JournalEntry {
            deploy: "0ba5ba11".to_owned(),
            service: service.name.clone(),
            intent: IntentId::of_key("back"),
            attempt: 1,
            body: String::new(),
            on_purpose: None,
            begun: None,
        };
        go_back(host, &mut self.store, way, entry, pending(), &mut |_| ()).await
    }

    /// The containers, and where the file's tag of the api leads.
    async fn all(&self) -> (Vec<(String, String, bool)>, String) {
        let tag = image_id(&image(&self.stack.repository("api"), "live"));
        (self.seen().await, tag)
    }

    /// On v2, with what v1 was: its containers, its tag, and itself as it is kept.
    async fn on_v2(
        name: &'static str,
    ) -> (Self, (Vec<(String, String, bool)>, String), KeptRevision) {
        let mut deployed = Self::new(name).await;
        assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
        let first = deployed.all().await;
        deployed.stack.release("api", "v2");
        assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
        assert_ne!(deployed.all().await, first);
        let kept = deployed.kept();
        (deployed, first, kept)
    }
}

#[tokio::test]
async fn a_project_is_taken_back_to_the_images_that_it_ran_whatever_the_registry_has() {
    let (mut deployed, first, kept) = Deployed::on_v2("taken").await;
    deployed.stack.release("api", "v3");
    prune("taken-");
    let applied = deployed.back(&kept).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    assert_eq!(applied.version, Some(kept.version));
    assert_eq!(deployed.all().await, first);
    let by_hand = deployed.stack.by_hand(&["up", "--detach"]);
    assert_eq!(deployed.all().await, first, "{by_hand}");
    let again = deployed.kept();
    let applied = deployed.back(&again).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    assert_ne!(deployed.all().await, first, "v2 was kept as well");
}

#[tokio::test]
async fn a_project_whose_earlier_version_does_not_pass_any_more_comes_back_to_the_current_one() {
    let port = free_port().unwrap();
    let file = format!(
        "services:\n  api:\n    image: @-api:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n  worker:\n    image: @-worker:live\n"
    );
    let answers = |text: &str| {
        format!(
            "health = [{{ http = \"http://127.0.0.1:{port}/\", contains = \"toy {text}\", within = \"20s\" }}]\n"
        )
    };
    let stack = Stack::new("taken-forth", &file).await;
    let mut deployed = Deployed::of(stack, &answers("v"));
    assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
    deployed.stack.release("api", "v2");
    assert_eq!(deployed.deploy().await.outcome, Outcome::Succeeded);
    deployed.service = service(&deployed.stack, &answers("v2"));
    let before = deployed.all().await;
    let kept = deployed.kept();
    let applied = deployed.back(&kept).await.unwrap();
    assert_eq!(applied.outcome, Outcome::RolledBack, "{applied:?}");
    assert_eq!(deployed.all().await, before);
}

/// The image of the api in what is kept.
fn api(kept: &mut KeptRevision) -> &mut KeptImage {
    let mut images = kept.images.iter_mut();
    images.find(|one| one.reference.contains("-api:")).unwrap()
}

#[tokio::test]
async fn an_image_that_is_gone_is_pulled_by_its_digest_or_else_nothing_is_touched() {
    let (mut deployed, first, kept) = Deployed::on_v2("taken-gone").await;
    let mut lost = kept.clone();
    docker(&["image", "rm", "--force", &api(&mut lost).id]);

    api(&mut lost).digest = Some(format!("sha256:{}", "0".repeat(64)).parse().unwrap());
    let why = deployed.refused(&lost).await;
    for part in [
        "000000000000",
        "not here any more",
        "cannot be pulled",
        "--to",
    ] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
    api(&mut lost).digest = None;
    let why = deployed.refused(&lost).await;
    assert!(why.contains("no registry has it"), "{why}");

    let applied = deployed.back(&kept).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    assert_eq!(deployed.all().await, first);
}

#[tokio::test]
async fn a_file_that_names_other_images_than_the_earlier_version_ran_is_refused() {
    let (mut deployed, _, kept) = Deployed::on_v2("taken-other").await;
    let mut mixed = kept.clone();
    let other = KeptImage {
        id: image_id(&image("taken-other-api", "live")),
        ..api(&mut mixed).clone()
    };
    mixed.images.push(other);
    let why = deployed.refused(&mixed).await;
    assert!(why.contains("different images"), "{why}");

    let file = "services:\n  api:\n    image: @-api:v2\n  worker:\n    image: @-worker:live\n";
    deployed.stack.write("compose.yml", file);
    let why = deployed.refused(&kept).await;
    let name = image("taken-other-api", "v2");
    assert!(
        why.contains(&name) && why.contains("did not run that") && why.contains("--to"),
        "{why}"
    );
}
