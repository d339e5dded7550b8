use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{merge::merge, *};

const OLD_ID: &str = "4f5a8c3d2b1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a";
const NEW_IMAGE: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn image(config: Value) -> Value {
    json!({ "Id": NEW_IMAGE, "Config": config })
}

/// A container that was made with `config` and `host` from an image with the defaults `defaults`.
fn container(config: &Value, defaults: &Value, host: Value) -> Value {
    json!({ "Id": OLD_ID, "Config": merge(config, defaults), "HostConfig": host })
}

fn request(container: &Value, old: &Value, new: &Value) -> CreateRequest {
    create_request(&Recreate {
        container,
        old_image: Some(&image(old.clone())),
        new_image: &image(new.clone()),
        reference: "ghcr.io/octo-org/web:latest",
        deploy: "0a1b2c3d",
        service: "web",
    })
    .unwrap()
}

/// The request for a container with `config` on an image whose defaults change from `old` to `new`.
fn replaced(config: Value, old: Value, new: Value) -> Value {
    request(&container(&config, &old, json!({})), &old, &new).body
}

/// What an inspect would show of that replacement.
fn after(config: Value, old: Value, new: Value) -> Value {
    merge(&replaced(config, old, new.clone()), &new)
}

/// The replacement's networks for an old container on `mode` and `networks`.
fn networked(mode: &str, networks: Value) -> CreateRequest {
    let mut old = container(&json!({}), &json!({}), json!({ "NetworkMode": mode }));
    old["NetworkSettings"] = json!({ "Networks": networks });
    request(&old, &json!({}), &json!({}))
}

/// The replacement's `HostConfig` for an old container with `host` and `mounts`.
fn mounted(config: Value, host: Value, mounts: Value) -> Value {
    let mut old = container(&config, &json!({}), host);
    old["Mounts"] = mounts;
    request(&old, &json!({}), &json!({})).body["HostConfig"].clone()
}

#[test]
fn the_new_images_variables_arrive_and_the_operators_stay() {
    let old = json!({ "Env": ["PATH=/bin", "VERSION=1", "GONE=x", "LEVEL=info"] });
    let new = json!({ "Env": ["PATH=/app/bin", "VERSION=2", "LEVEL=warn", "FRESH=y"] });
    let env = after(json!({ "Env": ["LEVEL=debug", "KEY=k=v"] }), old, new);
    assert_eq!(
        env["Env"],
        json!([
            "LEVEL=debug",
            "KEY=k=v",
            "PATH=/app/bin",
            "VERSION=2",
            "FRESH=y"
        ])
    );
}

#[test]
fn labels_go_by_key_and_ours_are_only_the_new_deploys() {
    let old = json!({ "Labels": { "org.opencontainers.image.version": "1", "gone": "x" } });
    let new = json!({ "Labels": { "org.opencontainers.image.version": "2" } });
    let mine = json!({ "Labels": { "traefik.enable": "true", "towline.deploy": "ffffffff", "towline.mine": "1" } });
    let labels = after(mine, old, new)["Labels"].clone();
    assert_eq!(
        labels,
        json!({ "org.opencontainers.image.version": "2", "traefik.enable": "true", "towline.mine": "1", "towline.deploy": "0a1b2c3d",
                "towline.service": "web", "towline.predecessor": OLD_ID })
    );
}

#[test]
fn composes_image_label_follows_the_image_and_is_never_added() {
    let mine = json!({ "Labels": { "com.docker.compose.image": "sha256:aaaa", "com.docker.compose.config-hash": "h" } });
    let labels = replaced(mine, json!({}), json!({}))["Labels"].clone();
    assert_eq!(labels["com.docker.compose.image"], NEW_IMAGE);
    assert_eq!(labels["com.docker.compose.config-hash"], "h");
    let without = replaced(json!({}), json!({}), json!({}));
    assert!(without["Labels"].get("com.docker.compose.image").is_none());
}

#[test]
fn an_entrypoint_and_its_command_are_kept_or_inherited_as_a_pair() {
    let old = json!({ "Entrypoint": ["/app"], "Cmd": ["serve"] });
    let new = json!({ "Entrypoint": ["/new"], "Cmd": ["run"] });
    let pair = |config: Value| {
        let shown = after(config, old.clone(), new.clone());
        (shown["Entrypoint"].clone(), shown["Cmd"].clone())
    };
    assert_eq!(pair(json!({})), (json!(["/new"]), json!(["run"])));
    assert_eq!(
        pair(json!({ "Cmd": ["mine"] })),
        (json!(["/new"]), json!(["mine"]))
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/sh"] })),
        (json!(["/sh"]), Value::Null)
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/sh"], "Cmd": ["serve"] })),
        (json!(["/sh"]), json!(["serve"]))
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/app"] })),
        (json!(["/app"]), Value::Null)
    );
    assert_eq!(
        pair(json!({ "Entrypoint": [""], "Cmd": ["x"] })),
        (Value::Null, json!(["x"]))
    );
}

