//! `towline check --plan`: what an intent for a commit would do to each service, step by step, without doing it.
//!
//! Nothing is touched: no record is made, no checkout is fetched into, nothing is pulled, no check of anybody's health is tried. Remotes and
//! registries are asked what they have; the state is read from a copy, so that a running poller is in nobody's way.

use std::path::Path;

use anyhow::ensure;
use towline_protocol::{HostName, Intent, ServiceName};

use super::check::about_health;
use crate::{
    apply::{
        self, Foreseen, Job,
        sequence::{Host, foresee},
    },
    backup::Shelf,
    credentials::Keyring,
    docker::Docker,
    exit::Ending,
    process::Launcher,
    select::{Match, matches},
    settings::{Parts, Service, Work},
    store::{Copied, Store},
    version::VersionId,
};

mod against;
mod intent;
mod words;

pub(super) use intent::Asked;
use words::Told;

/// Prints the plan of `only`, or of each service of the host's file at `path`; `state` is the state directory.
pub(super) fn plan(
    path: &Path,
    state: &Path,
    asked: &Asked,
    only: Option<&ServiceName>,
) -> anyhow::Result<Ending> {
    let settings = super::settings(path)?;
    let is_wanted = |service: &&Service| only.is_none_or(|name| *name == service.name);
    let in_order = settings.in_order().into_iter();
    let services: Vec<_> = in_order.filter(is_wanted).collect();
    let known: Vec<_> = settings
        .services
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    ensure!(
        !services.is_empty(),
        "the host's file names no such service; it names {}",
        known.join(", ")
    );
    let copied = Copied::of(state)?;
    let desk = Desk {
        host: "this-host".parse()?,
        launcher: Launcher::own(),
        keyring: Keyring::new(settings.registry_auth_file.as_deref(), |name| {
            std::env::var_os(name)
        }),
        store: copied.store(),
        state,
        run_number: asked.run_number,
    };
    let (mut text, mut problems) = (String::new(), 0);
    for service in services {
        let intent = intent::intent(service, asked);
        let (name, kind) = (&service.name, service.work.kind());
        text += &format!("{name} ({kind}): {}\n", intent::words(&intent));
        let planned = super::on_one_thread(desk.service(service, &intent))?;
        for problem in &planned.problems {
            problems += 1;
            text += &format!("  PROBLEM: {problem}\n");
        }
        text += &desk.after(&settings.before(service), &intent);
        text += &planned.lines;
    }
    super::say(&text)?;
    match problems {
        0 => Ok(Ending::Done),
        1 => anyhow::bail!("1 problem"),
        many => anyhow::bail!("{many} problems"),
    }
}

/// What is to be said of one service.
#[derive(Default)]
struct Planned {
    /// What keeps the deploy from being begun.
    problems: Vec<String>,
    /// The plan, a line each.
    lines: String,
    /// Whether there would be something to do.
    begins: bool,
}

impl From<Result<String, String>> for Planned {
    fn from(told: Result<String, String>) -> Self {
        let mut planned = Self::default();
        match told {
            Ok(lines) => planned.lines = lines,
            Err(problem) => planned.problems.push(problem),
        }
        planned
    }
}

/// What plans are made with.
struct Desk<'a> {
    /// Any host: the intent is for all.
    host: HostName,
    launcher: Launcher,
    keyring: Keyring,
    store: &'a Store,
    state: &'a Path,
    run_number: Option<u64>,
}

