//! Going back on purpose to a version that is kept: no registry is asked, and the machine is the same.

use std::{borrow::Cow, pin::pin, time::Instant};

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::Side;
use tracing::info;

use super::{
    Applied, ApplyError, Progress, StepClock,
    drive::{Drive, drive},
    group::{looked_after, notes},
    inspect::useless,
    keep::{keep_back, remember, tidy},
    prepare::already,
    way::{Replacement, way_of},
};
use crate::{
    docker::{Docker, EngineError},
    health,
    plan::{
        Naming, Observed, Plan, Whose, back, gone, joined, moved_tag, rolled, short_name, strayed,
    },
    process::Launcher,
    settings::Service,
    store::{JournalEntry, Store, Version},
};

/// One way back on purpose.
#[derive(Clone, Debug)]
pub struct WayBack<'a> {
    /// The service.
    pub service: &'a Service,
    /// The service's containers, which may be replaced.
    pub found: &'a [Observed],
    /// Their commit, if it is known, and their digest.
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
    let (plan, replaced) = prepare(engine, launcher, way, &entry.deploy).await?;
    let name = &way.service.name;
    remember(store, name, &replaced)?;
    let to = short_name(way.version);
    info!(service = %name, deploy = %entry.deploy, "going back to {to} on purpose");
    let with = Drive {
        engine: Cow::Borrowed(engine),
        service: Some(way.service),
        create: plan.create,
        recorded: None,
        launcher,
        entry,
        clock: StepClock::default(),
    };
    let end = drive(with, store, plan.deploy, pin!(leave), tell).await?;
    tidy(&end.engine, store, name, Some(way.service), &end.deploy).await;
    Ok(end.applied(begun.elapsed()))
}

/// Works the way out for the containers that do not have that version, and keeps all images. Returns the plan, and what it
/// is to replace.
async fn prepare(
    engine: &Docker,
    launcher: &Launcher,
    way: &WayBack<'_>,
    deploy: &str,
) -> Result<(Plan, Vec<Observed>), ApplyError> {
    let is_one_of_several = way.found.len() > 1;
    let (mut replaced, mut plans, mut there) = (Vec::new(), Vec::new(), Vec::new());
    let mut ways = Vec::new();
    for observed in way.found {
        if observed.image_id() == way.version.image_id {
            there.push(observed.clone());
            continue;
        }
        let plan = prepare_one(engine, way, observed, deploy).await?;
        let refused = plan.create.first().and_then(|(create, _)| {
            let refused = useless(way.service, create, &way.version.image)?;
            Some(refused.of(observed.name(), is_one_of_several))
        });
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        let replacement = Replacement {
            observed,
            model: Some(&way.version.container),
            made: plan
                .create
                .first()
                .map(|(create, _)| (create, &way.version.image)),
            is_one_of_several,
        };
        ways.push(way_of(way.service, &replacement)?);
        plans.push(plan);
        replaced.push(observed.clone());
    }
    let nothing = || EngineError::Unexpected("every container has that version".to_owned());
    let mut plan = joined(plans).ok_or_else(nothing)?;
    plan.deploy = gone(rolled(plan.deploy, way.service.work.rolling()), ways);
    plan.deploy.notes.extend(already(&there));
    plan.deploy
        .notes
        .extend(notes(engine, launcher, &plan).await);
    plan.deploy.kept = Some(keep_back(engine, way.service, &replaced, way.version).await?);
    Ok((plan, replaced))
}

async fn prepare_one(
    engine: &Docker,
    way: &WayBack<'_>,
    observed: &Observed,
    deploy: &str,
) -> Result<Plan, ApplyError> {
    let was_healthy = health::is_well(engine, observed.id(), &way.service.health).await?;
    let whose = Whose::of(way.found.len());
    let tag = moved_tag(observed, way.version, whose);
    if let Some(refused) = strayed(observed, tag.as_ref()) {
        return Err(refused.into());
    }
    let image = match tag {
        Some(tag) => engine.image(&tag.to_string()).await?,
        None => None,
    };
    let naming = Naming {
        container: observed.name(),
        service: way.service.name.as_str(),
        deploy,
        tagged: image
            .as_ref()
            .and_then(|image| image.get("Id").and_then(Value::as_str)),
        was_healthy,
        now: Timestamp::now(),
    };
    let observed = &looked_after(engine, observed).await?;
    let plan = back(observed, way.version, whose, naming, way.from.clone());
    Ok(plan.map_err(|error| EngineError::Unexpected(error.to_string()))?)
}
