//! Asking the poller that has the state directory.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{
    MAX_PATH,
    message::{Ask, Line, MAX_ANSWER, Refused, request},
};

/// How long an answer may take that does not wait for a deploy under way.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody serves: no socket, or one that a dead process has left.
    #[error("no towline run serves {}", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
    },
    /// The socket may not be used.
    #[error(
        "{}: permission denied; run this as root, or as the user of towline run (sudo towline ...)",
        path.display()
    )]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The conversation broke.
    #[error("{}: {why}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// An answer that this version does not understand.
    #[error(
        "the running towline answered something that this command ({}) does not understand; restart the service after an update ({why})",
        env!("CARGO_PKG_VERSION")
    )]
    Strange {
        /// What is strange.
        why: String,
    },
    /// The poller refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What is told before the final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// What was done, or is waited for.
    Step(&'a str),
    /// What goes on just now; the next one takes its place.
    Now(&'a str),
}

/// Asks the poller of the state directory `dir`; `tell` hears what goes on meanwhile. Returns the final answer.
///
/// # Errors
/// See [`ControlError`].
pub fn ask(dir: &Path, ask: &Ask, tell: &mut dyn FnMut(Told<'_>)) -> Result<Line, ControlError> {
    let path = super::path(dir);
    if path.as_os_str().len() > MAX_PATH {
        return Err(ControlError::Nobody { path });
    }
    let io = |why: io::Error| failure(&path, why);
    let mut stream = UnixStream::connect(&path).map_err(io)?;
    // A deploy under way has deadlines of its own.
    let patience = match ask {
        Ask::Resolve { .. }
        | Ask::Retry { .. }
        | Ask::Rollback { .. }
        | Ask::Restore { .. }
        | Ask::Hold { wait: true, .. } => None,
        Ask::Status | Ask::History { .. } | Ask::Hold { wait: false, .. } | Ask::Release { .. } => {
            Some(PATIENCE)
        }
    };
    stream.set_read_timeout(patience).map_err(io)?;
    stream.write_all(&request(ask)).map_err(io)?;
    let mut reader = BufReader::new(stream);
    loop {
        match line(&mut reader).map_err(io)?? {
            Line::Waiting(text) | Line::Step(text) => tell(Told::Step(&text)),
            Line::Now(text) => tell(Told::Now(&text)),
            Line::Error(refused) => return Err(refused.into()),
            answer @ (Line::Status(_) | Line::History(_) | Line::Done(_) | Line::Ended(_)) => {
                return Ok(answer);
            }
        }
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<Result<Line, ControlError>> {
    let mut text = Vec::new();
    let mut limited = reader.take(MAX_ANSWER as u64);
    limited.read_until(b'\n', &mut text)?;
    if text.is_empty() {
        let message = "towline run ended the conversation before it had answered; its log says why";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    let line = serde_json::from_slice(&text);
    Ok(line.map_err(|error| ControlError::Strange {
        why: error.to_string(),
    }))
}

fn failure(path: &Path, why: io::Error) -> ControlError {
    let path = path.to_owned();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the many kinds only these mean something else"
    )]
    match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::Nobody { path },
        io::ErrorKind::PermissionDenied => ControlError::Forbidden { path },
        io::ErrorKind::WouldBlock => ControlError::Io {
            path,
            why: io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", PATIENCE.as_secs()),
            ),
        },
        _ => ControlError::Io { path, why },
    }
}