impl Desk<'_> {
    /// Which of the services `before` such an intent would be applied to first, if it were for all; a line, or nothing.
    fn after(&self, before: &[&Service], intent: &Intent) -> String {
        let for_all = Intent {
            service: None,
            ..intent.clone()
        };
        let before = before.iter();
        let first = before.filter(|one| matches(&self.host, one, &for_all) != Match::No);
        let first: Vec<_> = first.map(|one| one.name.as_str()).collect();
        match first.join(", ") {
            none if none.is_empty() => none,
            names => {
                format!("  after: {names}; an intent for any of these too is applied there first\n")
            }
        }
    }

    /// The plan of one service, and the problems with it.
    async fn service(&self, service: &Service, intent: &Intent) -> anyhow::Result<Planned> {
        let job = Job {
            service,
            intent,
            attempt: 1,
            deploy: "00000000".to_owned(),
        };
        let accepted = match matches(&self.host, service, intent) {
            Match::Yes => None,
            Match::Refused(why) => Some(format!("it would not be accepted: {why}")),
            Match::No => Some("it would not be accepted".to_owned()),
        };
        let planned = match (accepted, &service.work) {
            (Some(why), _) => Err(why).into(),
            (None, Work::Parts(parts)) => self.parts(&job, parts).await?,
            (None, Work::Docker { .. }) => self.container(&job).await?,
        };
        self.as_it_stands(service, intent, planned)
    }

    /// The plan with what keeps any deploy of the service from being begun before it.
    fn as_it_stands(
        &self,
        service: &Service,
        intent: &Intent,
        planned: Planned,
    ) -> anyhow::Result<Planned> {
        let blocked = against::blocked(self.store, service)?;
        let mut problems: Vec<_> = blocked.into_iter().collect();
        let (mut lines, begins) = (planned.lines, planned.begins);
        match against::taken_back(self.store, service, intent)? {
            Some(Ok(words)) => lines = format!("  held: {words}\n{lines}"),
            Some(Err(problem)) if begins => problems.push(problem),
            Some(Err(_)) | None => {}
        }
        if let Some(words) = against::held_off(self.store, service)? {
            lines = format!("  held off: {words}\n{lines}");
        }
        problems.extend(planned.problems);
        Ok(Planned {
            problems,
            lines,
            begins,
        })
    }

    /// The plan of a deploy that would begin, of what is known as `version`.
    fn of_version(
        &self,
        job: &Job<'_>,
        version: Option<&VersionId>,
        told: &Told,
    ) -> anyhow::Result<Planned> {
        let quarantined = match version {
            Some(version) => against::quarantined(self.store, job, version)?,
            None => None,
        };
        Ok(Planned {
            problems: quarantined.into_iter().collect(),
            lines: told.lines(),
            begins: true,
        })
    }

    /// The engine, or why there is none.
    async fn engine(&self) -> Result<Docker, String> {
        let engine = Docker::connect(super::docker_host().as_deref()).await;
        let engine = engine.map_err(|error| format!("not looked at: {error}"))?;
        Ok(engine.with_keyring(self.keyring.clone()))
    }

    /// The plan of a container.
    async fn container(&self, job: &Job<'_>) -> anyhow::Result<Planned> {
        let service = job.service;
        let image = service.image.as_ref().map(ToString::to_string);
        let is_numbered = image.is_some_and(|image| image.contains("{run_number}"));
        if is_numbered && self.run_number.is_none() {
            let why = "the image's tag has {run_number}; say which run's by --run-number NUMBER";
            return Ok(Err(why.to_owned()).into());
        }
        let engine = match self.engine().await {
            Ok(engine) => engine,
            Err(why) => return Ok(Err(why).into()),
        };
        match apply::foresee(&engine, &self.launcher, self.store, job).await? {
            Foreseen::Ends(outcome, why) => Ok(words::ends(outcome, &why).into()),
            Foreseen::Begins(ahead) => {
                let told = Told::of_container(&ahead, service, &about_health(service));
                let version = VersionId::Digest(ahead.digest.clone());
                self.of_version(job, Some(&version), &told)
            }
        }
    }

    /// The plan of a service made of parts.
    async fn parts(&self, job: &Job<'_>, parts: &Parts) -> anyhow::Result<Planned> {
        let engine = match parts.needs_engine() {
            true => match self.engine().await {
                Ok(engine) => Some(engine),
                Err(why) => return Ok(Err(why).into()),
            },
            false => None,
        };
        let host = Host {
            engine: engine.as_ref(),
            launcher: &self.launcher,
        };
        let service = job.service;
        let shelf = Shelf::of(self.state, service.name.clone());
        match foresee(host, self.store, &shelf, job, parts).await? {
            Foreseen::Ends(outcome, why) => Ok(words::ends(outcome, &why).into()),
            Foreseen::Begins(ahead) => {
                let gate = about_health(service);
                let told = Told::of_parts(&ahead, service, job.intent, &gate);
                let version = ahead.sequence.before.new_version.as_ref();
                self.of_version(job, version, &told)
            }
        }
    }
}
