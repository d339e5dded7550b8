//! A service that clients reach through nginx alone, both in containers on a network of their own.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    docker::{containers, docker, push},
    place,
};

const LABEL: &str = "behind-nginx";

/// A toy service without a published port, and an nginx that leads to it by its name. Dropping it removes both, their network, and what
/// Towline parked beside the service.
pub struct Behind {
    /// The service's container.
    pub name: String,
    /// Its image's repository, with the registry.
    pub repository: String,
    /// Where nginx answers.
    pub address: SocketAddr,
    nginx: String,
    network: String,
}

impl Behind {
    /// Pushes v1 of the image and starts both.
    ///
    /// # Errors
    /// When the engine or the registry refuses, or the sandbox has no nginx.
    pub fn nginx(image: &str) -> Result<Self> {
        let port = place::free_port()?;
        let behind = Self {
            name: format!("{image}-{port}"),
            repository: format!("{}/{image}", place::sandbox("TOWLINE_TEST_REGISTRY")?),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            nginx: format!("nginx-{port}"),
            network: format!("net-{port}"),
        };
        docker(&["network", "create", &behind.network])?;
        push(image, "v1", "ok")?;
        let run = behind.run_arguments("v1");
        docker(&run.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut start = Command::new(place::root().join("tests/setup/nginx"));
        start.args([&behind.nginx, &behind.network]);
        start.args([
            &behind.address.to_string(),
            &format!("{}:8080", behind.name),
        ]);
        let output = start.output().context("starting nginx")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "starting nginx: {}", said.trim());
        Ok(behind)
    }

    /// What `docker` is told to start version `tag` of the service.
    pub fn run_arguments(&self, tag: &str) -> Vec<String> {
        let label = format!("{LABEL}={}", self.name);
        let image = format!("{}:{tag}", self.repository);
        let words = ["run", "--detach", "--name", &self.name, "--network"];
        let more = [&self.network, "--restart", "unless-stopped", "--label"];
        let all = words.into_iter().chain(more);
        all.chain([label.as_str(), &image])
            .map(str::to_owned)
            .collect()
    }

    /// Its section of a host's file, with these lines besides: deployed as `vN` when run N of `ci.yml` of `repository` has succeeded
    /// on `main`.
    pub fn section(&self, repository: &str, lines: &str) -> String {
        format!(
            r#"[service.web]
repository = {repository:?}
workflow = "ci.yml"
branch = "main"
image = "{}:v{{run_number}}"
docker = {{ container = {:?} }}
health = [{{ http = "http://{{container}}:8080/", contains = "toy", within = "30s" }}]
{lines}
"#,
            self.repository, self.name
        )
    }

    /// The names of the service's containers: itself and what was made from it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn containers(&self) -> Result<Vec<String>> {
        containers(&format!("{LABEL}={}", self.name))
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let ours = self.containers().unwrap_or_default();
        for name in ours.iter().chain([&self.nginx]) {
            let _ = docker(&["rm", "--force", "--volumes", name]);
        }
        let _ = docker(&["image", "rm", &self.nginx]);
        let _ = docker(&["network", "rm", &self.network]);
    }
}
