//! From an inspected container to the request for its replacement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::spec::{
    CreateRequest, Recreate, create_request,
    merge::{merge, normal},
};

const OLD_ID: &str = "4f5a8c3d2b1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a";
const NEW_ID: &str = "91b2c3d4e5f60718293a4b5c6d7e8f9091b2c3d4e5f60718293a4b5c6d7e8f90";
const IMAGE: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A container as an operator makes it. Only what the engine merges has a type: the rest comes as it likes.
#[derive(Deserialize)]
struct Made {
    config: Config,
    image: Config,
    #[serde(default)]
    host: Map<String, Value>,
    #[serde(default)]
    mounts: Value,
    #[serde(default)]
    networks: Map<String, Value>,
}

/// What an image and an operator may both set.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: String,
    working_dir: String,
    stop_signal: String,
    env: Vec<String>,
    labels: BTreeMap<String, String>,
    volumes: BTreeMap<String, Nothing>,
    exposed_ports: BTreeMap<String, Nothing>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    healthcheck: Option<Healthcheck>,
}

/// What an engine keeps beside a key that only has to be there.
#[derive(Deserialize, Serialize)]
struct Nothing {}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    retries: u64,
    start_period: u64,
}

/// No JSON is too odd; and what an operator made is recreated from the same image as it was, twice.
pub fn inspect(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    odd(&value);
    if let Ok(made) = serde_json::from_value::<Made>(value) {
        recreated_twice(&made);
    }
}

/// The input as a container, and as its image.
fn odd(value: &Value) {
    let image = json!({ "Id": IMAGE, "Config": value });
    let whole = json!({ "Id": OLD_ID, "Config": value, "HostConfig": value, "Mounts": value,
                        "NetworkSettings": { "Networks": value } });
    for container in [value, &whole] {
        for old_image in [None, Some(value), Some(&image)] {
            for new_image in [value, &image] {
                let made = create_request(&Recreate {
                    old_image,
                    ..recreate(container, new_image)
                });
                if let Ok(made) = made {
                    let policy = made.body.pointer("/HostConfig/RestartPolicy/Name");
                    assert_eq!(policy, Some(&json!("no")));
                }
            }
        }
    }
}

fn recreated_twice(made: &Made) {
    let (config, defaults) = (json!(made.config), json!(made.image));
    let shown = merge(&config, &defaults);
    let unset = |field: &str| {
        shown
            .get(field)
            .is_none_or(|it| it.is_null() || *it == json!([]))
    };
    let mode = made.host.get("NetworkMode").and_then(Value::as_str);
    let borrowed = mode.is_some_and(|mode| mode.starts_with("container:"));
    // No engine makes a container without a command, or one that exposes ports of another's network.
    if (unset("Entrypoint") && unset("Cmd")) || (borrowed && !made.config.exposed_ports.is_empty())
    {
        return;
    }
    // Nobody names anything after a container that is still to be made.
    if json!(made.networks).to_string().contains(&NEW_ID[..12]) {
        return;
    }
    let image = json!({ "Id": IMAGE, "Config": defaults });
    let old = json!({ "Id": OLD_ID, "Config": shown, "HostConfig": made.host, "Mounts": made.mounts,
                      "NetworkSettings": { "Networks": made.networks } });
    let first = request(&old, &image);
    let once = merge(&first.body, &defaults);
    assert_eq!(normal(&once), normal(&shown), "the replacement");

    let networks = connected(&made.networks, &first);
    let new = json!({ "Id": NEW_ID, "Config": once, "HostConfig": first.body["HostConfig"],
                      "Mounts": made.mounts, "NetworkSettings": { "Networks": networks } });
    let second = request(&new, &image);
    let twice = merge(&second.body, &defaults);
    assert_eq!(normal(&twice), normal(&shown), "the replacement's");
    assert_eq!(second.body["HostConfig"], first.body["HostConfig"]);
    assert_eq!(
        second.body.get("NetworkingConfig"),
        first.body.get("NetworkingConfig")
    );
    assert_eq!(second.connect, first.connect);
}

/// The networks that a container made with `request` shows, besides what the engine adds.
fn connected(networks: &Map<String, Value>, request: &CreateRequest) -> Map<String, Value> {
    let made_with = request.body.pointer("/NetworkingConfig/EndpointsConfig");
    let endpoint = |name: &String| {
        let other = request.connect.iter().find(|it| it.network == *name);
        let mut endpoint = other
            .map(|it| &it.endpoint)
            .or_else(|| made_with?.get(name))
            .cloned()
            .unwrap_or_else(|| json!({}));
        endpoint["NetworkID"] = networks[name]["NetworkID"].clone();
        endpoint
    };
    networks
        .keys()
        .map(|name| (name.clone(), endpoint(name)))
        .collect()
}

fn request(container: &Value, image: &Value) -> CreateRequest {
    create_request(&recreate(container, image)).expect("a container with all its parts")
}

fn recreate<'a>(container: &'a Value, image: &'a Value) -> Recreate<'a> {
    Recreate {
        container,
        old_image: Some(image),
        new_image: image,
        reference: "ghcr.io/octo-org/web:latest",
        deploy: "0a1b2c3d",
        service: "web",
    }
}
