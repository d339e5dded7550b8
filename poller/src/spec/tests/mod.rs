//! Requests made from the descriptions of a container and of two images.

mod beside;
mod faithful;
mod image;
mod mounts;
mod networks;
mod properties;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    merge::{merge, normal},
    *,
};

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
