//! Looking at a service's container before anything is touched: which one it is, and whether it may be replaced.

use serde_json::Value;
use thiserror::Error;

use crate::{
    docker::{Docker, EngineError},
    health,
    plan::{Observed, Refusal, Route, chosen, own_container, refusal, will_have},
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

/// Looks at a service's container, and whether it may be replaced. Touches nothing.
///
/// # Errors
/// See [`InspectError`].
pub async fn inspect_service(engine: &Docker, service: &Service) -> Result<Observed, InspectError> {
    let Work::Docker { container, .. } = &service.work else {
        return Err(Refusal::NotAContainer(service.work.kind()).into());
    };
    let container = find(engine, container).await?;
    let image_id = container
        .get("Image")
        .and_then(|id| id.as_str())
        .unwrap_or_default()
        .to_owned();
    let (image, all) = tokio::try_join!(engine.image(&image_id), engine.containers())?;
    let observed = Observed {
        container,
        image,
        all,
        brought: None,
    };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let here = engine.here().await;
    let route = engine.host().map(|host| Route { host, here });
    let refused = refusal(&observed, own_container(&mounts), route);
    match refused.or_else(|| uncheckable(service, &observed)) {
        Some(refused) => Err(refused.into()),
        None => Ok(observed),
    }
}

/// The container of this name, or the only one with this label; by `GET /containers/{id}/json`.
///
/// # Errors
/// See [`InspectError`].
pub async fn find(engine: &Docker, choice: &Choice) -> Result<Value, InspectError> {
    let name = match choice {
        Choice::Name(name) => name.clone(),
        Choice::Label(label) => chosen(&engine.list().await?, label)?,
    };
    let container = engine.named(&name).await?;
    Ok(container.ok_or(Refusal::Absent(name))?)
}

/// Why the container that `create` makes from `image` would be of no use to the service, if so.
pub(super) fn useless(service: &Service, create: &CreateRequest, image: &Value) -> Option<Refusal> {
    let loses = loses_label(service, create, image);
    loses.or_else(|| lacks_healthcheck(service, create, image))
}

/// Why no check will ever find Docker's own healthcheck, which the service asks for, if so.
fn lacks_healthcheck(service: &Service, create: &CreateRequest, image: &Value) -> Option<Refusal> {
    if !health::asks_for_own(&service.health) {
        return None;
    }
    match create.body.pointer("/Healthcheck/Test/0") {
        None if health::has_own(image) => None,
        None => Some(Refusal::NoHealthcheck),
        Some(word) if word == "NONE" => Some(Refusal::HealthcheckOff),
        Some(_) => None,
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
