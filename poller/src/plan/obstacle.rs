//! Containers that are never replaced: for each the reason, and what the operator can do.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use thiserror::Error;

use super::{
    Observed, Unfit, eligible,
    group::{group, lenders},
    runs,
};

/// Why an intent is not applied to a container. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The service is not one container.
    #[error("a {0} service is not one container")]
    NotAContainer(&'static str),
    /// There is no such container.
    #[error("there is no container {0}: create it once, Towline then replaces it")]
    Absent(String),
    /// No container has the label.
    #[error("there is no container with the label {0}: create it once, Towline then replaces it")]
    Unlabelled(String),
    /// The label came with the old image, and not with the new one.
    #[error(
        "the new container would not have the label {0}, which came with the old image: give it to the container itself"
    )]
    LosesLabel(String),
    /// A check asks for a healthcheck, and neither the container nor the new image has one.
    #[error(
        "docker = true of `health` asks for a healthcheck, and neither the container nor the new image has one: write a \
         HEALTHCHECK in the Dockerfile, or check it by http, tcp or exec"
    )]
    NoHealthcheck,
    /// A check asks for a healthcheck, and the container turns off what its image may have.
    #[error(
        "docker = true of `health` asks for a healthcheck, and the container turns that of its image off: make it without \
         that, or check it by http, tcp or exec"
    )]
    HealthcheckOff,
    /// Several containers have the label, and are no replicas of one thing.
    #[error(
        "the label {label} must lead to one container, or to several of one image repository, and {} have it: {}",
        .names.len(), .names.join(", ")
    )]
    Ambiguous {
        /// The label, as the host's file says it.
        label: String,
        /// Their names, each with the reference that it was made with.
        names: Vec<String>,
    },
    /// Several containers, made from different tags of one repository, none of which the host's file prefers.
    #[error(
        "the containers were made from different tags, so that it is not known which one they are to have: {}; set image for the service",
        .0.join(", ")
    )]
    MixedTags(Vec<String>),
    /// One of several containers may not be replaced, and so none of them is.
    #[error("{name}: {why}")]
    OneOf {
        /// Its name.
        name: String,
        /// Why.
        why: Box<Refusal>,
    },
    /// `docker run --rm`.
    #[error(
        "the container was made with --rm: it would vanish on the stop, and nothing could be put back"
    )]
    AutoRemove,
    /// Managed by Swarm.
    #[error("the container is a Swarm task: Swarm would put another in its place")]
    SwarmTask,
    /// Paused by somebody.
    #[error("the container is paused: unpause or stop it first")]
    Paused,
    /// The engine is taking it away.
    #[error("the container is being removed, or dead")]
    Dying,
    /// Others have its volumes or links, by its id.
    #[error(
        "other containers depend on it and would be left with the old one: {}; give them volumes and networks of their \
         own to share",
        .0.join(", ")
    )]
    Dependents(Vec<String>),
    /// One that shares a namespace of it, and would be made anew with it, may not be.
    #[error(
        "{name}, which shares the {how} of {lender} and would be made anew with it, cannot be: {why}"
    )]
    Companion {
        /// Its name.
        name: String,
        /// What it shares.
        how: &'static str,
        /// With whom: a name or an id.
        lender: String,
        /// Why it may not be.
        why: Box<Refusal>,
    },
    /// The tag of one that would be made anew with it leads elsewhere by now.
    #[error(
        "{name}, which shares a namespace with the container and would be made anew with it, was made from {reference}, which \
         does not lead to its image any more: bring {name} up to date first, or let the tag lead back (docker tag {image} \
         {reference})"
    )]
    Strayed {
        /// Its name.
        name: String,
        /// What it was made from.
        reference: String,
        /// The id of the image that it has.
        image: String,
    },
    /// One of several containers of the service, of which others share a namespace.
    #[error(
        "others share a namespace of {name}, which is one of several containers of the service: {}; only those of a single one \
         are made anew with it, so that each needs a service of its own",
        .with.join(", ")
    )]
    AccompaniedReplica {
        /// Its name.
        name: String,
        /// The others' names.
        with: Vec<String>,
    },
    /// Some share with each other.
    #[error(
        "these containers share namespaces with each other in a circle, so that none could be started again: {}",
        .0.join(", ")
    )]
    Circle(Vec<String>),
    /// What it shares a namespace with is not there any more.
    #[error(
        "the container shares the {how} of {lender}, which is gone, so that it could not be started again: make it \
         anew with one that is there"
    )]
    LenderGone {
        /// What it shares.
        how: &'static str,
        /// The other's id or name.
        lender: String,
    },
    /// What it shares a namespace with does not run.
    #[error(
        "the container shares the {how} of {lender}, which does not run, so that it could not be started again: start \
         that one first"
    )]
    LenderDown {
        /// What it shares.
        how: &'static str,
        /// The other's name.
        lender: String,
    },
    /// This very program runs in it.
    #[error("this is the container that Towline itself runs in")]
    Own,
    /// The engine is spoken to through it.
    #[error("Towline speaks to the engine through this container")]
    Proxy,
    /// It cannot run beside its replacement, which the host's file asks for.
    #[error("strategy = \"start-first\" is not possible here: {}; or allow the other way, fallback = \"stop-first\"", eligible::words(.0))]
    Unfit(Vec<Unfit>),
    /// A check asks `{container}`, which has no address of its own; with what to do.
    #[error("{{container}} in a health check has no address here: {0}")]
    NoAddress(&'static str),
    /// Made from an id, a digest, or something that is no reference.
    #[error("the container was made from {0:?}, which names no tag: set image for the service")]
    NoTag(String),
    /// The intent names something that is no reference.
    #[error("the intent's {0}")]
    Reference(#[from] crate::reference::ReferenceError),
    /// The intent names another repository.
    #[error("the intent names the repository {asked}, and this service deploys {own} only")]
    Repository {
        /// The intent's.
        asked: String,
        /// The container's or the template's.
        own: String,
    },
    /// The intent names two digests.
    #[error("the intent names two different digests")]
    TwoDigests,
    /// The template needs what the intent does not have.
    #[error(transparent)]
    Template(#[from] crate::reference::RenderError),
}

impl Refusal {
    /// The same, told of the container of this name where it is one of several.
    #[must_use]
    pub fn of(self, name: &str, is_one_of_several: bool) -> Self {
        match is_one_of_several {
            true => Self::OneOf {
                name: name.to_owned(),
                why: Box::new(self),
            },
            false => self,
        }
    }
}

/// How the engine is spoken to over TCP, which may be through a container.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The name or address.
    pub host: &'a str,
    /// Address and port, when this machine itself has them: a container may have published them.
    pub here: Option<SocketAddr>,
}

/// Why `observed`, and with it those that share a namespace of it, may not be replaced, if so. `own` is the container that this
/// process runs in, `route` how the engine is spoken to over TCP.
pub fn refusal(
    observed: &Observed,
    own: Option<&str>,
    route: Option<Route<'_>>,
) -> Option<Refusal> {
    if let Some(refused) = in_itself(&observed.container, own, route) {
        return Some(refused);
    }
    let group = match group(observed) {
        Ok(group) => group,
        Err(names) => return Some(Refusal::Circle(names)),
    };
    let names = borrowers(observed, &group);
    if !names.is_empty() {
        return Some(Refusal::Dependents(names));
    }
    if let Some(refused) = lender(observed, &observed.container, &group) {
        return Some(refused);
    }
    group.iter().skip(1).find_map(|one| {
        let refused = in_itself(one, own, route);
        let why = refused.or_else(|| lender(observed, one, &group))?;
        let (how, with) = lenders(one).next()?;
        let mut all = group.iter().copied().chain(&observed.all);
        let lends = all.find(|other| answers(other, with));
        Some(Refusal::Companion {
            name: name(one).to_owned(),
            how,
            lender: lends.map_or(with, name).to_owned(),
            why: Box::new(why),
        })
    })
}

/// Why this container may not be replaced, whatever is around it.
fn in_itself(container: &Value, own: Option<&str>, route: Option<Route<'_>>) -> Option<Refusal> {
    let is = |path: &str| is_true(container, path);
    let labels = container.pointer("/Config/Labels");
    let mut labels = labels.and_then(Value::as_object).into_iter().flatten();
    if labels.any(|(key, _)| key.starts_with("com.docker.swarm.")) {
        Some(Refusal::SwarmTask)
    } else if own.is_some() && own == container.get("Id").and_then(Value::as_str) {
        Some(Refusal::Own)
    } else if route.is_some_and(|route| is_on(route, container)) {
        Some(Refusal::Proxy)
    } else if is("/HostConfig/AutoRemove") {
        Some(Refusal::AutoRemove)
    } else if is("/State/Paused") {
        Some(Refusal::Paused)
    } else if is("/State/Dead") || is("/State/RemovalInProgress") {
        Some(Refusal::Dying)
    } else {
        None
    }
}

fn is_true(container: &Value, path: &str) -> bool {
    container.pointer(path) == Some(&Value::Bool(true))
}

/// The namespaces that a container may share with another one, with their words.
pub(super) const SHARED: [(&str, &str); 3] = [
    ("NetworkMode", "network"),
    ("IpcMode", "IPC"),
    ("PidMode", "PID"),
];

/// What is wrong with a container whose namespaces `container` shares: then neither the new nor the old version could be
/// started. One of the `group` is started before it, even where it ends again and again.
fn lender(observed: &Observed, container: &Value, group: &[&Value]) -> Option<Refusal> {
    lenders(container).find_map(|(how, lender)| {
        let mut all = group.iter().copied().chain(&observed.all);
        let Some(found) = all.find(|other| answers(other, lender)) else {
            let lender = lender.to_owned();
            return Some(Refusal::LenderGone { how, lender });
        };
        let is = |state: &str| is_true(found, &format!("/State/{state}"));
        let is_ours = group.iter().any(|one| answers(one, lender));
        let is_up = is("Running") && !is("Restarting") || is_ours && is("Restarting");
        (runs(container) && !is_up).then(|| Refusal::LenderDown {
            how,
            lender: name(found).to_owned(),
        })
    })
}

/// Whether `container` is meant by `text`, a name or an id, whole or cut.
pub(super) fn answers(container: &Value, text: &str) -> bool {
    let id = container.get("Id").and_then(Value::as_str);
    text == name(container) || (text.len() >= 12 && id.is_some_and(|id| id.starts_with(text)))
}

/// The containers that share a namespace of the `observed` one, with how, and those that have its volumes or links.
pub(super) fn dependents(observed: &Observed) -> Vec<String> {
    let own = &observed.container;
    let others = observed
        .all
        .iter()
        .filter(|other| other.get("Id") != own.get("Id"));
    let sharing = others.filter_map(|other| {
        let shares = lenders(other).filter(|(_, lender)| answers(own, lender));
        let how: Vec<_> = shares.map(|(how, _)| how).collect();
        (!how.is_empty()).then(|| format!("{} ({})", name(other), how.join(", ")))
    });
    sharing.chain(borrowers(observed, &[own])).collect()
}

/// The containers that name one of the `group` as a source of volumes or as a link, each with how.
fn borrowers(observed: &Observed, group: &[&Value]) -> Vec<String> {
    let mut found = Vec::new();
    for other in &observed.all {
        let list = |field: &str| {
            let list = other.pointer(&format!("/HostConfig/{field}"));
            let list = list.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|entry| entry.as_str()?.split(':').next())
        };
        let mut how = Vec::new();
        for one in group.iter().filter(|one| one.get("Id") != other.get("Id")) {
            let borrows = list("VolumesFrom").any(|from| answers(one, from));
            let links = list("Links").any(|to| answers(one, to.trim_start_matches('/')));
            let of = match one.get("Id") == observed.container.get("Id") {
                true => String::new(),
                false => format!(" of {}", name(one)),
            };
            let is = [(borrows, "volumes"), (links, "link")].into_iter();
            how.extend(
                is.filter(|(is, _)| *is)
                    .map(|(_, what)| format!("{what}{of}")),
            );
        }
        if !how.is_empty() {
            found.push(format!("{} ({})", name(other), how.join(", ")));
        }
    }
    found
}

