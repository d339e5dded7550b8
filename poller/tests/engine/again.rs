//! What is tried again after a failure and what is not: quarantine, interruptions, `retry`. The whole poller on a real
//! engine, with intents in its state and a relay that does not answer.

use std::time::Duration;

use tempfile::TempDir;
use towline::{
    daemon::{Declined, Poller, Stop},
    settings::{Service, Settings},
    store::{JournalEntry, Quarantined, Store},
};
use towline_protocol::{Intent, IntentId, Outcome, Report, Secret};

use crate::scene::{Scene, intent, received, reopened, required};

/// A service on v1, whose poller has its own state.
pub(crate) struct Host {
    pub(crate) scene: Scene,
    pub(crate) lines: String,
    pub(crate) state: TempDir,
}

impl Host {
    /// With these lines behind the service's name in the host's file.
    pub(crate) async fn new(name: &'static str, lines: &str) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        scene.run(&["--restart", "always"]);
        Self {
            scene,
            lines: lines.to_owned(),
            state: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn store(&self) -> Store {
        reopened(&self.state.path().join("state"))
    }

    fn settings(&self) -> Settings {
        Settings::parse(&self.file(), "towline.toml").unwrap()
    }

    /// The host's file: every version must answer well.
    pub(crate) fn file(&self) -> String {
        let (name, port) = (self.scene.name, self.scene.port);
        format!(
            "[relay]\nurl = \"http://127.0.0.1:1\"\n[service.{name}]\nrepository = \"octo-org/{name}\"\n\
             workflow = \"ci.yml\"\nbranch = \"main\"\ndocker = {{ container = \"{name}\" }}\n{}\n\
             [[service.{name}.health]]\nhttp = \"http://127.0.0.1:{port}/\"\nwithin = \"5s\"\n",
            self.lines
        )
    }

    fn service(&self) -> Service {
        self.settings().services.remove(0)
    }

    /// Intent number `seq` for the commit whose digits are all `commit`.
    pub(crate) fn intent(&self, seq: u64, commit: &str) -> Intent {
        let mut intent = intent(None);
        intent.id = IntentId::of_key(&seq.to_string());
        intent.channel = format!("octo-org/{}", self.scene.name).parse().unwrap();
        intent.seq = seq;
        intent.revision.sha = Some(commit.repeat(40).parse().unwrap());
        intent
    }

    pub(crate) fn receive(&self, intent: &Intent) {
        received(&mut self.store(), intent);
    }

    fn poller(&self) -> Poller {
        let host = "pi".parse().unwrap();
        let token = Secret::new("tl1.e30.AAAA");
        let docker = Some(required("DOCKER_HOST"));
        Poller::new(self.settings(), host, &token, self.store(), docker).unwrap()
    }

    /// Lets the poller do what there is to do, once.
    pub(crate) async fn once(&self) {
        let stop = Stop::on_signals().unwrap();
        self.poller().once(&stop).await;
    }

    pub(crate) async fn retry(&self) -> Result<(), Declined> {
        let stop = Stop::on_signals().unwrap();
        let mut poller = self.poller();
        poller.retry(&self.service().name, &stop).await
    }

    /// How each try has ended so far, the newest first.
    pub(crate) fn ends(&self) -> Vec<Report> {
        let past = self.store().history(None, 100).unwrap();
        past.into_iter().map(|past| past.report).collect()
    }

    pub(crate) fn last(&self) -> Report {
        self.ends().remove(0)
    }

    /// Intents by number, attempt and outcome, the oldest first.
    pub(crate) fn told(&self) -> Vec<(u32, Outcome)> {
        let ends = self.ends().into_iter().rev();
        ends.map(|end| (end.attempt, end.outcome.unwrap()))
            .collect()
    }

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        self.store().quarantine(&self.service().name).unwrap()
    }
}

/// A host whose intent 1, for commit 1, has failed with v2, to which its tag leads.
async fn with_a_failed_v2(name: &'static str, lines: &str) -> (Host, String) {
    let host = Host::new(name, lines).await;
    let digest = host.scene.release("v2", "500", &[]);
    host.receive(&host.intent(1, "1"));
    host.once().await;
    assert_eq!(host.told(), [(1, Outcome::RolledBack)]);
    assert_eq!(host.scene.get().unwrap(), "toy v1 \n");
    (host, digest)
}

#[tokio::test]
async fn a_bad_version_is_quarantined_and_left_alone_until_an_operator_wants_it_again() {
    let (host, digest) = with_a_failed_v2("quarantined", "").await;
    let held = host.quarantine();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].version.to_string(), digest);
    assert!(
        host.last().message.contains("`towline retry quarantined`"),
        "{}",
        host.last().message
    );
    host.once().await;
    assert_eq!(host.ends().len(), 1, "the same intent again is nothing");
    host.retry().await.unwrap();
    assert_eq!(
        host.told(),
        [(1, Outcome::RolledBack), (2, Outcome::RolledBack)]
    );
    assert_eq!(host.quarantine().len(), 1, "it has failed again");
    let repaired = host.scene.release("v3", "ok", &[]);
    host.retry().await.unwrap();
    assert_eq!(
        (host.last().attempt, host.last().outcome),
        (3, Some(Outcome::Succeeded)),
        "{}",
        host.last().message
    );
    assert_eq!(host.last().to.digest.unwrap().to_string(), repaired);
    assert_eq!(host.scene.get().unwrap(), "toy v3 \n");
    let declined = host.retry().await.unwrap_err();
    assert!(
        matches!(
            &declined,
            Declined::NotFailed {
                outcome: Outcome::Succeeded,
                ..
            }
        ),
        "{declined}"
    );
}

