//! A replacement has all that the operator had set, and the new image's defaults: compared by inspect.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use towline::docker::Docker;
use towline_protocol::{Image, Outcome};

use crate::scene::{Scene, docker, required};

mod host;
mod image;
mod networks;
mod volumes;

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

/// A setting of the operator's: what it is, and how `docker create` is told.
type Row<'a> = (&'static str, &'a [&'a str]);

/// Whether the engine speaks this API version, major and minor: the newest engines alone know some settings.
async fn engine_knows(since: (u32, u32)) -> bool {
    let docker = Docker::connect(Some(&required("DOCKER_HOST")))
        .await
        .unwrap();
    let version = docker.api_version();
    let (major, minor) = version.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap()) >= since
}

/// A service with two versions whose images bring the same along, to go from one to the other and back.
struct Pair {
    scene: Scene,
    digests: [String; 2],
    /// What a container shows that was made without any setting.
    plain: Value,
}

impl Pair {
    async fn new(name: &'static str) -> Self {
        let scene = Scene::new(name).await;
        let digests = ["v1", "v2"].map(|version| scene.release(version, "ok", &[]));
        let mut pair = Self {
            scene,
            digests,
            plain: Value::Null,
        };
        pair.plain = settings(&pair.make(&[]));
        pair
    }

    /// The service's container, made anew with these arguments and not started: that needs no wait for its health.
    fn make(&self, arguments: &[&str]) -> Value {
        let name = self.scene.name;
        for old in self.scene.containers() {
            docker(&["rm", "--force", &old]);
        }
        let image = self.scene.image("live");
        docker(&[&["create", "--name", name], arguments, &[&image]].concat());
        self.scene.inspect()
    }

    /// What comes of the container when it is replaced by the other version, and by the first again.
    async fn replace_twice(&mut self, what: &str) -> [Value; 2] {
        let mut seen = Vec::new();
        for digest in self.digests.clone() {
            let image = Image {
                reference: None,
                digest: Some(digest.parse().unwrap()),
            };
            let service = self.scene.service("");
            let applied = self.scene.deploy_image(&service, Some(image)).await;
            let outcome = applied.outcome;
            assert_eq!(outcome, Outcome::Succeeded, "{what}: {}", applied.message);
            seen.push(self.scene.inspect());
        }
        seen.try_into().unwrap()
    }

    /// Each row is a setting that shows, is the same after one replacement and after two, and lets the container start.
    async fn assert_kept(&mut self, rows: &[Row<'_>]) {
        for (what, arguments) in rows {
            let before = self.make(arguments);
            assert_ne!(settings(&before), self.plain, "{what} does not show");
            for after in self.replace_twice(what).await {
                assert_ne!(after["Id"], before["Id"], "{what}");
                assert_eq!(settings(&after), settings(&before), "{what}");
            }
            docker(&["start", self.scene.name]);
        }
    }
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
