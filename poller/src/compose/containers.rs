//! The containers of a project: which there are, which of them an interrupted Compose has left half made, and whether they
//! are what a file asks for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Resolved,
    labels::{HASH, ONEOFF, PROJECT, SERVICE},
};
use crate::docker::{Docker, EngineError};

/// Characters of the id of a container that is being replaced, before the name of the one that replaces it.
const PREFIX: usize = 12;
/// When a container was started that never was.
const NEVER: &str = "0001-";

/// A container of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The service that it is of.
    pub service: String,
    /// The id of the image that it was made from.
    pub image: String,
    /// The reference that it was made with.
    pub reference: String,
    /// Compose's hash of the settings that it was made with.
    pub hash: String,
    /// Whether it runs.
    pub runs: bool,
    /// Whether it has ever been started.
    pub was_started: bool,
    /// Whether it has done what it should, and ended: its status was 0, and nobody is to start it again.
    pub is_done: bool,
    /// Whether it is plainly no job: it publishes a port, or is started again whenever it ends.
    pub is_to_stay: bool,
}

/// What undoes a half made container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// The one that it was to replace is still there: it goes. Its volumes are that one's.
    Remove {
        /// Its id.
        id: String,
    },
    /// The one that it was to replace is gone: it gets that one's name, and has its volumes.
    Rename {
        /// Its id.
        id: String,
        /// The name.
        to: String,
    },
}

/// All containers of the project's services, without those of `docker compose run`.
///
/// # Errors
/// See [`EngineError`].
pub async fn containers(engine: &Docker, project: &str) -> Result<Vec<Container>, EngineError> {
    let is_its = |listed: &Value| {
        let label = |name: &str| listed.get("Labels")?.get(name)?.as_str();
        label(PROJECT) == Some(project) && label(ONEOFF) != Some("True")
    };
    let shown = engine.containers_where(is_its).await?;
    let mut containers: Vec<_> = shown.iter().filter_map(Container::read).collect();
    containers.sort_by(|one, other| (&one.service, &one.name).cmp(&(&other.service, &other.name)));
    Ok(containers)
}

impl Container {
    fn read(shown: &Value) -> Option<Self> {
        let text = |path: &str| shown.pointer(path).and_then(Value::as_str);
        let label = |name: &str| shown.get("Config")?.get("Labels")?.get(name)?.as_str();
        let runs = shown.pointer("/State/Running") == Some(&Value::Bool(true));
        Some(Self {
            id: text("/Id")?.to_owned(),
            name: text("/Name")?.trim_start_matches('/').to_owned(),
            service: label(SERVICE)?.to_owned(),
            image: text("/Image").unwrap_or_default().to_owned(),
            reference: text("/Config/Image").unwrap_or_default().to_owned(),
            hash: label(HASH).unwrap_or_default().to_owned(),
            runs,
            was_started: !text("/State/StartedAt").is_none_or(|at| at.starts_with(NEVER)),
            is_done: is_done(shown),
            is_to_stay: is_to_stay(shown),
        })
    }

    /// The name that it was to get; `None` when it is not half made. While Compose makes the container that replaces another
    /// one, it is called by that one's id and name, and it is started only when it has the name.
    fn meant_name(&self) -> Option<&str> {
        let (prefix, name) = self.name.split_once('_')?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_prefix = prefix.len() == PREFIX && prefix.bytes().all(is_hex);
        (is_prefix && !self.was_started && !name.is_empty()).then_some(name)
    }
}

/// Whether a container, as the engine shows it, has done what it should, and ended: its status was 0, and nobody is to start it
/// again.
pub fn is_done(shown: &Value) -> bool {
    let text = |path: &str| shown.pointer(path).and_then(Value::as_str);
    let ended = text("/State/Status") == Some("exited")
        && shown.pointer("/State/ExitCode").and_then(Value::as_i64) == Some(0);
    let policy = text("/HostConfig/RestartPolicy/Name").unwrap_or_default();
    ended && matches!(policy, "" | "no" | "on-failure")
}

fn is_to_stay(shown: &Value) -> bool {
    let policy = shown.pointer("/HostConfig/RestartPolicy/Name");
    let policy = policy.and_then(Value::as_str).unwrap_or_default();
    let ports = shown.pointer("/HostConfig/PortBindings");
    let ports = ports.and_then(Value::as_object);
    matches!(policy, "always" | "unless-stopped") || ports.is_some_and(|ports| !ports.is_empty())
}

