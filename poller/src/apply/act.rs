//! The machine's calls, made to the engine. Each may be made twice.

use std::time::Duration;

use serde_json::Value;

use super::{
    drive::Drive,
    group::as_composed,
    hide::hidden,
    hooks::{Calling, Came, Which, call, plain_order, variables},
    join::{drain, join, switch},
    start::start,
};
use crate::{
    docker::{EngineError, LogTail},
    health,
    machine::{Action, Deploy, Event, Expected, Fault, State, Strategy, TagMove},
    redact::Secrets,
    reference::Reference,
    sequence::About,
    settings::HealthCheck,
    spec::DEPLOY_LABEL,
    uptime::Uptime,
};

/// What came of a call, and the container's output where the call was to read it, without secrets.
pub(super) struct Acted {
    pub(super) event: Event,
    pub(super) log: LogTail,
    /// Whose fault a failure is that a hook has told, whose words `log` has then.
    pub(super) hook: Option<Fault>,
}

/// Makes one call; `tell` hears of each check that is passed.
///
/// An engine that is not there is an error ([`EngineError::is_loss`]), since nobody knows what came of the call; it may be
/// made again. A refusal is an event.
pub(super) async fn act(
    with: &Drive<'_>,
    deploy: &Deploy,
    action: &Action,
    tell: &dyn Fn(String),
) -> Result<Acted, EngineError> {
    let mut log = LogTail::default();
    let (mut hook, mut headed_by) = (None, None);
    let result = match action {
        Action::MoveTag(tag) => move_tag(with, tag).await,
        Action::MoveTagBack(tag) => move_tag_back(with, tag).await,
        Action::Create { member, name } => create(with, deploy, *member, name).await,
        Action::Find { name } => made_by(with, name, &deploy.deploy)
            .await
            .map(|id| Event::Found { id }),
        Action::SetPolicy { id, policy } => done(with.engine.set_policy(id, policy).await),
        Action::Stop { id } => done(with.engine.stop(id, grace(with, deploy, id)).await),
        Action::Rename { id, to } => done(with.engine.rename(id, to).await),
        Action::Start { id } => done(start(with, deploy, id).await),
        Action::Look { containers } => match look_before(with, deploy).await {
            Ok(None) => look(with, deploy, containers).await,
            Ok(Some(spoilt)) => Ok(spoilt),
            Err(error) => Err(error),
        },
        Action::Gate { ids, spent, brief } => {
            match gate_and_before(with, deploy, (ids, *spent, *brief), tell).await {
                Ok(event @ Event::Passed { .. }) if deploy.is_in_last_gate() => {
                    let Came { verdict, log: said } = after(with, deploy, ids).await?;
                    log.text = said;
                    Ok(match verdict.failure() {
                        None => event,
                        Some((why, fault)) => {
                            hook = Some(fault);
                            Event::Failed { why }
                        }
                    })
                }
                other => other,
            }
        }
        Action::Switch {
            old,
            parked,
            new,
            name,
        } => switch(&with.engine, (old, parked), (new, name)).await,
        Action::Join { member, id } => match deploy.members.get(*member) {
            Some(one) => join(with, *member, &one.name, id).await,
            None => Ok(Event::Done),
        },
        Action::Drain { ids } => drain(with, ids).await,
        Action::Verify { members } => verify(with, deploy, members).await,
        Action::SaveLog { id } => with.engine.log_tail(id).await.map(|tail| {
            log = tail;
            headed_by = deploy.one_of_several(id);
            Event::Done
        }),
        Action::Remove { id } => done(with.engine.remove(id).await),
    };
    let event = event(result)?;
    let acted = hidden(&with.engine, deploy, action, Acted { event, log, hook }).await?;
    Ok(match headed_by {
        Some(name) => acted.headed_by(name),
        None => acted,
    })
}

impl Acted {
    /// The same, whose log says first of whom it is.
    fn headed_by(mut self, name: &str) -> Self {
        if !self.log.text.is_empty() {
            self.log.text = format!("== {name}\n{}", self.log.text);
        }
        self
    }
}

fn done(result: Result<(), EngineError>) -> Result<Event, EngineError> {
    result.map(|()| Event::Done)
}

fn event(result: Result<Event, EngineError>) -> Result<Event, EngineError> {
    match result {
        Ok(event) => Ok(event),
        Err(lost) if lost.is_loss() => Err(lost),
        // A start answers 404 for a missing network too.
        Err(EngineError::NotFound(why)) if why.contains("No such container") => {
            Ok(Event::Gone { why })
        }
        Err(refused) => Ok(Event::Failed {
            why: refused.to_string(),
        }),
    }
}

/// How long this container may take to stop, if not as long as its own settings say: the service's are not about its companions.
fn grace(with: &Drive<'_>, deploy: &Deploy, id: &str) -> Option<Duration> {
    let service = with.service.filter(|_| deploy.companion(id).is_none());
    service.and_then(|service| service.stop_timeout)
}

fn checks<'a>(with: &Drive<'a>) -> &'a [HealthCheck] {
    with.service
        .map(|service| service.health.as_slice())
        .unwrap_or_default()
}

