//! How a project stands after its deploy, as `towline status` and the watch see it: what is gone is missed, what has done its
//! work or is more is not, and what somebody has made from another image is not what was deployed.

use jiff::Timestamp;
use towline::{
    apply::Applied,
    settings::Settings,
    status::{ServiceStatus, Status, Watch, look},
    store::{End, Running},
};
use towline_protocol::Outcome;

use super::{
    deployed::{Deployed, text},
    *,
};

/// Two services that stay, of which one is plainly no job, one that ends well, and one that is brought up by hand only.
const FILE: &str = "services:\n  api:\n    image: @-api:live\n    ports: [\"8080\"]\n  worker:\n    image: @-worker:live\n  \
                    job:\n    image: @-api:live\n    command: [done]\n  \
                    debug:\n    image: @-api:live\n    command: [wait]\n    profiles: [debug]\n";

impl Deployed {
    /// One with a job beside, which is deployed.
    async fn with_job(name: &'static str) -> Self {
        let mut deployed = Self::of(Stack::new(name, FILE).await, "");
        deployed.takes_effect(Outcome::Succeeded).await;
        deployed
    }

    /// A deploy that ends so, on record as the daemon keeps it.
    pub(super) async fn takes_effect(&mut self, outcome: Outcome) {
        let applied: Applied = self.deploy().await;
        assert_eq!(applied.outcome, outcome, "{applied:?}");
        self.note(applied);
    }

    /// What has taken effect, on record as the daemon keeps it.
    pub(super) fn note(&mut self, applied: Applied) {
        let end = End {
            running: Some(Running {
                side: applied.to,
                version: applied.version,
                revision: applied.revision,
                placed: applied.placed,
                intent: None,
                since: Timestamp::now(),
                unwell: None,
            }),
            kept: applied.kept,
            ..End::default()
        };
        let (deploy, name) = (format!("{:08x}", self.deploys), &self.service.name);
        self.store.close_journal(&deploy, name, &end).unwrap();
    }

    /// How it stands now.
    pub(super) async fn standing(&self) -> ServiceStatus {
        let settings = Settings::parse(&text(&self.stack, ""), "towline.toml").unwrap();
        let (host, now) = ("pi".parse().unwrap(), Timestamp::now());
        let status = Status::recorded(&self.store, &settings, &host, now).unwrap();
        let seen = look(Some(&required("DOCKER_HOST")), &status.sought()).await;
        assert_eq!(seen.engine, None);
        status.with_seen(seen, now).services.remove(0)
    }

    /// What is wrong with it now.
    async fn trouble(&self) -> Option<String> {
        self.standing().await.trouble()
    }
}

#[tokio::test]
async fn what_is_gone_of_a_project_is_missed_and_what_has_done_its_work_or_is_more_is_not() {
    let deployed = Deployed::with_job("standing-gone").await;
    let job = deployed.stack.only("job").await;
    let standing = deployed.standing().await;
    let containers = standing.containers.as_ref().unwrap();
    assert_eq!((standing.trouble(), containers.len()), (None, 3));
    assert!(containers.iter().all(|one| one.as_deployed == Some(true)));
    assert!(containers.iter().all(|one| one.is_well()), "{containers:?}");

    docker(&["rm", &job.id]);
    assert_eq!(deployed.trouble().await, None, "it was pruned");
    let more = ["up", "--detach", "--scale", "worker=2", "worker"];
    deployed.stack.by_hand(&more);
    assert_eq!(deployed.trouble().await, None, "it was scaled up");

    deployed.stack.by_hand(&["rm", "--force", "--stop", "api"]);
    assert_eq!(deployed.trouble().await.as_deref(), Some("api is gone"));
    deployed.stack.by_hand(&["up", "--detach", "api"]);
    assert_eq!(deployed.trouble().await, None);

    deployed.stack.by_hand(&["down"]);
    let standing = deployed.standing().await;
    let gone = "all of its containers are gone";
    assert_eq!(standing.trouble().as_deref(), Some(gone));
    assert!(standing.sha().is_none() && !standing.is_something_else());
    let mut watch = Watch::default();
    let once = watch.note(&standing, None, Timestamp::now());
    assert_eq!(once, None, "somebody may be making it anew");
    let told = watch.note(&standing, None, Timestamp::now()).unwrap();
    assert!(told.to_string().ends_with(gone), "{told}");
    let (unwell, again) = (told.unwell(), deployed.standing().await);
    let again = watch.note(&again, unwell.as_ref(), Timestamp::now());
    assert_eq!(again, None, "it was told");
}

#[tokio::test]
async fn what_somebody_has_made_from_another_image_is_not_what_was_deployed_until_the_next_deploy()
{
    let mut deployed = Deployed::with_job("standing-other").await;
    deployed.stack.release("worker", "v2");
    deployed.stack.by_hand(&["pull", "--quiet"]);
    deployed.stack.by_hand(&["up", "--detach"]);
    let standing = deployed.standing().await;
    assert!(standing.is_something_else());
    let others: Vec<_> = standing.others().map(|one| one.service.as_str()).collect();
    assert_eq!((others, standing.trouble()), (vec!["worker"], None));
    let told = Watch::default().note(&standing, None, Timestamp::now());
    assert_eq!(told, None);

    deployed.takes_effect(Outcome::Unchanged).await;
    let standing = deployed.standing().await;
    assert!(standing.is_as_deployed(), "{standing:?}");
    deployed.stack.by_hand(&["rm", "--force", "--stop", "api"]);
    assert_eq!(deployed.trouble().await.as_deref(), Some("api is gone"));
}

#[tokio::test]
async fn a_server_that_was_stopped_and_ended_well_is_no_job_that_is_done() {
    let mut deployed = Deployed::with_job("standing-stopped").await;
    let ended = |service: &str| Some(format!("{service}: it ended with status 0"));
    deployed.stack.by_hand(&["stop", "api"]);
    assert_eq!(deployed.trouble().await, ended("api"), "it has a port");
    deployed.stack.by_hand(&["start", "api"]);
    assert_eq!(deployed.trouble().await, None);

    deployed.stack.by_hand(&["stop", "worker"]);
    assert_eq!(deployed.trouble().await, None, "it may be a long job");
    deployed.takes_effect(Outcome::Succeeded).await;
    assert!(deployed.stack.only("worker").await.runs, "in doubt it is");
    deployed.takes_effect(Outcome::Unchanged).await;
    deployed.stack.release("worker", "v2");
    deployed.takes_effect(Outcome::Succeeded).await;
    deployed.takes_effect(Outcome::Unchanged).await;
    deployed.stack.by_hand(&["stop", "worker"]);
    assert_eq!(deployed.trouble().await, ended("worker"), "it ran before");
    deployed.takes_effect(Outcome::Succeeded).await;
    assert_eq!(deployed.trouble().await, None);
}

#[tokio::test]
async fn what_was_brought_up_by_hand_only_is_shown_and_not_judged() {
    let deployed = Deployed::with_job("standing-debug").await;
    let by_hand = ["--profile", "debug", "up", "--detach", "debug"];
    deployed.stack.by_hand(&by_hand);
    docker(&["kill", &deployed.stack.only("debug").await.id]);
    let standing = deployed.standing().await;
    let containers = standing.containers.as_ref().unwrap();
    let beside = containers.iter().filter(|one| one.beside);
    let beside: Vec<_> = beside.map(|one| one.service.as_str()).collect();
    assert_eq!((standing.trouble(), beside), (None, vec!["debug"]));
}
