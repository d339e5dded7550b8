//! `towline check`: is everything in place, and what would each service accept and do?
//!
//! Looks at the host's file, the token, the containers and the logins for registries. Asks neither the relay nor a registry, and changes nothing.

use std::{collections::BTreeMap, path::Path};

use super::{accepts, logins};
use crate::{
    apply::inspect_service,
    credentials::Keyring,
    docker::Docker,
    exit::Ending,
    plan::Observed,
    reference::Reference,
    route::Route,
    settings::{HealthCheck, HttpProbe, Probe, Service, Settings, Work},
    token::{self, HostToken},
};

/// Checks the host's file at `path` and everything that it names.
pub(super) fn check(path: &Path) -> anyhow::Result<Ending> {
    let settings = super::settings(path)?;
    let mut problems = 0;
    let mut text = format!("{}: valid\n", path.display());
    match token::read(settings.relay.token_file.as_deref(), |name| {
        std::env::var_os(name)
    }) {
        Ok(token) => {
            text += &about_token(&token, &settings);
            problems += settings
                .channels()
                .iter()
                .filter(|channel| !token.claims.allows(channel))
                .count();
        }
        Err(error) => {
            problems += 1;
            text += &format!("token: PROBLEM: {error}\n");
        }
    }
    if let Err(error) = Route::of(&settings.relay, |name| std::env::var_os(name)) {
        problems += 1;
        text += &format!("relay: PROBLEM: {error}\n");
    }
    let (containers, refused) = super::on_one_thread(async { Ok(look(&settings).await) })?;
    problems += refused;
    for (service, found) in settings.services.iter().zip(containers) {
        text += &format!("\n{}  container: {found}\n", about_service(service));
    }
    super::say(&text)?;
    match problems {
        0 => Ok(Ending::Done),
        1 => anyhow::bail!("1 problem"),
        many => anyhow::bail!("{many} problems"),
    }
}

fn about_token(token: &HostToken, settings: &Settings) -> String {
    let claims = &token.claims;
    let globs: Vec<_> = claims.channels.iter().map(|glob| glob.as_str()).collect();
    let mut text = format!(
        "relay: {}\ntoken: for host {}, generation {}, channels {}\n",
        settings.relay.url,
        claims.name,
        claims.generation,
        globs.join(" ")
    );
    if let Some(warning) = &token.warning {
        text += &format!("token: WARNING: {warning}\n");
    }
    for channel in settings
        .channels()
        .iter()
        .filter(|channel| !claims.allows(channel))
    {
        text += &format!(
            "token: PROBLEM: it is not for channel {channel}; make one with --channel '{channel}' too\n"
        );
    }
    text
}

/// What the engine and the logins say to each service, and how many problems there are. An engine that does not answer
/// is one, since nothing is known then of any container.
async fn look(settings: &Settings) -> (Vec<String>, usize) {
    let engine = Docker::connect(super::docker_host().as_deref()).await;
    let keyring = Keyring::new(settings.registry_auth_file.as_deref(), |name| {
        std::env::var_os(name)
    });
    let (mut said, mut problems) = (Vec::new(), usize::from(engine.is_err()));
    let mut taken = BTreeMap::new();
    for service in &settings.services {
        let mut registry = service.image.as_ref().map(|image| image.name());
        let mut found = match &engine {
            Ok(engine) => match inspect_service(engine, service).await {
                Ok(observed) => {
                    registry.get_or_insert_with(|| observed.reference().to_owned());
                    let other = taken.insert(observed.id().to_owned(), &service.name);
                    problems += usize::from(other.is_some());
                    let other = other.map_or(String::new(), |other| {
                        format!("\n  PROBLEM: service {other} has the same container")
                    });
                    about_container(&observed) + &other
                }
                Err(error) => {
                    problems += 1;
                    format!("PROBLEM: {error}")
                }
            },
            Err(error) => format!("PROBLEM: not looked at: {error}"),
        };
        let registry = registry.and_then(|name| name.parse::<Reference>().ok());
        if let Some(reference) = registry {
            let login = logins::about(&keyring, reference.registry()).await;
            problems += usize::from(login.is_err());
            let login = login.unwrap_or_else(|error| format!("PROBLEM: {error}"));
            found += &format!("\n  registry: {login}");
        }
        said.push(found);
    }
    (said, problems)
}

fn about_container(observed: &Observed) -> String {
    let digest = observed
        .digest()
        .map_or(String::new(), |digest| format!(" at {digest}"));
    let state = if observed.runs() {
        "runs"
    } else {
        "does not run, and will not be started"
    };
    let (name, reference) = (observed.name(), observed.reference());
    format!("{name} {state}, made from {reference}{digest}")
}

