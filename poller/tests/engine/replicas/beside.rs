//! Replicas whose new versions are started beside the old ones.

use towline::machine::Fault;
use towline_protocol::Outcome;

use super::{MOVES, Replicas, WITH_DATA, Watcher};

#[tokio::test]
async fn with_start_first_none_of_them_is_ever_down() {
    let mut replicas = Replicas::beside("rolled-beside", [&[]; 3]).await;
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &[]);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy(", max_parallel = 2").await;
    assert_eq!(watcher.fewest(), 3);
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = replicas.ids();
    assert!(
        before.iter().all(|id| !now.contains(id)),
        "{before:?} {now:?}"
    );
    assert_eq!(replicas.names().len(), 3, "{:?}", replicas.names());
}

#[tokio::test]
async fn with_start_first_all_go_back_without_one_being_missed_when_a_later_one_fails() {
    let each: [&[&str]; 3] = [WITH_DATA, &[], WITH_DATA];
    let mut replicas = Replicas::beside("beside-rolled-back", each).await;
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &MOVES);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy("").await;
    assert_eq!(watcher.fewest(), 3);
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(applied.fault, Fault::Version);
    assert_eq!(replicas.ids(), before);
    assert_eq!(replicas.running(), [true; 3]);
    assert_eq!(replicas.names().len(), 3, "{:?}", replicas.names());
}

#[tokio::test]
async fn with_start_first_a_pause_leaves_the_others_running_all_the_time() {
    let each: [&[&str]; 3] = [WITH_DATA, &[], WITH_DATA];
    let mut replicas = Replicas::beside("beside-paused", each).await;
    let before = replicas.ids();
    replicas.scene.release("v2", "ok", &MOVES);
    let watcher = Watcher::new(replicas.label());
    let applied = replicas.deploy(", on_failure = \"pause\"").await;
    assert_eq!(watcher.fewest(), 3);
    assert_eq!(
        applied.outcome,
        Outcome::NeedsOperator,
        "{}",
        applied.message
    );
    let told = "1 of 3 have the new version and keep it (beside-paused--1)";
    assert!(applied.message.contains(told), "{}", applied.message);
    let now = replicas.ids();
    assert_eq!(
        [0, 1, 2].map(|at| now[at] == before[at]),
        [false, true, true]
    );
    assert_eq!(replicas.running(), [true; 3]);
    assert_eq!(replicas.names().len(), 3, "{:?}", replicas.names());
}
