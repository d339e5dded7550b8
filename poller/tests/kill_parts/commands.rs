//! `kill -9` at every step of a deploy by commands, and in the middle of one, and again during the recovery. No engine is
//! there. What must never be: a `run` after another one of which nobody knows how far it came, but where the file says `rerun`.

use std::{fs, os::unix::process::ExitStatusExt};

use crate::{
    app::{App, BAD, GOOD, V1},
    cover::cover,
    poller::ended,
    side_by_side::side_by_side,
};

const WITH_ROLLBACK: &str = "rollback = [\"./act\"]";
const RERUN: &str = "rollback = [\"./act\"]\non_interrupt = \"rerun\"";
const ASK: &str = "rollback = [\"./act\"]\non_interrupt = \"ask\"";

/// How many interruptions a deploy is gone on with that cannot be taken back.
const RESUMES: usize = 5;

/// A service's commands, and the version that it is offered.
#[derive(Clone, Copy)]
struct Play {
    more: &'static str,
    v2: &'static str,
    /// Whether a `run` that was cut off is an operator's.
    asks: bool,
}

impl Play {
    fn begin(self) -> App {
        App::new(self.more, self.v2)
    }

    /// The points that a run without a kill passes.
    fn clean_run(self, outcome: &str) -> Vec<String> {
        let app = self.begin();
        let (_, log, passed) = app.once();
        assert_eq!(app.truth(self.v2, "no kill"), outcome, "{log}");
        assert!(
            passed.iter().any(|point| point == "replacing.run.begun"),
            "{passed:?}"
        );
        passed
    }

    /// Kills a first run at `points` one after the other, then lets one go to its end; returns the points that this one
    /// passed while it took the open journal to its end.
    fn killed_at(self, points: &[String], outcome: &str) -> Vec<String> {
        let story = points.join(" -> ");
        let app = self.begin();
        for point in points {
            app.killed_at(point);
        }
        let (_, log, passed) = app.once();
        let outcome = if points.iter().any(|point| self.is_last(point)) {
            "needs_operator"
        } else {
            outcome
        };
        assert_eq!(app.truth(self.v2, &story), outcome, "{story}: {log}");
        self.never_blindly(&app.log(), &story);
        let (seen, reports, ran) = (app.live(), app.reports(), app.log());
        let (status, log, _) = app.once();
        assert_eq!(status, 0, "{story}: {log}");
        assert_eq!((app.live(), app.reports(), app.log()), (seen, reports, ran));
        // A version whose deploy was interrupted is tried again in the same run.
        let of_recovery = passed.into_iter();
        of_recovery
            .take_while(|point| point != "prepared")
            .collect()
    }

    /// Between two runs of the same version lies what has taken the first one back.
    fn never_blindly(self, log: &str, story: &str) {
        let short = &self.v2[..7];
        let mut is_open = false;
        for line in log.lines() {
            if line == format!("run {short}") {
                assert!(!is_open, "{story}: run twice: {log}");
                is_open = true;
            } else if line == "rollback 1111111" {
                is_open = false;
            }
        }
    }

    /// Kills runs at each of the points that `wanted` says, and recoveries at each point that they pass.
    fn killed_everywhere(self, outcome: &str, wanted: impl Fn(&str) -> bool) {
        let points = self.clean_run(outcome).into_iter();
        let points: Vec<_> = points.filter(|point| wanted(point)).collect();
        assert!(points.len() > 8, "{points:?}");
        let recoveries = side_by_side(points, |_, point| {
            let passed = self.killed_at(std::slice::from_ref(&point), outcome);
            (point, passed)
        });
        let again = cover(recoveries).into_iter();
        let again: Vec<_> = again.flat_map(|kills| self.to_operator(kills)).collect();
        side_by_side(again, |_, kills| {
            self.killed_at(&kills, outcome);
        });
    }

    /// Whether an operator is needed after a kill at this point: a command was cut off that is neither taken back nor run again.
    fn is_last(self, point: &str) -> bool {
        let cut = |step: &str| ["begun", "after"].map(|end| format!("{step}.{end}"));
        cut("rolling_back.roll_back").contains(&point.to_owned())
            || (self.asks && cut("replacing.run").contains(&point.to_owned()))
    }

    /// These kills, as far as an operator lets them come; the last command is cut off when it was begun, or when it was done.
    fn to_operator(self, mut kills: Vec<String>) -> Vec<Vec<String>> {
        if self.asks {
            kills.truncate(RESUMES);
        }
        let Some(at) = kills.iter().position(|point| self.is_last(point)) else {
            return vec![kills];
        };
        let (step, _) = kills[at].rsplit_once('.').unwrap();
        let last = ["begun", "after"].map(|end| format!("{step}.{end}"));
        last.map(|last| [&kills[..at], &[last]].concat()).into()
    }
}