#[tokio::test]
async fn a_newer_commit_whose_tag_still_leads_to_the_bad_version_waits_and_is_given_up() {
    let (host, _) = with_a_failed_v2("late-push", "image_wait = \"2s\"").await;
    let old = host.scene.inspect()["Id"].clone();
    host.receive(&host.intent(2, "2"));
    host.once().await;
    assert_eq!(host.ends().len(), 1, "it waits: {:?}", host.last());
    tokio::time::sleep(Duration::from_secs(3)).await;
    host.once().await;
    let last = host.last();
    assert_eq!(last.outcome, Some(Outcome::Quarantined), "{}", last.message);
    assert!(last.message.contains("failed here at"), "{}", last.message);
    assert_eq!(host.scene.inspect()["Id"], old, "nothing was touched");
}

#[tokio::test]
async fn a_newer_commit_waits_for_its_own_image_and_gets_it() {
    let (host, _) = with_a_failed_v2("pushed-late", "").await;
    host.receive(&host.intent(2, "2"));
    host.once().await;
    assert_eq!(host.ends().len(), 1, "it waits: {:?}", host.last());
    host.scene.release("v3", "ok", &[]);
    host.once().await;
    assert_eq!(
        host.told(),
        [(1, Outcome::RolledBack), (1, Outcome::Succeeded)]
    );
    assert_eq!(host.scene.get().unwrap(), "toy v3 \n");
}

#[tokio::test]
async fn a_rerun_of_the_same_commit_tries_the_bad_version_again() {
    let (host, _) = with_a_failed_v2("rerun", "").await;
    host.receive(&host.intent(2, "1"));
    host.once().await;
    let last = host.last();
    assert_eq!(
        (last.outcome, last.intent),
        (Some(Outcome::RolledBack), host.intent(2, "1").id)
    );
    assert_eq!(host.ends().len(), 2);
    let held = host.quarantine();
    assert_eq!((held.len(), held[0].place.seq), (1, 2));
    host.once().await;
    assert_eq!(host.ends().len(), 2, "once for each intent");
}

#[tokio::test]
async fn an_interrupted_deploy_is_tried_again_by_itself() {
    let host = Host::new("interrupted", "").await;
    host.scene.release("v2", "ok", &[]);
    let asked = host.intent(1, "1");
    host.receive(&asked);
    // As if the poller was killed before it had made the new container.
    let deploy = host.scene.begun();
    let entry = JournalEntry {
        deploy: deploy.deploy.clone(),
        service: host.service().name,
        intent: asked.id,
        attempt: 1,
        body: deploy.to_journal().unwrap(),
        on_purpose: None,
        begun: None,
    };
    host.store().write_journal(&entry).unwrap();
    host.once().await;
    assert_eq!(
        host.told(),
        [(1, Outcome::FailedUntouched), (2, Outcome::Succeeded)]
    );
    assert_eq!(host.scene.get().unwrap(), "toy v2 \n");
    assert_eq!(host.quarantine(), []);
}
