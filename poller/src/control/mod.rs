//! The control socket: how the other commands speak to the `towline run` that has the state directory.
//!
//! A Unix socket `control` in the state directory, for its owner and root alone. One request a connection: a line of
//! JSON; then lines of JSON back, of which the last one is the answer ([`message`]). It is between one version's
//! commands and its poller and no interface for others: programs use `--json`. `socket` gives it its place, `server`
//! serves it beside the loop (`board` is between the two, `holding` its part about locks), `client` asks. Not here: what the answers say (`status`) and what is done (`daemon`).

use std::path::{Path, PathBuf};

pub mod board;
pub mod client;
mod holding;
pub mod message;
pub mod server;
pub mod socket;

/// The longest path of a socket, in bytes (`sun_path` of unix(7), without its end).
const MAX_PATH: usize = 107;

/// Where the socket of the state directory `dir` is.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("control")
}