#[test]
fn a_good_version_comes_whichever_step_the_poller_is_killed_at_and_none_is_run_blindly() {
    let play = Play {
        more: WITH_ROLLBACK,
        v2: GOOD,
        asks: false,
    };
    play.killed_everywhere("succeeded", |_| true);
}

#[test]
fn without_a_rollback_a_run_that_may_have_been_cut_off_is_an_operators_and_nothing_else_is() {
    let play = Play {
        more: "",
        v2: GOOD,
        asks: true,
    };
    play.killed_everywhere("succeeded", |point| point.starts_with("replacing"));
}

#[test]
fn a_bad_version_is_taken_back_whichever_step_back_the_poller_is_killed_at() {
    let play = Play {
        more: WITH_ROLLBACK,
        v2: BAD,
        asks: false,
    };
    play.killed_everywhere("rolled_back", |point| point.starts_with("rolling_back"));
}

/// Runs `towline once`, whose `step` kills it half-way and goes on by itself.
fn killed_in(app: &App, step: &str) {
    app.took();
    app.kill_in(step);
    let killed = app.towline(&["once"]).output().unwrap();
    let (status, log) = ended(killed);
    assert_eq!(status.signal(), Some(9), "{log}");
    assert!(app.has_survivor() && app.live() == "half", "{log}");
}

#[test]
fn a_run_that_is_cut_off_is_ended_whole_then_taken_back_and_tried_again() {
    let app = App::new(WITH_ROLLBACK, GOOD);
    killed_in(&app, "run");
    let (status, log, _) = app.once();
    assert_eq!(status, 0, "{log}");
    assert!(!app.has_survivor());
    assert_eq!(app.truth(GOOD, "run"), "succeeded");
    assert_eq!(
        app.log(),
        "stop 2222222\nrun 2222222\nstop 1111111\nrollback 1111111\nstart 1111111\n\
         stop 2222222\nrun 2222222\nstart 2222222\n"
    );
    let first = &app.reports()[&1];
    assert_eq!(first["outcome"], "rolled_back");
    assert!(
        first["message"]
            .as_str()
            .unwrap()
            .contains("interrupted (run)")
    );
}

#[test]
fn with_rerun_a_run_that_is_cut_off_is_run_again_with_the_service_stopped() {
    let app = App::new(RERUN, GOOD);
    killed_in(&app, "run");
    let (status, log, _) = app.once();
    assert_eq!(status, 0, "{log}");
    assert!(!app.has_survivor());
    assert_eq!(app.truth(GOOD, "run"), "succeeded");
    assert_eq!(
        app.log(),
        "stop 2222222\nrun 2222222\nstop 2222222\nrun 2222222\nstart 2222222\n"
    );
    assert_eq!(app.reports().len(), 1);
}

#[test]
fn with_ask_a_run_that_is_cut_off_is_an_operators_and_nothing_more_is_touched() {
    let app = App::new(ASK, GOOD);
    killed_in(&app, "run");
    let (status, log, _) = app.once();
    assert_eq!(status, 4, "{log}");
    assert!(
        !app.has_survivor(),
        "what goes on by itself is ended all the same"
    );
    let (outcome, message) = app.told();
    assert_eq!(outcome, "needs_operator");
    assert!(
        message.contains("how far `run` came is not known"),
        "{message}"
    );
    assert_eq!((app.live().as_str(), app.is_up()), ("half", false));
    assert_eq!(app.once().0, 0, "nothing more is tried");
    assert_eq!(app.log(), "stop 2222222\nrun 2222222\n");
    fs::remove_file(app.file("survivor")).unwrap();
    let resolved = ended(app.towline(&["resolve", "app"]).output().unwrap());
    assert!(resolved.0.success(), "{}", resolved.1);
    let retried = ended(app.towline(&["retry", "app"]).output().unwrap());
    assert!(retried.0.success(), "{}", retried.1);
    assert_eq!(app.truth(GOOD, "retry"), "succeeded");
}

#[test]
fn a_rollback_that_is_cut_off_is_an_operators_and_is_not_run_again() {
    let app = App::new(WITH_ROLLBACK, BAD);
    killed_in(&app, "rollback");
    let (status, log, _) = app.once();
    assert_eq!(status, 4, "{log}");
    let message = app.told().1;
    assert!(
        message.contains("how far `rollback` came is not known"),
        "{message}"
    );
    assert!(!app.has_survivor());
    let rollbacks = app.log().matches("rollback 1111111").count();
    assert_eq!(rollbacks, 1);
}

#[test]
fn one_that_was_only_about_to_run_has_not_run() {
    let app = App::new(ASK, GOOD);
    app.took();
    app.killed_at("replacing.run.before");
    assert_eq!(app.log(), "stop 2222222\n");
    let (status, log, _) = app.once();
    assert_eq!(
        (status, app.truth(GOOD, "before")),
        (0, "succeeded".to_owned()),
        "{log}"
    );
    assert_eq!(app.live(), GOOD);
    assert_ne!(app.live(), V1);
}
