//! `kill -9` at every step of a deploy, and again during the recovery: the real binary, killed at each point that a clean
//! run passes (see `failpoint`), then started again.
//!
//! Each point is met once, in a group by its first member and by its last, and recovered from. Then recoveries that together pass every point that any recovery passes are
//! killed as well, at each of their points in turn.

use std::{collections::BTreeMap, net::TcpListener};

use crate::{
    cover::cover, engine, host::Host, images::V2, scene::inspect, side_by_side::side_by_side,
};

/// How a deploy must end, whoever was killed meanwhile.
#[derive(Clone, Copy)]
struct Promise {
    v2: V2,
    /// Makes the host.
    host: fn(String, V2) -> Host,
    outcome: &'static str,
    /// The exit status of the run that ends it.
    status: i32,
}

const GOOD: Promise = Promise {
    v2: V2::Good,
    host: Host::new,
    outcome: "succeeded",
    status: 0,
};

const BAD: Promise = Promise {
    v2: V2::Bad,
    host: Host::new,
    outcome: "rolled_back",
    status: 3,
};

const GOOD_BESIDE: Promise = Promise {
    host: Host::beside,
    ..GOOD
};

/// It fails when it has taken over, and the old version still runs.
const BAD_BESIDE: Promise = Promise {
    host: Host::badly_beside,
    v2: V2::Good,
    ..BAD
};

impl Promise {
    /// The points that a run without a kill passes.
    fn clean_run(self, name: &str) -> Vec<String> {
        let host = (self.host)(name.to_owned(), self.v2);
        let (status, log, passed) = host.once();
        assert_eq!(status, self.status, "{log}");
        self.is_kept(&host, "no kill");
        passed
    }

    /// Kills a first run at `points` one after the other, each in a process of its own, then lets one go to its end;
    /// returns the points that this one passed while it took the open journal to its end.
    fn kept_after(self, name: String, points: &[String]) -> Vec<String> {
        let story = points.join(" -> ");
        let host = (self.host)(name, self.v2);
        for point in points {
            host.killed_at(point);
            half_way(&host, &story);
        }
        let (status, log, passed) = host.once();
        let is_over = points.iter().any(|point| point == "ended.after");
        let expected = if is_over { 0 } else { self.status };
        assert_eq!(status, expected, "{story}: {log}");
        self.is_kept(&host, &story);
        if points == ["prepared"] {
            return Vec::new();
        }
        let of_recovery = passed.into_iter();
        of_recovery
            .take_while(|point| point != "ended.after")
            .collect()
    }

    /// What is seen is as promised and as reported, nothing is left over, and another run changes nothing.
    fn is_kept(self, host: &Host, story: &str) {
        assert_eq!(host.truth(story), self.outcome, "{story}");
        let (world, reports) = (host.world(), host.reports());
        let (_, last) = reports.last_key_value().unwrap();
        for (attempt, report) in &reports {
            let message = report["message"].as_str().unwrap();
            let is_last = report == last;
            assert!(
                is_last || message.contains("interrupted ("),
                "{story}: {attempt}: {message}"
            );
        }
        let (status, log, passed) = host.once();
        assert_eq!((status, passed), (0, Vec::new()), "{story}: {log}");
        assert_eq!(host.world(), world, "{story}");
        assert_eq!(host.reports(), reports, "{story}");
    }
}

/// What holds even between a kill and the recovery: one version is there whole, and one container at most would be
/// started by the engine.
fn half_way(host: &Host, story: &str) {
    let containers = host.world().containers;
    assert!(
        (1..=2).contains(&containers.len()),
        "{story}: {containers:?}"
    );
    let armed = containers.values().filter(|(_, policy)| policy != "no");
    assert!(armed.count() <= 1, "{story}: {containers:?}");
    let has_old = containers.values().any(|(id, _)| *id == host.old);
    let is_committed = story.contains("committed.") || story.contains("ended.");
    assert!(has_old || is_committed, "{story}: {containers:?}");
}

