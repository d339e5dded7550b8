//! Networks: what was configured stays, what the engine had learned or handed out does not.

use serde_json::{Map, Value, json};

use super::{Connect, unset};

/// The endpoints of a replacement.
pub(super) struct Endpoints {
    /// The network of `HostConfig.NetworkMode`, when its endpoint has settings.
    pub(super) first: Option<(String, Value)>,
    /// The others, ordered by name.
    pub(super) others: Vec<Connect>,
    /// The network of `HostConfig.NetworkMode`, when the container was taken off that and is on no other.
    pub(super) none_but: Option<String>,
}

/// Removes what the engine would refuse or what was never the operator's: a hostname that is the old id, and all
/// that a container in another's network namespace may not have (moby `runconfig/hostconfig_unix.go`).
pub(super) fn clear_conflicts(
    config: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    old_id: &str,
) {
    let is = |field: &str| host.get(field).and_then(Value::as_str).unwrap_or_default();
    let shares_network = is("NetworkMode").starts_with("container:");
    let shares_names = is("UTSMode") == "host";
    let hostname = config
        .get("Hostname")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if is_short_id(hostname, old_id) || shares_network || shares_names {
        config.remove("Hostname");
    }
    if shares_network || shares_names {
        config.remove("Domainname");
    }
    if unset(config.get("MacAddress")) || shares_network {
        config.remove("MacAddress");
    }
    if shares_network {
        config.remove("ExposedPorts");
        for field in [
            "Links",
            "Dns",
            "DnsOptions",
            "DnsSearch",
            "ExtraHosts",
            "PortBindings",
            "PublishAllPorts",
        ] {
            host.remove(field);
        }
    }
}

/// The endpoints of `container`'s replacement. Aliases that are one of `ids` came from the engine.
///
/// A container that was taken off the network that it was made with is not put back there: then `host` gets another
/// one of its networks to be made with. Without any other it is made with that network, and taken off it again.
pub(super) fn endpoints(
    container: &Value,
    host: &mut Map<String, Value>,
    ids: &[&str],
) -> Endpoints {
    let mode = host.get("NetworkMode").and_then(Value::as_str);
    let mode = mode.unwrap_or_default().to_owned();
    let mode = mode.as_str();
    let networks = container
        .pointer("/NetworkSettings/Networks")
        .and_then(Value::as_object);
    let none = Endpoints {
        first: None,
        others: Vec::new(),
        none_but: None,
    };
    let Some(networks) = networks else {
        return none;
    };
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        return none;
    }
    if networks.is_empty() && !is_disabled(container) {
        let network = if is_default(mode) { "bridge" } else { mode };
        let none_but = Some(network.to_owned());
        return Endpoints { none_but, ..none };
    }
    let mut endpoints: Vec<(String, Value)> = networks
        .iter()
        .map(|(name, endpoint)| (name.clone(), configured(name, endpoint, ids)))
        .collect();
    endpoints.sort_by(|(a, _), (b, _)| a.cmp(b));
    let first = made_with(mode, networks)
        .or_else(|| Some(endpoints.first().filter(|_| !is_id(mode))?.0.as_str()))
        .map(str::to_owned);
    if let Some(name) = first
        .as_ref()
        .filter(|_| made_with(mode, networks).is_none())
    {
        host.insert("NetworkMode".into(), json!(name));
    }
    let (first, others): (Vec<_>, Vec<_>) = endpoints
        .into_iter()
        .partition(|(name, _)| Some(name) == first.as_ref());
    Endpoints {
        first: first
            .into_iter()
            .next()
            .filter(|(_, endpoint)| !unset(Some(endpoint))),
        others: others
            .into_iter()
            .map(|(network, endpoint)| Connect { network, endpoint })
            .collect(),
        none_but: None,
    }
}

/// Whether the container was made without networking, a setting of the API that is older than the mode `none`.
fn is_disabled(container: &Value) -> bool {
    !unset(container.pointer("/Config/NetworkDisabled"))
}

/// Whether the mode means the default bridge.
fn is_default(mode: &str) -> bool {
    matches!(mode, "default" | "")
}

/// The network that the container was made with, if it is on it still.
fn made_with<'a>(mode: &str, networks: &'a Map<String, Value>) -> Option<&'a str> {
    let found = networks
        .iter()
        .find(|(name, endpoint)| is_mode(mode, name, endpoint));
    // A container that never ran does not show its networks' ids.
    let single = networks
        .iter()
        .next()
        .filter(|(_, endpoint)| networks.len() == 1 && unset(endpoint.get("NetworkID")));
    found
        .or(single.filter(|_| is_id(mode)))
        .map(|(name, _)| name.as_str())
}

/// Whether `mode` is a network's whole id.
fn is_id(mode: &str) -> bool {
    mode.len() == 64 && mode.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `NetworkMode` has a network's name or its id; `default` is the default bridge.
fn is_mode(mode: &str, name: &str, endpoint: &Value) -> bool {
    let id = endpoint
        .get("NetworkID")
        .and_then(Value::as_str)
        .unwrap_or_default();
    name == mode || (is_default(mode) && name == "bridge") || is_short_id(mode, id)
}

/// The configured part of an endpoint. An address is configuration only in `IPAMConfig`; a MAC address cannot be
/// told from a generated one (moby/moby#48168) and would be used twice.
fn configured(network: &str, endpoint: &Value, ids: &[&str]) -> Value {
    let mut kept = Map::new();
    for field in ["IPAMConfig", "Links", "DriverOpts", "GwPriority"] {
        if let Some(value) = endpoint.get(field).filter(|value| !unset(Some(value))) {
            kept.insert(field.into(), value.clone());
        }
    }
    // The default bridge has no name server for aliases, and the engine refuses them there.
    let aliases = endpoint
        .get("Aliases")
        .and_then(Value::as_array)
        .filter(|_| network != "bridge");
    let own = |alias: &&Value| {
        !alias
            .as_str()
            .is_some_and(|alias| ids.iter().any(|id| is_short_id(alias, id)))
    };
    let aliases: Vec<&Value> = aliases.into_iter().flatten().filter(own).collect();
    if !aliases.is_empty() {
        kept.insert("Aliases".into(), json!(aliases));
    }
    Value::Object(kept)
}

/// Whether `text` is `id`, or the 12 or more digits that the engine cuts it to.
pub(crate) fn is_short_id(text: &str, id: &str) -> bool {
    text.len() >= 12 && id.starts_with(text)
}
