//! `kill -9` at every step of a deploy of a checkout, alone and with a command that changes data, and again during the recovery.

use std::collections::BTreeMap;

use crate::{
    cover::cover,
    remote::Remote,
    side_by_side::side_by_side,
    tree::{Kind, Tree},
};

/// A deploy, and how it must end, whoever was killed meanwhile.
struct Play<'a> {
    kind: Kind,
    remote: &'a Remote,
    sha: &'a str,
    outcome: &'static str,
}

impl Play<'_> {
    fn begin(&self) -> Tree {
        Tree::new(self.kind, self.remote, self.sha)
    }

    /// What is to be seen after a run without a kill, and the points that it passes.
    fn clean_run(&self) -> (Vec<String>, Vec<String>) {
        let tree = self.begin();
        let (_, log, passed) = tree.once();
        assert_eq!(tree.told().0, self.outcome, "{log}");
        self.is_whole(&tree, "no kill");
        (tree.world(), numbered(passed))
    }

    fn is_whole(&self, tree: &Tree, story: &str) {
        let (outcome, message) = tree.told();
        let sha = match outcome.as_str() {
            "succeeded" => self.sha,
            _ => &self.remote.v1,
        };
        assert_eq!(tree.in_place(self.remote), sha, "{story}: {message}");
        if matches!(self.kind, Kind::WithData) {
            assert_eq!(
                tree.text("data/db"),
                tree.text("app/version"),
                "{story}: {message}"
            );
        }
        let unwhole = tree
            .backups()
            .into_iter()
            .find(|name| !name.ends_with(".tar.gz"));
        assert_eq!(unwhole, None, "{story}");
    }

    /// Kills a first run at `points` one after the other, then lets one go to its end; returns the points that this one
    /// passed while it took the open journal to its end.
    fn killed_at(&self, points: &[String], clean: &[String]) -> Vec<String> {
        let story = points.join(" -> ");
        let tree = self.begin();
        for point in points {
            tree.killed_at(point);
        }
        let (_, log, passed) = tree.once();
        let (outcome, message) = tree.told();
        assert_eq!(outcome, self.outcome, "{story}: {message}: {log}");
        self.is_whole(&tree, &story);
        assert_eq!(tree.world(), clean, "{story}: {log}");
        self.never_blindly(&tree.text("log"), &story);
        let (reports, backups) = (tree.reports(), tree.backups());
        for report in reports.values() {
            let message = report["message"].as_str().unwrap();
            assert!(
                report["outcome"] == self.outcome || message.contains("interrupted ("),
                "{story}: {message}"
            );
        }
        let (status, log, passed_again) = tree.once();
        assert_eq!((status, passed_again), (0, Vec::new()), "{story}: {log}");
        assert_eq!(tree.world(), clean, "{story}: a second recovery");
        assert_eq!(
            (tree.reports(), tree.backups()),
            (reports, backups),
            "{story}"
        );
        let of_recovery = passed.into_iter();
        numbered(
            of_recovery
                .take_while(|point| point != "prepared")
                .collect(),
        )
    }

    /// Between two runs of the version the service was taken back.
    fn never_blindly(&self, log: &str, story: &str) {
        let (run, back) = (&self.sha[..7], &self.remote.v1[..7]);
        let mut is_open = false;
        for line in log.lines() {
            if line == format!("run {run}") {
                assert!(!is_open, "{story}: run twice: {log}");
                is_open = true;
            } else if line == format!("start {back}") {
                is_open = false;
            }
        }
    }

    /// Kills runs at each of the points that `wanted` says, and recoveries at each point that they pass.
    fn killed_everywhere(&self, wanted: impl Fn(&str) -> bool) {
        let (clean, points) = self.clean_run();
        let points: Vec<_> = points.into_iter().filter(|point| wanted(point)).collect();
        assert!(points.len() > 8, "{points:?}");
        let recoveries = side_by_side(points, |_, point| {
            let passed = self
                .killed_at(std::slice::from_ref(&point), &clean)
                .into_iter();
            // Each point once is enough here, and much quicker.
            (point, passed.filter(|point| !point.contains(',')).collect())
        });
        side_by_side(cover(recoveries), |_, kills| {
            self.killed_at(&kills, &clean);
        });
    }
}

/// The points, of which one that is passed again says how often it was.
fn numbered(points: Vec<String>) -> Vec<String> {
    let mut times = BTreeMap::new();
    let numbered = points.into_iter().map(|point| {
        let times = times.entry(point.clone()).or_insert(0);
        *times += 1;
        match times {
            1 => point,
            times => format!("{point},{times}"),
        }
    });
    numbered.collect()
}

#[test]
fn a_commit_with_its_data_comes_whole_whichever_step_the_poller_is_killed_at() {
    let remote = Remote::new();
    let play = Play {
        kind: Kind::WithData,
        remote: &remote,
        sha: &remote.good,
        outcome: "succeeded",
    };
    play.killed_everywhere(|_| true);
}

#[test]
fn a_commit_that_breaks_the_data_is_taken_back_with_them_whichever_step_back_the_poller_is_killed_at()
 {
    let remote = Remote::new();
    let play = Play {
        kind: Kind::WithData,
        remote: &remote,
        sha: &remote.bad,
        outcome: "rolled_back",
    };
    play.killed_everywhere(|point| point.starts_with("rolling_back") || point.starts_with("ended"));
}

#[test]
fn a_commit_alone_comes_whole_whichever_step_the_poller_is_killed_at() {
    let remote = Remote::new();
    let play = Play {
        kind: Kind::Alone,
        remote: &remote,
        sha: &remote.good,
        outcome: "succeeded",
    };
    play.killed_everywhere(|_| true);
}

#[test]
fn a_commit_alone_that_is_not_well_is_taken_back_whichever_step_back_the_poller_is_killed_at() {
    let remote = Remote::new();
    let play = Play {
        kind: Kind::Alone,
        remote: &remote,
        sha: &remote.bad,
        outcome: "rolled_back",
    };
    play.killed_everywhere(|point| point.starts_with("rolling_back") || point.starts_with("ended"));
}
