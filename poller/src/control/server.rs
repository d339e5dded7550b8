//! Serving the control socket beside the loop.
//!
//! `status` and `history` are answered from what the loop has published, so at once, also in the middle of a deploy; so are `hold`
//! and `release`, which are not the loop's (`holding`).
//! What changes something is queued to the loop and its steps are passed on; whoever asked may leave, which takes back
//! only what has not begun. Whatever a client does or leaves undone costs a slot for a bounded time and blocks nobody.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    time::timeout,
};
use towline_protocol::{IntentId, ServiceName};
use tracing::warn;

use super::{
    board::{Board, Errand, LockOrder, Order, Published},
    message::{Ask, Code, Line, MAX_REQUEST, parse},
    socket::Socket,
};
use crate::{
    lock::Asked,
    status::{PendingState, look},
    uptime::Moment,
};

/// How many clients are served at once; the others wait in the system's queue.
const CLIENTS: usize = 32;

/// How long a client may take to send its request, or to take a line.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of a refused request is read, so that its client sees the refusal and no broken pipe.
const DRAINED: u64 = 16 << 20;

impl Socket {
    /// Serves until it is dropped.
    pub async fn serve(self, desk: Desk) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (desk, owner) = (desk.clone(), self.owner);
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

/// What a conversation needs.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Where it looks.
    pub board: Board,
    /// Where orders to the loop go.
    pub orders: mpsc::Sender<Order>,
    /// Where it goes what is asked about locks.
    pub locks: mpsc::Sender<LockOrder>,
    /// Where the engine is.
    pub docker_host: Option<String>,
}

async fn converse(stream: UnixStream, owner: u32, desk: &Desk) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let refusal = if user == owner || user == 0 {
        match asked(&mut reader).await? {
            Ok(Ask::Resolve { service }) => {
                let since = desk.needed_since(&service);
                let errand = Errand::Resolve { since };
                return desk.take(service, errand, reader, writer).await;
            }
            Ok(Ask::Retry { service }) => {
                return desk.take(service, Errand::Retry, reader, writer).await;
            }
            Ok(Ask::Rollback { service, to }) => {
                let errand = Errand::Rollback { to };
                return desk.take(service, errand, reader, writer).await;
            }
            Ok(Ask::Restore {
                service,
                backup,
                running,
            }) => {
                let errand = Errand::Restore { backup, running };
                return desk.take(service, errand, reader, writer).await;
            }
            Ok(Ask::Hold {
                service,
                name,
                length,
                reason,
                wait,
            }) => {
                let waits = wait.then(|| name.clone());
                let asked = Asked::Hold {
                    name,
                    length,
                    reason,
                };
                let line = desk.lock(&service, asked).await?;
                return desk
                    .held(&service, line, waits.as_ref(), reader, writer)
                    .await;
            }
            Ok(Ask::Release { service, name }) => {
                let line = desk.lock(&service, Asked::Release { name }).await?;
                return say(&mut writer, &line).await;
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

pub(super) async fn say(writer: &mut OwnedWriteHalf, line: &Line) -> io::Result<()> {
    timeout(PATIENCE, writer.write_all(&line.to_json()))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

impl Desk {
    async fn status(&self) -> Line {
        let Some(sought) = self.published().map(|known| known.status.sought()) else {
            return not_yet();
        };
        let seen = look(self.docker_host.as_deref(), &sought).await;
        // In this order, since the loop publishes how a deploy ended before it says that none is under way.
        let underway = self.board.underway.borrow().clone();
        let Some(published) = self.published() else {
            return not_yet();
        };
        let (now, status) = (Moment::now(), published.status.clone());
        let status = status.with_locks(&self.board.locks.borrow(), &now);
        let status = status.with_underway(underway.as_ref());
        Line::Status(Box::new(status.with_seen(seen, now.at)))
    }

    fn history(&self, service: Option<&ServiceName>, limit: u32) -> Line {
        let Some(published) = self.published() else {
            return not_yet();
        };
        let entries = published.history.iter();
        let wanted = entries.filter(|entry| service.is_none_or(|name| entry.service == *name));
        Line::History(wanted.take(limit as usize).cloned().collect())
    }

    pub(super) fn published(&self) -> Option<Arc<Published>> {
        self.board.published.borrow().clone()
    }

    /// The intent since which an operator is needed for `service`, as far as that is published.
    fn needed_since(&self, service: &ServiceName) -> Option<IntentId> {
        let published = self.published()?;
        let mut services = published.status.services.iter();
        let found = services.find(|one| one.name == *service)?;
        let pending = found.pending.as_ref();
        let needed = pending.filter(|pending| pending.state == PendingState::NeedsOperator);
        needed.map(|pending| pending.intent.clone())
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
            return say(&mut writer, &too_many()).await;
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

/// There is no room for what is asked.
pub(super) fn too_many() -> Line {
    Line::refused(Code::Busy, "too many orders wait already; try again later")
}

fn not_yet() -> Line {
    Line::refused(Code::Busy, "towline run is just starting; try again")
}
