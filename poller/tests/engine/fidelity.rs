//! A replacement has all that the operator had set, and the new image's defaults: compared by inspect.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Map, Value, json};
use towline_protocol::Outcome;

use crate::scene::{Scene, docker, inspect, required};

/// What differs between any two containers, and is nobody's setting.
const INCIDENTAL: [&str; 26] = [
    "Id",
    "Created",
    "Image",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "LogPath",
    "State",
    "RestartCount",
    "ExecIDs",
    "GraphDriver",
    "SandboxID",
    "SandboxKey",
    "EndpointID",
    "NetworkID",
    "MacAddress",
    "Gateway",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "DNSNames",
    "Bridge",
    "HairpinMode",
    "Storage",
];

/// An inspected container without what is incidental, unset, or ours; its own id reads `<id>`.
fn settings(container: &Value) -> Value {
    let id = container["Id"].as_str().unwrap();
    let mut settings = normal(container, id);
    // Volumes without a name are bound by name afterwards; `mounts` compares what is mounted where.
    settings.as_object_mut().unwrap().remove("Mounts");
    for field in ["Binds", "Mounts"] {
        settings["HostConfig"]
            .as_object_mut()
            .unwrap()
            .remove(field);
    }
    let config = settings["Config"].as_object_mut().unwrap();
    if let Some(labels) = config.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !key.starts_with("towline."));
    }
    config.retain(|_, value| !is_unset(value));
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    settings["NetworkNames"] = json!(networks.keys().collect::<BTreeSet<_>>());
    settings
}

fn normal(value: &Value, id: &str) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(key, _)| !INCIDENTAL.contains(&key.as_str()));
            let kept: Map<String, Value> = kept
                .map(|(key, value)| (key.clone(), normal(value, id)))
                .collect();
            Value::Object(
                kept.into_iter()
                    .filter(|(_, value)| !is_unset(value))
                    .collect(),
            )
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items
                .iter()
                .map(|item| normal(item, id))
                .filter(|item| item != "<id>")
                .collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::String(text) if text.len() >= 12 && id.starts_with(text.as_str()) => json!("<id>"),
        other => other.clone(),
    }
}

fn is_unset(value: &Value) -> bool {
    matches!(value, Value::Null)
        || value == ""
        || value == &json!([])
        || value == &json!({})
        || value == &json!(0)
        || value == &json!(false)
}

/// Where what is mounted, and whether it may be written to.
fn mounts(container: &Value) -> Vec<String> {
    let mounts = container["Mounts"].as_array().unwrap().iter();
    let shown = |mount: &Value| {
        format!(
            "{} {} {} {} {}",
            mount["Destination"], mount["Type"], mount["Name"], mount["Source"], mount["RW"]
        )
    };
    let mut mounts: Vec<String> = mounts.map(shown).collect();
    mounts.sort();
    mounts
}

#[tokio::test]
async fn everything_that_the_operator_set_is_the_same_after_one_replacement_and_after_two() {
    let mut scene = Scene::new("faithful").await;
    docker(&[
        "network",
        "create",
        "--subnet",
        "172.31.7.0/24",
        "faithful-front",
    ]);
    docker(&[
        "network",
        "create",
        "--subnet",
        "172.31.8.0/24",
        "faithful-back",
    ]);
    let defaults = [
        "ENV FROM_IMAGE=1",
        "ENV LEVEL=info",
        "LABEL org.opencontainers.image.title=toy",
        "EXPOSE 9090",
        "VOLUME /image-volume",
    ];
    scene.release("v1", "ok", &defaults);
    let bind = tempfile::tempdir().unwrap();
    let bind = format!("{}:/bind:ro", bind.path().display());
    scene.run(&[
        "--network",
        "faithful-front",
        "--ip",
        "172.31.7.9",
        "--network-alias",
        "www",
        "--volume",
        "faithful-named:/named",
        "--volume",
        "/anonymous",
        "--volume",
        &bind,
        "--mount",
        "type=volume,target=/sourceless",
        "--tmpfs",
        "/scratch:size=1m",
        "--env",
        "LEVEL=debug",
        "--env",
        "GREETING=hello",
        "--label",
        "mine=yes",
        "--hostname",
        "chosen",
        "--ulimit",
        "nofile=512:1024",
        "--cap-drop",
        "MKNOD",
        "--cap-add",
        "SYS_NICE",
        "--memory",
        "64m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "50",
        "--restart",
        "on-failure:5",
        "--add-host",
        "db:10.1.2.3",
        "--dns",
        "10.9.9.9",
        "--log-opt",
        "max-size=1m",
        "--stop-signal",
        "SIGINT",
        "--stop-timeout",
        "3",
        "--init",
        "--read-only",
        "--sysctl",
        "net.core.somaxconn=99",
        "--shm-size",
        "8m",
        "--security-opt",
        "no-new-privileges",
        "--user",
        "1000:1000",
        "--workdir",
        "/named",
        "--device",
        "/dev/null:/dev/mine",
        "--health-interval",
        "7s",
        "--health-cmd",
        "/toy health",
        "--oom-score-adj",
        "17",
        "--group-add",
        "17",
    ]);
    docker(&[
        "network",
        "connect",
        "--ip",
        "172.31.8.9",
        "--alias",
        "api",
        "faithful-back",
        "faithful",
    ]);
    let before = scene.inspect();
    for version in ["v2", "v3"] {
        scene.release(version, "ok", &defaults);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert_eq!(scene.get().unwrap(), format!("toy {version} hello\n"));
        let after = scene.inspect();
        assert_eq!(settings(&after), settings(&before));
        assert_eq!(mounts(&after), mounts(&before));
        for (network, address) in [
            ("faithful-front", "172.31.7.9"),
            ("faithful-back", "172.31.8.9"),
        ] {
            assert_eq!(
                after["NetworkSettings"]["Networks"][network]["IPAddress"],
                address
            );
        }
    }
    drop(scene);
    docker(&["network", "rm", "faithful-front", "faithful-back"]);
}

