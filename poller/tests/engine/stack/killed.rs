//! Compose killed in the middle: whatever it has left, the way back and the way on end well, with the same volumes.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use towline::compose::{ComposeError, Patience, Pulled, Up, mends, missing};

use super::Stack;
use crate::scene::{docker, inspect, release};

const PAIR: &str = "services:\n  web: {image: \"@-web:live\", depends_on: [db]}\n  db: {image: \"@-db:live\", volumes: [\"/kept\"]}\n";

/// How far apart the moments are at which it is killed, and how many there are. A whole `up` takes about half a second.
const STEP: Duration = Duration::from_millis(25);
const MOMENTS: u32 = 16;
/// One more try.
const SHORT: Patience = Patience(&[Duration::from_secs(1)]);

/// A project on v1 of which v2 is here, and its tags' moves.
async fn halfway(name: &'static str) -> (Stack, Vec<Pulled>) {
    let stack = Stack::new(name, PAIR).await;
    for part in ["web", "db"] {
        stack.release(part, "v1");
    }
    stack.deploy(&[]).await;
    for part in ["web", "db"] {
        stack.release(part, "v2");
    }
    let (_, pulled) = stack.prepared(&[]).await;
    assert!(pulled.iter().all(|pulled| pulled.tag.is_some()));
    (stack, pulled)
}

