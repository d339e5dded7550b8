//! The replacement's create request: what the operator had set on the old container, over the new image's defaults.
//!
//! An inspected container shows the operator's settings and its image's defaults merged. Here the old image's
//! defaults are taken away again (`defaults`), so that the engine merges the new image's in; volumes without a
//! name are bound by the name that they got (`mounts`); networks keep what was configured and lose what the engine
//! had learned (`networks`); `beside` is for a replacement that is not to be found at first. Raw JSON in, raw JSON out: fields that nobody here knows pass through.
//!
//! Not here: whether a container may be replaced at all (`plan`), and any call to the engine (`docker`).

use std::fmt;

use serde_json::{Map, Value, json};
use thiserror::Error;

mod beside;
mod defaults;
#[cfg(any(test, fuzzing))]
pub(crate) mod merge;
mod mounts;
mod networks;

pub(crate) use networks::is_short_id;

/// The deploy that made the container, 8 hex digits.
pub const DEPLOY_LABEL: &str = "towline.deploy";
/// The service that the container belongs to.
pub const SERVICE_LABEL: &str = "towline.service";
/// The id of the container that it replaced.
pub const PREDECESSOR_LABEL: &str = "towline.predecessor";
/// Labels that say where a container came from. Facts that never change, since labels cannot; never a role.
const LINEAGE: [&str; 3] = [DEPLOY_LABEL, SERVICE_LABEL, PREDECESSOR_LABEL];
/// Where Compose notes the id of the image that it made the container from; another id makes `up` recreate it.
const COMPOSE_IMAGE_LABEL: &str = "com.docker.compose.image";

/// What a replacement is worked out from.
#[derive(Clone, Copy)]
pub struct Recreate<'a> {
    /// The old container, as `GET /containers/{id}/json` gave it.
    pub container: &'a Value,
    /// The image that it was made from, as `GET /images/{id}/json` gave it. `None` when it is gone: then every
    /// setting counts as the operator's.
    pub old_image: Option<&'a Value>,
    /// The image that the replacement is made from.
    pub new_image: &'a Value,
    /// The replacement's `Config.Image`: the operator's reference, which must lead to the new image by then.
    pub reference: &'a str,
    /// The deploy, 8 hex digits.
    pub deploy: &'a str,
    /// The service's name.
    pub service: &'a str,
}

/// How the replacement is made. Its environment may hold secrets: `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub struct CreateRequest {
    /// The body of `POST /containers/create`. Its restart policy is `no`.
    pub body: Value,
    /// The networks besides the first, to connect before the start. Engines below API 1.44 refuse more than one at
    /// creation (moby/moby#29265), and connecting works on all.
    pub connect: Vec<Connect>,
    /// The network to take the created container off again: engines make none without one, except in the mode `none`,
    /// in which it could not be connected to any later.
    pub disconnect: Option<String>,
}

/// One network to connect a created container to.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// The network's name.
    pub network: String,
    /// The body's `EndpointConfig`.
    pub endpoint: Value,
}

/// The namespaces that a container may share with another one, as its `HostConfig` names them.
const SHARED: [&str; 3] = ["NetworkMode", "IpcMode", "PidMode"];

impl CreateRequest {
    /// The request with each namespace that is shared with one of these containers shared with the one that has taken its place; pairs of ids.
    #[must_use]
    pub fn sharing(mut self, replaced: &[(&str, &str)]) -> Self {
        let host = self
            .body
            .get_mut("HostConfig")
            .and_then(Value::as_object_mut);
        let modes = host.into_iter().flat_map(|host| host.iter_mut());
        for (_, mode) in modes.filter(|(field, _)| SHARED.contains(&field.as_str())) {
            let lender = mode
                .as_str()
                .and_then(|mode| mode.strip_prefix("container:"));
            let now = replaced.iter().find(|(old, _)| Some(*old) == lender);
            if let Some((_, now)) = now {
                *mode = json!(format!("container:{now}"));
            }
        }
        self
    }

    /// The request with this label.
    #[must_use]
    pub fn labelled(mut self, label: &str, value: &str) -> Self {
        let labels = self.body.get_mut("Labels").and_then(Value::as_object_mut);
        if let Some(labels) = labels {
            labels.insert(label.to_owned(), json!(value));
        }
        self
    }

