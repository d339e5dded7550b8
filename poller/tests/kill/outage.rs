//! An engine that is killed and started again in the middle of a deploy, and a power cut, at each step.

use std::{collections::BTreeSet, thread, time::Duration};

use crate::{engine::Engine, host::Host, images::V2, side_by_side::side_by_side};

/// Hosts whose deploy is met at each step: those with a good version on the way forth, and those with a bad one on the way
/// back.
fn hosts(name: &str, new: fn(String, V2) -> Host) -> Vec<(Host, V2, String)> {
    let passed = |v2: V2| {
        let host = new(format!("{name}-{v2:?}").to_lowercase(), v2);
        let (_, log, passed) = host.once();
        assert!(!passed.is_empty(), "{log}");
        // Each member of a group comes there; a point is met by the first.
        let recorded: BTreeSet<_> = passed.into_iter().collect();
        let recorded = recorded.into_iter();
        recorded.filter(|point| point.ends_with(".before"))
    };
    let forth = passed(V2::Good).map(|point| (V2::Good, point));
    let back = passed(V2::Bad).filter(|point| point.starts_with("rolling_back"));
    let back = back.map(|point| (V2::Bad, point));
    side_by_side(forth.chain(back).collect(), |at, (v2, point)| {
        (new(format!("{name}-{at}"), v2), v2, point)
    })
}

/// How the deploy of a version that does this is to end, when nothing but outages comes in between.
fn deserved(v2: V2) -> &'static str {
    match v2 {
        V2::Good => "succeeded",
        V2::Bad => "rolled_back",
    }
}

/// Where nothing had been stopped yet, or all was over, what runs after a start of the engine is the engine's alone.
fn left_to_the_engine(host: &Host, point: &str) {
    let places = ["replacing.tag.", "replacing.create.", "ended."];
    if places.iter().any(|place| point.starts_with(place)) {
        host.companions.start();
    }
}

#[test]
fn an_engine_that_is_killed_and_comes_back_costs_no_version_its_chance_and_no_service() {
    survives_an_outage("outage", Host::new);
}

#[test]
fn an_engine_that_is_killed_and_comes_back_leaves_a_group_around_one_network_together() {
    survives_an_outage("groupout", Host::accompanied);
}

fn survives_an_outage(name: &str, new: fn(String, V2) -> Host) {
    let Some(engine) = Engine::own() else { return };
    let hosts = hosts(name, new);
    let paused: Vec<_> = hosts
        .iter()
        .map(|(host, _, point)| host.paused_at(point))
        .collect();
    // Their calls come to an engine that hears them and dies before it does anything: one that is killed while it starts a
    // container takes the container's port for taken until it is started once more.
    engine.freeze();
    for paused in &paused {
        paused.go_on();
    }
    thread::sleep(Duration::from_secs(1));
    drop(engine.kill());
    for ((host, v2, point), paused) in hosts.iter().zip(paused) {
        let (status, mut log) = paused.ended();
        if status == 1 {
            // An engine that takes longer than it is waited for leaves the rest to the next run.
            log += &host.once().1;
        }
        left_to_the_engine(host, point);
        assert_eq!(host.truth(point), deserved(*v2), "{point}: {log}");
    }
}

#[test]
fn after_a_power_cut_at_any_step_the_deploy_ends_as_it_would_have_without() {
    survives_a_power_cut("power", Host::new);
}

#[test]
fn after_a_power_cut_at_any_step_a_group_around_one_network_is_together() {
    survives_a_power_cut("groupcut", Host::accompanied);
}

fn survives_a_power_cut(name: &str, new: fn(String, V2) -> Host) {
    let Some(engine) = Engine::own() else { return };
    let mut hosts = hosts(name, new);
    side_by_side(hosts.iter_mut().collect(), |_, (host, _, point)| {
        host.killed_at(point);
    });
    drop(engine.kill());
    side_by_side(hosts.iter_mut().collect(), |_, (host, v2, point)| {
        let (_, log, _) = host.once();
        left_to_the_engine(host, point);
        assert_eq!(host.truth(point), deserved(*v2), "{point}: {log}");
    });
}