/// `docker compose up -d`, killed with all that belongs to it.
fn killed_after(stack: &Stack, moment: Duration) {
    let mut up = Command::new("docker");
    up.args(["compose", "--file", stack.part.file.to_str().unwrap()])
        .args(["up", "--detach", "--pull", "never", "--no-build"])
        .stderr(Stdio::null())
        .process_group(0);
    let mut up = up.spawn().unwrap();
    thread::sleep(moment);
    let group = format!("-{}", up.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .output()
        .unwrap();
    up.wait().unwrap();
}

/// The name of the volume that nobody has named.
fn volume(container: &str) -> String {
    inspect(container)["Mounts"][0]["Name"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn assert_whole(stack: &Stack, moment: Duration) {
    let now = stack.containers().await;
    let names: Vec<_> = now.iter().map(|one| one.name.clone()).collect();
    let expected = ["db", "web"].map(|service| format!("{}-{service}-1", stack.name));
    assert_eq!(names, expected, "after {moment:?}");
    assert!(now.iter().all(|one| one.runs), "after {moment:?}: {now:?}");
}

#[tokio::test]
async fn killed_at_any_moment_it_goes_back() {
    let (stack, pulled) = halfway("killed-back").await;
    let (services, none) = (["db", "web"].map(str::to_owned), BTreeMap::new());
    let before = stack.containers().await;
    let kept = volume("killed-back-db-1");
    for moment in (2..MOMENTS).map(|moment| moment * STEP) {
        stack.tag(&pulled).await;
        killed_after(&stack, moment);
        stack.untag(&pulled).await;
        stack.up(&services, &[], &none).await.unwrap();
        assert_whole(&stack, moment).await;
        let states = before
            .iter()
            .map(|one| (one.service.as_str(), one.image.as_str(), true));
        assert_eq!(
            missing(states, &stack.containers().await),
            None,
            "after {moment:?}"
        );
        assert_eq!(volume("killed-back-db-1"), kept, "after {moment:?}");
    }
}

#[tokio::test]
async fn what_the_engine_still_stops_for_one_that_was_killed_is_up_in_the_end() {
    // It ends only when it is killed, four seconds after it was told to.
    let file = PAIR.replace("\"/kept\"]", "\"/kept\"], stop_grace_period: 4s");
    let stack = Stack::new("stopping", &file).await;
    release("stopping-db", "v1", "deaf", &[]);
    stack.release("web", "v1");
    stack.deploy(&[]).await;
    let db = stack.only("db").await;
    let mut stop = Command::new("docker")
        .args(["stop", &db.id])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !stack
        .engine
        .signalled(SystemTime::now())
        .await
        .unwrap()
        .contains_key(&db.id)
    {
        assert!(Instant::now() < deadline, "it is never told to stop");
        thread::sleep(STEP);
    }
    let services = ["db", "web"].map(str::to_owned);
    stack.up(&services, &[], &BTreeMap::new()).await.unwrap();
    assert!(stop.wait().unwrap().success());
    assert_whole(&stack, Duration::ZERO).await;
    assert_eq!(stack.only("db").await.id, db.id);
}

#[tokio::test]
async fn killed_at_any_moment_it_goes_on() {
    let (stack, pulled) = halfway("killed-on").await;
    let (services, none) = (["db", "web"].map(str::to_owned), BTreeMap::new());
    let kept = volume("killed-on-db-1");
    for moment in (2..MOMENTS).map(|moment| moment * STEP) {
        stack.tag(&pulled).await;
        killed_after(&stack, moment);
        stack.up(&services, &[], &none).await.unwrap();
        assert_whole(&stack, moment).await;
        assert_eq!(volume("killed-on-db-1"), kept, "after {moment:?}");
        stack.untag(&pulled).await;
        stack.up(&services, &[], &none).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_half_made_gets_the_place_and_the_volumes_of_what_is_gone() {
    let (stack, _) = halfway("half").await;
    let old = stack.only("db").await;
    let kept = volume("half-db-1");
    let half = format!("{}_half-db-1", &old.id[..12]);
    // As Compose does it, up to the moment before the new one gets its name.
    let labels = inspect(&old.id)["Config"]["Labels"].clone();
    let labels: Vec<_> = labels
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("--label={name}={}", value.as_str().unwrap()))
        .collect();
    let mut create = vec!["create", "--name", &half, "--volumes-from", &old.id];
    create.extend(labels.iter().map(String::as_str));
    create.push(&old.image);
    docker(&create);
    docker(&["rm", "--force", &old.id]);
    assert_eq!(mends(&stack.containers().await).len(), 1);

    let services = ["db", "web"].map(str::to_owned);
    stack.up(&services, &[], &BTreeMap::new()).await.unwrap();
    assert_whole(&stack, Duration::ZERO).await;
    assert_eq!(volume("half-db-1"), kept);
}

/// A container of nobody's that has the name which Compose gives to the next `db` for a while; returns the name.
async fn in_the_way(stack: &Stack) -> String {
    let old = stack.only("db").await;
    let name = format!("{}_{}", &old.id[..12], old.name);
    docker(&["create", "--name", &name, &old.image]);
    name
}

/// Brings the project up; how often Compose was begun, too. `line` hears what it says.
async fn up_with(
    stack: &Stack,
    patience: Patience,
    line: &mut dyn FnMut(&str),
) -> (Result<(), ComposeError>, u32) {
    let up = Up {
        project: &stack.project(),
        name: stack.name,
        services: &["db", "web"].map(str::to_owned),
        told: &[],
        pins: &BTreeMap::new(),
        scale: &BTreeMap::new(),
        stop_timeout: None,
        patience,
    };
    let mut begun = 0;
    let mut begins = |_: &_| {
        begun += 1;
        Ok(())
    };
    let ended = stack.cli.up(&stack.engine, &up, &mut begins, line).await;
    (ended, begun)
}

#[tokio::test]
async fn a_name_that_is_free_a_little_later_is_waited_for() {
    let (stack, pulled) = halfway("late").await;
    stack.tag(&pulled).await;
    let name = in_the_way(&stack).await;
    let mut is_there = true;
    let mut line = |line: &str| {
        if is_there && line.contains("tries again") {
            docker(&["rm", "--force", &name]);
            is_there = false;
        }
    };
    let (ended, begun) = up_with(&stack, Patience::AFTER_ANOTHER, &mut line).await;
    ended.unwrap();
    assert_eq!(begun, 2);
    assert_whole(&stack, Duration::ZERO).await;
}

#[tokio::test]
async fn a_name_that_stays_taken_is_the_failure_that_it_always_is() {
    let (stack, pulled) = halfway("taken").await;
    stack.tag(&pulled).await;
    let name = in_the_way(&stack).await;
    let before = stack.only("db").await;
    let (ended, begun) = up_with(&stack, Patience::NONE, &mut |_| ()).await;
    assert_is_taken(&ended.unwrap_err());
    assert_eq!(begun, 1);
    let (ended, begun) = up_with(&stack, SHORT, &mut |_| ()).await;
    docker(&["rm", "--force", &name]);
    assert_is_taken(&ended.unwrap_err());
    assert_eq!(begun, 2);
    assert_eq!(stack.only("db").await, before);
}

fn assert_is_taken(failed: &ComposeError) {
    let told = failed.to_string();
    assert!(told.contains("is already in use by container"), "{told}");
}
