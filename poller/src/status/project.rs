//! How the containers of a Compose project are, by what the engine shows.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Observed, Shown,
    look::{nothing, observed},
};
use crate::{
    compose::{
        Placed, Project, is_done,
        labels::{FILES, ONEOFF, PROJECT, SERVICE},
    },
    docker::{Docker, EngineError},
    settings::{Compose, Parts},
};

/// A container of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectContainer {
    /// The service in the Compose file that it is of.
    pub service: String,
    /// Whether its image is the one that the last deploy has brought; `None` when that is not known.
    #[serde(default)]
    pub as_deployed: Option<bool>,
    /// Whether it has done what it should: it ended with status 0, nobody is to start it again, and nothing says that its service
    /// must run.
    #[serde(default)]
    pub done: bool,
    /// Whether the last deploy has left no container of its service: it is nobody's business how it is.
    #[serde(default)]
    pub beside: bool,
    /// What the engine shows of it.
    #[serde(flatten)]
    pub observed: Observed,
}

/// A service of a project that has fewer containers than the last deploy has left there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The service in the Compose file.
    pub service: String,
    /// How many containers it has.
    pub there: u64,
    /// How many it had.
    pub of: u64,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, there, of } = self;
        match there {
            0 => write!(f, "{service} is gone"),
            _ => write!(f, "{service} has {there} of {of} containers"),
        }
    }
}

/// Looks at the containers of the project's services that are brought up, and compares them with what a deploy has left there;
/// nothing is shown when the parts have no project.
///
/// They are told by the project's name, where the host's file or the deploy has one, or else by the file that they were made
/// from: what Compose calls the project may stand in that file, which only Compose reads.
pub(super) async fn look_at(
    engine: &Docker,
    parts: &Parts,
    placed: Option<&Placed>,
) -> Result<Shown, EngineError> {
    let Some(compose) = &parts.compose else {
        return Ok(Shown::default());
    };
    let checkout = parts.git.as_ref().map(|git| git.path.as_path());
    let home = Project::new(compose, checkout).home;
    let placed = placed.filter(|placed| is_same(compose, placed));
    let known = placed.map(|placed| placed.project.as_str());
    let project = compose.project.as_deref().or(known);
    let shown = engine.containers_where(|listed| is_its(compose, project, &home, listed));
    let mut all = Vec::new();
    for container in shown.await? {
        let service = label(&container, SERVICE).unwrap_or_default().to_owned();
        let image = match container.get("Image").and_then(Value::as_str) {
            Some(id) => engine.image(id).await?,
            None => None,
        };
        let as_deployed = placed.and_then(|placed| {
            let placed = placed.services.get(&service)?;
            Some(container.get("Image")?.as_str()? == placed.image)
        });
        all.push(ProjectContainer {
            service,
            as_deployed,
            done: is_done(&container),
            beside: false,
            observed: observed(container, image, None),
        });
    }
    let name = |one: &ProjectContainer| (one.service.clone(), one.observed.name.clone());
    all.sort_by_key(name);
    Ok(Shown {
        missing: placed.map_or(Vec::new(), |placed| judge(compose, placed, &mut all)),
        containers: Some(all),
        ..Shown::default()
    })
}

/// Whether the host's file still means the project of that deploy.
fn is_same(compose: &Compose, placed: &Placed) -> bool {
    let named = compose.project.as_ref();
    named.is_none_or(|name| *name == placed.project)
}

/// Says of each container whether it counts and whether it is done; returns what is missing.
fn judge(compose: &Compose, placed: &Placed, all: &mut [ProjectContainer]) -> Vec<Missing> {
    for one in all.iter_mut() {
        one.beside = !placed.services.contains_key(&one.service);
    }
    let is_up = all.iter().any(|one| !one.beside && one.observed.is_up());
    for one in all.iter_mut() {
        one.done &= !placed.is_missed(&one.service, is_up);
    }
    missing(compose, placed, is_up, all)
}

/// The services that the host's file still wants and that have fewer containers than there were. More of them are somebody's
/// wish.
fn missing(
    compose: &Compose,
    placed: &Placed,
    is_up: bool,
    now: &[ProjectContainer],
) -> Vec<Missing> {
    let services = placed.services.iter();
    let services =
        services.filter(|(name, _)| is_wanted(compose, name) && placed.is_missed(name, is_up));
    let counted = services.map(|(name, service)| {
        let there = now.iter().filter(|one| one.service == *name).count();
        Missing {
            service: name.clone(),
            there: u64::try_from(there).unwrap_or(u64::MAX),
            of: service.containers,
        }
    });
    counted.filter(|one| one.there < one.of).collect()
}

fn is_wanted(compose: &Compose, service: &str) -> bool {
    compose.services.is_empty() || compose.services.iter().any(|one| one == service)
}

