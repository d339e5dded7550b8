use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::{
    docker::fake::connected,
    testing::{self, digest},
};

/// The host as the engine shows it: the container `web`, and one more. `Null` is one that it cannot show.
#[derive(Clone)]
struct Host {
    web: Value,
    other: Option<Value>,
    /// How often the new image is pruned right after its pull.
    prunes: usize,
}

impl Host {
    fn new() -> Self {
        let web = json!({
            "Id": "a".repeat(64), "Name": "/web", "Image": "sha256:old", "State": { "Running": true },
            "Config": { "Image": "ghcr.io/octo-org/web:main", "Env": ["V=1"], "Labels": {} },
            "HostConfig": { "NetworkMode": "bridge", "RestartPolicy": { "Name": "always" } },
            "NetworkSettings": { "Networks": {} }
        });
        Self {
            web,
            other: None,
            prunes: 0,
        }
    }

    fn with(mut self, path: &str, value: Value) -> Self {
        *self.web.pointer_mut(path).unwrap() = value;
        self
    }
}

fn shown(container: &Value) -> (u16, String) {
    if container.is_null() {
        let broken = json!({ "message": "layer does not exist" });
        return (500, broken.to_string());
    }
    (200, container.to_string())
}

fn image(id: &str, digit: char) -> String {
    let known = format!("ghcr.io/octo-org/web@{}", digest(digit));
    json!({ "Id": id, "RepoDigests": [known], "Config": {} }).to_string()
}

/// What comes of the preparations for a new version, whose pull takes so long that `before` has become `after`.
async fn prepared(before: Host, after: Host) -> Result<Prepared, ApplyError> {
    let pulled = AtomicBool::new(false);
    let pruned = AtomicUsize::new(0);
    let docker = connected(move |line| {
        let host = if pulled.load(Ordering::SeqCst) {
            &after
        } else {
            &before
        };
        let none = (404, json!({ "message": "none" }).to_string());
        match line {
            line if line.contains("/containers/web/") => shown(&host.web),
            line if host.web["Id"].as_str().is_some_and(|id| line.contains(id)) => shown(&host.web),
            line if line.contains("/containers/json") => {
                let all = host.other.iter().map(|_| json!({ "Id": "other" }));
                (200, Value::from_iter(all).to_string())
            }
            line if line.contains("/containers/other/") => match &host.other {
                Some(other) => shown(other),
                None => none,
            },
            line if line.contains("/distribution/") => {
                let media = "application/vnd.docker.distribution.manifest.v2+json";
                let descriptor = json!({ "mediaType": media, "digest": digest('2'), "size": 1 });
                (
                    200,
                    json!({ "Descriptor": descriptor, "Platforms": [] }).to_string(),
                )
            }
            line if line.contains("/images/create") => {
                pulled.store(true, Ordering::SeqCst);
                (200, "{\"status\":\"Pulled\"}\r\n".to_owned())
            }
            line if line.contains("/images/sha256:new/tag")
                && pruned.load(Ordering::SeqCst) < host.prunes =>
            {
                pruned.fetch_add(1, Ordering::SeqCst);
                pulled.store(false, Ordering::SeqCst);
                none
            }
            line if line.starts_with("POST") => (201, String::new()),
            line if line.contains("/images/sha256:new/") => (200, image("sha256:new", '2')),
            line if line.contains("/images/sha256:old/") => (200, image("sha256:old", '1')),
            line if line.contains("web@sha256:2") && pulled.load(Ordering::SeqCst) => {
                (200, image("sha256:new", '2'))
            }
            _ => none,
        }
    })
    .await;
    let (service, intent) = (testing::service(""), testing::intent(1, 1));
    let job = Job {
        service: &service,
        intent: &intent,
        attempt: 1,
        deploy: "0a1b2c3d".to_owned(),
    };
    let known = Known {
        quarantine: &[],
        brought: None,
    };
    let mut clock = StepClock::default();
    prepare(
        &docker,
        &Launcher::own(),
        &job,
        &known,
        &mut clock,
        &mut |_| (),
    )
    .await
}

