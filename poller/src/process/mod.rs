//! Programs that a deploy runs on this host: started once it is on record, as a user, ended whole.
//!
//! Here: [`run`], the only way in which parts of a service start programs, and [`end_leftover`] for what an earlier
//! process of ours has left. `step` is the other side: this binary, called as `towline exec-step`, waits for its order and
//! for the word to go, becomes the user and then the program, which `search` finds. `session` knows who belongs to a program, `output` what is
//! kept of what it says (pure), `environment` what it sees of variables (pure), `head` whether it is a script and whose (pure), `signals` how it hears signals. Not here:
//! which programs, and what an ending means.
//!
//! What is promised: a program has run only if `begun` was called before and said yes. It leads a session of its own, without
//! a terminal; all of that session is ended when the program is, at the timeout, and when [`run`] is dropped, which waits for a
//! fifth of its grace and at most 2 s, and not for what the kernel does not let go of. Whoever leaves the session (`setsid`, a
//! daemon) is not ours any more: what shall live on belongs to a supervisor. When towline itself is killed, its programs go on.

use std::{fmt, path::PathBuf, time::Duration};

pub(crate) use head::{Head, LOOKED_AT};
pub use identity::Identity;
pub use leftover::{Leftover, Leftovers, end_leftover};
pub(crate) use refusal::{CRLF, NO_FORMAT};
pub use refusal::{ProcessError, Refusal};
pub use run::run;

mod environment;
mod head;
mod identity;
mod leftover;
mod output;
mod program;
mod refusal;
mod run;
mod search;
mod session;
mod signals;
pub(crate) mod step;
mod streams;
mod wire;

/// How long a program has between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(10);
/// Bytes of standard output that are taken in where it is captured.
pub const MAX_STDOUT: usize = 4 << 20;
/// Bytes of [`Ended::tail`].
pub const MAX_TAIL: usize = 8 << 10;
/// Bytes of [`Order::stdin`].
pub const MAX_STDIN: usize = 4 << 10;

/// The towline binary that becomes the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher(pub PathBuf);

impl Launcher {
    /// This process's own binary, also after an update has put another one in its place.
    pub fn own() -> Self {
        Self("/proc/self/exe".into())
    }
}

/// A program to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// The program and its arguments. A bare name is looked up in PATH, one with a slash is relative to `dir`.
    pub argv: Vec<String>,
    /// The user to become; `None` is whoever towline is.
    pub user: Option<String>,
    /// Where it begins. Absolute.
    pub dir: PathBuf,
    /// Its variables, beside PATH, HOME, USER, LOGNAME, SHELL and LANG, which can be set anew by it.
    pub env: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
    /// How long it then has between TERM and KILL, usually [`GRACE`].
    pub grace: Duration,
    /// Keep standard output apart, for programs whose output is data: it is then in no line and no tail.
    pub capture: bool,
    /// What it reads from standard input, at most [`MAX_STDIN`] bytes; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// It, and not what it has started, is asked to end (TERM) when towline dies: a program whose end nobody would wait for
    /// then, and which may be ended anywhere. What may not is on record, so that the next process sees to its end.
    pub dies_with_us: bool,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it is given may be secret.
        let program = self.argv.first();
        f.debug_struct("Order")
            .field("program", &program)
            .finish_non_exhaustive()
    }
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// By us, since it took too long.
    TimedOut,
}

impl How {
    /// How, behind what it was; `over` is what is said of a program that took too long.
    pub fn told(self, over: &str) -> String {
        match self {
            Self::Exited(status) => format!("ended with status {status}"),
            Self::Signalled(signal) => format!("was ended by signal {signal}"),
            Self::TimedOut => over.to_owned(),
        }
    }
}

/// A program that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub how: How,
    /// Whether it had left something running, which was ended after it.
    pub others_ended: bool,
    /// The end of what it said, in order, at most [`MAX_TAIL`] bytes; without standard output where that is captured.
    pub tail: String,
    /// Standard output where it is captured, at most [`MAX_STDOUT`] bytes.
    pub stdout: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}
