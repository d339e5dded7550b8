//! Going back on purpose to a version that is kept: no registry is asked, and the machine is the same.

use std::{borrow::Cow, pin::pin, time::Instant};

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::Side;
use tracing::info;

use super::{
    Applied, ApplyError, Progress, StepClock,
    drive::{Drive, drive},
    inspect::useless,
    keep::{keep_back, tidy},
    remember,
};
use crate::{
    docker::{Docker, EngineError},
    health,
    plan::{Naming, Observed, Plan, back, moved_tag, short_name},
    process::Launcher,
    settings::Service,
    store::{JournalEntry, Store, Version},
};

/// One way back on purpose.
#[derive(Clone, Debug)]
pub struct WayBack<'a> {
    /// The service.
    pub service: &'a Service,
    /// What runs, and may be replaced.
    pub observed: &'a Observed,
    /// Its commit, if it is known, and its digest.
    pub from: Side,
    /// The version to go back to, whose image is there.
    pub version: &'a Version,
}

/// Takes a service back, to the end: the caller closes the journal, which `entry` begins, with what is returned.
///
/// # Errors
/// See [`ApplyError`]; unless it is `Interrupted` or `Left`, nothing was touched.
pub async fn go_back(
    engine: &Docker,
    launcher: &Launcher,
    store: &mut Store,
    way: &WayBack<'_>,
    entry: JournalEntry,
    leave: impl Future<Output = ()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Applied, ApplyError> {
    let begun = Instant::now();
    let plan = prepare(engine, way, &entry.deploy).await?;
    let name = &way.service.name;
    remember(store, name, way.observed, &plan.deploy)?;
    let to = short_name(way.version);
    info!(service = %name, deploy = %entry.deploy, "going back to {to} on purpose");
    let with = Drive {
        engine: Cow::Borrowed(engine),
        service: Some(way.service),
        create: vec![(plan.create, plan.image)],
        recorded: None,
        launcher,
        entry,
        clock: StepClock::default(),
    };
    let end = drive(with, store, plan.deploy, pin!(leave), tell).await?;
    tidy(&end.engine, store, name, Some(way.service), &end.deploy).await;
    Ok(end.applied(begun.elapsed()))
}

/// Works the way out, and keeps both images.
async fn prepare(engine: &Docker, way: &WayBack<'_>, deploy: &str) -> Result<Plan, ApplyError> {
    let was_healthy = health::is_well(engine, way.observed.id(), &way.service.health).await?;
    let image = match moved_tag(way.version) {
        Some(tag) => engine.image(&tag.to_string()).await?,
        None => None,
    };
    let naming = Naming {
        container: way.observed.name(),
        service: way.service.name.as_str(),
        deploy,
        tagged: image
            .as_ref()
            .and_then(|image| image.get("Id").and_then(Value::as_str)),
        was_healthy,
        now: Timestamp::now(),
    };
    let mut plan = back(way.observed, way.version, naming, way.from.clone())
        .map_err(|error| EngineError::Unexpected(error.to_string()))?;
    if let Some(refused) = useless(way.service, &plan.create, &way.version.image) {
        return Err(refused.into());
    }
    plan.deploy.kept = Some(keep_back(engine, way.service, way.observed, way.version).await?);
    Ok(plan)
}
