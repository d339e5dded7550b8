//! Looking at a service's containers before anything is touched: which they are, and whether they may be replaced.

use futures_util::future::try_join_all;
use serde_json::Value;
use thiserror::Error;

use super::group::accompanied;
use crate::{
    docker::{Docker, EngineError},
    health,
    plan::{
        Observed, Refusal, Route, accompanied_replica, chosen, own_container, refusal, unlike,
        will_have,
    },
    settings::{Choice, HealthCheck, Service, Work},
    spec::CreateRequest,
};

/// Why a service cannot be deployed to.
#[derive(Debug, Error)]
pub enum InspectError {
    /// Its container may not be replaced.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Looks at a service's containers, at least one, in the order in which they are replaced, and whether each may be. Touches
/// nothing.
///
/// # Errors
/// See [`InspectError`].
pub async fn inspect_service(
    engine: &Docker,
    service: &Service,
) -> Result<Vec<Observed>, InspectError> {
    let Work::Docker { container, .. } = &service.work else {
        return Err(Refusal::NotAContainer(service.work.kind()).into());
    };
    let found = find(engine, container).await?;
    let images = found.iter().map(|container| image_of(engine, container));
    let images = try_join_all(images);
    let (images, all) = tokio::try_join!(images, engine.containers())?;
    let observed = found.into_iter().zip(images);
    let observed: Vec<_> = observed
        .map(|(container, image)| Observed {
            container,
            image,
            all: all.clone(),
            with: Vec::new(),
            brought: None,
        })
        .collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let here = engine.here().await;
    let route = engine.host().map(|host| Route { host, here });
    let refused = |one: &Observed| {
        let refused = refusal(one, own_container(&mounts), route);
        let refused = refused.or_else(|| uncheckable(service, one))?;
        Some(refused.of(one.name(), observed.len() > 1))
    };
    let refused = match container {
        Choice::Name(_) => None,
        Choice::Label(label) => unlike(label, &observed),
    }
    .or_else(|| observed.iter().find_map(refused))
    .or_else(|| accompanied_replica(&observed));
    match refused {
        Some(refused) => Err(refused.into()),
        None => Ok(try_join_all(observed.into_iter().map(|one| accompanied(engine, one))).await?),
    }
}

async fn image_of(engine: &Docker, container: &Value) -> Result<Option<Value>, EngineError> {
    let id = container.get("Image").and_then(Value::as_str);
    engine.image(id.unwrap_or_default()).await
}

/// The container of this name, or those with this label; each by `GET /containers/{id}/json`.
///
/// # Errors
/// See [`InspectError`].
pub async fn find(engine: &Docker, choice: &Choice) -> Result<Vec<Value>, InspectError> {
    let names = match choice {
        Choice::Name(name) => vec![name.clone()],
        Choice::Label(label) => chosen(&engine.list().await?, label)?,
    };
    let mut found = Vec::new();
    for name in names {
        let container = engine.named(&name).await?;
        found.push(container.ok_or(Refusal::Absent(name))?);
    }
    Ok(found)
}

/// Why the container that `create` makes from `image` would be of no use to the service, if so.
pub(super) fn useless(service: &Service, create: &CreateRequest, image: &Value) -> Option<Refusal> {
    let loses = loses_label(service, create, image);
    loses.or_else(|| lacks_healthcheck(service, create, image))
}

/// Why no check will ever find Docker's own healthcheck, which the service asks for, if so.
fn lacks_healthcheck(service: &Service, create: &CreateRequest, image: &Value) -> Option<Refusal> {
    if !health::asks_for_own(&service.health) || brings_healthcheck(create, image) {
        return None;
    }
    Some(match create.body.pointer("/Healthcheck/Test/0") {
        None => Refusal::NoHealthcheck,
        Some(_) => Refusal::HealthcheckOff,
    })
}

/// Whether the container that `create` makes from `image` has a healthcheck.
pub(super) fn brings_healthcheck(create: &CreateRequest, image: &Value) -> bool {
    match create.body.pointer("/Healthcheck/Test/0") {
        None => health::has_own(image),
        Some(word) => word != "NONE",
    }
}

/// Why the service would not find its container any more, if so.
fn loses_label(service: &Service, create: &CreateRequest, image: &Value) -> Option<Refusal> {
    match &service.work {
        Work::Docker {
            container: Choice::Label(label),
            ..
        } if !will_have(&create.body, image, label) => Some(Refusal::LosesLabel(label.to_string())),
        Work::Docker { .. } | Work::Parts(_) => None,
    }
}

/// Why the service's checks can never reach the container, if so.
fn uncheckable(service: &Service, observed: &Observed) -> Option<Refusal> {
    let asks_container = |check: &HealthCheck| match check {
        HealthCheck::Tried { probe, .. } => probe.needs_address(),
        HealthCheck::Docker { .. } => false,
    };
    if !service.health.iter().any(asks_container) {
        return None;
    }
    health::obstacle(&observed.container).map(Refusal::NoAddress)
}
