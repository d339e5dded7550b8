//! A disk that is full: under the state directory in the middle of a deploy, and under the engine during a pull. Both are
//! real file systems, which only the sandbox's own namespace of mounts may have.

use std::{path::Path, process::Command};

use crate::{
    engine::{self, Engine},
    host::Host,
    images::{self, V2},
    scene::inspect,
    side_by_side::side_by_side,
    small::{Small, mount},
};

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
        let paused = host.paused_at(&point);
        disk.fill();
        let before = host.world();
        paused.go_on();
        let (status, log) = paused.ended();
        assert_eq!(status, 1, "{point}: {log}");
        assert!(log.contains("disk is full"), "{point}: {log}");
        let begun = host
            .passed()
            .into_iter()
            .skip_while(|passed| *passed != point)
            .skip(1);
        let begun: Vec<_> = begun.filter(|point| point.ends_with(".before")).collect();
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

#[test]
fn a_pull_onto_a_full_disk_touches_nothing_and_can_be_tried_again_when_there_is_room() {
    let Some(_alone) = Engine::own() else { return };
    let host = Host::of("full-pull".to_owned(), &images::push_unpulled());
    let _disk = Small::on(host.state());
    let before = inspect(&host.name);
    let crowded = Crowded::new();
    let (status, log, _) = host.once();
    drop(crowded);
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("no space left on device"), "{log}");
    assert_eq!(host.reports()[&1]["outcome"], "failed_untouched", "{log}");
    assert_eq!(inspect(&host.name), before);
    let (status, log) = host.retry();
    assert_eq!(status, 0, "{log}");
    assert_eq!(host.truth("a pull"), "succeeded", "{log}");
}