pub(super) fn name(container: &Value) -> &str {
    container
        .get("Name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim_start_matches('/')
}

/// Whether the engine is spoken to through the container, by its own name or address or by a port that it publishes.
fn is_on(route: Route<'_>, container: &Value) -> bool {
    answers_to(container, route.host) || route.here.is_some_and(|here| publishes(container, here))
}

/// Whether the container publishes this TCP port at this address of the machine.
fn publishes(container: &Value, here: SocketAddr) -> bool {
    let is_it = |binding: &Value| {
        let text = |field: &str| {
            binding
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        // None, and one that cannot be read, is every address.
        let at = text("HostIp").parse::<IpAddr>().ok();
        text("HostPort").parse() == Ok(here.port())
            && at.is_none_or(|at| at.is_unspecified() || at == here.ip())
    };
    let places = ["/NetworkSettings/Ports", "/HostConfig/PortBindings"];
    let ports = places
        .iter()
        .filter_map(|path| container.pointer(path)?.as_object())
        .flatten();
    let mut bindings = ports
        .filter(|(port, _)| port.ends_with("/tcp"))
        .filter_map(|(_, bindings)| bindings.as_array())
        .flatten();
    bindings.any(is_it)
}

/// Whether `host` is the container's name, one of its aliases, or one of its addresses.
fn answers_to(container: &Value, host: &str) -> bool {
    let networks = container
        .pointer("/NetworkSettings/Networks")
        .and_then(Value::as_object);
    let on_network = |endpoint: &Value| {
        let is = |value: &Value| value.as_str() == Some(host);
        let any = |field: &str| {
            endpoint
                .get(field)
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(is))
        };
        any("Aliases") || any("DNSNames") || endpoint.get("IPAddress").is_some_and(is)
    };
    name(container) == host || networks.is_some_and(|networks| networks.values().any(on_network))
}

/// The id of the container that a process runs in, from its `/proc/self/mountinfo` (proc(5)): the engine mounts three
/// files of its own folder for each container. The host's own table names such folders too, but not at these places.
pub fn own_container(mountinfo: &str) -> Option<&str> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        matches!(place, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf").then_some(())?;
        let id = root.split_once("/containers/")?.1.split('/').next()?;
        (id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
    })
}
