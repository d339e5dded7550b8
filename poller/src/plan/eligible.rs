//! Whether a container can run beside its replacement for a while (start-first), and if not, each reason with what the
//! operator can do. Pure, from the engine's own JSON. Where it cannot be known that both at once do no harm, they are not let.
//!
//! Not here: containers that are never replaced (`obstacle`).

use serde_json::Value;
use thiserror::Error;

use super::{Observed, Refusal, obstacle::dependents};
use crate::{
    machine::{Deploy, Strategy},
    settings::StartFirst,
    spec::is_short_id,
};

/// Why a container cannot run beside its replacement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Ports of the host that one container at a time can have.
    #[error(
        "both versions cannot have port {} of this host: publish none, and put a proxy in front that is on a network with it",
        .0.join(", ")
    )]
    Ports(Vec<String>),
    /// An address that one container at a time can have.
    #[error(
        "both versions cannot have the address {address} on the network {network}: let the engine choose it"
    )]
    Address {
        /// The network.
        network: String,
        /// The address.
        address: String,
    },
    /// A MAC address of its own.
    #[error("both versions cannot have the MAC address {0}: let the engine choose it")]
    Mac(String),
    /// Other containers know it by more than its name and its aliases.
    #[error(
        "the new version would be found by its hostname {0} before it is healthy: take the hostname away"
    )]
    Hostname(String),
    /// It has no network of its own.
    #[error(
        "its network is {0}, where both versions would be in each other's way: give it a network of its own"
    )]
    Network(String),
    /// It is on no network on which it is found by its name.
    #[error(
        "it is on no network on which others find it by its name, so that none of them would go over to the new version: put it \
         on one (docker network create)"
    )]
    Nameless,
    /// It shares another one's namespace.
    #[error("it shares the {0} of another container: give it one of its own")]
    Shares(&'static str),
    /// Others share its namespaces.
    #[error("other containers depend on it and have to be stopped with it: {}", .0.join(", "))]
    Dependents(Vec<String>),
    /// What both versions would write to at once.
    #[error(
        "both versions would write to what is mounted at {}: mount it read-only, or name it in shared_volumes if two at once may \
         write there",
        .0.join(", ")
    )]
    Volumes(Vec<String>),
    /// Nothing would tell whether the new version is well before it takes over.
    #[error(
        "nothing checks the new version before it takes over: write a HEALTHCHECK in its Dockerfile, or a check of `health` that \
         asks {{container}} or runs by exec"
    )]
    Unchecked,
}

/// How a container is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The old version is stopped first; with why, where the host's file asks for the other way.
    StopFirst(Option<String>),
    /// The new version takes over before the old one is stopped.
    StartFirst,
}

/// How `observed` is replaced, where the host's file asks for start-first as `asked`. `model` is the container whose
/// settings the replacement gets, where that is not the one that runs; `is_checked` says whether anything checks it.
///
/// # Errors
/// [`Refusal::Unfit`] when start-first is not possible and nothing else is allowed.
pub fn choose_way(
    asked: Option<&StartFirst>,
    observed: &Observed,
    model: Option<&Value>,
    is_checked: bool,
) -> Result<Way, Refusal> {
    // One that does not run is not missed.
    let Some(asked) = asked.filter(|_| observed.runs()) else {
        return Ok(Way::StopFirst(None));
    };
    let reasons = unfit(asked, observed, model, is_checked);
    if reasons.is_empty() {
        return Ok(Way::StartFirst);
    }
    if !asked.may_stop_first {
        return Err(Refusal::Unfit(reasons));
    }
    let why = format!(
        "the old version is stopped first, as `fallback` allows: {}",
        words(&reasons)
    );
    Ok(Way::StopFirst(Some(why)))
}

/// The deploy, which has not begun, by the ways of its containers: start-first where that is possible for each that runs. Why it is
/// not is in its notes.
pub fn gone(mut deploy: Deploy, ways: Vec<Way>) -> Deploy {
    let starts_first = ways.contains(&Way::StartFirst);
    let notes: Vec<_> = ways
        .into_iter()
        .filter_map(|way| match way {
            Way::StopFirst(why) => why,
            Way::StartFirst => None,
        })
        .collect();
    if starts_first && notes.is_empty() {
        return deploy.with_strategy(Strategy::StartFirst);
    }
    deploy.notes.extend(notes);
    deploy
}

