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
        ComposeError, Container, Up, beside, containers, missing, pins, tag_away, tag_back,
        tag_forth,
    },
    docker::{Docker, EngineError},
    health::{self, Member},
    redact::Secrets,
    sequence::{Action, Before, Brought, Event, Revision, Sequence, compose_variables},
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
            engine: with.host.engine?,
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
        let before = &self.sequence.before;
        let event = match action {
            Action::MoveTag(tag) => done(tag_forth(self.engine, tag).await),
            Action::MoveTagBack(tag) => done(tag_back(self.engine, tag).await),
            Action::Up => {
                let services = &self.brought.wanted;
                self.up(services, &before.new, &BTreeMap::new(), record)
                    .await
            }
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

    async fn up(
        &self,
        services: &[String],
        revision: &Revision,
        pins: &BTreeMap<String, String>,
        record: Record<'_>,
    ) -> Result<Event, EngineError> {
        let Some(compose) = &self.sequence.parts.compose else {
            return Ok(unknown());
        };
        let project = project(&self.sequence.parts, compose);
        let told = compose_variables(revision);
        let up = Up {
            project: &project,
            name: &self.brought.name,
            services,
            told: &told,
            pins,
            stop_timeout: self.grace(),
        };
        let service = &self.with.entry.service;
        let mut line = |line: &str| info!(%service, "compose: {line}");
        let cli = cli(self.with.host, self.engine);
        match cli.up(self.engine, &up, record, &mut line).await {
            Ok(()) => Ok(Event::Done),
            Err(ComposeError::Engine(error)) => Err(error),
            Err(error) => Ok(Event::Failed {
                why: error.to_string(),
            }),
        }
    }

    /// Brings up what ran before, with the images that it ran with, and takes away what only the new version had.
    async fn up_old(&self, record: Record<'_>) -> Result<Event, EngineError> {
        let (before, parts) = (&self.sequence.before, &self.sequence.parts);
        let Some(compose) = &parts.compose else {
            return Ok(unknown());
        };
        let olds: Vec<_> = before
            .containers
            .iter()
            .map(|old| (old.service.as_str(), old.image.as_str()))
            .collect();
        let mut services: Vec<String> = Vec::new();
        for old in before.containers.iter().filter(|old| old.ran) {
            if !services.contains(&old.service) {
                services.push(old.service.clone());
            }
        }
        if !services.is_empty() {
            let told = compose_variables(&before.old);
            let cli = cli(self.with.host, self.engine);
            let resolved = match cli.resolve(&project(parts, compose), &told).await {
                Ok(resolved) => resolved,
                Err(error) => {
                    return Ok(Event::Failed {
                        why: error.to_string(),
                    });
                }
            };
            let pins = pins(self.engine, &resolved, &olds).await?;
            let event = self.up(&services, &before.old, &pins, record).await?;
            if event != Event::Done {
                return Ok(event);
            }
        }
        let had: Vec<_> = olds.iter().map(|(service, _)| *service).collect();
        let brought: Vec<_> = self.brought.services.iter().map(String::as_str).collect();
        let now = self.containers().await?;
        for new in beside(&had, &brought, &now) {
            self.engine.stop(&new.id, self.grace()).await?;
            match self.engine.remove(&new.id).await {
                Ok(()) | Err(EngineError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        tag_away(self.engine, &before.tags).await?;
        Ok(Event::Done)
    }

    /// How long a container may take to stop, if the host's file says so.
    fn grace(&self) -> Option<Duration> {
        self.with.service.and_then(|service| service.stop_timeout)
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        containers(self.engine, &self.brought.name).await
    }

    /// Since when each container runs, and that each service has one.
    async fn look(&self) -> Result<Event, EngineError> {
        if let Some(why) = checkout::is_elsewhere(self.with, self.sequence).await {
            return Ok(Event::Failed { why });
        }
        let now = self.containers().await?;
        let mut starts = Vec::new();
        for one in its(&now, &self.brought.wanted) {
            let shown = self.engine.container(&one.id).await?.unwrap_or_default();
            let started = shown.pointer("/State/StartedAt").and_then(Value::as_str);
            starts.push(started.unwrap_or_default().to_owned());
        }
        let now = Some(Uptime::now());
        Ok(Event::Looked { starts, now })
    }

    async fn gate(&self, spent: Duration, tell: &dyn Fn(String)) -> Result<Event, EngineError> {
        let now = self.containers().await?;
        let members = members(&self.sequence.before, &now, &self.brought.wanted);
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
        let olds = before.containers.iter();
        let olds = olds.map(|old| (old.service.as_str(), old.image.as_str(), old.ran));
        if let Some(why) = missing(olds, &now) {
            return Ok(Event::Failed { why });
        }
        let ran = before.containers.iter().filter(|old| old.ran);
        let services: Vec<_> = ran.map(|old| old.service.clone()).collect();
        let members = members(before, &now, &services);
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

    /// The ends of what the containers say, without the secrets of their environments; those that have ended come last.
    async fn said(&self) -> Result<Acted, EngineError> {
        let mut now = self.containers().await?;
        now.sort_by_key(|one| !one.runs);
        let mut log = String::new();
        for one in its(&now, &self.brought.wanted) {
            let mut secrets = Secrets::default();
            if let Some(shown) = self.engine.container(&one.id).await? {
                secrets.add_environment(&shown);
            }
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

fn its<'c>(now: &'c [Container], services: &'c [String]) -> impl Iterator<Item = &'c Container> {
    now.iter().filter(|one| services.contains(&one.service))
}

/// The containers of these services, as they are checked: one must run when one of its service ran before.
pub(super) fn members(before: &Before, now: &[Container], services: &[String]) -> Vec<Member> {
    let ran = |service: &str| {
        let mut olds = before.containers.iter();
        olds.any(|old| old.ran && old.service == service)
    };
    let each = its(now, services).map(|one| Member {
        id: one.id.clone(),
        name: Some(one.name.clone()),
        must_run: ran(&one.service),
    });
    each.collect()
}

fn done(result: Result<(), EngineError>) -> Result<Event, EngineError> {
    result.map(|()| Event::Done)
}

fn unknown() -> Event {
    Event::Failed {
        why: "the journal names no Compose project".to_owned(),
    }
}
