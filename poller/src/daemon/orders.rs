//! What comes in by the control socket while `run` works: publishing for who looks, carrying out what is ordered.

use std::{mem, path::Path, time::Instant};

use jiff::Timestamp;
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::JoinSet,
};
use towline_protocol::{IntentId, ServiceName};
use tracing::{info, warn};

use super::{Declined, Poller, Restore, Stop, locks::LockKeeper, resolve::resolve};
use crate::{
    control::{
        board::{Errand, ORDERS, Order, Published},
        message::{Code, Ended, Line},
        server::Desk,
        socket::Socket,
    },
    history::Entry,
    status::Status,
    store::StoreError,
};

/// The way from the control socket to the loop; without a socket nothing ever comes.
#[derive(Debug)]
pub(super) struct Orders {
    queue: mpsc::Receiver<Order>,
    serving: JoinSet<()>,
}

impl Orders {
    /// The next order.
    pub(super) async fn next(&mut self) -> Order {
        match self.queue.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// Stops serving and takes the socket away. To be done while the state is still locked: after that the socket's
    /// place belongs to another process.
    pub(super) async fn close(mut self) {
        self.serving.shutdown().await;
    }
}

impl Poller {
    /// Begins to serve the control socket of the state directory `dir`. Without one all else goes on. What is asked about locks
    /// is for the keeper, who has to be let work beside the loop.
    pub(super) fn serve_control(&mut self, dir: &Path) -> (Orders, LockKeeper) {
        let (orders, queue) = mpsc::channel(ORDERS);
        let (keeper, locks) = self.keep_locks();
        let mut serving = JoinSet::new();
        match Socket::bind(dir) {
            Ok(socket) => {
                serving.spawn(socket.serve(Desk {
                    board: self.notices.board(),
                    orders,
                    locks,
                    docker_host: self.engine.address().map(str::to_owned),
                }));
            }
            Err(error) => warn!(
                "no control socket, so that towline status, history, retry, rollback, restore, resolve, hold and release do not work while this runs: {error}"
            ),
        }
        (Orders { queue, serving }, keeper)
    }

    /// Publishes how things stand, read again only when the state has changed. A state that cannot be read is told
    /// in the log and keeps nothing from going on: what only shows things never stands before what serves.
    pub(super) fn publish(&mut self) {
        if !self.notices.are_read() {
            return;
        }
        let changes = self.store.changes();
        let published = match self.notices.published() {
            Some(before) if self.published_at == Some(changes) => (*before).clone(),
            Some(_) | None => match self.read_published() {
                Ok(published) => published,
                Err(error) => {
                    warn!("towline status and history cannot be kept up to date: {error}");
                    return;
                }
            },
        };
        self.published_at = Some(changes);
        self.notices.publish(published);
    }

    fn read_published(&self) -> Result<Published, StoreError> {
        // All of them: the newest of every service together would leave a quiet service without any.
        let past = self.store.history(None, u32::MAX)?;
        Ok(Published {
            status: Status::recorded(&self.store, &self.settings, &self.host, Timestamp::now())?,
            history: past.into_iter().filter_map(Entry::of).collect(),
        })
    }

    /// Carries an order out, to its end, also when whoever gave it leaves meanwhile. One whose client left before is
    /// dropped.
    ///
    /// # Errors
    /// When the store fails; whoever asked is told.
    pub(super) async fn obey(&mut self, order: Order, stop: &Stop) -> Result<(), StoreError> {
        let Order {
            service,
            errand,
            answer,
        } = order;
        if answer.is_closed() {
            return Ok(());
        }
        info!(%service, "ordered by the control socket: {}", word(&errand));
        // From here on whoever holds the service off is told that this goes on.
        self.notices.note_ordered(Some(service.clone()));
        let done = match errand {
            Errand::Resolve { since } => {
                self.resolve(&service, since.as_ref()).await.map(Line::Done)
            }
            Errand::Retry => self.retry_for(&service, stop, &answer).await,
            Errand::Rollback { to } => {
                self.roll_back_for(&service, to.as_deref(), stop, &answer)
                    .await
            }
            Errand::Restore { backup, running } => {
                let asked = Restore { backup, running };
                self.restore_for(&service, &asked, stop, &answer).await
            }
        };
        let (line, broken) = match done {
            Ok(line) => (line, Ok(())),
            Err(Declined::Store(error)) => {
                (Line::refused(Code::Failed, error.to_string()), Err(error))
            }
            Err(declined) => {
                info!(%service, "declined: {declined}");
                (Line::refused(Code::Declined, declined.to_string()), Ok(()))
            }
        };
        // Whoever asks how things stand right after the answer is told so.
        self.publish();
        self.notices.note_ordered(None);
        // Without anybody to hear it the log has it.
        let _ = answer.send(line);
        broken
    }

    /// Lets a service be deployed again and gives it its turn, if an operator is needed for nothing else than when this
    /// was asked.
    async fn resolve(
        &mut self,
        service: &ServiceName,
        asked: Option<&IntentId>,
    ) -> Result<String, Declined> {
        if let Some(since) = self.store.blocked(service)?
            && asked != Some(&since)
            && self
                .settings
                .services
                .iter()
                .any(|one| one.name == *service)
        {
            let service = service.clone();
            return Err(Declined::Unseen { service, since });
        }
        let engine = self.engine.address().map(str::to_owned);
        let said = resolve(&mut self.store, &self.settings, service, engine.as_deref()).await?;
        info!(%service, "{said}");
        self.todo.again(service, Instant::now());
        Ok(said)
    }

    async fn retry_for(
        &mut self,
        service: &ServiceName,
        stop: &Stop,
        client: &UnboundedSender<Line>,
    ) -> Result<Line, Declined> {
        let before = self.listen(client);
        let tried = self.retry(service, stop).await;
        let ended = self.heard(before);
        tried.map(|()| ended)
    }

    async fn roll_back_for(
        &mut self,
        service: &ServiceName,
        to: Option<&str>,
        stop: &Stop,
        client: &UnboundedSender<Line>,
    ) -> Result<Line, Declined> {
        let before = self.listen(client);
        let gone_back = self.roll_back(service, to, stop).await;
        let ended = self.heard(before);
        gone_back.map(|_| ended)
    }

    async fn restore_for(
        &mut self,
        service: &ServiceName,
        asked: &Restore,
        stop: &Stop,
        client: &UnboundedSender<Line>,
    ) -> Result<Line, Declined> {
        self.notices.listen(Some(client.clone()));
        let restored = self.restore(service, asked, stop).await;
        self.notices.listen(None);
        restored.map(|restored| {
            Line::Ended(Ended {
                said: restored.said,
                outcomes: Vec::new(),
                failed: !restored.is_well,
            })
        })
    }

    /// Lets `client` hear what goes on, and counts from here. Returns what had failed before.
    fn listen(&mut self, client: &UnboundedSender<Line>) -> bool {
        self.outcomes.clear();
        self.notices.listen(Some(client.clone()));
        mem::take(&mut self.failed)
    }

    /// What came of it since [`Self::listen`].
    fn heard(&mut self, failed_before: bool) -> Line {
        let said = self.said();
        self.notices.listen(None);
        let ended = Ended {
            said,
            failed: self.failed || self.outcomes.is_empty(),
            outcomes: mem::take(&mut self.outcomes),
        };
        self.failed |= failed_before;
        Line::Ended(ended)
    }
}

fn word(errand: &Errand) -> &'static str {
    match errand {
        Errand::Resolve { .. } => "resolve",
        Errand::Retry => "retry",
        Errand::Rollback { .. } => "rollback",
        Errand::Restore { .. } => "restore",
    }
}
