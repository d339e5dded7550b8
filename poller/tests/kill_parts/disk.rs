//! A disk that is full at a step of a deploy of a checkout with a command and data: under the state directory, where the journal
//! and the backups are.

use std::{env, path::PathBuf};

use crate::{
    remote::Remote,
    side_by_side::side_by_side,
    small::Small,
    tree::{Kind, Tree},
};

/// Whether this is in a sandbox with its own engine, which has its own mounts as well.
fn has_own_mounts() -> bool {
    let sandbox = env::var_os("TOWLINE_SANDBOX").map(PathBuf::from);
    sandbox.is_some_and(|sandbox| sandbox.join("dockerd.pid").exists())
}

#[test]
fn a_disk_that_is_full_at_any_step_leaves_a_commit_whole_with_its_data_and_costs_no_version_its_chance()
 {
    if !has_own_mounts() {
        return;
    }
    let remote = Remote::new();
    let begin = || Tree::new(Kind::WithData, &remote, &remote.good);
    let (_, log, mut points) = begin().once();
    assert!(!points.is_empty(), "{log}");
    points.retain(|point| !point.ends_with(".after"));
    points.dedup();
    side_by_side(points, |_, point| {
        let tree = begin();
        let disk = Small::on(tree.state());
        let paused = tree.paused_at(&point);
        disk.fill();
        paused.go_on();
        let (status, log) = paused.ended();
        assert_eq!(status, 1, "{point}: {log}");
        assert!(log.contains("disk is full"), "{point}: {log}");
        let head = tree.in_place(&remote);
        let version = remote.name(&head);
        assert!(["v1", "v2"].contains(&version), "{point}: {log}");
        assert_eq!(tree.text("data/db").trim(), version, "{point}: {log}");
        disk.free();
        let (_, log, _) = tree.once();
        let (outcome, message) = tree.told();
        assert_eq!(outcome, "succeeded", "{point}: {message}: {log}");
        assert_eq!(tree.in_place(&remote), remote.good, "{point}: {log}");
        assert_eq!(tree.text("data/db"), "v2\n", "{point}: {log}");
    });
}
