//! The Docker engine of the sandbox, spoken to as its user does: by the `docker` command.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{http::page, place};

/// What marks the containers that the tests made, so that nothing else is touched.
const LABEL: &str = "towline.test";

/// Runs `docker ARGS` and returns what it printed.
///
/// # Errors
/// When it fails; with what it said.
pub fn docker(args: &[&str]) -> Result<String> {
    let output = Command::new("docker")
        .args(args)
        .output()
        .context("starting docker")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "docker {}: {}",
        args.join(" "),
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What `docker inspect` says of a container, an image or a volume.
///
/// # Errors
/// When there is none of that name.
pub fn inspect(name: &str) -> Result<Value> {
    let all: Vec<Value> = serde_json::from_str(&docker(&["inspect", name])?)?;
    all.into_iter()
        .next()
        .with_context(|| format!("docker inspect {name} was empty"))
}

/// The names of all containers that carry `label`, running or not, in order.
///
/// # Errors
/// When the engine does not answer.
pub fn containers(label: &str) -> Result<Vec<String>> {
    let filter = format!("label={label}");
    let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"])?;
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Pushes an image of the toy service, version `tag`, that behaves as `mode` says (see `tests/toy`), and returns its
/// reference by digest. The engine keeps no copy.
///
/// # Errors
/// When the engine or the registry refuses it; with what was said.
pub fn push(name: &str, tag: &str, mode: &str) -> Result<String> {
    push_with(name, tag, mode, &[])
}

/// As [`push`], with image defaults as lines of a Dockerfile.
///
/// # Errors
/// As for [`push`].
pub fn push_with(name: &str, tag: &str, mode: &str, defaults: &[&str]) -> Result<String> {
    let mut push = Command::new(place::root().join("tests/toy/push"));
    let output = push
        .args([name, tag, mode])
        .args(defaults)
        .output()
        .context("starting push")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "pushing {name}:{tag}: {}",
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A running toy service with a published port. Dropping it removes its container and what Towline parked beside it.
pub struct Web {
    /// The container's name.
    pub name: String,
    /// Its image's repository, with the registry.
    pub repository: String,
    /// Where it answers, without a slash at the end.
    pub url: String,
}

impl Web {
    /// Starts version `tag` of image `image`, which was pushed before, as a user would.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn start(image: &str, tag: &str) -> Result<Self> {
        Self::start_with(image, tag, &[])
    }

    /// As [`Self::start`], with more options for `docker run`.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_with(image: &str, tag: &str, options: &[&str]) -> Result<Self> {
        let port = place::free_port()?;
        let name = format!("{image}-{port}");
        let repository = format!("{}/{image}", place::sandbox("TOWLINE_TEST_REGISTRY")?);
        let web = Self {
            name,
            repository,
            url: format!("http://127.0.0.1:{port}"),
        };
        let mut run = web.run_arguments(tag);
        run.splice(1..1, options.iter().map(|option| (*option).to_owned()));
        docker(&run.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(web)
    }

    /// What `docker` is told to start version `tag` of it.
    pub fn run_arguments(&self, tag: &str) -> Vec<String> {
        let address = self.url.trim_start_matches("http://");
        let words = [
            "run",
            "--detach",
            "--name",
            &self.name,
            "--publish",
            &format!("{address}:8080"),
            "--restart",
            "unless-stopped",
            "--label",
            &format!("{LABEL}={}", self.name),
            &format!("{}:{tag}", self.repository),
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Its section of a host's file: deployed as `vN` when run N of `ci.yml` of `octo-org/web` has succeeded on `main`.
    pub fn section(&self) -> String {
        format!(
            r#"[service.web]
repository = "octo-org/web"
workflow = "ci.yml"
branch = "main"
image = "{}:v{{run_number}}"
docker = {{ container = {:?} }}
health = [{{ http = "{}/", contains = "toy", within = "30s" }}]
"#,
            self.repository, self.name, self.url
        )
    }

    /// What its page says, once it answers 200.
    ///
    /// # Errors
    /// When it does not `within` that time.
    pub fn page(&self, within: Duration) -> Result<String> {
        page(&self.url, within)
    }

    /// The names of this service's containers: itself and what was made from it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn containers(&self) -> Result<Vec<String>> {
        containers(&format!("{LABEL}={}", self.name))
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        for name in self.containers().unwrap_or_default() {
            let _ = docker(&["rm", "--force", "--volumes", &name]);
        }
    }
}
