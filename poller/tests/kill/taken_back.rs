//! `kill -9` at every step of a rollback on purpose, then a start: it has come about and the service is held, or it has not
//! and nothing has changed.

use std::{fs, os::unix::process::ExitStatusExt};

use serde_json::Value;

use crate::{engine, host::Host, images::V2, side_by_side::side_by_side};

/// A host that runs v2, with v1 kept; and the id of its container.
fn on_v2(name: String) -> (Host, String) {
    let host = Host::new(name, V2::Good);
    let (status, log, _) = host.once();
    assert_eq!(status, 0, "{log}");
    fs::remove_file(host.state().with_file_name("passed")).unwrap();
    let id = host.world().containers[&host.name].0.clone();
    (host, id)
}

fn json(host: &Host, arguments: &[&str]) -> Value {
    let output = host.towline(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether the service was taken back, by what the host tells; what is to be seen is that, and nothing is left over.
fn is_back(host: &Host, second: &str, story: &str) -> bool {
    let last = json(host, &["history", "--limit", "1", "--json"])["deploys"][0].clone();
    let is_back = last["cause"]["kind"] == "rollback" && last["outcome"] == "succeeded";
    let held = json(host, &["status", "--json"])["services"][0]["held"].clone();
    assert_eq!(!held.is_null(), is_back, "{story}: {held}: {last}");
    let world = host.world();
    let names: Vec<_> = world.containers.keys().collect();
    assert_eq!(names, [&host.name], "{story}: {last}");
    let (id, policy) = &world.containers[&host.name];
    assert_eq!(
        (id != second, policy.as_str()),
        (is_back, "always"),
        "{story}: {last}"
    );
    let answers = if is_back { "toy v1 \n" } else { "toy v2 \n" };
    assert_eq!(host.get().as_deref(), Some(answers), "{story}: {last}");
    is_back
}

#[test]
fn a_rollback_on_purpose_ends_truthfully_whichever_step_it_is_killed_at() {
    let _served = engine::served();
    let (host, second) = on_v2("kill-back-clean".to_owned());
    let rolled_back = host.towline(&["rollback", &host.name]).output().unwrap();
    assert!(rolled_back.status.success(), "{rolled_back:?}");
    let points = host.passed();
    assert!(is_back(&host, &second, "no kill"));
    let ends = side_by_side(points.clone(), |at, point| {
        let (host, second) = on_v2(format!("kill-back-{at}"));
        let mut rollback = host.towline(&["rollback", &host.name]);
        let killed = rollback.env("TOWLINE_FAILPOINT", &point).output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{point}: {killed:?}");
        let (status, log, _) = host.once();
        assert!([0, 3].contains(&status), "{point}: {log}");
        let is_back_now = is_back(&host, &second, &point);
        let world = host.world();
        assert_eq!(host.once().0, 0, "{point}");
        assert_eq!(host.world(), world, "{point}: another run changes nothing");
        is_back_now
    });
    for (point, is_back) in points.iter().zip(ends) {
        if point.starts_with("committed") {
            assert!(is_back, "{point} is after the commit");
        }
        if point == "replacing.create.before" {
            assert!(!is_back, "{point} is before anything was stopped");
        }
    }
}