    /// Notes the container whose place it takes, where that is not the one that it is made after.
    #[must_use]
    pub fn replacing(mut self, id: &str) -> Self {
        let labels = self.body.get_mut("Labels").and_then(Value::as_object_mut);
        if let Some(labels) = labels {
            labels.insert(PREDECESSOR_LABEL.into(), json!(id));
        }
        self
    }
}

impl fmt::Debug for CreateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateRequest")
            .field("connect", &self.connect)
            .field("disconnect", &self.disconnect)
            .finish_non_exhaustive()
    }
}

/// An inspected container or image that lacks what every engine sends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the engine's description of {of} has no {field}")]
pub struct SpecError {
    /// Of what.
    pub of: &'static str,
    /// The field, with a dot between levels.
    pub field: &'static str,
}

/// The request that makes the old container's replacement.
///
/// # Errors
/// When the engine's JSON lacks `Config`, `HostConfig` or an id.
pub fn create_request(from: &Recreate<'_>) -> Result<CreateRequest, SpecError> {
    let old_id = text(from.container, "Id").ok_or(SpecError {
        of: "the container",
        field: "Id",
    })?;
    let new_image = text(from.new_image, "Id").ok_or(SpecError {
        of: "the image",
        field: "Id",
    })?;
    let mut config = object(from.container, "Config")?;
    let mut host = object(from.container, "HostConfig")?;
    let no_defaults = Map::new();
    let image_config = from
        .old_image
        .and_then(|image| image.get("Config"))
        .and_then(Value::as_object);

    let previous = lineage(&mut config);
    defaults::subtract(&mut config, image_config.unwrap_or(&no_defaults), &host);
    mounts::rebind(&mut host, from.container);
    networks::clear_conflicts(&mut config, &mut host, old_id);
    let ids = [Some(old_id), previous.as_deref()];
    let ids: Vec<&str> = ids.into_iter().flatten().collect();
    let networks = networks::endpoints(from.container, &mut host, &ids);

    label(&mut config, from, old_id, new_image);
    config.insert("Image".into(), json!(from.reference));
    host.insert("RestartPolicy".into(), json!({ "Name": "no" }));
    config.insert("HostConfig".into(), Value::Object(host));
    if let Some((name, endpoint)) = networks.first {
        config.insert(
            "NetworkingConfig".into(),
            json!({ "EndpointsConfig": { name: endpoint } }),
        );
    }
    Ok(CreateRequest {
        body: Value::Object(config),
        connect: networks.others,
        disconnect: networks.none_but,
    })
}

/// Takes our own labels out, and returns the predecessor's id: its aliases may have come along.
fn lineage(config: &mut Map<String, Value>) -> Option<String> {
    let labels = config.get_mut("Labels")?.as_object_mut()?;
    let previous = labels
        .get(PREDECESSOR_LABEL)
        .and_then(Value::as_str)
        .map(str::to_owned);
    labels.retain(|key, _| !LINEAGE.contains(&key.as_str()));
    previous
}

fn label(config: &mut Map<String, Value>, from: &Recreate<'_>, old_id: &str, new_image: &str) {
    let labels = config.entry("Labels").or_insert(Value::Null);
    if !labels.is_object() {
        *labels = json!({});
    }
    let Some(labels) = labels.as_object_mut() else {
        return;
    };
    if labels.contains_key(COMPOSE_IMAGE_LABEL) {
        labels.insert(COMPOSE_IMAGE_LABEL.into(), json!(new_image));
    }
    labels.insert(DEPLOY_LABEL.into(), json!(from.deploy));
    labels.insert(SERVICE_LABEL.into(), json!(from.service));
    labels.insert(PREDECESSOR_LABEL.into(), json!(old_id));
}

fn object(container: &Value, field: &'static str) -> Result<Map<String, Value>, SpecError> {
    let found = container.get(field).and_then(Value::as_object);
    found.cloned().ok_or(SpecError {
        of: "the container",
        field,
    })
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// Whether the engine would treat the value as not set.
fn unset(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Bool(set)) => !set,
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
    }
}

/// Whether both are set to the same, or neither is set.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    one == other || (unset(one) && unset(other))
}

#[cfg(test)]
mod tests;
