//! How a program ends, and that it ends whole.

use super::*;

#[tokio::test]
async fn a_status_and_a_signal_are_told_apart() {
    assert_eq!(ended(&script("exit 0")).await.how, How::Exited(0));
    assert_eq!(ended(&script("exit 75")).await.how, How::Exited(75));
    assert_eq!(ended(&script("exit 137")).await.how, How::Exited(137));
    assert_eq!(ended(&script("kill -KILL $$")).await.how, How::Signalled(9));
    assert_eq!(
        ended(&script("kill -TERM $$")).await.how,
        How::Signalled(15)
    );
}

#[tokio::test]
async fn one_that_takes_too_long_is_asked_to_end_and_can_tidy_up() {
    let mut slow =
        script("trap 'echo tidied; exit 3' TERM; echo begun; while :; do sleep 0.05; done");
    slow.timeout = Duration::from_millis(500);
    let ended = ended(&slow).await;
    assert_eq!(ended.how, How::TimedOut);
    // Some shells say "Terminated" of a child as well.
    let is_tidy = ended.tail.starts_with("begun\n") && ended.tail.ends_with("tidied\n");
    assert!(is_tidy, "{}", ended.tail);
    assert!(ended.took >= slow.timeout, "{:?}", ended.took);
}

/// Writes its number down, and those of a child, a grandchild in a group of its own, and an orphan, who all ignore TERM.
const STUBBORN: &str = "\
trap '' TERM
echo $$ >> \"$PIDS\"
sleep 300 & echo $! >> \"$PIDS\"
( set -m; sleep 300 & echo $! >> \"$PIDS\" )
( ( sleep 300 & echo $! >> \"$PIDS\" ) )
echo all >> \"$PIDS.all\"
";

fn stubborn(dir: &TempDir, then: &str) -> (Order, PathBuf) {
    let pids = dir.path().join("pids");
    let mut order = script(&format!("{STUBBORN}{then}"));
    order.env = vec![("PIDS".to_owned(), pids.display().to_string())];
    order.grace = Duration::from_millis(100);
    (order, pids)
}

fn all_gone(pids: &Path) {
    let numbers = numbers(pids);
    assert_eq!(numbers.len(), 4, "{numbers:?}");
    let left: Vec<_> = numbers.into_iter().filter(|&pid| lives(pid)).collect();
    assert_eq!(left, [0; 0], "still there");
}

#[tokio::test]
async fn those_that_do_not_hear_are_killed_with_all_that_they_have_started() {
    let dir = folder();
    let (mut order, pids) = stubborn(&dir, "wait");
    order.timeout = Duration::from_secs(3);
    assert_eq!(ended(&order).await.how, How::TimedOut);
    all_gone(&pids);
}

#[tokio::test]
async fn one_that_is_stopped_ends_too() {
    let mut stopped = script("trap 'echo woken; exit' TERM; kill -STOP $$; :");
    stopped.timeout = Duration::from_millis(300);
    let ended = ended(&stopped).await;
    assert_eq!((ended.how, ended.tail.as_str()), (How::TimedOut, "woken\n"));
}

#[tokio::test]
async fn what_is_left_running_is_ended_with_the_program_and_that_is_told() {
    let dir = folder();
    let (order, pids) = stubborn(&dir, "exit 4");
    let (ended, lines) = told(&order).await;
    assert_eq!(ended.unwrap().how, How::Exited(4));
    all_gone(&pids);
    assert!(
        matches!(&lines[..], [note] if note.contains("had left running")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn others_may_finish_what_they_write_right_after_the_program() {
    let ended = ended(&script("(sleep 0.2; echo last) & exit 0")).await;
    assert_eq!((ended.how, ended.tail.as_str()), (How::Exited(0), "last\n"));
}

#[tokio::test]
async fn whoever_left_the_session_keeps_nobody_waiting() {
    let dir = folder();
    let pid = dir.path().join("pid");
    let mut order = script(
        "setsid sh -c 'echo $$ > \"$PID\"; exec sleep 300' & until [ -s \"$PID\" ]; do sleep 0.01; done",
    );
    order.env = vec![("PID".to_owned(), pid.display().to_string())];
    let ended = ended(&order).await;
    let daemon = numbers(&pid)[0];
    assert!(lives(daemon), "it is not ours to end");
    let killed = std::process::Command::new("kill")
        .arg(daemon.to_string())
        .status();
    assert!(killed.unwrap().success());
    assert_eq!((ended.how, ended.tail.as_str()), (How::Exited(0), ""));
    assert!(ended.took < Duration::from_secs(60), "{:?}", ended.took);
}

#[tokio::test]
async fn dropping_the_run_kills_all_of_it() {
    let dir = folder();
    let (order, pids) = stubborn(&dir, "wait");
    let all = dir.path().join("pids.all");
    {
        let run = told(&order);
        tokio::select! {
            ended = run => panic!("{ended:?}"),
            () = async { while !all.exists() { tokio::time::sleep(Duration::from_millis(10)).await; } } => {}
        }
    }
    until("all are gone", || {
        numbers(&pids).into_iter().all(|pid| !lives(pid))
    });
    all_gone(&pids);
}

#[tokio::test]
async fn dropping_a_run_with_little_grace_does_not_wait_for_it() {
    let dir = folder();
    let [begun, late] = ["begun", "late"].map(|name| dir.path().join(name));
    let mut order = script(
        "trap 'sleep 1.7; touch \"$LATE\"' TERM; touch \"$BEGUN\"; while :; do sleep 0.02; done",
    );
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    order.env = vec![variable("BEGUN", &begun), variable("LATE", &late)];
    order.grace = Duration::from_secs(1);
    tokio::select! {
        ended = told(&order) => panic!("{ended:?}"),
        () = async { while !begun.exists() { tokio::time::sleep(Duration::from_millis(10)).await; } } => {}
    }
    assert!(!late.exists());
}

#[tokio::test]
async fn dropping_the_run_lets_it_tidy_up() {
    let dir = folder();
    let [begun, lock] = ["begun", "lock"].map(|name| dir.path().join(name));
    let mut order = script(
        "trap 'rm \"$LOCK\"; exit' TERM; touch \"$LOCK\"; touch \"$BEGUN\"; while :; do sleep 0.02; done",
    );
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    order.env = vec![variable("BEGUN", &begun), variable("LOCK", &lock)];
    tokio::select! {
        ended = told(&order) => panic!("{ended:?}"),
        () = async { while !begun.exists() { tokio::time::sleep(Duration::from_millis(10)).await; } } => {}
    }
    assert!(!lock.exists());
}
