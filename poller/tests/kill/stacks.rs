//! `kill -9` at every step of a deploy of a Compose project, and again during the recovery.

use crate::{cover::cover, engine, images::V2, side_by_side::side_by_side, stack::Stack};

/// A deploy, and how it must end, whoever was killed meanwhile.
#[derive(Clone, Copy)]
struct Play {
    v2: V2,
    outcome: &'static str,
}

impl Play {
    /// What is to be seen after a run without a kill, and the points that it passes.
    fn clean_run(self, name: &str) -> (Vec<String>, Vec<String>) {
        let stack = Stack::new(name.to_owned(), self.v2);
        let before = stack.seen();
        let (_, log, passed) = stack.once();
        assert_eq!(self.told(&stack), self.outcome, "{log}");
        let seen = stack.seen();
        assert_eq!(seen == before, self.v2 == V2::Bad, "{log}");
        (seen, passed)
    }

    fn told(self, stack: &Stack) -> String {
        let reports = stack.reports();
        let (_, last) = reports.last_key_value().unwrap();
        for report in reports.values() {
            let message = report["message"].as_str().unwrap();
            let is_as_promised = report["outcome"] == self.outcome;
            assert!(
                is_as_promised || message.contains("interrupted ("),
                "{report}"
            );
        }
        last["outcome"].as_str().unwrap().to_owned()
    }

    /// Kills a first run at `points` one after the other, then lets one go to its end; returns the points that this one
    /// passed while it took the open journal to its end.
    fn killed_at(self, name: String, points: &[String], clean: &[String]) -> Vec<String> {
        let story = points.join(" -> ");
        let stack = Stack::new(name, self.v2);
        let other = stack.other();
        for point in points {
            stack.killed_at(point);
        }
        let (_, log, passed) = stack.once();
        assert_eq!(self.told(&stack), self.outcome, "{story}: {log}");
        assert_eq!(stack.seen(), clean, "{story}: {log}");
        assert_eq!(stack.other(), other, "{story}: {log}");
        let (world, reports) = (stack.world(), stack.reports());
        let (status, log, again) = stack.once();
        assert_eq!((status, again), (0, Vec::new()), "{story}: {log}");
        assert_eq!(
            (stack.world(), stack.reports()),
            (world, reports),
            "{story}"
        );
        let of_recovery = passed.into_iter();
        of_recovery
            .take_while(|point| point != "prepared")
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

#[test]
fn a_good_project_comes_up_whichever_step_the_poller_is_killed_at() {
    let play = Play {
        v2: V2::Good,
        outcome: "succeeded",
    };
    play.killed_everywhere("kill-stack-good", |_| true);
}

#[test]
fn a_bad_project_is_taken_back_whichever_step_back_the_poller_is_killed_at() {
    let play = Play {
        v2: V2::Bad,
        outcome: "rolled_back",
    };
    play.killed_everywhere("kill-stack-bad", |point| {
        point.starts_with("rolling_back") || point.starts_with("ended")
    });
}
