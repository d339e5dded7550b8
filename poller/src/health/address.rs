//! A container's own address, which `{container}` stands for in a check. Pure.

use std::net::IpAddr;

use serde_json::Value;

/// Why `{container}` can never be filled in for a container of this network mode, and what to do; by
/// `GET /containers/{id}/json`.
pub(crate) fn obstacle(container: &Value) -> Option<&'static str> {
    match mode(container) {
        "host" => {
            Some("it uses the host's network: a check of it asks 127.0.0.1 instead of {container}")
        }
        "none" => Some(
            "it has no network: check it by exec or by Docker's own healthcheck instead of {container}",
        ),
        mode if mode.starts_with("container:") => Some(
            "it uses another container's network: check it by exec or at a published port instead of {container}",
        ),
        _ => None,
    }
}

/// The address on the network that the container was made with, else on the first by name that gives it one. The host
/// reaches any of them; only the choice must always be the same.
pub(super) fn own_address(container: &Value) -> Option<IpAddr> {
    let networks = container
        .pointer("/NetworkSettings/Networks")
        .and_then(Value::as_object)?;
    let first = match mode(container) {
        "" | "default" => "bridge",
        named => named,
    };
    let mut names: Vec<&String> = networks.keys().collect();
    names.sort_by_key(|name| (*name != first, *name));
    names.into_iter().find_map(|name| {
        let endpoint = networks.get(name)?;
        let at = |field: &str| endpoint.get(field)?.as_str()?.parse().ok();
        at("IPAddress").or_else(|| at("GlobalIPv6Address"))
    })
}

fn mode(container: &Value) -> &str {
    container
        .pointer("/HostConfig/NetworkMode")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(mode: &str, networks: &Value) -> Value {
        json!({ "HostConfig": { "NetworkMode": mode }, "NetworkSettings": { "Networks": networks } })
    }

    fn found(mode: &str, networks: &Value) -> Option<String> {
        own_address(&container(mode, networks)).map(|own| own.to_string())
    }

    #[test]
    fn of_several_networks_the_one_that_it_was_made_with_counts() {
        let networks = json!({ "a": { "IPAddress": "10.0.0.2" }, "bridge": { "IPAddress": "172.17.0.2" }, "z": { "IPAddress": "10.1.0.2" } });
        assert_eq!(found("z", &networks).as_deref(), Some("10.1.0.2"));
        for mode in ["bridge", "default", ""] {
            assert_eq!(found(mode, &networks).as_deref(), Some("172.17.0.2"));
        }
    }

    #[test]
    fn else_the_first_by_name_that_gives_it_an_address() {
        let networks = json!({ "c": { "IPAddress": "10.2.0.2" }, "b": { "IPAddress": "", "GlobalIPv6Address": "fd00::2" }, "a": { "IPAddress": "" } });
        assert_eq!(found("gone", &networks).as_deref(), Some("fd00::2"));
        assert_eq!(found("a", &json!({ "a": { "IPAddress": "" } })), None);
        assert_eq!(own_address(&json!({})), None);
    }

    #[test]
    fn without_a_network_of_its_own_there_is_advice() {
        let told = |mode| obstacle(&container(mode, &json!({})));
        assert!(told("host").unwrap().contains("127.0.0.1"));
        assert!(told("none").unwrap().contains("exec"));
        assert!(told("container:abc").unwrap().contains("another container"));
        assert_eq!(told("bridge"), None);
    }
}