#[test]
fn a_healthcheck_is_the_images_but_for_the_fields_that_the_operator_set() {
    let old =
        json!({ "Healthcheck": { "Test": ["CMD", "old"], "Interval": 30, "StartInterval": 5 } });
    let new =
        json!({ "Healthcheck": { "Test": ["CMD", "new"], "Interval": 60, "StartInterval": 7 } });
    let check = |config: Value| after(config, old.clone(), new.clone())["Healthcheck"].clone();
    assert_eq!(check(json!({})), new["Healthcheck"]);
    assert_eq!(
        check(json!({ "Healthcheck": { "Interval": 10 } })),
        json!({ "Interval": 10, "Test": ["CMD", "new"], "StartInterval": 7 })
    );
    assert_eq!(
        check(json!({ "Healthcheck": { "Test": ["NONE"] } }))["Test"],
        json!(["NONE"])
    );
}

#[test]
fn plain_settings_that_equal_the_old_default_follow_the_image() {
    let old = json!({ "User": "app", "StopSignal": "SIGTERM", "WorkingDir": "/srv/" });
    let new = json!({ "User": "web", "StopSignal": "SIGQUIT", "WorkingDir": "/new" });
    let shown = after(json!({ "WorkingDir": "/srv" }), old.clone(), new.clone());
    assert_eq!(
        (&shown["User"], &shown["StopSignal"], &shown["WorkingDir"]),
        (&json!("web"), &json!("SIGQUIT"), &json!("/new"))
    );
    let shown = after(json!({ "User": "1000", "StopTimeout": 3 }), old, new);
    assert_eq!(
        (&shown["User"], &shown["StopTimeout"]),
        (&json!("1000"), &json!(3))
    );
}

