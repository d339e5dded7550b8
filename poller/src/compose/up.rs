//! `docker compose up`, run by [`process`].

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{
    Cli, ComposeError, Patience, Project, Variables,
    cli::{arguments, folder},
    containers::mend,
    patience::Interrupted,
};
use crate::{
    docker::Docker,
    process::{self, How, Identity, Order},
};

/// How long services may take to come up: containers have their time to stop, and may wait for the health of others.
pub const UP_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What to bring up.
#[derive(Clone, Debug)]
pub struct Up<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its name, as it was resolved.
    pub name: &'a str,
    /// The services; with none there is nothing to do.
    pub services: &'a [String],
    /// Which version of it.
    pub told: &'a Variables,
    /// Images by service that count instead of the file's own (see [`super::pins`]).
    pub pins: &'a BTreeMap<String, String>,
    /// How many containers services have, where that is not what the file says.
    pub scale: &'a BTreeMap<String, u64>,
    /// How long a container may take to stop, if not as long as its own settings say.
    pub stop_timeout: Option<Duration>,
    /// How long it may be in the way what the engine was asked for last by a Compose that was killed.
    pub patience: Patience,
}

impl Cli {
    /// Brings services up, as `docker compose up -d` does, with images that are here. May be repeated: what a Compose that was
    /// killed has left half made is made whole first, and what the engine still does for it is waited for. `begun` and `line` are
    /// [`process::run`]'s.
    ///
    /// # Errors
    /// When they do not come up.
    pub async fn up(
        &self,
        engine: &Docker,
        up: &Up<'_>,
        begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
        line: &mut dyn FnMut(&str),
    ) -> Result<(), ComposeError> {
        let at = Interrupted {
            engine,
            project: up.name,
            grace: up.stop_timeout,
        };
        let once = async |line: &mut dyn FnMut(&str)| self.up_once(engine, up, begun, line).await;
        up.patience.tries(&at, line, once).await
    }

    async fn up_once(
        &self,
        engine: &Docker,
        up: &Up<'_>,
        begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
        line: &mut dyn FnMut(&str),
    ) -> Result<(), ComposeError> {
        if up.services.is_empty() {
            return Ok(());
        }
        mend(engine, up.name).await?;
        let mut arguments = arguments(up.project, Some(up.name), &[], !up.pins.is_empty());
        arguments.extend(["up", "--detach", "--pull", "never", "--no-build"].map(str::to_owned));
        if let Some(limit) = up.stop_timeout {
            arguments.extend(["--timeout".to_owned(), limit.as_secs().to_string()]);
        }
        for (service, containers) in up.scale {
            arguments.extend(["--scale".to_owned(), format!("{service}={containers}")]);
        }
        arguments.extend(up.services.iter().cloned());
        let order = Order {
            stdin: (!up.pins.is_empty()).then(|| pinned(up.pins)),
            timeout: UP_LIMIT,
            capture: false,
            ..self.order("docker", arguments, folder(up.project), up.told)
        };
        let ended = process::run(&self.launcher, &order, begun, line).await?;
        match ended.how {
            How::Exited(0) => Ok(()),
            how @ (How::Exited(_) | How::Signalled(_) | How::TimedOut) => {
                Err(ComposeError::NotUp {
                    how: how.told("did not come to an end"),
                    said: ended.tail.trim().to_owned(),
                })
            }
        }
    }
}

/// A file, for Compose to read beside the project's own.
fn pinned(pins: &BTreeMap<String, String>) -> Vec<u8> {
    let services: serde_json::Map<_, _> = pins
        .iter()
        .map(|(service, image)| (service.clone(), json!({ "image": image })))
        .collect();
    json!({ "services": services }).to_string().into_bytes()
}