fn reference(text: &str) -> Result<Reference, EngineError> {
    text.parse()
        .map_err(|error: crate::reference::ReferenceError| {
            EngineError::Unexpected(error.to_string())
        })
}

async fn move_tag(with: &Drive<'_>, tag: &TagMove) -> Result<Event, EngineError> {
    done(with.engine.tag(&tag.to, &reference(&tag.reference)?).await)
}

/// A tag that leads elsewhere by now was moved by somebody, and stays.
async fn move_tag_back(with: &Drive<'_>, tag: &TagMove) -> Result<Event, EngineError> {
    let image = with.engine.image(&tag.reference).await?;
    let leads_to = image.as_ref().and_then(|image| image.get("Id")?.as_str());
    if leads_to != Some(&tag.to) {
        return Ok(Event::Done);
    }
    let reference = reference(&tag.reference)?;
    done(match &tag.from {
        Some(from) => with.engine.tag(from, &reference).await,
        None => with.engine.untag(&reference).await,
    })
}

/// The tag may have been moved by somebody between the step before and this one: the container must have the image
/// that was verified. One whose creation was not answered has the name already, maybe without some of its networks; it
/// makes room for a whole one.
async fn create(
    with: &Drive<'_>,
    deploy: &Deploy,
    member: usize,
    name: &str,
) -> Result<Event, EngineError> {
    let Some(made @ (_, image)) = with.create.get(member) else {
        return Ok(Event::Failed {
            why: "a recovery creates no container".to_owned(),
        });
    };
    let request = as_composed(&with.engine, with.launcher, made, &replaced(deploy)).await;
    let request = &match deploy.strategy {
        Strategy::StopFirst => request,
        Strategy::StartFirst => request.unnamed(),
    };
    let deploy = &deploy.deploy;
    let id = match with.engine.create(name, request).await {
        Err(taken @ EngineError::Refused { status: 409, .. }) => {
            let half_made = made_by(with, name, deploy).await?.ok_or(taken)?;
            with.engine.remove(&half_made).await?;
            with.engine.create(name, request).await?
        }
        other => other?,
    };
    let made = with.engine.container(&id).await?;
    let made_from = made.as_ref().and_then(|made| made.get("Image")?.as_str());
    if made_from == Some(image) {
        return Ok(Event::Created { id });
    }
    let why = format!(
        "the new container was made from {}, not from {image}",
        made_from.unwrap_or("nothing")
    );
    Ok(Event::Failed { why })
}

/// The ids of the old containers that have a new one already, each with that one's.
fn replaced(deploy: &Deploy) -> Vec<(&str, &str)> {
    let State::Replacing { new, .. } = &deploy.state else {
        return Vec::new();
    };
    let pairs = deploy.members.iter().zip(new);
    pairs
        .map(|(member, new)| (member.old.as_str(), new.as_str()))
        .collect()
}

/// The id of the container of this name, if this deploy has made it.
async fn made_by(
    with: &Drive<'_>,
    name: &str,
    deploy: &str,
) -> Result<Option<String>, EngineError> {
    let found = with.engine.named(name).await?;
    let ours = found.filter(|found| {
        let labels = found.pointer("/Config/Labels").and_then(Value::as_object);
        labels
            .and_then(|labels| labels.get(DEPLOY_LABEL))
            .and_then(Value::as_str)
            == Some(deploy)
    });
    Ok(ours.and_then(|found| Some(found.get("Id")?.as_str()?.to_owned())))
}

