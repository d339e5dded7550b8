//! Containers that are never replaced, each with its reason.

use super::*;

#[test]
fn containers_that_borrow_volumes_or_link_are_named_with_how_and_from_whom() {
    let mut observed = observed("web");
    observed.all = vec![
        observed.container.clone(),
        other(
            "vpn",
            json!({ "NetworkMode": format!("container:{ID}"), "VolumesFrom": ["web"] }),
        ),
        other(
            "log",
            json!({ "VolumesFrom": [format!("{}:ro", &ID[..12]), "vpn"] }),
        ),
        other("php", json!({ "Links": ["/web:/php/backend"] })),
        other(
            "far",
            json!({ "NetworkMode": "container:webber", "IpcMode": "private", "Links": ["/web2:/far/x"] }),
        ),
    ];
    let refused = refusal(&observed, None, None).unwrap();
    assert_eq!(
        refused,
        Refusal::Dependents(vec![
            "vpn (volumes)".into(),
            "log (volumes, volumes of vpn)".into(),
            "php (link)".into()
        ])
    );
}

#[test]
fn one_that_shares_a_namespace_of_a_container_that_is_gone_or_down_could_not_be_started_again() {
    let shares = |field: &str, runs: bool, lender: Value| {
        let mut observed = observed("web");
        observed.container["HostConfig"][field] = json!("container:0123456789ab");
        observed.container["State"]["Running"] = json!(runs);
        observed.all = vec![observed.container.clone(), lender];
        refusal(&observed, None, None)
    };
    let lender = |state: Value| json!({ "Id": "0123456789abcdef", "Name": "/vpn", "State": state });
    let up = lender(json!({ "Running": true }));
    let down = lender(json!({ "Running": false }));
    let crashing = lender(json!({ "Running": true, "Restarting": true }));
    let stranger = json!({ "Id": "fedcba987654", "Name": "/other", "State": { "Running": true } });
    for (field, how) in [
        ("NetworkMode", "network"),
        ("IpcMode", "IPC"),
        ("PidMode", "PID"),
    ] {
        assert_eq!(shares(field, true, up.clone()), None);
        for lender in [&down, &crashing] {
            let refused = Some(Refusal::LenderDown {
                how,
                lender: "vpn".to_owned(),
            });
            assert_eq!(shares(field, true, lender.clone()), refused);
        }
        assert_eq!(
            shares(field, false, down.clone()),
            None,
            "nothing is started"
        );
        let gone = Some(Refusal::LenderGone {
            how,
            lender: "0123456789ab".to_owned(),
        });
        for runs in [true, false] {
            assert_eq!(shares(field, runs, stranger.clone()), gone);
        }
    }
}

#[test]
fn each_container_that_is_never_replaced_has_its_reason() {
    let with = |path: [&str; 2], value: Value| {
        let mut observed = observed("web");
        observed.container[path[0]][path[1]] = value;
        refusal(&observed, None, None)
    };
    assert_eq!(
        with(["HostConfig", "AutoRemove"], json!(true)),
        Some(Refusal::AutoRemove)
    );
    assert_eq!(
        with(["State", "Paused"], json!(true)),
        Some(Refusal::Paused)
    );
    assert_eq!(with(["State", "Dead"], json!(true)), Some(Refusal::Dying));
    assert_eq!(
        with(
            ["Config", "Labels"],
            json!({ "com.docker.swarm.task.id": "x" })
        ),
        Some(Refusal::SwarmTask)
    );
    assert_eq!(with(["State", "Dead"], json!(false)), None);
    assert_eq!(
        refusal(&observed("web"), Some(ID), None),
        Some(Refusal::Own)
    );
}

#[test]
fn the_proxy_that_the_engine_is_spoken_to_through_is_known_by_name_alias_or_address() {
    let mut observed = observed("web");
    observed.container["NetworkSettings"] =
        json!({ "Networks": { "n": { "Aliases": ["proxy"], "IPAddress": "172.18.0.2" } } });
    for host in ["web", "proxy", "172.18.0.2"] {
        assert_eq!(
            refusal(&observed, None, Some(Route { host, here: None })),
            Some(Refusal::Proxy),
            "{host}"
        );
    }
    assert_eq!(
        refusal(
            &observed,
            None,
            Some(Route {
                host: "127.0.0.1",
                here: None
            })
        ),
        None
    );
}

#[test]
fn the_proxy_is_known_by_the_port_of_this_machine_that_it_publishes() {
    let through = |here: &str, place: [&str; 2], port: &str, bindings: Value| {
        let mut observed = observed("web");
        observed.container[place[0]] = json!({ (place[1]): { (port): bindings } });
        let here = here.parse().ok();
        let host = "localhost";
        refusal(&observed, None, Some(Route { host, here })) == Some(Refusal::Proxy)
    };
    let at = |ip: &str, port: &str| json!([{ "HostIp": "192.0.2.9", "HostPort": "1" }, { "HostIp": ip, "HostPort": port }]);
    let (runs, made) = (["NetworkSettings", "Ports"], ["HostConfig", "PortBindings"]);
    let own = "127.0.0.1:2375";
    for ip in ["", "0.0.0.0", "::", "127.0.0.1"] {
        assert!(through(own, runs, "2375/tcp", at(ip, "2375")), "{ip}");
        assert!(through(own, made, "80/tcp", at(ip, "2375")), "{ip}");
        assert!(through("[::1]:2375", runs, "80/tcp", at("::1", "2375")));
    }
    assert!(
        !through(own, runs, "2375/tcp", at("", "2376")),
        "another port"
    );
    assert!(
        !through(own, runs, "2375/tcp", at("192.0.2.1", "2375")),
        "another address"
    );
    assert!(!through(own, runs, "2375/udp", at("", "2375")), "no TCP");
    assert!(
        !through(own, runs, "2375/tcp", Value::Null),
        "not published"
    );
    assert!(
        !through("elsewhere", runs, "2375/tcp", at("", "2375")),
        "another machine"
    );
}

#[test]
fn the_own_container_is_read_from_the_mount_table_and_a_host_has_none() {
    let inside = format!(
        "1 2 0:5 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    );
    assert_eq!(own_container(&inside), Some(ID));
    let host = format!("1 2 0:5 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n");
    assert_eq!(own_container(&host), None);
    assert_eq!(own_container("nonsense\n\n1 2"), None);
}
