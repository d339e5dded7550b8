//! The containers that share a namespace of the one that is replaced: looked at, so that they can be made anew with it, and
//! made so that Compose, which keeps in a label with whom they share, goes on taking them for its own.

use futures_util::future::try_join_all;

use tracing::warn;

use super::image::id;
use crate::{
    compose::{Cli, Followed, labels::HASH},
    docker::{Docker, EngineError},
    health,
    machine::{Deploy, Ending},
    plan::{Companion, Made, Observed, Plan, companions},
    process::Launcher,
    spec::CreateRequest,
};

/// The same with those that are replaced with it. Whether they are well is not looked at.
pub(super) async fn accompanied(
    engine: &Docker,
    mut observed: Observed,
) -> Result<Observed, EngineError> {
    let looked = companions(&observed).into_iter().map(async |container| {
        let alone = Observed {
            container: container.clone(),
            image: None,
            all: Vec::new(),
            with: Vec::new(),
            brought: None,
        };
        let (image, tagged) = tokio::try_join!(
            engine.image(alone.image_id()),
            engine.image(alone.reference())
        )?;
        let tagged = tagged.as_ref().and_then(id).map(str::to_owned);
        let observed = Observed { image, ..alone };
        Ok::<_, EngineError>(Companion {
            observed,
            tagged,
            is_well: true,
        })
    });
    observed.with = try_join_all(looked).await?;
    Ok(observed)
}

/// The same, where it was looked whether those that are replaced with it are well.
pub(super) async fn looked_after(
    engine: &Docker,
    observed: &Observed,
) -> Result<Observed, EngineError> {
    let mut observed = observed.clone();
    let looked = observed.with.iter_mut().map(async |one| {
        one.is_well = health::is_well(engine, one.observed.id(), &[]).await?;
        Ok::<_, EngineError>(())
    });
    try_join_all(looked).await?;
    Ok(observed)
}

/// For people: which of those that are replaced with it `docker compose up` will make anew.
pub(super) async fn notes(engine: &Docker, launcher: &Launcher, plan: &Plan) -> Vec<String> {
    let cli = cli(engine, launcher);
    let own = plan.deploy.members.len() - plan.deploy.companions().len();
    let made = plan.create.iter().skip(own);
    let members = plan.deploy.companions().iter().zip(made);
    let mut notes = Vec::new();
    for (member, (request, _)) in members {
        let why = match cli.followed(request, &[]).await {
            Ok(Followed::Stays | Followed::Becomes(_)) => continue,
            Ok(Followed::Unknown) => "its project's files say something else by now".to_owned(),
            Err(error) => error.to_string(),
        };
        let name = &member.name;
        notes.push(format!("`docker compose up` will make {name} anew: {why}"));
    }
    notes
}

/// For people: what became of those that share a namespace of the container, where they are not as if nothing had been.
pub(super) fn with_it(deploy: &Deploy) -> Option<String> {
    let how = match deploy.ending()? {
        Ending::Succeeded { .. } => "with it",
        Ending::RolledBack { .. } => "put back with it",
        Ending::FailedUntouched { .. } | Ending::NeedsOperator { .. } | Ending::Paused { .. } => {
            return None;
        }
    };
    let with: Vec<_> = deploy.companions().iter().map(|one| &*one.name).collect();
    (!with.is_empty()).then(|| format!("{how}: {}", with.join(", ")))
}

/// The request, which shares with `replaced` containers, with the label that Compose would give it then; pairs of ids.
pub(super) async fn as_composed(
    engine: &Docker,
    launcher: &Launcher,
    (request, _): &Made,
    replaced: &[(&str, &str)],
) -> CreateRequest {
    let shared = request.clone().sharing(replaced);
    if shared == *request {
        return shared;
    }
    match cli(engine, launcher).followed(request, replaced).await {
        Ok(Followed::Becomes(hash)) => shared.labelled(HASH, &hash),
        Ok(Followed::Stays | Followed::Unknown) => shared,
        Err(error) => {
            warn!(
                "Compose was not asked for the label of a container that shares with another: {error}"
            );
            shared
        }
    }
}

fn cli(engine: &Docker, launcher: &Launcher) -> Cli {
    Cli::new(launcher.clone(), std::env::vars(), engine)
}
