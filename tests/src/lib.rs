//! Support code of the whole-system tests, the demo and the benchmarks.
//!
//! Here: starting the real parts (relay in workerd, Docker engine and registry by way of the sandbox,
//! the `towline` binary), speaking to them as GitHub, an operator and a browser would, and stopping
//! them, and a git server on loopback (`git_server`). Three stand-ins are here: GitHub's issuer of tokens (`issuer`), its API
//! (`github_api`) and its runner (`workflow`). Not here: any assertion about Towline.

pub mod checkout;
pub mod child;
pub mod dev_server;
pub mod docker;
pub mod doorbell;
pub mod forward;
pub mod git_server;
pub mod github;
pub mod github_api;
pub mod guide;
pub mod host;
pub mod http;
pub mod issuer;
pub mod machine;
pub mod nginx;
pub mod place;
pub mod prober;
pub mod proc;
pub mod program;
pub mod relay;
pub mod server;
pub mod simulated;
pub mod site;
pub mod steady;
pub mod user;
pub mod wait;
pub mod workflow;
