//! What is there of a service that is made of parts: its checkout, its project, its programs, and room for its backup.

use std::{collections::BTreeMap, path::Path};

use super::{super::logins::open_to_all, Found};
use crate::{
    apply::sequence::{Host, program_refusal, unknown_service},
    backup::Shelf,
    compose::{Cli, Project, containers, lacks_healthcheck, twin, unknown_profile},
    docker::Docker,
    git::{self, Look},
    health,
    process::Launcher,
    settings::{Backup, Command, Compose, Events, Git, HealthCheck, Parts, Probe, Service},
};

/// A commit and a git tag that a project is told while it is looked at, where what deploys it has one.
const SAMPLE: (&str, &str) = ("0000000000000000000000000000000000000000", "v0.0.0");

/// What was found of `service`, and the images of its project. `state` is the state directory; nothing in it is changed.
pub(super) async fn look(
    engine: Option<&Result<Docker, String>>,
    service: &Service,
    parts: &Parts,
    state: &Path,
) -> (Found, Vec<String>) {
    let launcher = Launcher::own();
    let mut found = Found::default();
    if let Some(git) = &parts.git {
        checkout(&launcher, git, parts, &mut found).await;
    }
    let mut images = Vec::new();
    match (&parts.compose, engine) {
        (Some(compose), Some(Ok(engine))) => {
            match project(&launcher, engine, service, compose, parts).await {
                Ok((what, its)) => {
                    found.line("project", Ok(what));
                    images = its;
                }
                Err(why) => found.line("project", Err(why)),
            }
        }
        (Some(_), silent) => {
            let why = silent.and_then(|engine| engine.as_ref().err());
            let why = why.map_or("not looked at", String::as_str);
            found.lines += &format!("  project: PROBLEM: {why}\n");
        }
        (None, _) => {}
    }
    programs(&launcher, service, parts, &mut found).await;
    if let Some(backup) = &parts.backup {
        found.line("backup", room(service, backup, state).await);
    }
    (found, images)
}

/// The checkout, and where its commits come from. Nobody but this host is asked.
async fn checkout(launcher: &Launcher, git: &Git, parts: &Parts, found: &mut Found) {
    let mut tools = git::Tools {
        launcher,
        begun: &mut |_| Ok(()),
        limits: git::Limits::default(),
    };
    let user = parts.user.as_deref();
    let place = git::Place { git, user };
    let look = match git::look(&mut tools, &place).await {
        Ok(look) => look,
        Err(error) => return found.line("checkout", Err(error.to_string())),
    };
    found.line("checkout", undisturbed(look, git));
    if let Err(error) = git::writable(&mut tools, &place).await {
        found.line("checkout", Err(error.to_string()));
    }
    let open = git.credential_file.as_deref().and_then(open_to_all);
    if let Some(warning) = open {
        found.line("credential_file", Ok(warning));
    }
    let remote = git::remote(&mut tools, &place).await;
    let remote = remote.map(|address| format!("{} at {address}", git.remote));
    found.line("remote", remote.map_err(|error| error.to_string()));
}

/// Whether the checkout may be put at another commit, and where it is.
fn undisturbed(look: Look, of: &Git) -> Result<String, String> {
    if let Some(what) = look.in_progress {
        return Err(format!("somebody is in the middle of a {what} there"));
    }
    if !look.changes.is_empty() && !of.discard_changes {
        return Err(format!(
            "it has local changes: {}; commit them, or set discard_changes = true",
            git::few(&look.changes)
        ));
    }
    let branch = look
        .at
        .branch
        .map_or(String::new(), |name| format!(" on {name}"));
    let lost = match look.changes.is_empty() {
        true => String::new(),
        false => format!(
            "; a deploy throws away what was changed here (discard_changes): {}",
            git::few(&look.changes)
        ),
    };
    Ok(format!("at {}{branch}{lost}", look.at.commit.short()))
}

