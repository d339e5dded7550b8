//! Network modes, networks and their aliases.

use super::*;

#[test]
fn in_anothers_network_namespace_nothing_is_sent_that_the_engine_refuses() {
    let config = json!({ "Hostname": "db", "Domainname": "x", "MacAddress": "02:00:00:00:00:01", "ExposedPorts": { "1/tcp": {} } });
    let host = json!({ "NetworkMode": format!("container:{OLD_ID}"), "Dns": ["1.1.1.1"], "ExtraHosts": ["a:1.2.3.4"],
                       "Links": [], "PublishAllPorts": false, "Memory": 7 });
    let created = request(
        &container(&config, &json!({}), host),
        &json!({}),
        &json!({}),
    );
    for field in [
        "Hostname",
        "Domainname",
        "MacAddress",
        "ExposedPorts",
        "NetworkingConfig",
    ] {
        assert!(created.body.get(field).is_none(), "{field}");
    }
    assert_eq!(
        created.body["HostConfig"],
        json!({ "NetworkMode": format!("container:{OLD_ID}"), "Memory": 7, "RestartPolicy": { "Name": "no" } })
    );
}

#[test]
fn the_first_network_is_made_with_the_container_and_the_others_are_connected() {
    let learned = json!({ "IPAddress": "172.20.0.7", "MacAddress": "02:42:ac:14:00:07", "EndpointID": "e",
        "NetworkID": "n", "DNSNames": ["web", "x"], "IPAMConfig": { "IPv4Address": "172.20.0.7" },
        "Aliases": ["www", &OLD_ID[..12]], "GwPriority": 5 });
    let created = networked(
        "front",
        json!({ "zoo": { "Aliases": [], "IPAMConfig": {} }, "front": learned, "back": { "Aliases": ["b"] } }),
    );
    assert_eq!(
        created.body["NetworkingConfig"],
        json!({ "EndpointsConfig": { "front":
            { "IPAMConfig": { "IPv4Address": "172.20.0.7" }, "GwPriority": 5, "Aliases": ["www"] } } })
    );
    assert_eq!(
        created.connect,
        [
            Connect {
                network: "back".into(),
                endpoint: json!({ "Aliases": ["b"] })
            },
            Connect {
                network: "zoo".into(),
                endpoint: json!({})
            },
        ]
    );
}

#[test]
fn the_default_bridge_gets_no_aliases_and_host_mode_no_endpoint() {
    let bridge = networked(
        "default",
        json!({ "bridge": { "Aliases": ["x"] }, "back": {} }),
    );
    assert!(bridge.body.get("NetworkingConfig").is_none());
    assert_eq!(bridge.connect.len(), 1);
    let host = networked("host", json!({ "host": { "Aliases": null } }));
    assert!(host.body.get("NetworkingConfig").is_none() && host.connect.is_empty());
}

#[test]
fn a_container_that_was_taken_off_its_first_network_is_made_with_another() {
    let created = networked(
        "default",
        json!({ "zoo": { "Aliases": ["z"] }, "back": { "Aliases": ["b"] } }),
    );
    assert_eq!(created.body["HostConfig"]["NetworkMode"], "back");
    assert_eq!(
        created.body["NetworkingConfig"],
        json!({ "EndpointsConfig": { "back": { "Aliases": ["b"] } } })
    );
    assert_eq!((created.connect.len(), created.disconnect), (1, None));
}

#[test]
fn a_container_that_was_taken_off_every_network_is_taken_off_its_first_again() {
    for (mode, network) in [("default", "bridge"), ("front", "front")] {
        let created = networked(mode, json!({}));
        assert_eq!(created.body["HostConfig"]["NetworkMode"], mode);
        assert_eq!(created.disconnect.as_deref(), Some(network));
        assert!(created.connect.is_empty());
    }
    assert_eq!(networked("none", json!({})).disconnect, None);
    assert_eq!(networked("front", json!(null)).disconnect, None, "not told");
    let mut disabled = container(
        &json!({ "NetworkDisabled": true }),
        &json!({}),
        json!({ "NetworkMode": "default" }),
    );
    disabled["NetworkSettings"] = json!({ "Networks": {} });
    let created = request(&disabled, &json!({}), &json!({}));
    assert_eq!(created.disconnect, None);
}

#[test]
fn a_network_named_by_its_id_is_the_first_also_when_the_container_never_ran() {
    let id = "ab".repeat(32);
    for shown in ["", id.as_str()] {
        let created = networked(
            &id,
            json!({ "front": { "NetworkID": shown, "Aliases": ["www"] } }),
        );
        assert_eq!(created.body["HostConfig"]["NetworkMode"], id);
        assert_eq!(
            created.body["NetworkingConfig"],
            json!({ "EndpointsConfig": { "front": { "Aliases": ["www"] } } })
        );
        assert!(created.connect.is_empty());
    }
    // Which of several it is cannot be told; then all are connected to, as they would be anyway.
    let several = networked(&id, json!({ "a": {}, "b": {} }));
    assert_eq!(several.body["HostConfig"]["NetworkMode"], id);
    assert_eq!(several.connect.len(), 2);
}

#[test]
fn aliases_of_the_predecessors_id_do_not_pile_up() {
    let grandparent = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let mut old = container(
        &json!({ "Labels": { PREDECESSOR_LABEL: grandparent } }),
        &json!({}),
        json!({ "NetworkMode": "front" }),
    );
    old["NetworkSettings"] = json!({ "Networks": { "front": { "Aliases": ["www", &grandparent[..12], &OLD_ID[..12]] } } });
    let body = request(&old, &json!({}), &json!({})).body;
    assert_eq!(
        body["NetworkingConfig"]["EndpointsConfig"]["front"]["Aliases"],
        json!(["www"])
    );
}