/// What `service` accepts and would do, each on a line.
fn about_service(service: &Service) -> String {
    let replaces = match &service.work {
        Work::Docker { container } => container.to_string(),
        Work::Parts(parts) => parts.kind().to_owned(),
    };
    let rule = &service.rule;
    let mut accepts = accepts::about_events(&rule.events, &rule.channel);
    if rule.manual {
        accepts.push(format!("manual intents on channel {}", rule.channel));
    }
    let image = match &service.image {
        Some(template) => format!(
            "{template}, waited for up to {}",
            seconds(service.image_wait)
        ),
        None => format!(
            "the reference that the container was made with, waited for up to {}",
            seconds(service.image_wait)
        ),
    };
    format!(
        "{}:\n  accepts: {}\n  image: {image}\n  replaces: {replaces}\n  keeps: {}\n  passes when: {}\n",
        service.name,
        accepts.join("; "),
        about_keep(service.keep),
        about_health(service),
    )
}

fn about_keep(keep: u32) -> String {
    match keep {
        1 => "the current version only, so that there is none to go back to".to_owned(),
        2 => "the current version and the one before".to_owned(),
        more => format!("the current version and {} before", more - 1),
    }
}

fn about_health(service: &Service) -> String {
    let stable_for = service.stable_for.map_or(String::new(), |window| {
        format!("; and nothing goes wrong for {}", seconds(window))
    });
    if service.health.is_empty() {
        return format!(
            "the image's own healthcheck says healthy, or without one it keeps running{stable_for}"
        );
    }
    let each = service.health.iter().map(|check| match check {
        HealthCheck::Tried { probe, within } => {
            format!("{} within {}", about_probe(probe), seconds(*within))
        }
        HealthCheck::Docker { within } => {
            let within = within.map_or(String::new(), |within| {
                format!(" within {}", seconds(within))
            });
            format!("its healthcheck says healthy{within}")
        }
    });
    each.collect::<Vec<_>>().join("; ") + &stable_for
}

fn about_probe(probe: &Probe) -> String {
    match probe {
        Probe::Http(HttpProbe {
            url,
            status,
            contains,
            json,
        }) => {
            let status = status.map_or("200 to 299".to_owned(), |status| status.to_string());
            let text = contains
                .as_ref()
                .map_or(String::new(), |text| format!(" and {text:?} in it"));
            let json = json.as_ref().map_or(String::new(), |json| {
                format!(" and {} at {:?} of its JSON", json.equals, json.pointer)
            });
            format!("{url} answers {status}{text}{json}")
        }
        Probe::Tcp(address) => format!("{address} takes a connection"),
        Probe::Exec(command) => format!("{command:?} ends with status 0 in the container"),
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::service;

    #[test]
    fn what_a_service_accepts_and_does_is_told_in_words() {
        let plain = about_service(&service("manual = false"));
        let health = "keep = 3\nstable_for = \"20s\"\nimage = \"ghcr.io/octo-org/web:sha-{short_sha}\"\nhealth = [{ http = \"http://127.0.0.1:8080/health\", contains = \"ok\", json = { pointer = \"/db/up\", equals = true } }, { docker = true, within = \"1500ms\" }, { tcp = \"{container}:5432\" }, { exec = [\"pg_isready\", \"-q\"], within = \"5s\" }]";
        let full = about_service(&service(health));
        insta::assert_snapshot!(plain + &full);
    }

    #[test]
    fn everything_that_may_deploy_a_service_is_told_in_words() {
        let accepts = |lines: &str| {
            let text = format!(
                "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = \"octo-org/web\"\n\
                 docker = {{ container = \"web\" }}\nimage = \"ghcr.io/octo-org/web\"\n{lines}\n"
            );
            let settings = Settings::parse(&text, "towline.toml").unwrap();
            let about = about_service(&settings.services[0]);
            let line = about.lines().find(|line| line.contains("accepts")).unwrap();
            format!("{}\n", line.trim())
        };
        let all = "on = [\"workflow\", \"push\", \"package\", \"release\", \"deployment\"]\nworkflow = \"ci.yml\"\n\
                   branch = [\"main\", \"release/*\"]\ntag = \"v*\"\nenvironment = \"live\"\nprerelease = true";
        let told = [
            all,
            "on = \"push\"\nbranch = \"main\"",
            "on = \"push\"\ntag = [\"v1.*\", \"v2.*\"]\nmanual = false",
            "on = \"release\"",
            "on = \"deployment\"\nenvironment = \"live\"",
            "on = []",
        ];
        insta::assert_snapshot!(told.map(accepts).concat());
    }
}
