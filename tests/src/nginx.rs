//! nginx in a container of its own, on a network with a service: what clients ask while that is replaced.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{docker::docker, place};

/// A network of its own, and an nginx on it that leads to a service there. Dropping it removes both, when the service has left.
pub struct Nginx {
    /// The network's name.
    pub network: String,
    /// Where it answers.
    pub address: SocketAddr,
    name: String,
}

impl Nginx {
    /// Makes the network, to which a service is to be added that is found by the name `upstream` and listens at 8080, and starts nginx.
    ///
    /// # Errors
    /// When the engine refuses, or the sandbox has no nginx.
    pub fn before(upstream: &str) -> Result<Self> {
        let port = place::free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let nginx = Self {
            network: format!("net-{port}"),
            address,
            name: format!("nginx-{port}"),
        };
        docker(&["network", "create", &nginx.network])?;
        let mut start = Command::new(place::root().join("tests/setup/nginx"));
        start.args([&nginx.name, &nginx.network]);
        start.args([&address.to_string(), &format!("{upstream}:8080")]);
        let output = start.output().context("starting nginx")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "starting nginx: {}", said.trim());
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
        let _ = docker(&["image", "rm", &self.name]);
        let _ = docker(&["network", "rm", &self.network]);
    }
}