/// What a project is told by all that deploys it: a variable that one of them leaves unset is one that its deploys are
/// refused for.
fn sample(events: &Events) -> Vec<(String, String)> {
    let Events {
        runs,
        pushes,
        packages,
        releases,
        deployments,
    } = events;
    let of_branch = pushes
        .as_ref()
        .is_some_and(|push| !push.branches.is_empty());
    let lacks_tag = runs.is_some() || of_branch || packages.is_some() || deployments.is_some();
    let has_tag = !lacks_tag && (releases.is_some() || pushes.is_some());
    let sha = packages.is_none().then_some(("TOWLINE_SHA", SAMPLE.0));
    let tag = has_tag.then_some(("TOWLINE_TAG", SAMPLE.1));
    let all = sha.into_iter().chain(tag);
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What Compose makes of the project, and its images.
async fn project(
    launcher: &Launcher,
    engine: &Docker,
    service: &Service,
    compose: &Compose,
    parts: &Parts,
) -> Result<(String, Vec<String>), String> {
    let cli = Cli::new(launcher.clone(), std::env::vars(), engine);
    let version = cli.version().await.map_err(|error| error.to_string())?;
    let checkout = parts.git.as_ref().map(|git| git.path.as_path());
    let told = sample(&service.rule.events);
    let project = Project::new(compose, checkout);
    let resolved = cli.resolve(&project, &told).await;
    let resolved = resolved.map_err(|error| error.to_string())?;
    beside(engine, &project, &resolved.name).await?;
    let unknown = resolved.unknown_profile(&project);
    let unknown = unknown.map(|profile| unknown_profile(&project, profile));
    let unknown = unknown.or_else(|| unknown_service(&service.hooks, &resolved));
    if let Some(why) = unknown.clone().filter(|_| parts.git.is_none()) {
        return Err(why);
    }
    if health::asks_for_own(&service.health) {
        let here = BTreeMap::new();
        let lacking = lacks_healthcheck(engine, &resolved, &here).await;
        if let Some(why) = lacking.map_err(|error| error.to_string())? {
            return Err(why);
        }
    }
    let names: Vec<_> = resolved.wanted().map(|(name, _)| name.to_owned()).collect();
    let images = resolved
        .wanted()
        .filter_map(|(_, of)| of.reference.as_ref());
    let images = images.map(ToString::to_string).collect();
    let bring = unknown.map_or(String::new(), |why| {
        format!("; a commit has to bring it: {why}")
    });
    let what = format!(
        "{} with {}, by Compose {version}{bring}",
        resolved.name,
        names.join(", ")
    );
    Ok((what, images))
}

/// Whether the project may come up by that name.
async fn beside(engine: &Docker, project: &Project, name: &str) -> Result<(), String> {
    let found = async {
        let now = containers(engine, name).await?;
        twin(engine, project, name, &now).await
    };
    match found.await {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the programs of commands and checks can be run. One that a commit may still bring is no problem.
async fn programs(launcher: &Launcher, service: &Service, parts: &Parts, found: &mut Found) {
    let host = Host {
        engine: None,
        launcher,
    };
    let mut all: Vec<(&str, &Vec<String>)> = Vec::new();
    if let Some(Command {
        run,
        rollback,
        stop,
        start,
        ..
    }) = &parts.command
    {
        all.push(("command.run", run));
        all.extend(rollback.iter().map(|argv| ("command.rollback", argv)));
        all.extend(stop.iter().map(|argv| ("command.stop", argv)));
        all.extend(start.iter().map(|argv| ("command.start", argv)));
    }
    all.extend(service.health.iter().filter_map(|check| match check {
        HealthCheck::Tried {
            probe: Probe::Exec(argv),
            ..
        } => Some(("health.exec", argv)),
        HealthCheck::Tried { .. } | HealthCheck::Docker { .. } => None,
    }));
    for (key, argv) in all {
        let Some(why) = program_refusal(host, parts, argv).await else {
            continue;
        };
        let program = argv.first().map_or("", String::as_str);
        // What stops the service is called in what is checked out now.
        let may_come = key != "command.stop" && parts.in_checkout(program).is_some();
        found.line(
            key,
            if may_come {
                Ok(format!("a commit has to bring it: {why}"))
            } else {
                Err(why)
            },
        );
    }
}

/// Whether what is backed up is there, and room for it where backups lie.
async fn room(service: &Service, backup: &Backup, state: &Path) -> Result<String, String> {
    let shelf = Shelf::of(state, service.name.clone());
    let ready = shelf.ready(&backup.paths, backup.restore).await;
    ready.map_err(|error| error.to_string())?;
    let there = if state.is_dir() {
        ""
    } else {
        ", which is not there yet"
    };
    Ok(format!("there is room in {}{there}", state.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::settings;

    #[test]
    fn a_project_is_told_what_all_that_deploys_it_has() {
        let told = |rule: &str| {
            let text = format!(
                "[service.stack]\nrepository = \"octo-org/stack\"\n{rule}\nimage = \"ghcr.io/octo-org/stack\"\n\
                 compose = {{ file = \"/srv/stack/compose.yml\" }}"
            );
            let image = if rule.contains("package") {
                &*text
            } else {
                &text.replace("image = \"ghcr.io/octo-org/stack\"\n", "")
            };
            let settings = settings(image);
            let names = sample(&settings.services[0].rule.events);
            let names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
            names.join(" ")
        };
        let run = "workflow = \"ci.yml\"\nbranch = \"main\"";
        assert_eq!(told(run), "TOWLINE_SHA");
        assert_eq!(told("on = \"release\""), "TOWLINE_SHA TOWLINE_TAG");
        let both = format!("on = [\"workflow\", \"release\"]\n{run}");
        assert_eq!(told(&both), "TOWLINE_SHA");
        assert_eq!(
            told("on = \"push\"\ntag = \"v*\""),
            "TOWLINE_SHA TOWLINE_TAG"
        );
        assert_eq!(told("on = \"package\"\ntag = \"v*\""), "");
    }
}
