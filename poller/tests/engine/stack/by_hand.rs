//! Projects that somebody has brought up by hand with another image since the last deploy: what runs is told as unknown, and
//! what was deployed can be had again.

use towline::version::VersionId;
use towline_protocol::{Outcome, Side};

use super::deployed::Deployed;
use crate::scene::release;

impl Deployed {
    /// A project of which a deploy has brought v1, with what it ran then, and whose worker somebody has brought up as v2 since.
    async fn meddled(name: &'static str) -> (Self, Vec<(String, String, bool)>) {
        let mut deployed = Self::new(name).await;
        deployed.takes_effect(Outcome::Succeeded).await;
        let first = deployed.seen().await;
        deployed.stack.release("worker", "v2");
        deployed.stack.by_hand(&["pull", "--quiet"]);
        deployed.stack.by_hand(&["up", "--detach"]);
        assert_ne!(deployed.seen().await, first);
        (deployed, first)
    }

    /// What its last deploy has brought, by the record of it.
    fn deployed(&self) -> VersionId {
        let running = self.store.running(&self.service.name).unwrap();
        running.unwrap().version().unwrap()
    }
}

#[tokio::test]
async fn what_was_brought_up_by_hand_is_an_unknown_version_to_the_deploy_after_it() {
    let (mut deployed, _) = Deployed::meddled("meddled").await;
    let by_hand = deployed.seen().await;
    release(&deployed.stack.repository("api"), "v2", "crash", &[]);
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{applied:?}");
    assert_eq!(deployed.seen().await, by_hand);
    assert_eq!(applied.from, Side::default(), "{applied:?}");
    let version = applied.version_before;
    assert!(version.is_some() && version != Some(deployed.deployed()));
    let kept = deployed.kept();
    assert_eq!((Some(kept.version), kept.revision.sha), (version, None));
    assert_eq!((kept.intent, kept.since), (None, None));
    assert_eq!(deployed.standing().await.sha(), None);

    deployed.stack.release("api", "v3");
    deployed.takes_effect(Outcome::Succeeded).await;
    let back = deployed.stored(None).await.unwrap();
    let applied = deployed.back(&back).await.unwrap();
    assert_eq!(applied.to.sha, None, "{applied:?}");
    deployed.note(applied);
    assert_eq!(deployed.seen().await, by_hand);
    assert_eq!(deployed.standing().await.sha(), None);
}

#[tokio::test]
async fn what_was_deployed_is_gone_back_to_from_what_was_brought_up_by_hand() {
    let (mut deployed, first) = Deployed::meddled("meddled-back").await;
    let brought = deployed.deployed();
    for to in [None, Some("3484a3f")] {
        let back = deployed.stored(to).await.unwrap();
        assert_eq!(back.version, brought);
    }
    let back = deployed.stored(None).await.unwrap();
    let applied = deployed.back(&back).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
    assert_eq!(deployed.seen().await, first);
    deployed.note(applied);
    let standing = deployed.standing().await;
    assert!(standing.is_as_deployed(), "{standing:?}");
    let again = deployed.stored(Some("3484a3f")).await.unwrap_err();
    assert!(again.to_string().contains("runs already"), "{again}");
}
