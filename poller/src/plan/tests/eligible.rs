//! Which containers can run beside their replacement, and why others cannot.

use super::*;
use crate::{machine::Strategy, settings::StartFirst};

fn asked() -> StartFirst {
    StartFirst {
        drain: std::time::Duration::from_secs(5),
        may_stop_first: false,
        shared_volumes: vec!["/cache".to_owned()],
    }
}

/// A container that runs on a network of its own, with nothing that could be in the way of a second one.
fn fit() -> Observed {
    let mut observed = observed("web");
    observed.container["Config"]["Hostname"] = json!(&ID[..12]);
    observed.container["HostConfig"]["NetworkMode"] = json!("front");
    observed.container["NetworkSettings"] =
        json!({ "Networks": { "front": { "IPAMConfig": null } } });
    observed
}

fn with(path: &str, value: Value) -> Observed {
    let mut observed = fit();
    let mut place = &mut observed.container;
    for part in path.split('/') {
        place = &mut place[part];
    }
    *place = value;
    observed
}

fn mount(kind: &str, destination: &str, rw: bool) -> Value {
    json!([{ "Type": kind, "Destination": destination, "RW": rw }])
}

fn refused(observed: &Observed) -> Vec<Unfit> {
    match choose_way(Some(&asked()), observed, None, true) {
        Err(Refusal::Unfit(reasons)) => reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_two_can_have_at_once_is_in_nobodys_way() {
    let devices = json!([{ "Driver": "nvidia", "Count": -1 }]);
    for (path, value) in [
        ("Name", json!("/web")),
        (
            "HostConfig/PortBindings",
            json!({ "80/tcp": [{ "HostIp": "", "HostPort": "" }], "81/tcp": [{ "HostPort": "0" }], "82/tcp": null }),
        ),
        ("HostConfig/DeviceRequests", devices),
        ("HostConfig/IpcMode", json!("shareable")),
        ("HostConfig/PidMode", json!("host")),
        ("Mounts", mount("bind", "/var/run/docker.sock", false)),
        ("Mounts", mount("tmpfs", "/tmp", true)),
        ("Mounts", mount("volume", "/cache/", true)),
        (
            "NetworkSettings/Networks/bridge",
            json!({ "IPAMConfig": {} }),
        ),
    ] {
        let way = choose_way(Some(&asked()), &with(path, value), None, true);
        assert_eq!(way, Ok(Way::StartFirst), "{path}");
    }
}

#[test]
fn what_only_one_can_have_is_told_with_what_to_do() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let ports = json!({ "80/tcp": [{ "HostPort": "8080" }, { "HostPort": "8080" }], "81/udp": [{ "HostPort": "53" }] });
    let address = |field: &str, at: &str| json!({ "front": { "IPAMConfig": { field: at } } });
    let at = |address: &str| Unfit::Address {
        network: "front".to_owned(),
        address: address.to_owned(),
    };
    for (path, value, expected, told) in [
        (
            "HostConfig/PortBindings",
            ports,
            Unfit::Ports(words(&["53", "8080"])),
            "port 53, 8080 of this host: publish none",
        ),
        (
            "NetworkSettings/Networks",
            address("IPv4Address", "172.20.0.9"),
            at("172.20.0.9"),
            "address 172.20.0.9 on the network front: let the engine choose",
        ),
        (
            "NetworkSettings/Networks",
            address("IPv6Address", "fd00::9"),
            at("fd00::9"),
            "address fd00::9",
        ),
        (
            "Config/MacAddress",
            json!("02:42:ac:11:00:02"),
            Unfit::Mac("02:42:ac:11:00:02".to_owned()),
            "MAC address 02:42:ac:11:00:02",
        ),
        (
            "Config/Hostname",
            json!("web"),
            Unfit::Hostname("web".to_owned()),
            "hostname web before it is healthy: take the hostname away",
        ),
        (
            "HostConfig/NetworkMode",
            json!("host"),
            Unfit::Network("host".to_owned()),
            "its network is host",
        ),
        (
            "HostConfig/NetworkMode",
            json!("container:abc"),
            Unfit::Shares("network"),
            "shares the network of another container",
        ),
        (
            "HostConfig/IpcMode",
            json!("container:abc"),
            Unfit::Shares("IPC"),
            "shares the IPC",
        ),
        (
            "HostConfig/PidMode",
            json!("container:abc"),
            Unfit::Shares("PID"),
            "shares the PID",
        ),
        (
            "NetworkSettings/Networks",
            json!({ "bridge": { "IPAMConfig": null } }),
            Unfit::Nameless,
            "on no network on which others find it by its name",
        ),
        (
            "NetworkSettings/Networks",
            json!({}),
            Unfit::Nameless,
            "put it on one (docker network create)",
        ),
        (
            "Mounts",
            mount("volume", "/data", true),
            Unfit::Volumes(words(&["/data"])),
            "mounted at /data: mount it read-only, or name it in shared_volumes",
        ),
        (
            "Mounts",
            mount("bind", "/srv", true),
            Unfit::Volumes(words(&["/srv"])),
            "mounted at /srv",
        ),
    ] {
        let reasons = refused(&with(path, value));
        assert_eq!(reasons, [expected], "{path}");
        let words = Refusal::Unfit(reasons).to_string();
        assert!(
            words.contains(told) && words.ends_with("fallback = \"stop-first\""),
            "{words}"
        );
    }
}

#[test]
fn what_depends_on_it_and_a_version_that_nothing_checks_are_reasons_too() {
    let mut observed = fit();
    observed.all = vec![
        json!({ "Id": "other", "Name": "/vpn", "HostConfig": { "NetworkMode": "container:web" } }),
    ];
    let dependents = Unfit::Dependents(vec!["vpn (network)".to_owned()]);
    assert_eq!(refused(&observed), std::slice::from_ref(&dependents));
    let unchecked = choose_way(Some(&asked()), &observed, None, false);
    let both = Refusal::Unfit(vec![dependents, Unfit::Unchecked]);
    assert_eq!(unchecked, Err(both));
}

#[test]
fn a_version_that_comes_back_must_be_fit_too_and_no_reason_is_told_twice() {
    let bound = with("Mounts", mount("bind", "/srv", true));
    let once = Refusal::Unfit(vec![Unfit::Volumes(vec!["/srv".to_owned()])]);
    for (observed, model) in [(&fit(), &bound), (&bound, &fit()), (&bound, &bound)] {
        let way = choose_way(Some(&asked()), observed, Some(&model.container), true);
        assert_eq!(way, Err(once.clone()));
    }
}

#[test]
fn one_that_is_not_fit_is_stopped_first_only_where_the_file_says_so_and_why_is_told() {
    let bound = with("Mounts", mount("bind", "/srv", true));
    let allowed = StartFirst {
        may_stop_first: true,
        ..asked()
    };
    let Ok(Way::StopFirst(Some(why))) = choose_way(Some(&allowed), &bound, None, true) else {
        panic!("it is refused");
    };
    assert!(
        why.starts_with(
            "the old version is stopped first, as `fallback` allows: both versions would write"
        ),
        "{why}"
    );
    let stop_first = Ok(Way::StopFirst(None));
    assert_eq!(choose_way(None, &bound, None, true), stop_first);
    let mut stopped = bound;
    stopped.container["State"]["Running"] = json!(false);
    let way = choose_way(Some(&asked()), &stopped, None, false);
    assert_eq!(way, stop_first, "nobody misses one that does not run");
}

#[test]
fn all_containers_of_a_deploy_go_one_way_which_is_start_first_where_each_can() {
    let gone = |ways: &[Way]| {
        let deploy = gone(crate::testing::deploy(), ways.to_vec());
        (deploy.strategy, deploy.notes)
    };
    let why = || "web-2: it has a port".to_owned();
    let (can, stopped) = (Way::StartFirst, Way::StopFirst(None));
    let start_first = (Strategy::StartFirst, Vec::new());
    assert_eq!(gone(&[can.clone(), can.clone()]), start_first);
    assert_eq!(gone(&[stopped.clone(), can.clone()]), start_first);
    let nothing = (Strategy::StopFirst, Vec::new());
    assert_eq!(gone(&[stopped.clone(), stopped]), nothing);
    let cannot = Way::StopFirst(Some(why()));
    assert_eq!(gone(&[can, cannot]), (Strategy::StopFirst, vec![why()]));
}
