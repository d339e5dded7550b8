//! Serving the control socket beside the loop.
//!
//! `status` and `history` are answered from what the loop has published, so at once, also in the middle of a deploy.
//! What changes something is queued to the loop and its steps are passed on; whoever asked may leave, which takes back
//! only what has not begun.
//! Whatever a client does or leaves undone costs a slot for a bounded time and blocks nobody.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use towline_protocol::ServiceName;
use tracing::warn;

use super::{
    MAX_PATH,
    message::{Ask, Code, Line, MAX_REQUEST, parse},
};
use crate::{
    history::Entry,
    status::{Status, Underway, look},
};

/// How many clients are served at once; the others wait in the system's queue.
const CLIENTS: usize = 32;

/// How many orders may wait for the loop. Less than `CLIENTS`, so that they never keep out who only wants to look.
pub const ORDERS: usize = 8;

/// How long a client may take to send its request, or to take a line.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a refused request is read, so that its client sees the refusal and no broken pipe.
const DRAINED: u64 = 16 << 20;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// The path does not fit into a socket's address.
    #[error(
        "its path {} is longer than the {MAX_PATH} bytes that a socket's may have; choose a shorter --state-dir",
        path.display()
    )]
    Long {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is there and no socket; move it away", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {why}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// What the loop publishes.
#[derive(Clone, Debug)]
pub struct Published {
    /// How the services stood when nothing was under way.
    pub status: Status,
    /// How the last deploys ended, the newest first.
    pub history: Arc<[Entry]>,
}

/// Where the server looks; the loop writes the other ends.
#[derive(Clone, Debug)]
pub struct Board {
    /// What the loop has published last; `None` until the first time.
    pub published: watch::Receiver<Option<Arc<Published>>>,
    /// The deploy under way.
    pub underway: watch::Receiver<Option<Underway>>,
}

/// What the loop can be ordered to do with a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An operator has seen to it.
    Resolve,
    /// Try its newest deploy again.
    Retry,
    /// Take it back to a version that is kept.
    Rollback {
        /// The version's digest or its beginning; without it the version before the current one.
        to: Option<String>,
    },
}

/// An order on its way to the loop.
#[derive(Debug)]
pub struct Order {
    /// The service.
    pub service: ServiceName,
    /// What to do with it.
    pub errand: Errand,
    /// Takes the lines of the answer; closed when whoever asked has left. What is not sent yet is bounded by that: a
    /// client that takes no line for a while is taken for one that has left.
    pub answer: mpsc::UnboundedSender<Line>,
}

/// The socket, which goes away with this.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// The user to whom it belongs.
    owner: u32,
}

impl Socket {
    /// Makes the socket of the state directory `dir`, which the caller has locked: one that is there is a dead process's.
    ///
    /// It gets its place only when it is its owner's alone.
    ///
    /// # Errors
    /// See [`BindError`]; what was there stays then.
    pub fn bind(dir: &Path) -> Result<Self, BindError> {
        let path = super::path(dir);
        let begun = dir.join("control.new");
        if begun.as_os_str().len() > MAX_PATH {
            return Err(BindError::Long { path: begun });
        }
        for path in [&path, &begun] {
            refuse_other(path)?;
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |why| BindError::Io { path, why }
        };
        match fs::remove_file(&begun) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&begun)(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&begun).map_err(io(&begun))?;
        fs::set_permissions(&begun, Permissions::from_mode(0o600)).map_err(io(&begun))?;
        let owner = fs::symlink_metadata(&begun).map_err(io(&begun))?.uid();
        fs::rename(&begun, &path).map_err(io(&path))?;
        Ok(Self {
            listener,
            path,
            owner,
        })
    }

    /// Serves until it is dropped.
    pub async fn serve(
        self,
        board: Board,
        orders: mpsc::Sender<Order>,
        docker_host: Option<String>,
    ) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let desk = Desk {
                        board: board.clone(),
                        orders: orders.clone(),
                        docker_host: docker_host.clone(),
                    };
                    let owner = self.owner;
                    tokio::spawn(async move {
                        // A client that has left or does not listen is none of ours.
                        let _ = converse(stream, owner, &desk).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    warn!("the control socket takes nobody now: {error}");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next process replaces what is left.
        let _ = fs::remove_file(&self.path);
    }
}

