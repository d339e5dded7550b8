//! The machine's actions on a Compose project.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use towline_protocol::report::log_tail;
use tracing::info;

use super::{
    act::{Acted, Record},
    checkout,
    drive::Drive,
    project::{cli, project},
};
use crate::{
    compose::{
        Back, ComposeError, Container, Patience, Placed, Up, containers, missing, strayed,
        tag_back, tag_forth, up_old,
    },
    docker::{Docker, EngineError},
    health::{self, Member},
    redact::Secrets,
    sequence::{Action, Before, Brought, Ending, Event, Sequence, compose_variables},
    uptime::Uptime,
};

/// A project that a deploy is about, and where it is.
pub(super) struct Stack<'a> {
    pub(super) engine: &'a Docker,
    brought: &'a Brought,
    sequence: &'a Sequence,
    with: &'a Drive<'a>,
}

impl<'a> Stack<'a> {
    /// The project of the deploy, if it has one.
    pub(super) fn of(with: &'a Drive<'a>, sequence: &'a Sequence) -> Option<Self> {
        Some(Self {
            engine: with.engine()?,
            brought: sequence.before.project.as_ref()?,
            sequence,
            with,
        })
    }

    /// Does one of the actions on projects.
    pub(super) async fn act(
        &self,
        action: &Action,
        record: Record<'_>,
        tell: &dyn Fn(String),
    ) -> Result<Acted, EngineError> {
        let event = match action {
            Action::MoveTag(tag) => done(tag_forth(self.engine, tag).await),
            Action::MoveTagBack(tag) => done(tag_back(self.engine, tag).await),
            Action::Up => self.up(record).await,
            Action::UpOld => self.up_old(record).await,
            Action::SaveLog => return self.said().await,
            Action::StopContainers => self.stop().await,
            Action::Look => self.look().await,
            Action::Gate { spent } => self.gate(*spent, tell).await,
            Action::Verify => self.verify().await,
            Action::Command { .. }
            | Action::BackUp { .. }
            | Action::CheckOut { .. }
            | Action::CheckOutOld { .. }
            | Action::Restore { .. } => Ok(Event::Failed {
                why: "it is not about the project".to_owned(),
            }),
        };
        match event {
            Ok(event) => Ok(event.into()),
            Err(lost) if lost.is_loss() => Err(lost),
            Err(refused) => Ok(Event::Failed {
                why: refused.to_string(),
            }
            .into()),
        }
    }

    async fn up(&self, record: Record<'_>) -> Result<Event, EngineError> {
        let Some(compose) = &self.sequence.parts.compose else {
            return Ok(unknown());
        };
        let up = Up {
            project: &project(&self.sequence.parts, compose),
            name: &self.brought.name,
            services: &self.brought.wanted,
            told: &compose_variables(&self.sequence.before.new),
            pins: &BTreeMap::new(),
            scale: &BTreeMap::new(),
            stop_timeout: self.grace(),
            patience: self.patience(),
        };
        let cli = cli(self.with.host, self.engine);
        let mut line = |line: &str| self.log(line);
        let came_up = cli.up(self.engine, &up, record, &mut line).await;
        self.event(came_up).await
    }

    /// Brings up what ran before, with the images that it ran with, and takes away what only the new version had.
    async fn up_old(&self, record: Record<'_>) -> Result<Event, EngineError> {
        let (before, parts) = (&self.sequence.before, &self.sequence.parts);
        let Some(compose) = &parts.compose else {
            return Ok(unknown());
        };
        let olds: Vec<_> = olds(before).collect();
        let back = Back {
            project: &project(parts, compose),
            name: &self.brought.name,
            old: &compose_variables(&before.old),
            new: &compose_variables(&before.new),
            before: &olds,
            brought: &self.brought.services,
            tags: &before.tags,
            stop_timeout: self.grace(),
            patience: self.patience(),
        };
        let cli = cli(self.with.host, self.engine);
        let mut line = |line: &str| self.log(line);
        let came_up = up_old(&cli, self.engine, &back, record, &mut line).await;
        self.event(came_up).await
    }

    fn patience(&self) -> Patience {
        match self.sequence.may_have_cut_off_an_up() {
            true => Patience::AFTER_ANOTHER,
            false => Patience::NONE,
        }
    }

