//! How the containers of a Compose project are, by what the engine shows.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Observed, look::observed};
use crate::{
    compose::Project,
    docker::{Docker, EngineError},
    settings::{Compose, Parts},
};

/// Labels by which Compose knows its containers.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONEOFF: &str = "com.docker.compose.oneoff";
const FILES: &str = "com.docker.compose.project.config_files";

/// A container of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectContainer {
    /// The service in the Compose file that it is of.
    pub service: String,
    /// What the engine shows of it.
    #[serde(flatten)]
    pub observed: Observed,
}

/// Looks at the containers of the project's services that are brought up; `None` when the parts have no project.
///
/// They are told by the project's name, where the host's file has one, or else by the file that they were made from: what
/// Compose calls the project may stand in that file, which only Compose reads.
pub(super) async fn look_at(
    engine: &Docker,
    parts: &Parts,
) -> Result<Option<Vec<ProjectContainer>>, EngineError> {
    let Some(compose) = &parts.compose else {
        return Ok(None);
    };
    let checkout = parts.git.as_ref().map(|git| git.path.as_path());
    let project = Project::new(compose, checkout);
    let shown = engine.containers_where(|listed| is_its(compose, &project.home, listed));
    let mut all = Vec::new();
    for container in shown.await? {
        let service = label(&container, SERVICE).unwrap_or_default().to_owned();
        let image = match container.get("Image").and_then(Value::as_str) {
            Some(id) => engine.image(id).await?,
            None => None,
        };
        let observed = observed(container, image, None);
        all.push(ProjectContainer { service, observed });
    }
    let name = |one: &ProjectContainer| (one.service.clone(), one.observed.name.clone());
    all.sort_by_key(name);
    Ok(Some(all))
}

fn is_its(compose: &Compose, file: &Path, listed: &Value) -> bool {
    let own = |name: &str| listed.get("Labels")?.get(name)?.as_str();
    let file = file.to_str();
    let is_of_project = match &compose.project {
        Some(project) => own(PROJECT) == Some(project),
        None => own(FILES).is_some_and(|files| files.split(',').any(|one| Some(one) == file)),
    };
    let service = own(SERVICE).unwrap_or_default();
    let is_wanted =
        compose.services.is_empty() || compose.services.iter().any(|one| one == service);
    is_of_project && is_wanted && own(ONEOFF) != Some("True")
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
        let is_done = self.observed.state == "exited" && self.observed.exit_code == Some(0);
        let trouble = self.observed.trouble().filter(|_| !is_done)?;
        Some(format!("{}: {trouble}", self.service))
    }
}

/// All of them as one container: what matters to whether one is started again and again.
pub(super) fn together(containers: &[ProjectContainer]) -> Option<Observed> {
    let all = || containers.iter().map(|one| &one.observed);
    let is_starting = all().any(|one| one.health.as_deref() == Some("starting"));
    let first = all().next()?;
    Some(Observed {
        health: is_starting.then(|| "starting".to_owned()),
        started_at: all().filter_map(|one| one.started_at).max(),
        restarts: all().map(|one| one.restarts).sum(),
        digest: None,
        ..first.clone()
    })
}