/// Refuses anything but a socket, links included.
fn refuse_other(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(BindError::Occupied {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// What one conversation needs.
struct Desk {
    board: Board,
    orders: mpsc::Sender<Order>,
    docker_host: Option<String>,
}

async fn converse(stream: UnixStream, owner: u32, desk: &Desk) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let refusal = if user == owner || user == 0 {
        match asked(&mut reader).await? {
            Ok(Ask::Resolve { service }) => {
                return desk.take(service, Errand::Resolve, reader, writer).await;
            }
            Ok(Ask::Retry { service }) => {
                return desk.take(service, Errand::Retry, reader, writer).await;
            }
            Ok(Ask::Rollback { service, to }) => {
                let errand = Errand::Rollback { to };
                return desk.take(service, errand, reader, writer).await;
            }
            Ok(Ask::Status) => return say(&mut writer, &desk.status().await).await,
            Ok(Ask::History { service, limit }) => {
                return say(&mut writer, &desk.history(service.as_ref(), limit)).await;
            }
            Err(refusal) => refusal,
        }
    } else {
        let message = format!("user {user} may not speak to the towline of user {owner}");
        Line::refused(Code::Forbidden, message)
    };
    say(&mut writer, &refusal).await?;
    writer.shutdown().await?;
    let (mut rest, mut nowhere) = (reader.take(DRAINED), tokio::io::sink());
    let drain = tokio::io::copy(&mut rest, &mut nowhere);
    let drained = timeout(PATIENCE, drain).await;
    drained.map_or(Ok(()), |drained| drained.map(drop))
}

/// Reads the request.
async fn asked(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Result<Ask, Line>> {
    let mut line = Vec::new();
    let mut limited = reader.take(MAX_REQUEST as u64);
    let bad = |why: String| Ok(Err(Line::refused(Code::BadRequest, why)));
    match timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await {
        Err(_) => bad(format!("no request within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) if line.ends_with(b"\n") => Ok(parse(&line)),
        Ok(Ok(MAX_REQUEST)) => bad(format!("a request is at most {MAX_REQUEST} bytes long")),
        Ok(Ok(_)) => bad("a request is one line; this one has no end".to_owned()),
    }
}

async fn say(writer: &mut OwnedWriteHalf, line: &Line) -> io::Result<()> {
    timeout(PATIENCE, writer.write_all(&line.to_json()))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

impl Desk {
    async fn status(&self) -> Line {
        let Some(containers) = self.published().map(|known| known.status.containers()) else {
            return not_yet();
        };
        let seen = look(self.docker_host.as_deref(), &containers).await;
        // In this order, since the loop publishes how a deploy ended before it says that none is under way.
        let underway = self.board.underway.borrow().clone();
        let Some(published) = self.published() else {
            return not_yet();
        };
        let status = published.status.clone().with_underway(underway.as_ref());
        Line::Status(Box::new(status.with_seen(seen, jiff::Timestamp::now())))
    }

    fn history(&self, service: Option<&ServiceName>, limit: u32) -> Line {
        let Some(published) = self.published() else {
            return not_yet();
        };
        let entries = published.history.iter();
        let wanted = entries.filter(|entry| service.is_none_or(|name| entry.service == *name));
        Line::History(wanted.take(limit as usize).cloned().collect())
    }

    fn published(&self) -> Option<Arc<Published>> {
        self.board.published.borrow().clone()
    }

    /// Queues an order and passes on what the loop answers, as long as the client stays.
    async fn take(
        &self,
        service: ServiceName,
        errand: Errand,
        mut reader: BufReader<OwnedReadHalf>,
        mut writer: OwnedWriteHalf,
    ) -> io::Result<()> {
        let underway = self.board.underway.borrow().clone();
        if let Some(underway) = underway {
            let text = format!("waiting for the deploy of {} to end", underway.service);
            say(&mut writer, &Line::Waiting(text)).await?;
        }
        let (answer, mut answered) = mpsc::unbounded_channel();
        let order = Order {
            service,
            errand,
            answer,
        };
        if self.orders.try_send(order).is_err() {
            let message = "too many orders wait already; try again later";
            return say(&mut writer, &Line::refused(Code::Busy, message)).await;
        }
        let passing_on = async {
            // When there are no more and none was the last, the process ends; the client is told by the end of its
            // connection.
            while let Some(line) = answered.recv().await {
                say(&mut writer, &line).await?;
            }
            Ok(())
        };
        tokio::select! {
            passed_on = passing_on => passed_on,
            // Nothing more is expected of the client but that it leaves.
            _ = reader.fill_buf() => Ok(()),
        }
    }
}

fn not_yet() -> Line {
    Line::refused(Code::Busy, "towline run is just starting; try again")
}
