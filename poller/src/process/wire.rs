//! What `run` and the process that becomes the program say to each other: lines of JSON over a pair of sockets, so that
//! nothing of it is on a command line or in an environment that others can see. The socket closes by itself when the program
//! takes over: silence is success.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Order, Refusal};

/// The argument by which towline is asked to become another program.
pub(super) const ARGUMENT: &str = "exec-step";
/// The word to go.
pub(super) const GO: &str = "go\n";

/// What to become.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) argv: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) dir: PathBuf,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) dies_with_us: bool,
}

impl From<&Order> for Request {
    fn from(order: &Order) -> Self {
        Self {
            argv: order.argv.clone(),
            user: order.user.clone(),
            dir: order.dir.clone(),
            env: order.env.clone(),
            stdin: order.stdin.clone(),
            dies_with_us: order.dies_with_us,
        }
    }
}

/// What comes back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is the user, in the folder, and waits for [`GO`].
    Ready,
    /// It cannot become the program, and ends.
    Refused(Refusal),
}

/// A line of it.
pub(super) fn line(said: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    Ok(line)
}
