//! What comes in by the control socket while `run` works: publishing for who looks, carrying out what is ordered.

use std::{path::Path, time::Instant};

use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinSet};
use towline_protocol::ServiceName;
use tracing::{info, warn};

use super::Poller;
use crate::{
    control::{
        message::{Code, Line},
        server::{ORDERS, Published, Resolve, Socket},
    },
    history::{self, Entry},
    status::Status,
    store::StoreError,
};

/// The way from the control socket to the loop; without a socket nothing ever comes.
#[derive(Debug)]
pub(super) struct Orders {
    queue: mpsc::Receiver<Resolve>,
    serving: JoinSet<()>,
}

impl Orders {
    /// The next order.
    pub(super) async fn next(&mut self) -> Resolve {
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
    /// Begins to serve the control socket of the state directory `dir`. Without one all else goes on.
    pub(super) fn serve_control(&mut self, dir: &Path) -> Orders {
        let (sender, queue) = mpsc::channel(ORDERS);
        let mut serving = JoinSet::new();
        match Socket::bind(dir) {
            Ok(socket) => {
                let engine = self.engine.address().map(str::to_owned);
                serving.spawn(socket.serve(self.notices.board(), sender, engine));
            }
            Err(error) => warn!(
                "no control socket, so that towline status, history and resolve do not work while this runs: {error}"
            ),
        }
        Orders { queue, serving }
    }

    /// Publishes how things stand. What the state says is read again only when it has changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        if !self.notices.are_read() {
            return Ok(());
        }
        let changes = self.store.changes();
        let published = match self.notices.published() {
            Some(before) if self.published_at == Some(changes) => (*before).clone(),
            _ => self.read_published()?,
        };
        self.published_at = Some(changes);
        self.notices.publish(published);
        Ok(())
    }

    fn read_published(&self) -> Result<Published, StoreError> {
        let past = self.store.history(None, history::MOST)?;
        Ok(Published {
            status: Status::recorded(&self.store, &self.settings, &self.host, Timestamp::now())?,
            history: past.into_iter().filter_map(Entry::of).collect(),
        })
    }

    /// Lets a service be deployed again and gives it its turn. An order whose client left before is dropped.
    ///
    /// # Errors
    /// When the store fails; whoever asked is told.
    pub(super) fn resolve(&mut self, order: Resolve) -> Result<(), StoreError> {
        let Resolve { service, answer } = order;
        if answer.is_closed() {
            return Ok(());
        }
        let resolved = self.store.resolve(&service);
        let line = match &resolved {
            Ok(was_needed) => {
                let said = resolved_text(&service, *was_needed);
                info!(%service, "resolved by the control socket: {said}");
                self.todo.again(&service, Instant::now());
                Line::Done(said)
            }
            Err(error) => Line::refused(Code::Failed, error.to_string()),
        };
        // Without anybody to hear it the log has it.
        let _ = answer.send(line);
        resolved.map(drop)
    }
}

/// What `towline resolve` says.
pub fn resolved_text(service: &ServiceName, was_needed: bool) -> String {
    if was_needed {
        format!("{service} may be deployed again")
    } else {
        format!("{service} was not waiting for an operator")
    }
}
