//! Why a program was not started, in words.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::How;

/// What is to be said of a script as Windows writes it.
pub(crate) const CRLF: &str = "has CRLF line ends, so that the system looks for an interpreter with a carriage return in its \
                               name; save it with LF (sed -i 's/\\r$//' FILE; in a repository also `*.sh text eol=lf` in \
                               .gitattributes)";

/// What is to be said of what has no format that the system runs.
pub(crate) const NO_FORMAT: &str = "is neither a program for this machine nor a script whose first line begins with #! (no \
                                    shell is asked to guess)";

/// Why a run gave no ending.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The system cannot start another process.
    #[error("cannot start a process: {0}")]
    Launch(#[source] io::Error),
    /// The process that was to become the program has ended, or gone silent, before that.
    #[error("the process that was to become {program} {what}; it has not run")]
    Lost {
        /// The program.
        program: String,
        /// What became of it.
        what: &'static str,
    },
    /// `begun` did not want it to go.
    #[error("{0}")]
    NotBegun(String),
    /// The program cannot be run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The system does not say what becomes of it. It may have run, and was ended.
    #[error("cannot watch {program}: {why}; it was ended")]
    Watch {
        /// The program.
        program: String,
        /// Why.
        why: io::Error,
    },
    /// It said more on its standard output than is taken in. It has run, and was ended.
    #[error("{program} wrote more than {} MiB to its standard output; it was ended", max >> 20)]
    TooMuch {
        /// The program.
        program: String,
        /// Bytes.
        max: usize,
    },
    /// It has run, and something of it goes on that cannot be ended: the kernel does not let go of it, or it is not ours to end.
    #[error(
        "what {program} has started goes on as session {session} and cannot be ended (ps -s {session})"
    )]
    Outlived {
        /// The program.
        program: String,
        /// The number of the process that led it.
        session: i32,
        /// How the program itself has ended; `None` where it was to be ended for something else than the time.
        how: Option<How>,
        /// The end of what it said, at most [`super::MAX_TAIL`] bytes.
        tail: String,
    },
}

impl ProcessError {
    /// Whether something of the program goes on, beside which nothing may be done.
    pub fn goes_on(&self) -> bool {
        matches!(self, Self::Outlived { .. })
    }

    /// Whether the program may have done something.
    pub fn has_run(&self) -> bool {
        match self {
            Self::TooMuch { .. } | Self::Watch { .. } | Self::Outlived { .. } => true,
            Self::Launch(_) | Self::Lost { .. } | Self::NotBegun(_) | Self::Refused(_) => false,
        }
    }
}

/// Why a program cannot be run. It has not.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Refusal {
    /// No program at all, or something that no program can be given.
    #[error("{0}")]
    Senseless(String),
    /// Nobody knows the user.
    #[error("there is no user {user:?} on this host")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// Towline is not root.
    #[error("towline runs as {own} and may not become {user}: run it as root, or leave `user` out")]
    NotRoot {
        /// Who towline is.
        own: String,
        /// Whom it should become.
        user: String,
    },
    /// Towline is root, and may not do what root does.
    #[error(
        "towline is root and may not become {user}, for it lacks the capabilities CAP_SETUID and CAP_SETGID; give them to its \
         unit, as docs/examples/towline-commands.conf does, or leave `user` out"
    )]
    Incapable {
        /// Whom it should become.
        user: String,
    },
    /// The system does not say who a user is, or does not let us become it.
    #[error("cannot become the user {user}: {why}")]
    User {
        /// The name.
        user: String,
        /// Why.
        why: String,
    },
    /// The folder cannot be gone into, as that user.
    #[error("cannot go into the folder {}, as the user {user}: {why}", dir.display())]
    Dir {
        /// The folder.
        dir: PathBuf,
        /// Who tried.
        user: String,
        /// Why.
        why: String,
    },
    /// A bare name that is nowhere in PATH.
    #[error("there is no program {program:?} in {path}")]
    NotInPath {
        /// The name.
        program: String,
        /// PATH.
        path: String,
    },
    /// A path where nothing is.
    #[error("there is no {program:?} in {}", dir.display())]
    Missing {
        /// The path.
        program: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A folder.
    #[error("{program:?} is a folder, not a program")]
    Folder {
        /// The path.
        program: String,
    },
    /// A file that this user may not execute.
    #[error("{program:?} may not be executed by the user {user} (chmod +x?)")]
    NotExecutable {
        /// The path.
        program: String,
        /// Who tried.
        user: String,
    },
    /// Neither a binary for this machine nor a script.
    #[error("{program:?} {NO_FORMAT}")]
    NoFormat {
        /// The path.
        program: String,
    },
    /// A script for a program that is not there.
    #[error(
        "the interpreter {interpreter:?} that {program:?} names in its first line is not there; install it, or name another one"
    )]
    NoInterpreter {
        /// The script's path.
        program: String,
        /// What its first line names.
        interpreter: String,
    },
    /// A script as Windows writes it.
    #[error("{program:?} {CRLF}")]
    CarriageReturn {
        /// The script's path.
        program: String,
    },
    /// The file is there, what its first line (or its header) names is not.
    #[error("the interpreter that {program:?} names in its first line is not there")]
    Interpreter {
        /// The path.
        program: String,
    },
    /// Anything else.
    #[error("cannot run {program:?}: {why}")]
    Other {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
}
