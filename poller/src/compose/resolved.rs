//! What a project's file means, from `docker compose config --format json`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Project;
use crate::reference::Reference;

/// A project as Compose understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The project's name.
    pub name: String,
    /// The services that are wanted, and what they depend on.
    pub services: BTreeMap<String, ComposeService>,
    /// Those that are brought up: named in the host's file, or all of the active profiles.
    pub wanted: Vec<String>,
}

/// A service of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeService {
    /// The image, as the file has it after interpolation; for one that is built on this host, what Compose calls it.
    pub image: String,
    /// The same as a reference; `None` for one that is built on this host and has no `image`.
    pub reference: Option<Reference>,
    /// How many containers it is to have.
    pub replicas: u64,
    /// The name of its container, if the file has one.
    pub container_name: Option<String>,
    /// The profiles that it belongs to.
    pub profiles: Vec<String>,
    /// Who says how its containers are.
    pub healthcheck: Healthcheck,
    /// Compose's hash of its settings, which its containers carry in a label. Those of a service that shares a namespace or
    /// the volumes of another one (`network_mode: service:X`) have a different one, with that one's container in it.
    pub hash: String,
}

/// Who says how the containers of a service are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// The file has a `healthcheck`.
    OfFile,
    /// The image may have one, since the file says nothing.
    OfImage,
    /// Nobody: the file turns it off.
    Off,
}

impl Resolved {
    /// Reads Compose's answer about these services, or about all of the active ones.
    ///
    /// # Errors
    /// Why the project cannot be deployed.
    pub(super) fn read(config: &Value, named: &[String]) -> Result<Self, String> {
        let name = text(config, "name")
            .ok_or("Compose gives it no name")?
            .to_owned();
        let services = config.get("services").and_then(Value::as_object);
        let services = services.ok_or("it has no services")?;
        let wanted: Vec<String> = if named.is_empty() {
            let mut all: Vec<_> = services.keys().cloned().collect();
            all.sort();
            all
        } else {
            named.to_vec()
        };
        if wanted.is_empty() {
            return Err(
                "no service of it is active; name some in `services` or a profile in `profiles`"
                    .to_owned(),
            );
        }
        let read = services.iter().map(|(service, shown)| {
            let is_wanted = wanted.contains(service);
            let read = ComposeService::read(&name, service, is_wanted, shown)?;
            Ok::<_, String>((service.clone(), read))
        });
        let services = read.collect::<Result<_, _>>()?;
        let resolved = Self {
            name,
            services,
            wanted,
        };
        resolved.check_names()?;
        Ok(resolved)
    }

    /// The first profile of the host's file that no service has: Compose takes a name with a mistake for one that is not used.
    /// `*` is all. Where services are named, they come up whatever their profiles are.
    pub fn unknown_profile<'p>(&self, project: &'p Project) -> Option<&'p str> {
        let has = |profile: &String| {
            let mut services = self.services.values();
            services.any(|service| service.profiles.contains(profile))
        };
        let unknown = |profile: &&String| *profile != "*" && !has(profile);
        let mut profiles = project.profiles.iter();
        let found = profiles.find(unknown).map(String::as_str);
        found.filter(|_| project.services.is_empty())
    }

    /// Compose itself finds out only in the middle of bringing them up.
    fn check_names(&self) -> Result<(), String> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (service, shown) in &self.services {
            let Some(name) = &shown.container_name else {
                continue;
            };
            if let Some(other) = seen.insert(name, service) {
                return Err(format!(
                    "the services {other} and {service} have the same container_name {name:?}"
                ));
            }
        }
        Ok(())
    }

    /// Takes in the lines of `docker compose config --hash`.
    ///
    /// # Errors
    /// When a service has no hash there.
    pub(super) fn with_hashes(mut self, lines: &str) -> Result<Self, String> {
        for line in lines.lines() {
            let Some((service, hash)) = line.trim().split_once(' ') else {
                continue;
            };
            if let Some(service) = self.services.get_mut(service) {
                hash.trim().clone_into(&mut service.hash);
            }
        }
        let without = self
            .services
            .iter()
            .find(|(_, service)| service.hash.is_empty());
        match without {
            Some((name, _)) => Err(format!("it gives no hash for the service {name}")),
            None => Ok(self),
        }
    }

    /// The services that are wanted, with their names.
    pub fn wanted(&self) -> impl Iterator<Item = (&str, &ComposeService)> {
        let is_wanted = |name: &str| self.wanted.iter().any(|wanted| wanted == name);
        let all = self
            .services
            .iter()
            .map(|(name, service)| (name.as_str(), service));
        all.filter(move |(name, _)| is_wanted(name))
    }

    /// The services that others depend on and that are not wanted themselves, with their names.
    pub fn dependencies(&self) -> impl Iterator<Item = (&str, &ComposeService)> {
        let is_wanted = |name: &str| self.wanted.iter().any(|wanted| wanted == name);
        let all = self
            .services
            .iter()
            .map(|(name, service)| (name.as_str(), service));
        all.filter(move |(name, _)| !is_wanted(name))
    }
}

impl ComposeService {
    fn read(project: &str, name: &str, is_wanted: bool, shown: &Value) -> Result<Self, String> {
        let is_built = shown.get("build").is_some_and(|build| !build.is_null());
        let image = text(shown, "image");
        let (image, reference) = match image {
            Some(image) => {
                let reference = image
                    .parse()
                    .map_err(|error| format!("the service {name}: {error}"))?;
                (image.to_owned(), Some(reference))
            }
            None if is_built && !is_wanted => (format!("{project}-{name}"), None),
            None if is_built => {
                return Err(format!(
                    "the service {name} has `build` and no `image`: Towline builds nothing. Let CI push an image and name \
                     it in `image`, or leave the service out of `services` in the host's file"
                ));
            }
            None => return Err(format!("the service {name} has no `image`")),
        };
        Ok(Self {
            image,
            reference,
            replicas: replicas(shown),
            container_name: text(shown, "container_name").map(str::to_owned),
            profiles: texts(shown, "profiles"),
            healthcheck: Healthcheck::read(shown),
            hash: String::new(),
        })
    }
}

impl Healthcheck {
    fn read(shown: &Value) -> Self {
        let Some(check) = shown.get("healthcheck").filter(|check| !check.is_null()) else {
            return Self::OfImage;
        };
        let test = texts(check, "test");
        let is_off = check.get("disable") == Some(&Value::Bool(true));
        match test.first().map(String::as_str) {
            _ if is_off => Self::Off,
            Some("NONE") => Self::Off,
            Some(_) => Self::OfFile,
            // It changes the times of the image's own.
            None => Self::OfImage,
        }
    }
}

fn replicas(shown: &Value) -> u64 {
    let scale = shown.get("scale").and_then(Value::as_u64);
    let deployed = shown.pointer("/deploy/replicas").and_then(Value::as_u64);
    scale.or(deployed).unwrap_or(1)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let text = value.get(key).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let all = value.get(key).and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    all.map(str::to_owned).collect()
}
