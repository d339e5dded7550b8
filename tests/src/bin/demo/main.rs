//! The whole way once, on real parts, told as it happens: `make demo`.
//!
//! A web service runs as v1. GitHub, played here, says that the workflow which built v2 has succeeded. What follows is
//! Towline's own work: the relay in workerd, the `towline` binary, and a Docker engine with a registry (`container`), or,
//! where there is no engine, a git checkout whose app is restarted by a command (`checkout`).

use std::env;

use anyhow::Result;

mod checkout;
mod container;
mod story;

fn main() -> Result<()> {
    if env::var_os("TOWLINE_SANDBOX").is_some() {
        container::show()
    } else {
        checkout::show()
    }
}