#[test]
fn a_published_port_stays_exposed_and_the_old_images_others_do_not() {
    let old = json!({ "ExposedPorts": { "80/tcp": {}, "81/tcp": {} } });
    let host = json!({ "PortBindings": { "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] } });
    let body = request(&container(&json!({}), &old, host), &old, &json!({})).body;
    assert_eq!(body["ExposedPorts"], json!({ "80/tcp": {} }));
    assert_eq!(
        body["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"],
        "8080"
    );
}

#[test]
fn a_hostname_that_is_the_old_id_goes_and_a_chosen_one_stays() {
    assert!(
        replaced(json!({ "Hostname": &OLD_ID[..12] }), json!({}), json!({}))
            .get("Hostname")
            .is_none()
    );
    assert_eq!(
        replaced(json!({ "Hostname": "web" }), json!({}), json!({}))["Hostname"],
        "web"
    );
}

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
    assert_eq!(created.connect.len(), 1);
    let none = networked("default", json!({}));
    assert_eq!(none.body["HostConfig"]["NetworkMode"], "default");
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

#[test]
fn a_volume_without_a_name_is_bound_by_the_name_that_it_got() {
    let mounts = json!([
        { "Type": "volume", "Name": "aaa", "Destination": "/data", "RW": true },
        { "Type": "volume", "Name": "bbb", "Destination": "/cache", "RW": false },
        { "Type": "volume", "Name": "named", "Destination": "/named", "RW": true },
        { "Type": "volume", "Name": "ccc", "Destination": "/nosource", "RW": true },
        { "Type": "volume", "Name": "ddd", "Destination": "/bare", "RW": true },
        { "Type": "bind", "Source": "/srv", "Destination": "/srv", "RW": true }
    ]);
    let host = mounted(
        json!({ "Volumes": { "/data": {}, "/cache/": {} } }),
        json!({ "Binds": ["named:/named:ro", "/srv:/srv", "/bare"], "Mounts": [{ "Type": "volume", "Target": "/nosource" }] }),
        mounts,
    );
    assert_eq!(host["Binds"], json!(["named:/named:ro", "/srv:/srv"]));
    assert_eq!(
        host["Mounts"],
        json!([
            { "Type": "volume", "Target": "/nosource", "Source": "ccc" },
            { "Type": "volume", "Source": "aaa", "Target": "/data" },
            { "Type": "volume", "Source": "bbb", "Target": "/cache", "ReadOnly": true },
            { "Type": "volume", "Source": "ddd", "Target": "/bare" },
        ])
    );
}

#[test]
fn volumes_borrowed_from_another_container_stay_borrowed() {
    let mounts = json!([
        { "Type": "volume", "Name": "theirs", "Destination": "/theirs", "RW": true },
        { "Type": "volume", "Name": "ours", "Destination": "/ours", "RW": true }
    ]);
    let host = mounted(
        json!({ "Volumes": { "/ours": {} } }),
        json!({ "VolumesFrom": ["db"] }),
        mounts,
    );
    assert_eq!(
        host["Mounts"],
        json!([{ "Type": "volume", "Source": "ours", "Target": "/ours" }])
    );
}

#[test]
fn fields_that_nobody_here_knows_pass_through() {
    let host = json!({ "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }], "FutureThing": { "a": [1] },
                       "RestartPolicy": { "Name": "always" }, "Devices": [{ "PathOnHost": "/dev/null" }] });
    let old = container(&json!({ "FutureConfig": 7 }), &json!({}), host);
    let body = request(&old, &json!({}), &json!({})).body;
    assert_eq!(body["FutureConfig"], 7);
    assert_eq!(body["HostConfig"]["FutureThing"], json!({ "a": [1] }));
    assert_eq!(body["HostConfig"]["Ulimits"][0]["Hard"], 2);
    assert_eq!(body["HostConfig"]["RestartPolicy"], json!({ "Name": "no" }));
    assert_eq!(body["Image"], "ghcr.io/octo-org/web:latest");
}

#[test]
fn a_description_without_its_parts_is_an_error_that_names_the_part() {
    let broken = json!({ "Id": OLD_ID, "Config": {} });
    let new = image(json!({}));
    let from = Recreate {
        container: &broken,
        old_image: None,
        new_image: &new,
        reference: "web",
        deploy: "0",
        service: "web",
    };
    assert_eq!(
        create_request(&from).unwrap_err().to_string(),
        "the engine's description of the container has no HostConfig"
    );
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[ab]{1,2}", "[xy]", 0..4)
}

fn words() -> impl Strategy<Value = Option<Vec<String>>> {
    proptest::option::of(proptest::collection::vec("[a-c]", 1..3))
}

prop_compose! {
    fn a_config()(
        env in labels(), labels in labels(), ports in labels(), entrypoint in words(), cmd in words(),
        user in "[uv]?", dir in "(/[a-c])?", signal in "(SIGA|SIGB)?",
        test in words(), interval in 0u8..3, retries in 0u8..3, check in any::<bool>(),
    ) -> Value {
        let ports: BTreeMap<_, _> = ports.keys().map(|key| (key.clone(), json!({}))).collect();
        let env: Vec<_> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let health = check.then(|| json!({ "Test": test, "Interval": interval, "Retries": retries }));
        json!({ "Env": env, "Labels": labels, "ExposedPorts": ports, "Entrypoint": entrypoint, "Cmd": cmd,
                "User": user, "WorkingDir": dir, "StopSignal": signal, "Healthcheck": health })
    }
}

/// What counts when two configurations are compared: our own labels and the order of variables do not.
fn normal(config: &Value) -> Value {
    let mut config = config.clone();
    let fields = config.as_object_mut().unwrap();
    for field in ["Image", "HostConfig"] {
        fields.remove(field);
    }
    if let Some(labels) = fields.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !LINEAGE.contains(&key.as_str()));
    }
    if let Some(env) = fields.get_mut("Env").and_then(Value::as_array_mut) {
        env.sort_by_key(ToString::to_string);
    }
    if let Some(health) = fields.get_mut("Healthcheck").and_then(Value::as_object_mut) {
        health.retain(|_, value| !unset(Some(value)));
    }
    fields.retain(|_, value| !unset(Some(value)));
    config
}

proptest! {
    #[test]
    fn a_replacement_from_the_same_image_is_the_same_twice(user in a_config(), defaults in a_config()) {
        let shown = merge(&user, &defaults);
        let once = after(user, defaults.clone(), defaults.clone());
        prop_assert_eq!(normal(&once), normal(&shown));
        prop_assert_eq!(normal(&after(once, defaults.clone(), defaults)), normal(&shown));
    }

    #[test]
    fn each_plain_setting_is_the_new_default_where_it_was_the_old_one_and_else_the_operators(
        user in a_config(), old in a_config(), new in a_config(),
    ) {
        let before = merge(&user, &old);
        let shown = after(user, old.clone(), new.clone());
        for field in ["User", "WorkingDir", "StopSignal"] {
            let expected = if same(before.get(field), old.get(field)) { &new[field] } else { &before[field] };
            prop_assert!(same(shown.get(field), Some(expected)) || (unset(before.get(field)) && same(shown.get(field), Some(&new[field]))));
        }
        for (key, value) in before["Labels"].as_object().unwrap() {
            let default = old["Labels"].get(key) == Some(value);
            prop_assert_eq!(shown["Labels"].get(key), if default { new["Labels"].get(key) } else { Some(value) });
        }
        for (key, value) in new["Labels"].as_object().unwrap() {
            prop_assert!(before["Labels"].get(key).is_some() || shown["Labels"].get(key) == Some(value));
        }
    }

    #[test]
    fn no_json_makes_it_panic(config in a_config(), text in ".{0,20}", number in any::<i64>()) {
        for odd in [json!(text), json!(number), json!([text]), json!({ text.clone(): number }), Value::Null] {
            let old = json!({ "Id": OLD_ID, "Config": odd, "HostConfig": { "Mounts": odd, "Binds": odd }, "Mounts": odd,
                              "NetworkSettings": { "Networks": odd } });
            for defaults in [&config, &odd] {
                let (image, new) = (image(defaults.clone()), image(odd.clone()));
                let from = Recreate { container: &old, old_image: Some(&image), new_image: &new,
                                      reference: "web", deploy: "0", service: "web" };
                let _ = create_request(&from);
            }
        }
    }
}
