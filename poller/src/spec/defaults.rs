//! Taking an image's defaults out of a container's configuration: the reverse of moby's `merge` in
//! `daemon/commit.go`, which puts them in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{same, unset};

/// Removes from `config` what `image` had brought in. Ports that `host` publishes stay exposed: an engine binds only
/// what is.
pub(super) fn subtract(
    config: &mut Map<String, Value>,
    image: &Map<String, Value>,
    host: &Map<String, Value>,
) {
    for field in ["User", "StopSignal", "Shell", "ArgsEscaped"] {
        if same(config.get(field), image.get(field)) {
            config.remove(field);
        }
    }
    if directory(config.get("WorkingDir")) == directory(image.get("WorkingDir")) {
        config.remove("WorkingDir");
    }
    environment(config, image.get("Env"));
    let none = Map::new();
    keys(config, "Labels", image, |value, default| value == default);
    keys(config, "Volumes", image, |_, _| true);
    let published = host
        .get("PortBindings")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let exposed = config.get("ExposedPorts").cloned();
    keys(config, "ExposedPorts", image, |_, _| true);
    keep(config, "ExposedPorts", exposed.as_ref(), published);
    command(config, image);
    healthcheck(config, image.get("Healthcheck"));
}

/// The engine stores the directory cleaned, the image as written. The root is not the same as none: it was asked for.
fn directory(value: Option<&Value>) -> &str {
    let path = value.and_then(Value::as_str).unwrap_or_default();
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => "/",
        cleaned => cleaned,
    }
}

/// By key: what the engine would put in again goes. That is all entries of the image when the operator set no variable,
/// else the first one of each key that the operator did not set.
fn environment(config: &mut Map<String, Value>, image: Option<&Value>) {
    let defaults = image
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Some(entries) = config.get_mut("Env").and_then(Value::as_array_mut) else {
        return;
    };
    let set_beside_all = not_brought(entries, defaults, usize::MAX);
    let set_beside_first = not_brought(entries, defaults, 1);
    let own = if set_beside_all.is_empty() || set_beside_first.is_empty() {
        set_beside_all
    } else {
        set_beside_first
    };
    entries.retain(|entry| own.contains(variable(entry)));
}

/// The variables whose entries are not what an engine takes over from `defaults`, at most `most` of each.
fn not_brought(entries: &[Value], defaults: &[Value], most: usize) -> BTreeSet<String> {
    let by_variable = |list: &[Value], most: usize| {
        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for entry in list {
            let of_it = found.entry(variable(entry).to_owned()).or_default();
            if of_it.len() < most {
                of_it.push(entry.clone());
            }
        }
        found
    };
    let brought = by_variable(defaults, most);
    let shown = by_variable(entries, usize::MAX).into_iter();
    shown
        .filter(|(variable, entries)| brought.get(variable) != Some(entries))
        .map(|(variable, _)| variable)
        .collect()
}

/// The name in an entry of `Env`.
fn variable(entry: &Value) -> &str {
    let entry = entry.as_str().unwrap_or_default();
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// Drops the keys of the object `field` that the image has too, where `is_default` says so.
fn keys(
    config: &mut Map<String, Value>,
    field: &str,
    image: &Map<String, Value>,
    is_default: fn(&Value, &Value) -> bool,
) {
    let Some(defaults) = image.get(field).and_then(Value::as_object) else {
        return;
    };
    if let Some(own) = config.get_mut(field).and_then(Value::as_object_mut) {
        own.retain(|key, value| {
            defaults
                .get(key)
                .is_none_or(|default| !is_default(value, default))
        });
    }
}

/// Puts those keys of `before` back that `wanted` names.
fn keep(
    config: &mut Map<String, Value>,
    field: &str,
    before: Option<&Value>,
    wanted: &Map<String, Value>,
) {
    let Some(own) = config.get_mut(field).and_then(Value::as_object_mut) else {
        return;
    };
    for (key, value) in before.and_then(Value::as_object).into_iter().flatten() {
        if wanted.contains_key(key) {
            own.insert(key.clone(), value.clone());
        }
    }
}

/// Entrypoint and command are a pair: an entrypoint of the operator's keeps the image's command out.
fn command(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    let same_entrypoint = same(config.get("Entrypoint"), image.get("Entrypoint"));
    let same_command = same(config.get("Cmd"), image.get("Cmd"));
    let no_entrypoint = unset(config.get("Entrypoint"));
    let no_command = unset(config.get("Cmd"));
    if same_entrypoint && same_command {
        config.remove("Entrypoint");
        config.remove("Cmd");
    } else if same_entrypoint && (no_entrypoint || !no_command) {
        config.remove("Entrypoint");
    } else if no_entrypoint {
        // An empty string is how a client takes an image's entrypoint away; the engine then shows none.
        config.insert("Entrypoint".into(), json!([""]));
    }
}

/// By field, in which zero means "as the image has it".
fn healthcheck(config: &mut Map<String, Value>, image: Option<&Value>) {
    let none = Map::new();
    let defaults = image.and_then(Value::as_object).unwrap_or(&none);
    let Some(own) = config.get_mut("Healthcheck").and_then(Value::as_object_mut) else {
        return;
    };
    own.retain(|field, value| !unset(Some(value)) && defaults.get(field) != Some(value));
    if own.is_empty() {
        config.remove("Healthcheck");
    }
}
