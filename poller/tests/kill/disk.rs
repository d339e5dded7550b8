//! A disk that is full: under the state directory in the middle of a deploy, and under the engine during a pull. Both are
//! real file systems, which only the sandbox's own namespace of mounts may have.

use std::{path::Path, process::Command};

use crate::{
    engine::{self, Engine},
    host::Host,
    images::{self, V2},
    poller::Poller,
    project::Project,
    scene::inspect,
    side_by_side::side_by_side,
    small::{Small, mount},
};

/// Has the disk fill up at `point` of a run; returns the log of this run, and the steps that it has begun since.
fn filled_up(poller: &Poller, disk: &Small, point: &str) -> (String, Vec<String>) {
    let paused = poller.paused_at(point);
    disk.fill();
    paused.go_on();
    let (status, log) = paused.ended();
    assert_eq!(status, 1, "{point}: {log}");
    assert!(log.contains("disk is full"), "{point}: {log}");
    let passed = poller.passed().into_iter();
    let since = passed.skip_while(|passed| passed != point).skip(1);
    (
        log,
        since.filter(|point| point.ends_with(".before")).collect(),
    )
}

#[test]
fn a_disk_that_is_full_at_any_step_begins_nothing_new_and_keeps_a_version_serving() {
    if !engine::is_own() {
        return;
    }
    let _served = engine::served();
    let clean = Host::new("full-clean".to_owned(), V2::Good);
    let (_, _, mut points) = clean.once();
    points.retain(|point| !point.ends_with(".after"));
    side_by_side(points, |at, point| {
        let host = Host::new(format!("full-{at}"), V2::Good);
        let disk = Small::on(host.state());
        let before = host.world();
        let (log, begun) = filled_up(&host, &disk, &point);
        assert!(
            !begun.iter().any(|point| point.starts_with("replacing.")),
            "{point}: {begun:?}"
        );
        if point == "prepared" {
            assert_eq!(host.world(), before);
        }
        assert!(host.get().is_some(), "{point}: {log}");
        disk.free();
        let (_, log, _) = host.once();
        assert_eq!(host.truth(&point), "succeeded", "{point}: {log}");
    });
}

/// Points at which the disk fills up under a project whose new version does this; which version serves then. Of points that
/// come to the same there is one.
const PROJECTS: [(&str, &str, &str); 8] = [
    ("ok", "prepared", "v1"),
    ("ok", "replacing.tag.before", "v1"),
    ("ok", "replacing.up.begun", "v1"),
    ("ok", "replacing.look.before", "v2"),
    FORGOTTEN,
    ("crash", "rolling_back.untag.before", "v1"),
    ("crash", "rolling_back.up.begun", "v1"),
    ("crash", "ended.before", "v1"),
];
/// Nothing of what the gate has found, and of the way back, can be written down.
const FORGOTTEN: (&str, &str, &str) = ("crash", "replacing.gate.before", "v1");

#[test]
fn a_project_serves_as_one_version_whichever_step_the_disk_is_full_at_and_ends_well_when_there_is_room()
 {
    if !engine::is_own() {
        return;
    }
    let _served = engine::served();
    side_by_side(PROJECTS.to_vec(), |at, (mode, point, serves)| {
        let project = Project::new(&format!("stack-full-{at}"), "");
        let disk = Small::on(project.state());
        project.offer_v2(mode);
        let before = project.containers();
        let (log, begun) = filled_up(&project, &disk, point);
        let changes = ["replacing.tag.before", "replacing.up.before"];
        assert!(
            !begun.iter().any(|point| changes.contains(&point.as_str())),
            "{point}: {begun:?}"
        );
        if point == "prepared" {
            assert_eq!(project.containers(), before);
        }
        let answers = [serves, "v1"].map(|version| Some(format!("toy {version} first\n")));
        assert_eq!(project.answers(), answers, "{point}: {log}");
        project.is_compose_s();
        assert!(project.reports().is_empty(), "{point}: {log}");
        disk.free();
        let (_, log, _) = project.once();
        let deserved = match mode {
            "ok" => "succeeded",
            _ => "rolled_back",
        };
        assert_eq!(project.truth(point).0, deserved, "{point}: {log}");
        tells_no_lies(&project, (mode, point, serves) == FORGOTTEN);
        project.is_compose_s();
    });
}

/// What is told of each attempt is what is known of it: not that the old version has failed, nor that somebody else was there.
fn tells_no_lies(project: &Project, is_forgotten: bool) {
    let reports = project.reports();
    for (number, report) in &reports {
        let text = |key: &str| report[key].as_str().unwrap();
        let is_last = reports.keys().last() == Some(number);
        assert!(
            is_last || text("message").contains("interrupted ("),
            "{report}"
        );
        assert!(!text("log_tail").contains("-web-1:\ntoy v1"), "{report}");
    }
    let message = reports[&1]["message"].as_str().unwrap();
    let is_told = message.contains("has its old images again");
    assert_eq!(is_told, is_forgotten, "{message}");
}

/// The file system under the engine, with hardly any room left until this is dropped.
struct Crowded;

impl Crowded {
    fn new() -> Self {
        let used = Command::new("df").args(["--output=used", "/run"]).output();
        let used = String::from_utf8(used.unwrap().stdout).unwrap();
        let used: u64 = used.lines().nth(1).unwrap().trim().parse().unwrap();
        let size = format!("remount,size={}k", used + 256);
        mount(&["-o", &size], Path::new("/run"));
        Self
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        mount(&["-o", "remount,size=50%"], Path::new("/run"));
    }
}

/// Runs into a full disk under the engine in the pull, and once more when there is room; returns the log of that.
fn crowded_out(poller: &Poller, service: &str, is_untouched: impl Fn() -> bool) -> String {
    let _disk = Small::on(poller.state());
    let crowded = Crowded::new();
    let (status, log, _) = poller.once();
    drop(crowded);
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("no space left on device"), "{log}");
    assert_eq!(poller.reports()[&1]["outcome"], "failed_untouched", "{log}");
    assert!(is_untouched(), "{log}");
    let (status, log) = poller.retry(service);
    assert_eq!(status, 0, "{log}");
    log
}

#[test]
fn a_pull_onto_a_full_disk_touches_nothing_and_can_be_tried_again_when_there_is_room() {
    let Some(_alone) = Engine::own() else { return };
    let host = Host::of("full-pull".to_owned(), &images::push_unpulled());
    let before = inspect(&host.name);
    let log = crowded_out(&host, &host.name, || inspect(&host.name) == before);
    assert_eq!(host.truth("a pull"), "succeeded", "{log}");
}

#[test]
fn a_pull_for_a_project_onto_a_full_disk_touches_nothing_and_can_be_tried_again_when_there_is_room()
{
    let Some(_alone) = Engine::own() else { return };
    let project = Project::new("stack-full-pull", "");
    project.offer_v2("ok");
    let before = project.containers();
    let log = crowded_out(&project, &project.name, || project.containers() == before);
    assert_eq!(project.truth("a pull").0, "succeeded", "{log}");
    project.is_compose_s();
}