/// What undoes the half made containers among `all`. Compose itself stumbles over one in some cases: it makes another of the
/// same name before it has removed it.
pub fn mends(all: &[Container]) -> Vec<Mend> {
    let halves = all
        .iter()
        .filter_map(|half| Some((half, half.meant_name()?)));
    let mut given: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let mut mends = Vec::new();
    for (half, name) in halves {
        let id = half.id.clone();
        if given.contains(&name) {
            mends.push(Mend::Remove { id });
        } else {
            given.push(name);
            let to = name.to_owned();
            mends.push(Mend::Rename { id, to });
        }
    }
    mends
}

/// Makes whole what an interrupted Compose has left.
///
/// # Errors
/// See [`EngineError`].
pub async fn mend(engine: &Docker, project: &str) -> Result<(), EngineError> {
    for mend in mends(&containers(engine, project).await?) {
        match mend {
            Mend::Remove { id } => match engine.remove(&id).await {
                Ok(()) | Err(EngineError::NotFound(_)) => {}
                Err(error) => return Err(error),
            },
            Mend::Rename { id, to } => engine.rename(&id, &to).await?,
        }
    }
    Ok(())
}

/// Whether there is nothing to do: each service that is wanted has its containers, with the image that it should have and the
/// settings that the file has, and they run or are done. `images` are the ids by service.
pub fn unchanged(
    resolved: &Resolved,
    now: &[Container],
    images: &BTreeMap<String, String>,
) -> bool {
    resolved.wanted().all(|(name, service)| {
        let its: Vec<_> = now.iter().filter(|one| one.service == name).collect();
        let is_as_wanted = |one: &&Container| {
            Some(&one.image) == images.get(name)
                && one.hash == service.hash
                && (one.runs || one.is_done)
        };
        u64::try_from(its.len()) == Ok(service.replicas) && its.iter().all(is_as_wanted)
    })
}

/// What is not any more as the services were brought up, in words; `None` when each has its containers, with the image that
/// it should have. `images` are the ids by service. Half made containers are whoever's that makes them.
pub fn strayed(
    wanted: &[String],
    now: &[Container],
    images: &BTreeMap<String, String>,
) -> Option<String> {
    wanted.iter().find_map(|name| {
        let mut its = now.iter().filter(|one| one.service == *name);
        let expected = images.get(name);
        if let Some(other) = its
            .clone()
            .find(|one| expected.is_some_and(|expected| one.image != *expected))
        {
            return Some(format!("{} has another image", other.name));
        }
        its.next()
            .is_none()
            .then(|| format!("{name} has no container"))
    })
}

/// A container of somebody else's that has the name which the file gives to one of the project's, in words. Compose finds
/// out only in the middle of bringing the project up.
///
/// # Errors
/// See [`EngineError`].
pub async fn taken(engine: &Docker, resolved: &Resolved) -> Result<Option<String>, EngineError> {
    for (service, shown) in &resolved.services {
        let Some(name) = &shown.container_name else {
            continue;
        };
        let Some(container) = engine.named(name).await? else {
            continue;
        };
        let label = |label: &str| container.get("Config")?.get("Labels")?.get(label)?.as_str();
        if label(PROJECT) != Some(&resolved.name) || label(SERVICE) != Some(service) {
            return Ok(Some(format!(
                "the container_name {name} of the service {service} is taken by a container that is not its own; rename \
                 or remove that one"
            )));
        }
    }
    Ok(None)
}

/// What of the containers before is missing now, in words; `None` when each service runs as many with its old images again.
/// `before` is each container's service, image's id, and whether it ran.
pub fn missing<'a>(
    before: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
    now: &[Container],
) -> Option<String> {
    let mut expected: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (service, image, _) in before.into_iter().filter(|(_, _, ran)| *ran) {
        *expected.entry((service, image)).or_default() += 1;
    }
    let missing = expected.iter().filter_map(|((service, image), count)| {
        let is_it = |one: &&Container| one.service == *service && one.image == *image;
        let there = now.iter().filter(|one| one.runs || one.is_done);
        let there = there.filter(is_it).count();
        let short = image.trim_start_matches("sha256:").get(..12);
        (there < *count).then(|| {
            let short = short.unwrap_or(image);
            format!("{service} ({there} of {count} containers run the image {short} from before)")
        })
    });
    let missing: Vec<_> = missing.collect();
    (!missing.is_empty()).then(|| format!("not as before: {}", missing.join(", ")))
}

/// The containers now of the `brought` services of which none ran before and which did not have that image, be it that they had no
/// container at all. `before` is each container's service, image's id, and whether it ran.
pub fn beside<'a>(
    before: &[(&str, &str, bool)],
    brought: &[&str],
    now: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    now.iter().filter(move |one| {
        let is_old = |(service, image, ran): &(&str, &str, bool)| {
            *service == one.service && (*ran || *image == one.image)
        };
        brought.contains(&one.service.as_str()) && !before.iter().any(is_old)
    })
}
