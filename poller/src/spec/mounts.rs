//! Volumes: the replacement gets the same ones, also those that never had a name of the operator's.

use serde_json::{Map, Value, json};

/// Binds each volume of the old container that `host` does not name already, by the name that the engine gave it.
///
/// A volume that comes from another container (`VolumesFrom`) stays with that container, unless the configuration
/// asks for its path itself.
pub(super) fn rebind(host: &mut Map<String, Value>, container: &Value) {
    let volumes: Vec<Volume> = container
        .get("Mounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Volume::read)
        .collect();
    drop_nameless_binds(host, &volumes);
    name_nameless_mounts(host, &volumes);
    let covered = covered(host);
    let borrowed = host
        .get("VolumesFrom")
        .and_then(Value::as_array)
        .is_some_and(|from| !from.is_empty());
    let asked = |path: &str| {
        let volumes = container
            .pointer("/Config/Volumes")
            .and_then(Value::as_object);
        volumes.is_some_and(|volumes| volumes.keys().any(|key| clean(key) == path))
    };
    let missing: Vec<Value> = volumes
        .iter()
        .filter(|volume| !covered.contains(&volume.path) && (!borrowed || asked(&volume.path)))
        .map(Volume::mount)
        .collect();
    if !missing.is_empty() {
        let mounts = host.entry("Mounts").or_insert(Value::Null);
        match mounts.as_array_mut() {
            Some(mounts) => mounts.extend(missing),
            None => *mounts = Value::Array(missing),
        }
    }
}

struct Volume {
    name: String,
    path: String,
    writable: bool,
}

impl Volume {
    fn read(mount: &Value) -> Option<Self> {
        let text = |field: &str| {
            mount
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        (text("Type") == Some("volume")).then_some(())?;
        Some(Self {
            name: text("Name")?.to_owned(),
            path: clean(text("Destination")?),
            writable: mount.get("RW").and_then(Value::as_bool).unwrap_or(true),
        })
    }

    fn mount(&self) -> Value {
        let mut mount = json!({ "Type": "volume", "Source": self.name, "Target": self.path });
        if let (false, Some(fields)) = (self.writable, mount.as_object_mut()) {
            fields.insert("ReadOnly".into(), json!(true));
        }
        mount
    }
}

/// `Binds` may hold a bare path, which is a volume without a name.
fn drop_nameless_binds(host: &mut Map<String, Value>, volumes: &[Volume]) {
    let Some(binds) = host.get_mut("Binds").and_then(Value::as_array_mut) else {
        return;
    };
    let named = |path: &str| volumes.iter().any(|volume| volume.path == clean(path));
    binds.retain(|bind| {
        bind.as_str()
            .is_none_or(|bind| bind.contains(':') || !named(bind))
    });
}

/// `Mounts` may hold a volume without a source.
fn name_nameless_mounts(host: &mut Map<String, Value>, volumes: &[Volume]) {
    for mount in host
        .get_mut("Mounts")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let is = |field: &str| mount.get(field).and_then(Value::as_str).unwrap_or_default();
        if is("Type") != "volume" || !is("Source").is_empty() {
            continue;
        }
        let path = clean(is("Target"));
        let volume = volumes.iter().find(|volume| volume.path == path);
        if let (Some(volume), Some(fields)) = (volume, mount.as_object_mut()) {
            fields.insert("Source".into(), json!(volume.name));
        }
    }
}

/// The paths that `host` mounts something at.
fn covered(host: &Map<String, Value>) -> Vec<String> {
    let list = |field: &str| {
        host.get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let binds = list("Binds").filter_map(|bind| bind.as_str()?.split(':').nth(1));
    let mounts = list("Mounts").filter_map(|mount| mount.get("Target")?.as_str());
    binds.chain(mounts).map(clean).collect()
}

fn clean(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}
