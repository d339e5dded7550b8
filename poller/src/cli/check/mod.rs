//! `towline check`: is everything in place, and what would each service accept and do?
//!
//! Looks at the host's file, the token, the state directory, the containers, checkouts, programs and projects, and the logins for registries. Asks
//! neither the relay nor a registry nor a git remote, and changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::logins;
use crate::{
    apply::hooks_refusal,
    credentials::Keyring,
    docker::Docker,
    exit::Ending,
    process::Launcher,
    reference::Reference,
    route::Route,
    settings::{Service, Settings, Work},
    token::{self, HostToken},
};

mod container;
mod parts;
mod state;
mod words;

pub(super) use words::{about_health, hook};

/// Checks the host's file at `path` and everything that it names; `state` is the state directory.
pub(super) fn check(path: &Path, state: &Path) -> anyhow::Result<Ending> {
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
    if let Some(problem) = state::unusable(state) {
        problems += 1;
        text += &format!("state: PROBLEM: {problem}\n");
    } else if let Some(warning) = state::warning(state) {
        text += &format!("state: WARNING: {warning}\n");
    }
    let (all, refused) = super::on_one_thread(async { Ok(look(&settings, state).await) })?;
    problems += refused;
    for (service, found) in settings.services.iter().zip(all) {
        text += &format!("\n{}{}", words::about_service(service), found.lines);
        text += &about_strangers(&settings, service);
    }
    super::say(&text)?;
    match problems {
        0 => Ok(Ending::Done),
        1 => anyhow::bail!("1 problem"),
        many => anyhow::bail!("{many} problems"),
    }
}

/// That nothing is ever for `service` and one before it, so that `after` means nothing.
fn about_strangers(settings: &Settings, service: &Service) -> String {
    let is_stranger = |before: &&Service| {
        service.after.contains(&before.name) && before.rule.channel != service.rule.channel
    };
    let strangers = settings.services.iter().filter(is_stranger);
    let about = |before: &Service| {
        let (name, channel) = (&before.name, &before.rule.channel);
        format!(
            "  WARNING: it never waits for {name}, which listens to {channel}: nothing is for both\n"
        )
    };
    strangers.map(about).collect()
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

/// What was found of a service, line by line, and how many problems there are.
#[derive(Default)]
struct Found {
    lines: String,
    problems: usize,
}

impl Found {
    /// Adds what was found of `key`, or the problem with it.
    fn line(&mut self, key: &str, found: Result<String, String>) {
        match found {
            Ok(what) => self.lines += &format!("  {key}: {what}\n"),
            Err(problem) => {
                self.problems += 1;
                self.lines += &format!("  {key}: PROBLEM: {problem}\n");
            }
        }
    }

    /// Adds a problem.
    fn problem(&mut self, problem: &str) {
        self.problems += 1;
        self.lines += &format!("  PROBLEM: {problem}\n");
    }
}

/// What the engine, the host and the logins say to each service, and how many problems there are. An engine that does not
/// answer is one, since nothing is known then of any container; it is asked only where a service needs it.
async fn look(settings: &Settings, state: &Path) -> (Vec<Found>, usize) {
    let needs_engine = |service: &Service| service.work.needs_engine();
    let engine = if settings.services.iter().any(needs_engine) {
        let engine = Docker::connect(super::docker_host().as_deref()).await;
        Some(engine.map_err(|error| format!("not looked at: {error}")))
    } else {
        None
    };
    let keyring = Keyring::new(settings.registry_auth_file.as_deref(), |name| {
        std::env::var_os(name)
    });
    let is_silent = matches!(engine, Some(Err(_)));
    let (mut all, mut problems) = (Vec::new(), usize::from(is_silent));
    let mut taken = BTreeMap::new();
    for service in &settings.services {
        let mut images: Vec<_> = service.image.iter().map(|image| image.name()).collect();
        let mut found = match (&service.work, &engine) {
            (Work::Docker { .. }, Some(Ok(engine))) => {
                let (found, reference) = container::look(engine, service, &mut taken).await;
                if images.is_empty() {
                    images.extend(reference);
                }
                found
            }
            (Work::Docker { .. }, silent) => {
                let why = silent.as_ref().and_then(|engine| engine.as_ref().err());
                let why = why.map_or("not looked at", String::as_str);
                // The engine's problem is one, however many services it has.
                let lines = format!("  container: PROBLEM: {why}\n");
                Found { lines, problems: 0 }
            }
            (Work::Parts(of), engine) => {
                let (found, references) = parts::look(engine.as_ref(), service, of, state).await;
                images.extend(references);
                found
            }
        };
        if let Some(why) = hooks_refusal(&Launcher::own(), service).await {
            found.line("hooks", Err(why));
        }
        for registry in registries(&images) {
            found.line("registry", logins::about(&keyring, &registry).await);
        }
        problems += found.problems;
        all.push(found);
    }
    (all, problems)
}

/// The registries of these images, each once.
fn registries(images: &[String]) -> BTreeSet<String> {
    let references = images.iter().filter_map(|name| name.parse().ok());
    references
        .map(|reference: Reference| reference.registry().to_owned())
        .collect()
}