fn plan_of(prepared: Prepared) -> Plan {
    match prepared {
        Prepared::Ready(plan, _) => *plan,
        Prepared::Over(applied) => panic!("{applied:?}"),
    }
}

fn end_of(prepared: Prepared) -> Applied {
    match prepared {
        Prepared::Ready(plan, _) => panic!("{plan:?}"),
        Prepared::Over(applied) => *applied,
    }
}

#[tokio::test]
async fn a_container_that_was_stopped_during_the_pull_is_not_to_be_started() {
    let stopped = Host::new().with("/State/Running", json!(false));
    let plan = plan_of(prepared(Host::new(), stopped).await.unwrap());
    assert!(!plan.deploy.members[0].runs);
}

#[tokio::test]
async fn settings_that_were_changed_during_the_pull_are_kept() {
    let policy = json!({ "Name": "unless-stopped" });
    let updated = Host::new().with("/HostConfig/RestartPolicy", policy.clone());
    let plan = plan_of(prepared(Host::new(), updated).await.unwrap());
    assert_eq!(plan.deploy.members[0].policy, policy);
}

#[tokio::test]
async fn a_container_that_came_to_depend_on_it_during_the_pull_is_a_reason_to_refuse() {
    let mut joined = Host::new();
    joined.other =
        Some(json!({ "Id": "other", "Name": "/vpn", "HostConfig": { "VolumesFrom": ["web"] } }));
    let applied = end_of(prepared(Host::new(), joined).await.unwrap());
    assert_eq!(applied.outcome, Outcome::Refused);
    assert!(applied.message.contains("vpn (volumes)"), "{applied:?}");
}

#[tokio::test]
async fn a_stranger_that_the_engine_cannot_show_does_not_keep_a_deploy_from_its_end() {
    let mut host = Host::new();
    host.other = Some(Value::Null);
    let plan = plan_of(prepared(host.clone(), host).await.unwrap());
    assert_eq!(plan.deploy.members[0].name, "web");
}

#[tokio::test]
async fn a_container_that_the_engine_cannot_show_ends_the_deploy_untouched() {
    let broken = Host::new().with("", Value::Null);
    let applied = end_of(prepared(broken.clone(), broken).await.unwrap());
    assert_eq!(applied.outcome, Outcome::FailedUntouched);
    assert!(
        applied.message.contains("layer does not exist"),
        "{applied:?}"
    );
}

#[tokio::test]
async fn one_that_was_put_in_its_place_during_the_pull_is_the_one_that_is_replaced() {
    let recreated = Host::new()
        .with("/Id", json!("b".repeat(64)))
        .with("/Config/Env", json!(["V=2"]));
    let plan = plan_of(prepared(Host::new(), recreated).await.unwrap());
    assert_eq!(plan.deploy.members[0].old, "b".repeat(64));
    assert_eq!(plan.create[0].0.body["Env"], json!(["V=2"]));
}

#[tokio::test]
async fn one_that_was_put_in_its_place_with_the_new_version_is_left_as_it_is() {
    let ahead = Host::new()
        .with("/Id", json!("b".repeat(64)))
        .with("/Image", json!("sha256:new"));
    let applied = end_of(prepared(Host::new(), ahead).await.unwrap());
    assert_eq!(applied.outcome, Outcome::Unchanged, "{applied:?}");
}

#[tokio::test]
async fn an_image_that_is_pruned_right_after_its_pull_is_pulled_again_a_few_times() {
    let pruning = |prunes| Host {
        prunes,
        ..Host::new()
    };
    let plan = plan_of(prepared(pruning(2), pruning(2)).await.unwrap());
    assert_eq!(plan.image, "sha256:new");
    let applied = end_of(prepared(pruning(99), pruning(99)).await.unwrap());
    assert_eq!(applied.outcome, Outcome::FailedUntouched);
    assert!(applied.message.contains("prune images"), "{applied:?}");
}
