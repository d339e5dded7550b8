//! Replicas of which one cannot run the new version.

use towline::{
    apply::Progress,
    machine::Fault,
    settings::Choice,
    status::{self, Sought},
};
use towline_protocol::Outcome;

use super::{MOVES, Replicas, WITH_DATA, Watcher};
use crate::scene::{inspect, required};

#[tokio::test]
async fn the_first_that_fails_stops_it_and_all_go_back_as_the_same_containers() {
    let each: [&[&str]; 3] = [WITH_DATA, &[], WITH_DATA];
    let mut replicas = Replicas::new("rolled-back", each).await;
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &MOVES);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy("").await;
    assert_eq!(watcher.fewest(), 2);
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(applied.fault, Fault::Version);
    assert!(
        applied.message.contains("rolled-back--2"),
        "{}",
        applied.message
    );
    assert_eq!(replicas.ids(), before);
    assert_eq!(replicas.running(), [true; 3]);
    assert_eq!(replicas.names().len(), 3, "{:?}", replicas.names());
    for at in 1..=3 {
        let policy = &inspect(&replicas.name(at))["HostConfig"]["RestartPolicy"]["Name"];
        assert_eq!(policy, "unless-stopped");
    }
    let started = replicas
        .scene
        .told
        .iter()
        .filter(|one| **one == Progress::Started);
    assert_eq!(started.count(), 2, "the third was not begun");
}

#[tokio::test]
async fn where_a_failure_pauses_those_that_have_passed_keep_the_new_version_and_the_others_the_old_one()
 {
    let each: [&[&str]; 3] = [WITH_DATA, &[], WITH_DATA];
    let mut replicas = Replicas::new("paused", each).await;
    let before = replicas.ids();
    let bad = replicas.scene.release("v2", "ok", &MOVES);
    let keys = ", on_failure = \"pause\"";
    let applied = replicas.deploy(keys).await;
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    assert_eq!(applied.fault, Fault::Version);
    for words in [
        "1 of 3 have the new version and keep it (paused--1)",
        "failed: ",
        "(paused--2, paused--3)",
    ] {
        assert!(
            applied.message.contains(words),
            "{words}: {}",
            applied.message
        );
    }
    let now = replicas.ids();
    assert_eq!(
        [0, 1, 2].map(|at| now[at] == before[at]),
        [false, true, true]
    );
    assert_eq!(replicas.running(), [true; 3]);
    assert_eq!(replicas.names().len(), 3, "{:?}", replicas.names());
    let policy = |at| inspect(&replicas.name(at))["HostConfig"]["RestartPolicy"]["Name"].clone();
    assert_eq!([1, 2, 3].map(policy), ["unless-stopped"; 3]);
    let sought = Sought::Container {
        choice: Choice::Label(replicas.label().parse().unwrap()),
        brought: None,
    };
    let seen = status::look(Some(&required("DOCKER_HOST")), &[sought]).await;
    let digests: Vec<_> = seen.services[0]
        .replicas
        .iter()
        .map(|one| one.digest.clone())
        .collect();
    assert_eq!(digests[0].as_ref().map(ToString::to_string), Some(bad));
    assert!(digests[1].is_some() && digests[1] == digests[2] && digests[0] != digests[1]);

    // A version with which the second can live goes to all of them.
    replicas.scene.release("v3", "ok", &[]);
    let applied = replicas.deploy(keys).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let last = replicas.ids();
    assert!(now.iter().all(|id| !last.contains(id)), "{now:?} {last:?}");
}
