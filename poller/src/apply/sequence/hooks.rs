//! The hooks of a service made of parts: where they run, and with what. Not here: what their ends mean (`apply::hooks`).

use super::{
    super::hooks::{Calling, Came, Stopped, Verdict, Which, call},
    act::Acted,
    drive::Drive,
    ground::Ground,
    halt::Halt,
    prepare::Ready,
};
use crate::{
    compose::containers,
    docker::{Docker, EngineError},
    sequence::{About, Event, Sequence, Version},
    settings::{Call, Hook},
};

/// Calls the hook that may keep a deploy from being begun.
pub(super) async fn before(with: &Ready<'_>, hook: &Hook, sequence: &Sequence) -> Result<(), Halt> {
    let job = with.job;
    let about = About {
        service: &job.service.name,
        channel: Some(&job.intent.channel),
        intent: &job.intent.id,
        attempt: job.attempt,
    };
    let which = Which::Before;
    let ground = Ground::of(with.parts);
    let calling = Calling {
        engine: with.host.engine,
        launcher: with.host.launcher,
        service: &job.service.name,
        order: ground.order(
            Vec::new(),
            sequence.variables(about, which.word(), Version::New),
        ),
        container: container(with.host.engine, sequence, hook).await?,
        secrets: ground.secrets,
    };
    match Stopped::by(call(&calling, which, hook).await?) {
        Some(stopped) => Err(Halt::Hook(Box::new(stopped))),
        None => Ok(()),
    }
}

/// What a gate that was passed comes to by what the hook after it says, which has the last word in it.
pub(super) async fn after(
    with: &Drive<'_>,
    sequence: &Sequence,
    passed: Acted,
) -> Result<Acted, EngineError> {
    let Some(service) = with.service else {
        return Ok(passed);
    };
    let Some(hook) = &service.hooks.after else {
        return Ok(passed);
    };
    let which = Which::After;
    let variables = sequence.variables(with.about(), which.word(), Version::New);
    let calling = Calling {
        engine: with.engine(),
        launcher: with.host.launcher,
        service: &service.name,
        order: with.ground.order(Vec::new(), variables),
        container: container(with.engine(), sequence, hook).await?,
        secrets: with.ground.secrets.clone(),
    };
    let Came { verdict, log } = call(&calling, which, hook).await?;
    Ok(match verdict {
        Verdict::Well => passed,
        Verdict::PutOff(why) => Acted {
            log,
            is_put_off: true,
            ..Event::Failed { why }.into()
        },
        Verdict::Against(why) => Acted {
            log,
            ..Event::Failed { why }.into()
        },
    })
}

/// A container that runs of the project's service that the hook names.
async fn container(
    engine: Option<&Docker>,
    sequence: &Sequence,
    hook: &Hook,
) -> Result<Option<String>, EngineError> {
    let Call::Exec {
        of: Some(service), ..
    } = &hook.call
    else {
        return Ok(None);
    };
    let (Some(engine), Some(project)) = (engine, &sequence.before.project) else {
        return Ok(None);
    };
    let all = containers(engine, &project.name).await?;
    let its = all
        .into_iter()
        .find(|one| one.service == *service && one.runs);
    Ok(its.map(|one| one.id))
}