    fn log(&self, line: &str) {
        info!(service = %self.with.entry.service, "compose: {line}");
    }

    /// What came of a `docker compose up`: when the engine has gone away under it, nobody knows.
    async fn event(&self, came_up: Result<(), ComposeError>) -> Result<Event, EngineError> {
        let failed = match came_up {
            Ok(()) => return Ok(Event::Done),
            Err(ComposeError::Engine(error)) => return Err(error),
            Err(failed) => failed,
        };
        let why = failed.to_string();
        if matches!(&failed, ComposeError::Process(error) if error.goes_on()) {
            return Ok(Event::Outlived { why });
        }
        if failed.is_loss() {
            let address = self.engine.address();
            return Err(EngineError::Unreachable { address, why });
        }
        match self.engine.again().await {
            Err(lost) if lost.is_loss() => Err(lost),
            Ok(_) | Err(_) => Ok(Event::Failed { why }),
        }
    }

    /// How long a container may take to stop, if the host's file says so.
    fn grace(&self) -> Option<Duration> {
        self.with.service.and_then(|service| service.stop_timeout)
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        containers(self.engine, &self.brought.name).await
    }

    /// Since when each container runs, and that each service has one of its image.
    async fn look(&self) -> Result<Event, EngineError> {
        if let Some(elsewhere) = checkout::is_elsewhere(self.with, self.sequence).await {
            return Ok(elsewhere);
        }
        if self.sequence.resumed > 0 {
            // A process before this one may have had them stopped, which is not over.
            let ids: Vec<_> = self
                .containers()
                .await?
                .into_iter()
                .map(|one| one.id)
                .collect();
            self.engine.settle(&ids, self.grace()).await?;
        }
        let now = self.containers().await?;
        if let Some(why) = self.is_elsewhere(&now) {
            return Ok(Event::Failed { why });
        }
        let mut starts = Vec::new();
        for one in its(&now, &self.brought.wanted) {
            let shown = self.engine.container(&one.id).await?.unwrap_or_default();
            let started = shown.pointer("/State/StartedAt").and_then(Value::as_str);
            starts.push(started.unwrap_or_default().to_owned());
        }
        let now = Some(Uptime::now());
        Ok(Event::Looked { starts, now })
    }

    /// Why the new version is not in place. What went away with the engine while it was watched has not ended by itself.
    fn is_elsewhere(&self, now: &[Container]) -> Option<String> {
        let images = &self.brought.images;
        let wanted = self.brought.wanted.iter();
        let wanted: Vec<_> = wanted
            .filter(|name| images.contains_key(*name))
            .cloned()
            .collect();
        if let Some(what) = strayed(&wanted, now, images) {
            return Some(self.whose(&what, now));
        }
        let mut its = its(now, &wanted).filter(|_| self.sequence.resumed > 0);
        let down = its.find(|one| !one.runs && !one.is_done)?;
        Some(format!("{} does not run any more", down.name))
    }

    /// Who may have changed the containers. A process before this one may have taken the version back on a disk that was too
    /// full to write that down.
    fn whose(&self, what: &str, now: &[Container]) -> String {
        let is_old = missing(olds(&self.sequence.before), now).is_none();
        if self.sequence.resumed > 0 && is_old {
            "the project has its old images again: a run that could not write it down has taken it back, or somebody \
             else has"
                .to_owned()
        } else {
            format!("{what}: somebody else has brought the project up or down")
        }
    }

    async fn gate(&self, spent: Duration, tell: &dyn Fn(String)) -> Result<Event, EngineError> {
        let now = self.containers().await?;
        let secrets = &self.with.ground.secrets;
        let members = members(&self.sequence.before, &now, &self.brought.wanted, secrets);
        let stable_for = self.with.service.and_then(|service| service.stable_for);
        let checks = self.with.checks();
        let verdict = health::gate_set(self.engine, &members, checks, stable_for, spent, tell);
        Ok(match verdict.await? {
            Ok(gate) => Event::Passed { gate },
            Err(why) => Event::Failed { why },
        })
    }