/// Kills runs of `promise` at each of the points that `wanted` says, and recoveries at each point that they pass.
fn killed_everywhere(name: &str, promise: Promise, wanted: impl Fn(&str) -> bool) {
    let _served = engine::served();
    let stranger = Host::new(format!("{name}-stranger"), V2::Good);
    let shown = inspect(&stranger.name);
    let passed = promise.clean_run(&format!("{name}-clean"));
    let mut points = first_and_last(&passed);
    points.retain(|point| wanted(point));
    let recoveries = side_by_side(points, |at, point| {
        let passed = promise.kept_after(format!("{name}-{at}"), std::slice::from_ref(&point));
        (point, passed)
    });
    side_by_side(cover(recoveries), |at, kills| {
        promise.kept_after(format!("{name}-again-{at}"), &kills);
    });
    assert_eq!(inspect(&stranger.name), shown);
}

/// The points, of which one that is come to several times is the first and the last time another one: the members between the
/// first and the last go the same way.
fn first_and_last(points: &[String]) -> Vec<String> {
    let mut often = BTreeMap::<&String, u32>::new();
    let mut each = Vec::new();
    for point in points {
        let times = often.entry(point).or_default();
        *times += 1;
        each.push((point, *times));
    }
    each.retain(|(point, times)| *times == 1 || *times == often[point]);
    let named = each.into_iter().map(|(point, times)| match times {
        1 => point.clone(),
        _ => format!("{point},{times}"),
    });
    named.collect()
}

#[test]
fn a_good_version_is_deployed_whichever_step_the_poller_is_killed_at() {
    killed_everywhere("kill-good", GOOD, |_| true);
}

#[test]
fn a_group_around_one_network_is_deployed_whichever_step_of_whichever_of_them_the_poller_is_killed_at()
 {
    let promise = Promise {
        host: Host::accompanied,
        ..GOOD
    };
    killed_everywhere("kill-group", promise, |_| true);
}

#[test]
fn a_group_around_one_network_is_rolled_back_whichever_step_back_the_poller_is_killed_at() {
    let promise = Promise {
        host: Host::accompanied,
        ..BAD
    };
    killed_everywhere("kill-back", promise, is_way_back);
}

#[test]
fn a_way_back_that_is_barred_after_the_kill_keeps_both_versions_for_an_operator() {
    let _served = engine::served();
    let host = Host::new("kill-barred".to_owned(), BAD.v2);
    host.killed_at("rolling_back.start_old.before");
    let _barred = TcpListener::bind(("127.0.0.1", host.port)).unwrap();
    let (status, log, _) = host.once();
    assert_eq!(status, 4, "{log}");
    let kept = host.world();
    let names: Vec<_> = kept.containers.keys().collect();
    assert!(
        matches!(names[..], [old, new] if old == "kill-barred" && new.starts_with("kill-barred--new-")),
        "{names:?}"
    );
    assert_eq!(kept.containers["kill-barred"].0, host.old);
    let reports = host.reports();
    let message = reports[&1]["message"].as_str().unwrap();
    assert_eq!(reports[&1]["outcome"], "needs_operator", "{message}");
    assert!(
        message.contains("it ended with status 1")
            && message.contains("could not start the old container"),
        "{message}"
    );
    assert_eq!(host.once().0, 0, "nothing more is tried");
    assert_eq!((host.world(), host.reports()), (kept, reports));
}

#[test]
fn a_bad_version_is_rolled_back_whichever_step_back_the_poller_is_killed_at() {
    killed_everywhere("kill-bad", BAD, is_way_back);
}

fn is_way_back(point: &str) -> bool {
    point.starts_with("rolling_back") || point.starts_with("ended")
}

#[test]
fn a_version_takes_over_from_one_that_runs_whichever_step_the_poller_is_killed_at() {
    killed_everywhere("kill-beside", GOOD_BESIDE, |_| true);
}

#[test]
fn a_version_that_failed_when_it_had_taken_over_gives_way_whichever_step_back_the_poller_is_killed_at()
 {
    killed_everywhere("kill-beside-bad", BAD_BESIDE, is_way_back);
}
