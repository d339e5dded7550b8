//! The hooks of a service made of parts: where they run, and with what. Not here: what their ends mean (`apply::hooks`).

use towline_protocol::{Outcome, Sha};

use super::{
    super::hooks::{Calling, Came, Stopped, Which, call},
    Host,
    act::Acted,
    checkout::Tree,
    command::refusal,
    drive::Drive,
    ground::Ground,
    halt::Halt,
    prepare::Ready,
};
use crate::{
    compose::{Resolved, containers},
    docker::{Docker, EngineError},
    process::{CRLF, Head},
    sequence::{About, Event, Sequence, Version},
    settings::{Call, Hook, Hooks, Parts},
};

/// What is wrong with a hook that names a service which the project does not have, if one does.
pub fn unknown_service(hooks: &Hooks, resolved: &Resolved) -> Option<String> {
    let all = [("before", &hooks.before), ("after", &hooks.after)];
    all.into_iter().find_map(|(key, hook)| {
        let Call::Exec {
            of: Some(service), ..
        } = &hook.as_ref()?.call
        else {
            return None;
        };
        if resolved.services.contains_key(service) {
            return None;
        }
        let known: Vec<_> = resolved.services.keys().map(String::as_str).collect();
        let known = known.join(", ");
        Some(format!(
            "hooks.{key}.service: the project has no service {service:?}; it has {known}"
        ))
    })
}

/// Whether the commit has the hook after it, where that lies in the checkout.
pub(super) async fn has_after(
    host: Host<'_>,
    parts: &Parts,
    hook: Option<&Hook>,
    commit: &Sha,
) -> Result<(), Halt> {
    let Some(Call::Run(argv)) = hook.map(|hook| &hook.call) else {
        return Ok(());
    };
    let program = argv.first().map_or("", String::as_str);
    let (Some(file), Some(tree)) = (parts.in_checkout(program), Tree::of(parts, host)) else {
        return Ok(());
    };
    let what = format!("hooks.after: {program} of commit {}", commit.short());
    match tree.program(commit, &file).await? {
        Some(found) if !found.is_executable => Err(Halt::Unfit(format!(
            "{what} may not be executed; commit it after git update-index --chmod=+x {}",
            file.display()
        ))),
        Some(found) if Head::read(&found.head) == Head::CarriageReturn => {
            Err(Halt::Unfit(format!("{what} {CRLF}")))
        }
        Some(_) => Ok(()),
        // What git does not track stays as it is.
        None => match refusal(host, parts, argv).await {
            Some(why) => {
                let why = format!("hooks.after: the commit does not bring it, and here: {why}");
                Err(Halt::Over(Outcome::Refused, why))
            }
            None => Ok(()),
        },
    }
}

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
    Ok(match verdict.failure() {
        None => passed,
        Some((why, fault)) => Acted {
            log,
            hook: Some(fault),
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