    /// Whether what ran before runs again, with its old images, and is as well.
    async fn verify(&self) -> Result<Event, EngineError> {
        let before = &self.sequence.before;
        let now = self.containers().await?;
        if let Some(why) = missing(olds(before), &now) {
            return Ok(Event::Failed { why });
        }
        let ran = before.containers.iter().filter(|old| old.ran);
        let services: Vec<_> = ran.map(|old| old.service.clone()).collect();
        let members = members(before, &now, &services, &self.with.ground.secrets);
        let checks = self.with.checks();
        let was_healthy = before.was_healthy;
        let back = health::returned_set(self.engine, &members, checks, was_healthy).await?;
        Ok(match back {
            Ok(()) => Event::Done,
            Err(why) => Event::Failed { why },
        })
    }

    async fn stop(&self) -> Result<Event, EngineError> {
        let now = self.containers().await?;
        for one in its(&now, &self.brought.services).filter(|one| one.runs) {
            self.engine.stop(&one.id, self.grace()).await?;
        }
        Ok(Event::Done)
    }

    /// What must not be told of any of the containers, which may know of each other's.
    async fn secrets(&self, now: &[Container]) -> Result<Secrets, EngineError> {
        let mut secrets = self.with.ground.secrets.clone();
        for one in now {
            if let Some(shown) = self.engine.container(&one.id).await? {
                secrets.add_environment(&shown);
            }
        }
        Ok(secrets)
    }

    /// The ends of what the new version's containers say, without the secrets of the project; those that have ended come
    /// last. Where the old ones are back already, or still there, their words are not the version's.
    async fn said(&self) -> Result<Acted, EngineError> {
        let mut now = self.containers().await?;
        now.sort_by_key(|one| !one.runs);
        let mut log = String::new();
        let secrets = self.secrets(&now).await?;
        let images = &self.brought.images;
        let is_new =
            |one: &&Container| images.get(&one.service).is_none_or(|new| one.image == *new);
        for one in its(&now, &self.brought.wanted).filter(is_new) {
            let tail = self.engine.log_tail(&one.id).await?;
            let text = if tail.is_cut {
                secrets.hide_in_tail(&tail.text)
            } else {
                secrets.hide(&tail.text)
            };
            log.push_str(&format!("{}:\n{text}\n", one.name));
        }
        Ok(Acted {
            log: log_tail(&log).to_owned(),
            ..Event::Done.into()
        })
    }
}

/// What of its project a deploy that has succeeded has left in place; `None` without one, or when the engine does not say.
pub(super) async fn placed(with: &Drive<'_>, sequence: &Sequence) -> Option<Placed> {
    if !matches!(sequence.ending(), Some(Ending::Succeeded { .. })) {
        return None;
    }
    let brought = Stack::of(with, sequence)?.brought;
    let now = containers(with.engine()?, &brought.name).await.ok()?;
    let ran = |service: &str| ran(&sequence.before, service);
    Some(Placed::of(&brought.name, &brought.wanted, &now, ran))
}

/// Each container before: its service, its image's id, and whether it ran.
fn olds(before: &Before) -> impl Iterator<Item = (&str, &str, bool)> {
    let olds = before.containers.iter();
    olds.map(|old| (old.service.as_str(), old.image.as_str(), old.ran))
}

fn its<'c>(now: &'c [Container], services: &'c [String]) -> impl Iterator<Item = &'c Container> {
    now.iter().filter(|one| services.contains(&one.service))
}

/// The containers of these services, as they are checked, of which `secrets` must not be told: one must run when one of its
/// service ran before.
pub(super) fn members(
    before: &Before,
    now: &[Container],
    services: &[String],
    secrets: &Secrets,
) -> Vec<Member> {
    let each = its(now, services).map(|one| Member {
        id: one.id.clone(),
        name: Some(one.name.clone()),
        must_run: ran(before, &one.service),
        secrets: secrets.clone(),
    });
    each.collect()
}

/// Whether a container of this service ran before.
fn ran(before: &Before, service: &str) -> bool {
    let mut olds = before.containers.iter();
    olds.any(|old| old.ran && old.service == service)
}

fn done(result: Result<(), EngineError>) -> Result<Event, EngineError> {
    result.map(|()| Event::Done)
}

fn unknown() -> Event {
    Event::Failed {
        why: "the journal names no Compose project".to_owned(),
    }
}
