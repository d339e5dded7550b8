//! A model of what the engine does at creation (moby `daemon/commit.go` and `daemon/create.go`), to test against; and
//! what counts when two configurations are compared. What is not shaped as an engine would show it counts as not set.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{COMPOSE_IMAGE_LABEL, LINEAGE, unset};

/// What an inspect shows of a container that was created with `config` from an image with the defaults `image`.
pub(crate) fn merge(config: &Value, image: &Value) -> Value {
    let mut config = config.as_object().cloned().unwrap_or_default();
    let none = Map::new();
    let image = image.as_object().unwrap_or(&none);
    clean_directory(&mut config);
    for field in ["User", "StopSignal", "WorkingDir"] {
        inherit(&mut config, field, image);
    }
    for field in ["Labels", "Volumes", "ExposedPorts"] {
        let mut merged = image
            .get(field)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        merged.extend(
            config
                .get(field)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        );
        config.insert(field.into(), Value::Object(merged));
    }
    environment(&mut config, image);
    command(&mut config, image);
    healthcheck(&mut config, image);
    Value::Object(config)
}

/// The operator's directory is cleaned; an image's is taken as it is written.
fn clean_directory(config: &mut Map<String, Value>) {
    if let Some(Value::String(path)) = config.get_mut("WorkingDir") {
        let root = usize::from(path.starts_with('/'));
        let cut = path.trim_end_matches('/').len().max(root);
        path.truncate(cut);
    }
}

fn inherit(config: &mut Map<String, Value>, field: &str, image: &Map<String, Value>) {
    if unset(config.get(field)) {
        config.insert(
            field.into(),
            image.get(field).cloned().unwrap_or(Value::Null),
        );
    }
}

/// Without variables of the operator's the image's list is taken as it is, else the first entry of each key.
fn environment(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    let list = |of: &Map<String, Value>| {
        of.get("Env")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut merged = list(config);
    if merged.is_empty() {
        merged = list(image);
    } else {
        let mut known: BTreeSet<String> = merged.iter().map(variable).collect();
        let brought = list(image).into_iter();
        merged.extend(brought.filter(|entry| known.insert(variable(entry))));
    }
    config.insert("Env".into(), json!(merged));
}

fn variable(entry: &Value) -> String {
    let entry = entry.as_str().unwrap_or_default();
    entry.split('=').next().unwrap_or_default().to_owned()
}

fn command(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    if unset(config.get("Entrypoint")) {
        inherit(config, "Cmd", image);
        inherit(config, "Entrypoint", image);
    }
    if config.get("Entrypoint") == Some(&json!([""])) {
        config.insert("Entrypoint".into(), Value::Null);
    }
}

fn healthcheck(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    let Some(defaults) = image.get("Healthcheck").and_then(Value::as_object) else {
        return;
    };
    let mut merged = config
        .get("Healthcheck")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (field, value) in defaults {
        if unset(merged.get(field)) {
            merged.insert(field.clone(), value.clone());
        }
    }
    config.insert("Healthcheck".into(), Value::Object(merged));
}

/// A configuration without what may differ between a container and its replacement: our own labels, Compose's note of
/// the image, and the order of variables.
pub(crate) fn normal(config: &Value) -> Value {
    let mut fields = config.as_object().cloned().unwrap_or_default();
    for field in ["Image", "HostConfig", "NetworkingConfig"] {
        fields.remove(field);
    }
    clean_directory(&mut fields);
    if let Some(labels) = fields.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !LINEAGE.contains(&key.as_str()) && key != COMPOSE_IMAGE_LABEL);
    }
    if let Some(env) = fields.get_mut("Env").and_then(Value::as_array_mut) {
        env.sort_by_key(ToString::to_string);
    }
    if let Some(health) = fields.get_mut("Healthcheck").and_then(Value::as_object_mut) {
        health.retain(|_, value| !unset(Some(value)));
    }
    fields.retain(|_, value| !unset(Some(value)));
    Value::Object(fields)
}