/// Whether the containers run, also between a crash and the engine's next try, and under their names: what somebody has
/// renamed meanwhile is not what an operator would look at. One that is being stopped, for a process before this one, is waited
/// for: it runs a moment longer.
async fn look(
    with: &Drive<'_>,
    deploy: &Deploy,
    containers: &[Expected],
) -> Result<Event, EngineError> {
    let mut starts = Vec::new();
    let ids = containers.iter().map(|one| one.id.clone());
    let (own, companions): (Vec<_>, Vec<_>) = ids.partition(|id| deploy.companion(id).is_none());
    for ids in [own, companions] {
        if let Some(first) = ids.first() {
            with.engine.settle(&ids, grace(with, deploy, first)).await?;
        }
    }
    for Expected { id, name } in containers {
        let Some(shown) = with.engine.container(id).await? else {
            let why = format!("the container {name} was removed");
            return Ok(Event::Gone { why });
        };
        let text = |path: &str| {
            shown
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let called = text("/Name").trim_start_matches('/');
        if called != name {
            let why = format!("somebody has renamed the container {name} to {called}");
            return Ok(Event::Gone { why });
        }
        if let Some(why) = health::how_ended(&with.engine, id, &shown).await {
            let why = match containers.len() {
                1 => why,
                _ => format!("{name}: {why}"),
            };
            return Ok(Event::Failed { why });
        }
        starts.push(text("/State/StartedAt").to_owned());
    }
    let now = Some(Uptime::now());
    Ok(Event::Looked { starts, now })
}

/// A batch's gate, after which those that had passed before must still be well: they have no restart policy yet, so that one that
/// has ended stays so.
async fn gate_and_before(
    with: &Drive<'_>,
    deploy: &Deploy,
    (ids, spent, brief): (&[String], Duration, bool),
    tell: &dyn Fn(String),
) -> Result<Event, EngineError> {
    let event = gate(with, deploy, ids, spent, brief, tell).await?;
    if !matches!(event, Event::Passed { .. }) {
        return Ok(event);
    }
    let spoilt = look_before(with, deploy).await?;
    Ok(spoilt.unwrap_or(event))
}

/// What is wrong with those that had passed before, if something is.
async fn look_before(with: &Drive<'_>, deploy: &Deploy) -> Result<Option<Event>, EngineError> {
    let before = deploy.passed_before();
    for one in &before {
        if let Event::Failed { why } = look(with, deploy, std::slice::from_ref(one)).await? {
            let why = format!("{}, which had passed before: {why}", one.name);
            return Ok(Some(Event::Spoilt { why }));
        }
    }
    Ok(None)
}

async fn gate(
    with: &Drive<'_>,
    deploy: &Deploy,
    ids: &[String],
    spent: Duration,
    is_brief: bool,
    tell: &dyn Fn(String),
) -> Result<Event, EngineError> {
    let (engine, checks) = (&with.engine, checks(with));
    let stable_for = with.service.and_then(|service| service.stable_for);
    let (own, companions) = parted(deploy, ids);
    let verdict = if is_brief {
        health::gate_again(engine, ids, checks, tell).await?
    } else if companions.is_empty() {
        health::gate(engine, ids, checks, stable_for, spent, tell).await?
    } else {
        let both = (own.as_slice(), companions.as_slice());
        health::gate_accompanied(engine, both, checks, stable_for, spent, tell).await?
    };
    Ok(match verdict {
        Ok(gate) => Event::Passed { gate },
        Err(why) => Event::Failed {
            why: deploy.told_of(ids, why),
        },
    })
}

/// The service's own containers, and those that were made anew with them.
fn parted(deploy: &Deploy, ids: &[String]) -> (Vec<String>, Vec<health::Member>) {
    let (mut own, mut companions) = (Vec::new(), Vec::new());
    for id in ids {
        match deploy.companion(id) {
            None => own.push(id.clone()),
            Some(member) => companions.push(health::Member {
                id: id.clone(),
                name: Some(member.name.clone()),
                must_run: true,
                secrets: Secrets::default(),
            }),
        }
    }
    (own, companions)
}

/// Calls the hook that has the last word in the gate.
async fn after(with: &Drive<'_>, deploy: &Deploy, ids: &[String]) -> Result<Came, EngineError> {
    let Some(service) = with.service else {
        return Ok(Came::WELL);
    };
    let Some(hook) = &service.hooks.after else {
        return Ok(Came::WELL);
    };
    let about = About {
        service: &service.name,
        channel: Some(&service.rule.channel),
        intent: &with.entry.intent,
        attempt: with.entry.attempt,
    };
    let which = Which::After;
    let variables = variables(about, which, &deploy.deploy, &deploy.from, &deploy.to);
    let mut secrets = Secrets::default();
    let olds = deploy.members.iter().map(|member| &member.old);
    for id in olds.chain(ids) {
        if let Some(shown) = with.engine.container(id).await? {
            secrets.add_environment(&shown);
        }
    }
    let calling = Calling {
        engine: Some(&with.engine),
        launcher: with.launcher,
        service: &service.name,
        order: plain_order(variables),
        container: ids.first().cloned(),
        secrets,
    };
    call(&calling, which, hook).await
}

/// Whether the old containers are as well as they were, and under their names.
async fn verify(
    with: &Drive<'_>,
    deploy: &Deploy,
    members: &[usize],
) -> Result<Event, EngineError> {
    let olds = |companions: bool| -> Vec<_> {
        let those = members
            .iter()
            .filter(|at| deploy.is_companion(**at) == companions);
        let those = those.filter_map(|at| deploy.members.get(*at));
        those
            .map(|member| health::Old {
                id: &member.old,
                was_healthy: member.was_healthy,
                was_restarting: member.was_restarting,
            })
            .collect()
    };
    let (own, companions) = (olds(false), olds(true));
    let (own, companions) = tokio::try_join!(
        health::returned(&with.engine, &own, checks(with)),
        health::returned(&with.engine, &companions, &[]),
    )?;
    if let Err(why) = own.and(companions) {
        return Ok(Event::Failed { why });
    }
    let members = || members.iter().filter_map(|at| deploy.members.get(*at));
    let expected = members().map(|member| Expected {
        id: member.old.clone(),
        name: member.name.clone(),
    });
    let seen = look(with, deploy, &expected.collect::<Vec<_>>()).await?;
    Ok(match seen {
        Event::Looked { .. } => Event::Done,
        other @ (Event::Done
        | Event::Created { .. }
        | Event::Found { .. }
        | Event::Passed { .. }
        | Event::Failed { .. }
        | Event::Spoilt { .. }
        | Event::Gone { .. }) => other,
    })
}