fn is_its(compose: &Compose, project: Option<&str>, file: &Path, listed: &Value) -> bool {
    let own = |name: &str| listed.get("Labels")?.get(name)?.as_str();
    let file = file.to_str();
    let is_of_project = match project {
        Some(project) => own(PROJECT) == Some(project),
        None => own(FILES).is_some_and(|files| files.split(',').any(|one| Some(one) == file)),
    };
    let service = own(SERVICE).unwrap_or_default();
    is_of_project && is_wanted(compose, service) && own(ONEOFF) != Some("True")
}

fn label<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    container.get("Config")?.get("Labels")?.get(name)?.as_str()
}

impl ProjectContainer {
    /// Whether it is as it should be: it runs, or has done what it should.
    pub fn is_well(&self) -> bool {
        self.trouble().is_none() && self.observed.state != "created"
    }

    /// What is wrong with it.
    pub fn trouble(&self) -> Option<String> {
        let counts = !self.done && !self.beside;
        let trouble = self.observed.trouble().filter(|_| counts)?;
        Some(format!("{}: {trouble}", self.service))
    }
}

/// What is wrong with a project: all that is missing, and the first container that is not as it should be.
pub(super) fn trouble(containers: &[ProjectContainer], missing: &[Missing]) -> Option<String> {
    let is_empty = containers.iter().all(|one| one.beside);
    let gone = match missing {
        [] => None,
        _ if is_empty => Some("all of its containers are gone".to_owned()),
        missing => {
            let all: Vec<_> = missing.iter().map(Missing::to_string).collect();
            Some(all.join(", "))
        }
    };
    let unwell = containers.iter().find_map(ProjectContainer::trouble);
    let all: Vec<_> = gone.into_iter().chain(unwell).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// All of them as one container: what matters to whether one is started again and again.
pub(super) fn together(containers: &[ProjectContainer]) -> Observed {
    let its = || containers.iter().filter(|one| !one.beside);
    let all = || its().map(|one| &one.observed);
    let is_starting = all().any(|one| one.health.as_deref() == Some("starting"));
    let first = all().next().cloned();
    Observed {
        health: is_starting.then(|| "starting".to_owned()),
        started_at: all().filter_map(|one| one.started_at).max(),
        restarts: all().map(|one| one.restarts).sum(),
        digest: None,
        ..first.unwrap_or_else(|| nothing("absent"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(service: &str, state: &str, exit_code: Option<i64>) -> ProjectContainer {
        serde_json::from_value(json!({
            "service": service, "done": exit_code == Some(0), "state": state, "exit_code": exit_code, "health": null,
            "started_at": null, "reference": null, "digest": null
        }))
        .unwrap()
    }

    /// What is wrong with a project of an api that must run, and a worker and a job that may be done.
    fn wrong(mut all: Vec<ProjectContainer>) -> Option<String> {
        let service = |containers, must_run| json!({ "image": "i", "containers": containers, "must_run": must_run });
        let placed = json!({ "project": "s", "services": {
            "api": service(1, true), "worker": service(1, false), "job": service(0, false)
        } });
        let placed = serde_json::from_value(placed).unwrap();
        let compose = Compose {
            file: "/srv/compose.yml".into(),
            project: None,
            services: Vec::new(),
            profiles: Vec::new(),
            env_file: None,
        };
        let missing = judge(&compose, &placed, &mut all);
        trouble(&all, &missing)
    }

    #[test]
    fn a_long_job_may_end_and_be_pruned_while_the_server_beside_it_may_not() {
        let api = || one("api", "running", None);
        assert_eq!(wrong(vec![api(), one("worker", "exited", Some(0))]), None);
        assert_eq!(wrong(vec![api()]), None, "pruned");
        let stopped = wrong(vec![
            one("api", "exited", Some(0)),
            one("worker", "running", None),
        ]);
        assert_eq!(stopped.as_deref(), Some("api: it ended with status 0"));
        let gone = wrong(vec![one("worker", "running", None)]);
        assert_eq!(gone.as_deref(), Some("api is gone"));
        let failed = wrong(vec![api(), one("job", "exited", Some(1))]);
        assert_eq!(failed.as_deref(), Some("job: it ended with status 1"));
    }

    #[test]
    fn where_nothing_runs_any_more_all_that_ran_is_missed() {
        let down = wrong(vec![one("worker", "exited", Some(0))]);
        let trouble = "api is gone; worker: it ended with status 0";
        assert_eq!(down.as_deref(), Some(trouble));
        let debug = one("debug", "running", None);
        let gone = "all of its containers are gone";
        assert_eq!(wrong(vec![debug]).as_deref(), Some(gone));
    }

    #[test]
    fn what_no_deploy_has_brought_is_nobodys_trouble() {
        let all = vec![
            one("api", "running", None),
            one("debug", "exited", Some(143)),
        ];
        assert_eq!(wrong(all), None);
    }
}
