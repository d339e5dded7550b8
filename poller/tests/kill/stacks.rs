//! `kill -9` at every step of a deploy of a Compose project, alone and with the checkout that it is in and its data, and again during
//! the recovery.

use std::fs;

use crate::{
    composed::Seen,
    cover::cover,
    engine,
    images::V2,
    remote::Remote,
    side_by_side::side_by_side,
    stack::{Origin, Stack},
};

/// A deploy, and how it must end, whoever was killed meanwhile.
#[derive(Clone, Copy)]
struct Play<'a> {
    origin: Origin<'a>,
    v2: V2,
    outcome: &'static str,
}

impl Play<'_> {
    /// What is to be seen after a run without a kill, and the points that it passes.
    fn clean_run(self, name: &str) -> (Vec<String>, Vec<String>) {
        let stack = Stack::new(name.to_owned(), self.v2, self.origin);
        let before = stack.containers();
        let (_, log, passed) = stack.once();
        assert_eq!(self.told(&stack), self.outcome, "{log}");
        stack.is_of_one_version(&log);
        let is_as_before = images(&stack.containers()) == images(&before);
        assert_eq!(is_as_before, self.v2 == V2::Bad, "{log}");
        (stack.world(), passed)
    }

    fn told(self, stack: &Stack<'_>) -> String {
        for report in stack.reports().values() {
            let message = report["message"].as_str().unwrap();
            let is_as_promised = report["outcome"] == self.outcome;
            assert!(
                is_as_promised || message.contains("interrupted ("),
                "{report}"
            );
        }
        stack.told().0
    }

    /// Kills a first run at `points` one after the other, then lets one go to its end; returns the points that this one
    /// passed while it took the open journal to its end.
    fn killed_at(self, name: String, points: &[String], clean: &[String]) -> Vec<String> {
        let story = points.join(" -> ");
        let stack = Stack::new(name, self.v2, self.origin);
        let other = stack.other();
        for point in points {
            stack.killed_at(point);
        }
        let (_, log, passed) = stack.once();
        assert_eq!(self.told(&stack), self.outcome, "{story}: {log}");
        assert_eq!(stack.world(), clean, "{story}: {log}");
        stack.is_of_one_version(&story);
        assert_eq!(stack.other(), other, "{story}: {log}");
        let (ids, reports) = (stack.ids(), stack.reports());
        let (status, log, again) = stack.once();
        assert_eq!((status, again), (0, Vec::new()), "{story}: {log}");
        assert_eq!(stack.world(), clean, "{story}: a second recovery");
        assert_eq!((stack.ids(), stack.reports()), (ids, reports), "{story}");
        let of_recovery = passed.into_iter();
        of_recovery
            .take_while(|point| !["copied", "prepared"].contains(&point.as_str()))
            .collect()
    }

    /// Kills runs at each of the points that `wanted` says, and recoveries at each point that they pass.
    fn killed_everywhere(self, name: &str, wanted: impl Fn(&str) -> bool) {
        let _served = engine::served();
        let (clean, mut points) = self.clean_run(&format!("{name}-clean"));
        points.retain(|point| wanted(point));
        points.dedup();
        assert!(points.len() > 5, "{points:?}");
        let recoveries = side_by_side(points, |at, point| {
            let kills = std::slice::from_ref(&point);
            let mut passed = self.killed_at(format!("{name}-{at}"), kills, &clean);
            passed.dedup();
            (point, passed)
        });
        side_by_side(cover(recoveries), |at, kills| {
            self.killed_at(format!("{name}-again-{at}"), &kills, &clean);
        });
    }
}

fn images(containers: &[Seen]) -> Vec<&str> {
    containers.iter().map(|one| one.image.as_str()).collect()
}

fn is_way_back(point: &str) -> bool {
    point.starts_with("rolling_back") || point.starts_with("ended")
}

fn good(origin: Origin<'_>) -> Play<'_> {
    Play {
        origin,
        v2: V2::Good,
        outcome: "succeeded",
    }
}

fn bad(origin: Origin<'_>) -> Play<'_> {
    Play {
        origin,
        v2: V2::Bad,
        outcome: "rolled_back",
    }
}

#[test]
fn a_good_project_comes_up_whichever_step_the_poller_is_killed_at() {
    good(Origin::Host).killed_everywhere("kill-stack-good", |_| true);
}

#[test]
fn a_bad_project_is_taken_back_whichever_step_back_the_poller_is_killed_at() {
    bad(Origin::Host).killed_everywhere("kill-stack-bad", is_way_back);
}

#[test]
fn a_commit_and_its_project_come_as_one_whichever_step_the_poller_is_killed_at() {
    let remote = Remote::new();
    good(Origin::Git(&remote)).killed_everywhere("kill-both-good", |_| true);
}

#[test]
fn a_commit_and_its_project_are_taken_back_as_one_with_the_data_whichever_step_back_the_poller_is_killed_at()
 {
    let remote = Remote::new();
    bad(Origin::Git(&remote)).killed_everywhere("kill-both-bad", is_way_back);
}

#[test]
fn a_copy_of_a_commit_that_a_killed_poller_has_left_is_removed_by_the_next_start() {
    let _served = engine::served();
    let remote = Remote::new();
    let stack = Stack::new("kill-copied".to_owned(), V2::Good, Origin::Git(&remote));
    stack.killed_at("copied");
    let copy = fs::read_link(stack.state().join("scratch")).unwrap();
    assert!(copy.join("compose.yml").exists() && copy.join(".env").exists());
    let (status, log, _) = stack.once();
    assert_eq!((status, stack.told().0.as_str()), (0, "succeeded"), "{log}");
    assert!(!copy.exists() && log.contains("had left"), "{log}");
}