/// The reasons, in one line.
pub(super) fn words(reasons: &[Unfit]) -> String {
    let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

/// Every reason why `observed` cannot run beside its replacement.
fn unfit(
    asked: &StartFirst,
    observed: &Observed,
    model: Option<&Value>,
    is_checked: bool,
) -> Vec<Unfit> {
    let mut reasons = of_container(asked, &observed.container);
    let others = model
        .into_iter()
        .flat_map(|model| of_container(asked, model));
    for reason in others {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let dependents = dependents(observed);
    if !dependents.is_empty() {
        reasons.push(Unfit::Dependents(dependents));
    }
    if !is_checked {
        reasons.push(Unfit::Unchecked);
    }
    reasons
}

/// The reasons that lie in a container's own settings.
fn of_container(asked: &StartFirst, container: &Value) -> Vec<Unfit> {
    let some = |found: Vec<String>| Some(found).filter(|found| !found.is_empty());
    let text = |path: &str| text(container, path);
    let mac = text("/Config/MacAddress");
    let hostname = text("/Config/Hostname");
    let is_own_id = is_short_id(hostname, text("/Id"));
    let network = network(container);
    // Whoever has no network of its own has none of the rest either.
    let networked = network.is_none().then(|| {
        let mac = Some(mac).filter(|mac| !mac.is_empty());
        let hostname = Some(hostname).filter(|name| !name.is_empty() && !is_own_id);
        [
            some(ports(container)).map(Unfit::Ports),
            mac.map(|mac| Unfit::Mac(mac.to_owned())),
            hostname.map(|name| Unfit::Hostname(name.to_owned())),
        ]
        .into_iter()
        .flatten()
        .chain(addresses(container))
    });
    let namespaces = [("IpcMode", "IPC"), ("PidMode", "PID")];
    let shared = namespaces.into_iter().filter_map(|(field, what)| {
        let mode = text(&format!("/HostConfig/{field}"));
        mode.starts_with("container:")
            .then_some(Unfit::Shares(what))
    });
    network
        .into_iter()
        .chain(networked.into_iter().flatten())
        .chain(shared)
        .chain(some(written(container, asked)).map(Unfit::Volumes))
        .collect()
}

/// What is against its network.
fn network(container: &Value) -> Option<Unfit> {
    let mode = text(container, "/HostConfig/NetworkMode");
    if mode.starts_with("container:") {
        return Some(Unfit::Shares("network"));
    }
    if mode == "host" {
        return Some(Unfit::Network(mode.to_owned()));
    }
    let mut networks = endpoints(container);
    let has_names = networks.any(|(name, _)| !matches!(name.as_str(), "bridge" | "none" | "host"));
    (!has_names).then_some(Unfit::Nameless)
}

/// The ports of the host that it asks for by number.
fn ports(container: &Value) -> Vec<String> {
    let bindings = container.pointer("/HostConfig/PortBindings");
    let bindings = bindings.and_then(Value::as_object).into_iter().flatten();
    let bindings = bindings.flat_map(|(_, bindings)| bindings.as_array().into_iter().flatten());
    let ports = bindings.map(|binding| text(binding, "/HostPort"));
    let mut ports: Vec<_> = ports
        .filter(|port| !matches!(*port, "" | "0"))
        .map(str::to_owned)
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

/// The addresses that it was given by number.
fn addresses(container: &Value) -> impl Iterator<Item = Unfit> {
    endpoints(container).flat_map(|(network, endpoint)| {
        let configured = |field: &str| text(endpoint, &format!("/IPAMConfig/{field}"));
        let addresses = ["IPv4Address", "IPv6Address"].map(configured);
        let addresses = addresses.into_iter().filter(|address| !address.is_empty());
        addresses.map(|address| Unfit::Address {
            network: network.clone(),
            address: address.to_owned(),
        })
    })
}

/// Where something is mounted that it may write to, and that its replacement gets too.
fn written(container: &Value, asked: &StartFirst) -> Vec<String> {
    let mounts = container.get("Mounts").and_then(Value::as_array);
    let mounts = mounts.into_iter().flatten();
    let written = mounts.filter(|mount| {
        let is_memory = text(mount, "/Type") == "tmpfs";
        !is_memory && mount.get("RW") != Some(&Value::Bool(false))
    });
    let mut places: Vec<_> = written
        .map(|mount| text(mount, "/Destination").trim_end_matches('/').to_owned())
        .filter(|place| !asked.shared_volumes.contains(place))
        .collect();
    places.sort();
    places
}

fn endpoints(container: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let networks = container.pointer("/NetworkSettings/Networks");
    networks.and_then(Value::as_object).into_iter().flatten()
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
