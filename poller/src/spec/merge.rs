//! A model of what the engine does at creation (moby `daemon/commit.go` and `daemon/create.go`), to test against.

use serde_json::{Map, Value, json};

use super::unset;

/// What an inspect shows of a container that was created with `config` from an image with the defaults `image`.
pub(super) fn merge(config: &Value, image: &Value) -> Value {
    let mut config = config.as_object().unwrap().clone();
    let image = image.as_object().unwrap();
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

fn inherit(config: &mut Map<String, Value>, field: &str, image: &Map<String, Value>) {
    if unset(config.get(field)) {
        config.insert(
            field.into(),
            image.get(field).cloned().unwrap_or(Value::Null),
        );
    }
}

fn environment(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    let list = |of: &Map<String, Value>| {
        of.get("Env")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let key = |entry: &Value| {
        entry
            .as_str()
            .unwrap()
            .split('=')
            .next()
            .unwrap()
            .to_owned()
    };
    let mut merged = list(config);
    let own: Vec<String> = merged.iter().map(key).collect();
    merged.extend(
        list(image)
            .into_iter()
            .filter(|entry| !own.contains(&key(entry))),
    );
    config.insert("Env".into(), json!(merged));
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