#[tokio::test]
async fn a_new_images_defaults_arrive_under_the_operators_settings() {
    let mut scene = Scene::new("defaults").await;
    scene.release(
        "v1",
        "ok",
        &[
            "ENV KEPT=old",
            "ENV GONE=1",
            "LABEL version=1",
            "EXPOSE 1",
            "WORKDIR /old",
        ],
    );
    scene.run(&["--env", "MINE=1"]);
    scene.release(
        "v2",
        "ok",
        &[
            "ENV KEPT=new",
            "ENV FRESH=1",
            "LABEL version=2",
            "EXPOSE 2",
            "WORKDIR /new",
        ],
    );
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let config = scene.inspect()["Config"].clone();
    let mut env: Vec<&str> = config["Env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    env.retain(|entry| !entry.starts_with("PATH="));
    assert_eq!(env, ["MINE=1", "KEPT=new", "FRESH=1"]);
    assert_eq!(config["Labels"]["version"], "2");
    assert_eq!(config["WorkingDir"], "/new");
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    assert_eq!(ports, ["2/tcp", "8080/tcp"]);
}

#[tokio::test]
async fn a_container_without_a_hostname_of_its_own_gets_its_new_id_and_no_alias_of_the_old_one() {
    let mut scene = Scene::new("nameless").await;
    docker(&["network", "create", "nameless-net"]);
    scene.release("v1", "ok", &[]);
    scene.run(&["--network", "nameless-net"]);
    let old = scene.inspect()["Id"].as_str().unwrap()[..12].to_owned();
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = inspect("nameless");
    assert_eq!(now["Config"]["Hostname"], now["Id"].as_str().unwrap()[..12]);
    assert!(
        !now["NetworkSettings"].to_string().contains(&old),
        "{}",
        now["NetworkSettings"]
    );
    drop(scene);
    docker(&["network", "rm", "nameless-net"]);
}

#[tokio::test]
async fn a_volume_without_a_name_keeps_its_data_over_a_success_and_a_rollback() {
    let mut scene = Scene::new("volume").await;
    scene.release("v1", "ok", &["VOLUME /data"]);
    scene.run(&[]);
    let volume = |scene: &Scene| {
        scene.inspect()["Mounts"][0]["Name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let name = volume(&scene);
    docker(&[
        "cp",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        "volume:/data/kept",
    ]);
    for (version, mode, outcome) in [
        ("v2", "ok", Outcome::Succeeded),
        ("v3", "exit", Outcome::RolledBack),
    ] {
        scene.release(version, mode, &["VOLUME /data"]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, outcome, "{}", applied.message);
        assert_eq!(volume(&scene), name);
        let copy = tempfile::tempdir().unwrap();
        docker(&["cp", "volume:/data/kept", copy.path().to_str().unwrap()]);
    }
}

/// An image that only sleeps, of a static busybox.
fn sleeper(name: &str) {
    let script = r#"tar -C "$(dirname "$1")" -c "$(basename "$1")" | docker import --change 'ENTRYPOINT ["/busybox", "sleep", "600"]' - "$2""#;
    let busybox = required("TOWLINE_TEST_BUSYBOX");
    let output = Command::new("sh")
        .args(["-c", script, "sh", &busybox, name])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_container_in_anothers_network_namespace_stays_there() {
    let mut scene = Scene::new("guest").await;
    scene.release("v1", "ok", &["EXPOSE 9090"]);
    sleeper("guest-sleeper");
    let publish = format!("127.0.0.1:{}:8080", scene.port);
    docker(&[
        "run",
        "--detach",
        "--name",
        "guest-ns",
        "--publish",
        &publish,
        "guest-sleeper",
    ]);
    docker(&[
        "run",
        "--detach",
        "--name",
        "guest",
        "--network",
        "container:guest-ns",
        &scene.image("live"),
    ]);
    let before = scene.inspect();
    scene.release("v2", "ok", &["EXPOSE 9091"]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(
        settings(&scene.inspect())["HostConfig"],
        settings(&before)["HostConfig"]
    );
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}

#[tokio::test]
async fn links_to_other_containers_are_kept() {
    let mut scene = Scene::new("linked").await;
    scene.release("v1", "ok", &[]);
    docker(&[
        "run",
        "--detach",
        "--name",
        "linked-db",
        &scene.image("live"),
    ]);
    scene.run(&["--link", "linked-db:db"]);
    for version in ["v2", "v3"] {
        scene.release(version, "ok", &[]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert_eq!(
            scene.inspect()["HostConfig"]["Links"],
            json!(["/linked-db:/linked/db"])
        );
    }
}

#[tokio::test]
async fn a_container_on_the_default_bridge_and_a_second_network_is_on_both_again() {
    let mut scene = Scene::new("bridged").await;
    docker(&["network", "create", "bridged-net"]);
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    docker(&[
        "network",
        "connect",
        "--alias",
        "second",
        "bridged-net",
        "bridged",
    ]);
    let before = settings(&scene.inspect());
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(settings(&scene.inspect()), before);
    drop(scene);
    docker(&["network", "rm", "bridged-net"]);
}
